"""The page cache of some files: emptied, and how much of them it holds."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CAN_DROP: Final = hasattr(os, "posix_fadvise")
_LEFT: Final = 0.02


def files(folder: Path) -> list[Path]:
    """Every file below a folder that is not empty."""
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


def drop(paths: Iterable[Path]) -> bool:
    """Push files out of the page cache, which needs no rights; what is dirty is written first.

    Pages that a process has mapped stay, and so does everything where the file system is memory.

    Returns:
        Whether they are gone; False also where the system cannot do it.
    """
    if not CAN_DROP:
        return False
    paths = list(paths)
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
    return held(paths) <= _LEFT


def held(paths: Iterable[Path]) -> float:
    """The share of the files' pages that the page cache holds, as mincore(2) tells it."""
    mincore = ctypes.CDLL(None, use_errno=True).mincore
    inside = total = 0
    for path in paths:
        mapped = np.memmap(path, np.uint8, "r")
        pages = np.zeros(-(-mapped.size // mmap.PAGESIZE), np.uint8)
        address, size = ctypes.c_void_p(mapped.ctypes.data), ctypes.c_size_t(mapped.size)
        if mincore(address, size, ctypes.c_void_p(pages.ctypes.data)):
            raise OSError(ctypes.get_errno(), "mincore", str(path))
        inside, total = inside + int((pages & 1).sum()), total + len(pages)
    return inside / max(total, 1)
