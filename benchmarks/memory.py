"""Memory of a DataLoader's parent and workers, and whether they share one copy of the data."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import peer
import psutil
from figures import Row, at_most, compare
from remote import Remote, Workers, serve

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from run import Place

WORKERS: Final = 4
ONE_COPY: Final = at_most(1.25)
"""One copy, and a quarter of one for what five processes need besides; two copies miss it."""
NO_PSS: Final = "This system does not tell PSS (Linux does): the memory of workers is left out."


def is_told() -> bool:
    """Whether this system tells PSS."""
    return hasattr(psutil.Process().memory_full_info(), "pss")


def rows(place: Place) -> list[Row]:
    """Look at the workers, spawned and forked, once each: memory hardly varies."""
    reader = Reader("all", source=place.source, root=place.root)
    one_copy = reader.images.nbytes + reader.masks.nbytes + reader.instances.nbytes
    found = []
    for method in {"spawn", "fork"} & set(multiprocessing.get_all_start_methods()):
        which = {"source": place.source, "root": place.root}
        before, after = _seen(_ours, method, kind="bmgd", **which)
        others = {"preloaded tensors": _seen(_ours, method, kind="preloaded", **which)[1]}
        if place.peer:
            others[peer.NAME] = _seen(place.peer.process, method, folder=place.folder)[1]
        what = f"{WORKERS} workers ({method})"
        gained = [(after - before) / 1e6]
        against = "one copy of the data"
        found.append(
            compare(f"{what}: memory gained", "MB", gained, against, [one_copy / 1e6], aim=ONE_COPY)
        )
        found += [
            compare(f"{what}: all memory", "MB", [after / 1e6], name, [theirs / 1e6])
            for name, theirs in others.items()
        ]
    return found


def _seen(process: Callable[[], Remote], method: str, **which: object) -> tuple[int, int]:
    """Before and after every worker has delivered every row."""
    with process() as job:
        job.ask("start", workers=WORKERS, method=method, **which)
        before = pss(job.pid)
        job.ask("visit")
        return before, pss(job.pid)


def _ours() -> Remote:
    return Remote(sys.executable, Path(__file__))


def pss(pid: int) -> int:
    """Bytes that a process and all of its descendants hold; one that ends meanwhile has none.

    It is the proportional set size: a page that n processes share counts 1/n in each.
    """
    parent = psutil.Process(pid)
    return sum(map(_of_one, [parent, *parent.children(recursive=True)]))


def _of_one(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def _make(kind: str, source: str, root: str) -> tuple[Any, Callable[..., Any] | None]:
    from bmgd_data import BMGD
    from bmgd_data.torch import collate

    data = BMGD("all", source=source, root=root)
    if kind == "bmgd":
        return data, collate
    import data_sets
    import streams

    arrays = streams.in_memory(data_sets.single(data), len(data))
    return data_sets.Preloaded(arrays, data.reader), None


if __name__ == "__main__":
    serve(Workers(_make).jobs())
