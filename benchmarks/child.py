"""What is timed in a process of its own: ``python child.py <job> [arguments]`` prints JSON.

Every job imports what it needs before its clock starts, unless the import is the job.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from time import perf_counter


def build(source: str, root: str) -> float:
    """Archives to a store: default instances, counts and digests on disk, fsynced."""
    import py7zr  # noqa: F401
    import skimage.measure  # noqa: F401
    import tifffile  # noqa: F401

    from bmgd_data import Reader, prepare  # noqa: F401

    started = perf_counter()
    Reader("all", source=source, root=root)
    return perf_counter() - started


def extract(source: str, folder: str) -> float:
    """The same archives to plain files by py7zr alone, not fsynced."""
    import py7zr
    import skimage.measure  # noqa: F401
    import tifffile  # noqa: F401

    from bmgd_data import Reader, facts  # noqa: F401

    started = perf_counter()
    for condition in facts.CONDITIONS:
        with py7zr.SevenZipFile(Path(source) / condition.archive) as seven:
            seven.extractall(folder)
    return perf_counter() - started


def open_store(source: str, root: str) -> float:
    """A store that is there: from the call to the first sample."""
    from bmgd_data import Reader

    started = perf_counter()
    Reader("all", source=source, root=root)[0]
    return perf_counter() - started


def map_arrays(_source: str, root: str) -> float:
    """The same arrays by numpy alone: mapped, and the first of each copied."""
    import numpy as np

    from bmgd_data import Reader  # noqa: F401

    started = perf_counter()
    for path in Path(root).rglob("*.npy"):
        np.load(path, mmap_mode="r")[0].copy()
    return perf_counter() - started


def load(module: str, name: str = "") -> float:
    """Import modules, parted by +, and a name from the last."""
    started = perf_counter()
    for each in module.split("+"):
        imported = importlib.import_module(each)
    if name:
        getattr(imported, name)
    return perf_counter() - started


if __name__ == "__main__":
    jobs = {
        "build": build,
        "extract": extract,
        "open": open_store,
        "map": map_arrays,
        "load": load,
    }
    print(json.dumps(jobs[sys.argv[1]](*sys.argv[2:])))
