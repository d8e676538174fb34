"""What a user waits for before the first sample: imports, and opening a store that is there."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

import processes
from measure import Row, at_most, compare, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from reading import Place

_IMPORTS: Final = [
    # ours, the module, the name in it, what it cannot do without
    ("import bmgd_data", "bmgd_data", "", "numpy"),
    ("from bmgd_data import Reader", "bmgd_data", "Reader", "numpy"),
]
_TORCH: Final = ("from bmgd_data import BMGD", "bmgd_data", "BMGD", "torch+torchvision.tv_tensors")
_IMPORT_ROOM_S: Final = 0.15


def rows(places: list[Place], repetitions: int) -> list[Row]:
    """Measure in fresh processes."""
    found = []
    torch = [_TORCH] if importlib.util.find_spec("torchvision") else []
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
    def took(job: str, place: Place) -> Callable[[int], float]:
        return lambda _: 1e3 * processes.run(job, place.source, place.root).seconds

    jobs = {(job, place.times): took(job, place) for place in places for job in ("open", "map")}
    milliseconds = in_turn(jobs, repetitions)
    return [
        compare(
            *("open, to the first sample", place.times, "ms"),
            ours=milliseconds["open", place.times],
            against="np.load of the same arrays",
            theirs=milliseconds["map", place.times],
        )
        for place in places
    ]
