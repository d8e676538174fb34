"""Samples as image files in folders: a table says which file holds what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._card import provenance
from bmgd_data._system import image_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader, Sample


class Entry(NamedTuple):
    """One sample of a `Part`."""

    stem: str
    sample: Sample
    record: dict[str, Any]
    white: int


@dataclass(frozen=True)
class Part:
    """The samples of one reader with their file names, in the reader's order."""

    reader: Reader
    stems: dict[str, str]
    """File name without suffix, by sample name."""
    tick: Callable[[int], object]
    """Called with 1 after each sample."""
    white: int
    """Grey value that is white in 8-bit pictures: the largest full scale of what is exported."""

    def __iter__(self) -> Iterator[Entry]:
        for sample, record in zip(self.reader, self.records, strict=True):
            yield Entry(self.stems[sample["name"]], sample, record, self.white)
            self.tick(1)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Facts about each sample, as plain numbers and texts, the same in every format."""
        reader = self.reader
        pascals = reader.stiffness_pa.tolist()
        columns = {
            "name": reader.names,
            "split": reader.splits,
            "stiffness_pa": pascals,
            "n_nuclei": reader.n_nuclei.tolist(),
            "instance_method": [reader.instance_method] * len(reader),  # beside what it counts
            "full_scale": [reader.full_scales[pa] for pa in pascals],
        }
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        shared = provenance(reader)
        # Columns of the row come first, and its values replace those of all samples.
        return [row | shared | row for row in rows]


Layout = dict[str, str]
"""Path by key of the sample, "picture" or "classes"; the suffix chooses the encoder.

A picture is the image in 8 bits (`in_8_bits`), classes are the mask as 0 and 1. ``{stem}`` is the
file name without suffix, ``{condition}`` upstream's name of the stiffness, ``{below}`` what follows
the first slash of the stem.
"""

UPSTREAM: Final[Layout] = {
    "image": "{condition}/image/{below}.tif",
    "mask": "{condition}/mask/{below}.tif",
    "instances": "{condition}/instances/{below}.tif",
}
CELLPOSE: Final[Layout] = {"image": "{stem}_img.tif", "instances": "{stem}_masks.tif"}
FOLDERS: Final[Layout] = {
    "image": "images/{stem}.tif",
    "instances": "masks/{stem}.tif",  # what StarDist's notebooks read as label images
    "mask": "foreground/{stem}.tif",
}
PICTURES: Final[Layout] = {"picture": "images/{stem}.png", "image": "images_16bit/{stem}.png"}
_FOLDERS: Final = {condition.pa: condition.folder for condition in facts.CONDITIONS}


def write(part: Part, folder: Path, layout: Layout) -> list[str]:
    """Write every sample as the layout says; return the image file of each, below `folder`."""
    return [write_one(entry, folder, layout)["image"] for entry in part]


def write_one(entry: Entry, folder: Path, layout: Layout) -> dict[str, str]:
    """Write one sample; return the file of each key of the layout, relative to `folder`."""
    condition = _FOLDERS[entry.sample["stiffness_pa"]]
    below = entry.stem.partition("/")[2]
    arrays: dict[str, Any] = dict(entry.sample)
    if "picture" in layout:
        arrays["picture"] = in_8_bits(arrays["image"], entry.white)
    arrays["classes"] = entry.sample["mask"].view(np.uint8)
    told = entry.record | {"licence": facts.DATA_LICENSE, "cite": facts.CITATION}
    info = "\n".join(f"{key}: {value}" for key, value in told.items())
    files = {}
    for key, pattern in layout.items():
        files[key] = pattern.format(stem=entry.stem, below=below, condition=condition)
        path = folder / files[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            image_files.encode_png(arrays[key])
            if path.suffix == ".png"
            else image_files.encode_tiff(arrays[key], facts.PIXEL_SIZE_UM, info)
        )
    return files


def in_8_bits(image: NDArray[np.uint16], white: int) -> NDArray[np.uint8]:
    """Grey values as 8 bits on a scale that does not depend on the image: 0 is 0, `white` is 255.

    With 16 bits, Pillow's ``convert("RGB")`` clips nuclei to white, and OpenCV's default divides by
    256, so that the image is black.
    """
    return np.rint(np.minimum(image, white) * (255 / white)).astype(np.uint8)
