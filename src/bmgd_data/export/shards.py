"""WebDataset: tar files that are read sequentially."""

from __future__ import annotations

import gzip
import io
import json
import math
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from bmgd_data._system import image_files

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.parts import Entry, Part

SHARDS: Final = 8
"""Least number of shards: each worker reads whole shards, and one without any fails."""
LARGEST: Final = 100
"""Most samples in a shard."""


def write(part: Part, folder: Path) -> list[str]:
    """Write ``shard-000000.tar`` and so on.

    Arrays are ``.npy.gz``, since WebDataset's own image decoders bring 16 bits to 8.

    Returns:
        The shard of each sample, and after ``#`` its key there.
    """
    files: list[str] = []
    entries = iter(part)
    for number, size in enumerate(_sizes(len(part.records))):
        shard = folder / f"shard-{number:06d}.tar"
        with shard.open("wb") as file, _tar(file) as tar:
            for entry in islice(entries, size):
                tar.write(_members(entry))
                files.append(f"{shard.name}#{entry.stem}")
    return files


def _sizes(samples: int) -> list[int]:
    """How many samples each shard holds: nearly the same number in each."""
    shards = min(samples, max(SHARDS, math.ceil(samples / LARGEST)))
    return [samples // shards + (number < samples % shards) for number in range(shards)]


def _tar(file: BinaryIO) -> Any:
    """A writer of bytes as they are, with the same dates and owners each time."""
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
