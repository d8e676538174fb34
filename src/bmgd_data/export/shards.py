"""WebDataset: tar files that are read from front to back."""

from __future__ import annotations

import gzip
import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from bmgd_data._system import image_files

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.parts import Entry, Part

SHARD: Final = 100
"""Samples a shard: a shard is the least that a worker reads, so there must be several."""


def write(part: Part, folder: Path) -> list[str]:
    """Write ``shard-000000.tar`` and so on.

    Arrays are ``.npy.gz``, since WebDataset's own image decoders bring 16 bits to 8.

    Returns:
        The shard of each sample, and after ``#`` its key there.
    """
    files: list[str] = []
    entries = iter(part)
    while batch := list(islice(entries, SHARD)):
        shard = folder / f"shard-{len(files) // SHARD:06d}.tar"
        with shard.open("wb") as file, _tar(file) as tar:
            for entry in batch:
                tar.write(_members(entry))
        files += [f"{shard.name}#{entry.stem}" for entry in batch]
    return files


def _tar(file: BinaryIO) -> Any:
    """Writes bytes as they are, with nothing in it that differs from one export to the next."""
    from webdataset import TarWriter

    return TarWriter(file, user="", group="", mtime=0, encoder=False)


def _members(entry: Entry) -> dict[str, Any]:
    arrays: dict[str, Any] = dict(entry.sample)
    return {
        "__key__": entry.stem,
        **{f"{key}.npy.gz": _npy_gz(arrays[key]) for key in ("image", "mask", "instances")},
        "json": json.dumps(entry.record, ensure_ascii=False).encode(),
    }


def _npy_gz(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return gzip.compress(buffer.getvalue(), compresslevel=image_files.EFFORT, mtime=0)
