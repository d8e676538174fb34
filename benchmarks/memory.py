"""Memory of a DataLoader's parent and workers, and whether they share one copy of the data."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import peer
import psutil
from measure import Row, at_most, compare
from remote import Remote, serve

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from archives import Place

WORKERS: Final = 4
_JOB: Final = Path(__file__)
_METHODS: Final = ("spawn", "fork")
_PRELOADED: Final = "DataLoader, preloaded tensors"
_ONE_COPY: Final = at_most(1.25)
"""One copy, and a quarter of one for what five processes need besides; two copies miss it."""
NO_PSS: Final = "This system does not tell PSS (Linux does): the memory of workers is left out."


class Pss(NamedTuple):
    """Proportional set sizes in bytes: a page that n processes share counts 1/n in each."""

    parent: int
    workers: int

    @property
    def total(self) -> int:
        """Memory that would be free without them."""
        return self.parent + self.workers


class Seen(NamedTuple):
    """Before and after every worker has delivered every row."""

    before: Pss
    after: Pss


def rows(places: list[Place], notes: list[str]) -> list[Row]:
    """Look at the workers, spawned and forked, once each: memory hardly varies."""
    if not hasattr(psutil.Process().memory_full_info(), "pss"):
        notes.append(NO_PSS)
        return []
    methods = [m for m in _METHODS if m in multiprocessing.get_all_start_methods()]
    return [row for place in places for method in methods for row in _of(place, method)]


def _of(place: Place, method: str) -> list[Row]:
    workers = f"{WORKERS} workers ({method})"
    which = {"source": place.source, "root": place.root}
    ours = _seen(_ours, method, kind="bmgd", **which)
    others = {_PRELOADED: _seen(_ours, method, kind="preloaded", **which)}
    if place.peer:
        others[peer.NAME] = _seen(place.peer.process, method, folder=place.folder)
    found = [
        compare(
            *(f"{workers}: memory gained", place.times, "MB"),
            ours=[(ours.after.total - ours.before.total) / 1e6],
            against="one copy of the data",
            theirs=[one_copy(place) / 1e6],
            aim=_ONE_COPY,
        )
    ]
    for against, theirs in others.items():
        for who, mine, other in (
            (f"{workers}: all memory", ours.after.total, theirs.after.total),
            (f"{workers}: parent's memory", ours.after.parent, theirs.after.parent),
        ):
            found.append(
                compare(
                    *(who, place.times, "MB"),
                    ours=[mine / 1e6],
                    against=against,
                    theirs=[other / 1e6],
                )
            )
    return found


def one_copy(place: Place) -> int:
    """Bytes of images, masks and instances of all samples, as they lie in the store."""
    reader = Reader("all", source=place.source, root=place.root)
    return reader.images.nbytes + reader.masks.nbytes + reader.instances.nbytes


def _seen(process: Callable[[], Remote], method: str, **which: object) -> Seen:
    with process() as job:
        job.ask("start", workers=WORKERS, method=method, **which)
        before = pss(job.pid)
        job.ask("visit")
        return Seen(before, pss(job.pid))


def _ours() -> Remote:
    return Remote(sys.executable, _JOB)


def pss(pid: int) -> Pss:
    """What a process and all of its descendants hold now.

    A process that ends meanwhile counts nothing.
    """
    parent = psutil.Process(pid)
    return Pss(_of_one(parent), sum(map(_of_one, parent.children(recursive=True))))


def _of_one(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def _bmgd(source: str, root: str) -> tuple[Any, Callable[..., Any]]:
    from bmgd_data import BMGD
    from bmgd_data.torch import collate

    return BMGD("all", source=source, root=root), collate


def _preloaded(source: str, root: str) -> tuple[Any, None]:
    import loaders
    import streams

    from bmgd_data import BMGD

    reader = Reader("all", source=source, root=root)
    data = BMGD("all", source=source, root=root)
    arrays = streams.in_memory(loaders.single(data), len(data))
    return loaders.Preloaded(arrays, reader), None


_MAKERS = {"bmgd": _bmgd, "preloaded": _preloaded}

if __name__ == "__main__":
    from served import Workers

    serve(Workers(lambda kind, **which: _MAKERS[kind](**which)).jobs())
