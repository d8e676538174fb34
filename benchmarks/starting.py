"""What a user waits for before the first sample: imports, and opening a store that is there."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

import peer
import processes
import reading
from measure import Row, at_most, compare, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from place import Place

_IMPORTS: Final = [
    # ours, the module, the name in it, what it cannot do without
    ("import bmgd_data", "bmgd_data", "", "numpy"),
    ("from bmgd_data import Reader", "bmgd_data", "Reader", "numpy"),
]
_TORCH: Final = ("from bmgd_data import BMGD", "bmgd_data", "BMGD", "torch+torchvision.tv_tensors")
_IMPORT_ROOM_S: Final = 0.15


def rows(places: list[Place], repetitions: int, notes: list[str]) -> list[Row]:
    """Measure in fresh processes."""
    found = []
    torch = [_TORCH] if importlib.util.find_spec("torchvision") else []
    if not torch:
        notes.append("Start: without torch and torchvision, BMGD's rows are left out.")
    for what, module, name, base in [*_IMPORTS, *torch]:
        seconds = in_turn({"ours": _loading(module, name), "theirs": _loading(base)}, repetitions)
        found.append(
            compare(
                *(what, 1, "s"),
                ours=seconds["ours"],
                against=f"import {base.replace('+', ', ')}",
                theirs=seconds["theirs"],
                aim=at_most(_IMPORT_ROOM_S) if base == "numpy" else None,
                is_ratio=False,
            )
        )
    return found + _opening(places, repetitions)


def _loading(*arguments: str) -> Callable[[int], float]:
    return lambda _: processes.run("load", *arguments).seconds


def _opening(places: list[Place], repetitions: int) -> list[Row]:
    jobs = {
        (what, place.times, against): _milliseconds(job)
        for place in places
        for what, sides in _sides(place).items()
        for against, job in sides.items()
    }
    milliseconds = in_turn(jobs, repetitions)
    return [
        compare(
            *(what, times, "ms"),
            ours=milliseconds[what, times, reading.OURS],
            against=against,
            theirs=milliseconds[what, times, against],
        )
        for what, times, against in jobs
        if against != reading.OURS
    ]


def _sides(place: Place) -> dict[str, dict[str, Callable[[], float]]]:
    """What is timed under each heading, ours first, in seconds."""

    def child(job: str, *arguments: Path) -> Callable[[], float]:
        return lambda: processes.run(job, *arguments).seconds

    opened = {
        reading.OURS: child("open", place.source, place.root),
        "np.load of the same arrays": child("map", place.root),
    }
    first = {
        reading.OURS: child("first", place.source, place.root),
        "np.load of the same arrays": child("first_of_arrays", place.root),
    }
    if place.folder:
        opened[reading.PLAIN] = child("plain_open", place.folder)
        first[reading.PLAIN] = child("plain_first", place.folder)
    if place.peer:
        them, folder = place.peer, place.folder
        opened[peer.NAME] = lambda: them.alone("open-alone", folder=folder)
        first[peer.NAME] = lambda: them.alone("first", folder=folder)
    torch = importlib.util.find_spec("torchvision")
    return {"open": opened, **({"open, to the first sample": first} if torch else {})}


def _milliseconds(seconds: Callable[[], float]) -> Callable[[int], float]:
    return lambda _repetition: 1e3 * seconds()
