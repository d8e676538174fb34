"""The Hugging Face adapter: Dataset, DatasetDict and a data set card.

Images are ``datasets.Image`` features that hold 16-bit PNG, and not ``Array2D``: PNG keeps every
bit, is smaller in Arrow and Parquet, holds images of any shape, and works with the library's image
tools and the data set viewer. A mask is a PNG of 1 bit. They decode to Pillow images (modes "I;16"
and "1"), and with ``with_format("numpy")`` to uint16 and bool arrays.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import errors, facts
from bmgd_data._card import dataset_card, description
from bmgd_data._system import image_files
from bmgd_data.reader import Reader

try:
    import datasets
except ImportError as error:
    raise errors.missing("bmgd_data.hf", "datasets", "hf", error) from error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from bmgd_data.facts import Stiffness
    from bmgd_data.splits import AnyScheme

__all__ = ["FEATURES", "SPLITS", "as_torch", "dataset_card", "to_hf", "to_hf_dict"]

SPLITS: Final = {"train": "train", "val": "validation", "test": "test"}
"""Hugging Face's names of our splits."""

FEATURES: Final = datasets.Features(
    {
        "image": datasets.Image(),
        "mask": datasets.Image(),
        "instances": datasets.Image(),
        "stiffness_pa": datasets.Value("int32"),
        "n_nuclei": datasets.Value("int32"),
        "name": datasets.Value("string"),
    }
)
"""The columns of a Dataset."""
_CHUNK: Final = 64


def to_hf(reader: Reader) -> datasets.Dataset:
    """Turn a reader's samples into a Hugging Face Dataset, in the reader's order.

    It is held in memory as PNG and not in Hugging Face's cache, where it could become outdated.
    ``save_to_disk`` and ``to_parquet`` write it.

    Args:
        reader: Any reader, or a slice of one.

    Returns:
        A Dataset with `FEATURES`.

    Example:
        >>> from bmgd_data import Reader
        >>> from bmgd_data.hf import to_hf
        >>> data = to_hf(Reader("test", "1200Pa", source="phantom")).with_format("numpy")
        >>> data[0]["image"].dtype
        dtype('uint16')
    """
    info = datasets.DatasetInfo(
        description=description(reader),
        citation=facts.BIBTEX,
        homepage=facts.REPOSITORY,
        license=facts.DATA_LICENSE,
        features=FEATURES,
    )
    split = SPLITS.get(reader.split)
    chunks = [
        datasets.Dataset.from_dict(_columns(reader[start : start + _CHUNK]), info=info, split=split)
        for start in range(0, len(reader) or 1, _CHUNK)
    ]
    return datasets.concatenate_datasets(chunks, info=info, split=split)


def to_hf_dict(
    *,
    stiffness: Stiffness | Iterable[Stiffness] | None = None,
    root: str | os.PathLike[str] | None = None,
    source: str | os.PathLike[str] | None = None,
    download: bool = True,
    scheme: AnyScheme = "random",
    instances: str = "components",
) -> datasets.DatasetDict:
    """Turn all splits into a DatasetDict with the keys train, validation and test.

    Args:
        stiffness: One or several of "1200Pa", "1200 Pa", "1200", 1200. None: all four.
        root: Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.
        source: "upstream", "phantom" (generated data), an archive, a folder with the archives or
            the unpacked folders, a ZIP of the repository, or the base URL of a mirror. None:
            BMGD_SOURCE, or upstream.
        download: Whether the network may be used. BMGD_OFFLINE=1 forbids it too.
        scheme: How splits are drawn: "random" (80:10:10 of each stiffness) or "grouped" (likewise,
            images of one colony together). Known groups: a CSV file (name, group) or a mapping.
        instances: How nuclei are told apart: "components" (8-connected), "watershed" (touching
            nuclei split) or "provided" (label images of the archive, where it has any).

    Returns:
        A DatasetDict of what `to_hf` gives.

    Raises:
        ValueError, BMGDError: As `Reader` raises.
    """
    read = partial(
        Reader,
        stiffness=stiffness,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
    )
    return datasets.DatasetDict({theirs: to_hf(read(ours)) for ours, theirs in SPLITS.items()})


def as_torch(full_scale: int = facts.FULL_SCALE) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Make the transform that gives rows as the torch data set `bmgd_data.BMGD` gives samples.

    ``with_format("torch")`` gives images as uint16, for which torch has few operators, and masks as
    bool. Use this as ``dataset.with_transform(as_torch())``.

    Args:
        full_scale: Grey value that becomes 1.0; see ``Reader.full_scales``.

    Returns:
        A function of a batch of rows, for ``with_transform`` or ``set_transform``: `image` float32
        (1, H, W) from 0 to 1, `mask` uint8 (H, W), `instances` int32 (H, W), the rest unchanged.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch  # noqa: F401 - said now and not at the first row
    except ImportError as error:
        instead = 'Without it, dataset.with_format("numpy") gives arrays.'
        raise errors.missing("as_torch", "torch", "torch", error, instead=instead) from error
    return partial(_as_torch, full_scale)


def _as_torch(full_scale: int, batch: dict[str, Any]) -> dict[str, Any]:
    import torch

    made = dict(batch)
    for key, dtype in (("image", np.float32), ("mask", np.uint8), ("instances", np.int32)):
        if key in batch:
            made[key] = [torch.from_numpy(np.asarray(each).astype(dtype)) for each in batch[key]]
    if "image" in made:
        made["image"] = [image[None] / full_scale for image in made["image"]]
    return made


def _columns(reader: Reader) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {key: [] for key in FEATURES}
    for sample in reader:
        for key, value in sample.items():
            if isinstance(value, np.ndarray):
                value = {"bytes": image_files.encode_png(value), "path": None}  # noqa: PLW2901
            columns[key].append(value)
    return columns
