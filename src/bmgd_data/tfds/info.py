"""What a record holds, and what TFDS notes of the records: their shape, and their data."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tensorflow_datasets as tfds

from bmgd_data import __version__, facts
from bmgd_data._card import provenance
from bmgd_data.errors import ChecksumError, CorruptArchiveError
from bmgd_data.instances import VERSIONS

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

Shape = tuple[int | None, int | None]
"""Height and width; None if they differ between images."""

_TITLES: Final = {
    "source": "source",
    "digest": "data version",
    "scheme": "scheme",
    "instance_method": "instance method",
    "instance_version": "version of the instance method",
}


class Info(tfds.core.DatasetInfo):  # type: ignore[misc]
    """A DatasetInfo whose image shape and metadata come from the data."""

    def fit(self, reader: Reader, limit: int | None) -> None:
        """Note the images' shape, which data it is, and the most samples of a split."""
        shapes = {sample["image"].shape for sample in reader}
        self._features = features(shapes.pop() if len(shapes) == 1 else (None, None))
        noted = {
            "instance_version": VERSIONS.get(reader.instance_method, 1),
            "bmgd_data": __version__,
            "max_examples_per_split": limit,
        }
        self.metadata.update(provenance(reader) | noted)

    def move(self, folder: str) -> None:
        """Describe the records in another folder, or those that will be there."""
        self._identity: Any = dataclasses.replace(self._identity, data_dir=folder)
        self.set_splits(tfds.core.SplitDict([]))
        if tfds.core.Path(folder).exists():
            self.read_from_directory(folder)

    def require_whole(self) -> None:
        """Raise CorruptArchiveError if a file of the records is missing or cut off."""
        folder = tfds.core.Path(self.data_dir)
        bad = []
        for name in ("dataset_info.json", "features.json", "metadata.json"):
            try:
                json.loads((folder / name).read_text())
            except (OSError, ValueError):
                bad.append(name)
        records = [path for split in self.splits.values() for path in split.filepaths]
        if bad := bad + [path.name for path in records if not path.exists()]:
            raise CorruptArchiveError(
                f"The records in {folder} are not whole: {', '.join(bad)} missing or unreadable. "
                "Remove that folder, and load again or run `bmgd tfds`, which write them again."
            )

    def require_same(self, wanted: dict[str, Any], label: str) -> None:
        """Raise ChecksumError if the records hold something else.

        Args:
            wanted: What is asked for, by the names under which `fit` noted it.
            label: The source that is asked for.
        """
        kept = {"scheme": "random", **self.metadata}  # versions before 0.2.0 had no other scheme
        if differing := [_TITLES[key] for key, value in wanted.items() if kept[key] != value]:
            version = wanted.get("digest", "")[:12] or "not known here"
            raise ChecksumError(
                f"The records in {self.data_dir} are of {kept['source']} (scheme="
                f"{kept['scheme']!r}, instances={kept['instance_method']!r}, data version "
                f"{kept['digest'][:12]}), but asked for is {label} (scheme={wanted['scheme']!r}, "
                f"instances={wanted['instance_method']!r}, data version {version}): "
                f"another {' and another '.join(differing)}. Name another data_dir, or ask for "
                "what is there (source= or BMGD_SOURCE, scheme=, instances=), or remove that "
                "folder to have the records written again."
            )

    def read_from_directory(self, dataset_info_dir: str | os.PathLike[str]) -> None:
        """As in TFDS, with the shape that the records were written in."""
        self.require_whole()
        kept = tfds.features.FeaturesDict.from_config(dataset_info_dir)
        self._features = features(kept["image"].shape[:2])
        super().read_from_directory(dataset_info_dir)

    def initialize_from_bucket(self) -> None:
        """Does nothing: TFDS's bucket does not have BMGD, and loading must not need the network."""


def features(shape: Shape = facts.IMAGE_SHAPE) -> tfds.features.FeaturesDict:
    """The features of a record whose images have this (height, width)."""
    return tfds.features.FeaturesDict(
        {
            "image": _micrograph(shape),
            "mask": _coloured(shape, np.uint8, "1 where a nucleus is, 0 elsewhere."),
            "instances": _coloured(shape, np.uint16, "Nuclei numbered 1..n, 0 elsewhere."),
            "stiffness_pa": tfds.features.Scalar(
                np.int64, doc="Stiffness of the substrate in pascal."
            ),
            "stiffness": tfds.features.ClassLabel(names=[c.name for c in facts.CONDITIONS]),
            "n_nuclei": tfds.features.Scalar(np.int64, doc="Labels in `instances`."),
            "name": tfds.features.Text(doc="<pa>Pa/<path below the image folder>."),
        }
    )


def _micrograph(shape: Shape) -> tfds.features.Image:
    """A 16-bit image, which the builder shows stretched from its darkest to its brightest pixel.

    TFDS's own thumbnail of a grey 16-bit image clips it, or fails. The records name TFDS's own
    image, so that they can be read without this package; it is then shown in false colours.
    """
    image = _coloured(shape, np.uint16, "Raw grey values.")
    grey = tfds.features.Image(shape=(*shape, 1))

    def thumbnail(pixels: NDArray[np.integer]) -> str:
        low, high = int(pixels.min()), int(pixels.max())
        stretched = (pixels.astype(np.float32) - low) * (255 / max(high - low, 1))
        return str(grey.repr_html(stretched.astype(np.uint8)))

    image.repr_html = thumbnail
    return image


def _coloured(shape: Shape, dtype: type[np.unsignedinteger], doc: str) -> tfds.features.Image:
    """An image of one channel, shown with a colour for each value."""
    return tfds.features.Image(
        shape=(*shape, 1), dtype=dtype, encoding_format="png", use_colormap=True, doc=doc
    )
