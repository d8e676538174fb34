"""The Hugging Face adapter: Dataset, DatasetDict and a data set card.

Images are ``datasets.Image`` features that hold 16-bit PNG, and not ``Array2D``: PNG keeps every
bit, is smaller in Arrow and Parquet, holds images of any shape, and works with the library's image
tools and the data set viewer. A mask is a PNG of 1 bit. They decode to Pillow images (modes "I;16"
and "1"), and with ``with_format("numpy")`` to uint16 and bool arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import errors, facts
from bmgd_data._card import dataset_card, description
from bmgd_data._system import image_files

try:
    import datasets
except ImportError as error:
    raise errors.missing("bmgd_data.hf", "datasets", "hf", error) from error

if TYPE_CHECKING:
    from bmgd_data.reader import Reader

__all__ = ["FEATURES", "SPLITS", "dataset_card", "to_hf", "to_hf_dict"]

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


def to_hf_dict(reader: Reader) -> datasets.DatasetDict:
    """Turn all splits of a Reader's data into a DatasetDict.

    Args:
        reader: Any split of the data, such as ``Reader("all")`` or one fold of it.

    Returns:
        What `to_hf` gives of each split, with the keys train, validation and test.
    """
    return datasets.DatasetDict({theirs: to_hf(reader.subset(s)) for s, theirs in SPLITS.items()})


def _columns(reader: Reader) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {key: [] for key in FEATURES}
    for sample in reader:
        for key, value in sample.items():
            if isinstance(value, np.ndarray):
                value = {"bytes": image_files.encode_png(value), "path": None}  # noqa: PLW2901
            columns[key].append(value)
    return columns
