"""WebDataset: tar files that are read sequentially."""

from __future__ import annotations

import gzip
import io
import json
import math
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data._system import image_files

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.pictures import Part

SHARDS: Final = 8
"""Least number of shards: each worker reads whole shards, and one without any fails."""
LARGEST: Final = 100
"""Most samples in a shard."""


def write(part: Part, folder: Path) -> list[str]:
    """Write ``shard-000000.tar`` and so on, with nearly the same number of samples in each.

    Arrays are ``.npy.gz``, since WebDataset's own image decoders reduce 16 bits to 8.

    Returns:
        The shard of each sample, and after ``#`` its key there.
    """
    from webdataset import TarWriter

    files: list[str] = []
    entries = iter(part)
    for number, size in enumerate(_sizes(len(part.records))):
        shard = folder / f"shard-{number:06d}.tar"
        # Members are bytes already, and have the same dates and owners each time.
        plain = {"user": "", "group": "", "mtime": 0, "encoder": False}
        with shard.open("wb") as file, TarWriter(file, **plain) as tar:
            for entry in islice(entries, size):
                members: dict[str, Any] = {"__key__": entry.stem}
                for key in ("image", "mask", "instances"):
                    buffer = io.BytesIO()
                    np.save(buffer, entry.sample[key], allow_pickle=False)
                    packed = gzip.compress(buffer.getvalue(), image_files.EFFORT, mtime=0)
                    members[f"{key}.npy.gz"] = packed
                members["json"] = json.dumps(entry.record, ensure_ascii=False).encode()
                tar.write(members)
                files.append(f"{shard.name}#{entry.stem}")
    return files


def _sizes(samples: int) -> list[int]:
    """How many samples each shard holds."""
    shards = min(samples, max(SHARDS, math.ceil(samples / LARGEST)))
    return [samples // shards + (number < samples % shards) for number in range(shards)]
