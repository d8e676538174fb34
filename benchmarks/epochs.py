"""The first epoch of a fresh process, with files in the page cache and with files that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cache
import peer
import processes
import reading
from measure import Row, compare, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from place import Place

    Jobs = dict[str, tuple[Callable[[int], float], Path]]

_STATES: Final = ("cold", "warm")
STAYS: Final = "The page cache cannot be emptied here: cold epochs are left out."


def rows(places: list[Place], repetitions: int, notes: list[str]) -> list[Row]:
    """Time from opening to the end of the first epoch, imports not included.

    Args:
        places: What to read.
        repetitions: How often.
        notes: Told if there is no cold.
    """
    found = []
    for place in places:
        jobs = _jobs(place)
        cold = all(cache.drop(cache.files(folder)) for _, folder in jobs.values())
        states = _STATES if cold else _STATES[1:]
        if not cold and STAYS not in notes:
            notes.append(STAYS)
        seconds = in_turn(
            {(state, name): _timing(state, *jobs[name]) for name in jobs for state in states},
            repetitions,
        )
        ours = {state: seconds[state, reading.OURS] for state in states}
        found += [
            compare(
                *(f"first epoch, {state}", place.times, "s"),
                ours=ours[state],
                against=name,
                theirs=seconds[state, name],
            )
            for state in states
            for name in jobs
            if name != reading.OURS
        ]
        if cold:
            found.append(
                compare(
                    *("first epoch, cold", place.times, "s"),
                    ours=ours["cold"],
                    against="itself, warm",
                    theirs=ours["warm"],
                )
            )
    return found


def _jobs(place: Place) -> Jobs:
    """What is timed, and the files that it reads."""
    store = place.root / "stores"

    def child(job: str, *arguments: Path) -> Callable[[int], float]:
        return lambda seed: processes.run(job, *arguments, str(seed)).seconds

    jobs: Jobs = {
        reading.OURS: (child("epoch", place.source, place.root), store),
        "reading the same files": (child("read", store), store),
    }
    if place.folder:
        jobs[reading.PLAIN] = child("plain_epoch", place.folder), place.folder
    if place.peer:
        them, folder = place.peer, place.folder
        jobs[peer.NAME] = (
            lambda seed: them.alone("epoch", folder=folder, seed=seed),
            place.folder / "processed",
        )
    return jobs


def _timing(state: str, job: Callable[[int], float], folder: Path) -> Callable[[int], float]:
    def timed(seed: int) -> float:
        if state == "cold" and not cache.drop(cache.files(folder)):
            raise RuntimeError(f"{folder} stays in the page cache: another process has it mapped.")
        return job(seed)

    return timed
