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

    from bmgd_data import Reader, pipeline  # noqa: F401

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
    """A store that is there: from the call to the Reader."""
    from bmgd_data import Reader

    started = perf_counter()
    Reader("all", source=source, root=root)
    return perf_counter() - started


def first(source: str, root: str) -> float:
    """A store that is there: from the call to the first sample, as torch has it."""
    from bmgd_data import BMGD

    started = perf_counter()
    BMGD("all", source=source, root=root)[0]
    return perf_counter() - started


def map_arrays(root: str) -> float:
    """The same arrays by numpy alone: mapped."""
    import numpy as np

    started = perf_counter()
    for path in Path(root).rglob("*.npy"):
        np.load(path, mmap_mode="r")
    return perf_counter() - started


def first_of_arrays(root: str) -> float:
    """The same arrays by numpy alone: mapped, and the first of each copied."""
    import numpy as np

    started = perf_counter()
    for path in Path(root).rglob("*.npy"):
        np.load(path, mmap_mode="r")[0].copy()
    return perf_counter() - started


def plain_open(folder: str) -> float:
    """Unpacked folders: finding the files."""
    import plain

    started = perf_counter()
    plain.pairs(Path(folder))
    return perf_counter() - started


def plain_first(folder: str) -> float:
    """Unpacked folders: from the call to the first sample."""
    import plain

    plain.skimage.measure.label  # noqa: B018 - it is loaded at the first use
    started = perf_counter()
    plain.read(plain.pairs(Path(folder))[0])
    return perf_counter() - started


def epoch(source: str, root: str, seed: str) -> float:
    """From the call to the end of the first epoch, in random order, as torch has it."""
    import numpy as np

    from bmgd_data import BMGD

    started = perf_counter()
    data = BMGD("all", source=source, root=root)
    for row in np.random.default_rng(int(seed)).permutation(len(data)).tolist():
        data[row]
    return perf_counter() - started


def plain_epoch(folder: str, seed: str) -> float:
    """The same from unpacked folders."""
    import loaders
    import numpy as np

    from bmgd_data import facts

    full_scales = {condition.pa: facts.FULL_SCALE for condition in facts.CONDITIONS}
    started = perf_counter()
    data = loaders.Files(Path(folder), full_scales)
    for row in np.random.default_rng(int(seed)).permutation(len(data)).tolist():
        data[row]
    return perf_counter() - started


def read(folder: str, _seed: str) -> float:
    """Every byte of the arrays below a folder, file by file from beginning to end."""
    room = bytearray(1 << 20)
    started = perf_counter()
    for path in Path(folder).rglob("*.npy"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(room):
                pass
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
        "first": first,
        "map": map_arrays,
        "first_of_arrays": first_of_arrays,
        "plain_open": plain_open,
        "plain_first": plain_first,
        "epoch": epoch,
        "plain_epoch": plain_epoch,
        "read": read,
        "load": load,
    }
    print(json.dumps(jobs[sys.argv[1]](*sys.argv[2:])))
