"""Time and memory of building the store, beside bare py7zr extraction of the same archives."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import processes
from measure import Row, at_most, compare, in_turn

from bmgd_data import facts
from bmgd_data.archive import Archive

if TYPE_CHECKING:
    from pathlib import Path

    from reading import Place

_ROOM_MB: Final = 150


def rows(places: list[Place], repetitions: int) -> list[Row]:
    """Build from scratch and extract, by turns; leaves each place's store built.

    Each run is a process of its own, with its imports done; between runs the disk is let settle.
    """
    found = []
    for place in places:
        memory: list[float] = []

        def build(_repetition: int, place: Place = place, memory: list[float] = memory) -> float:
            _forget(place.root)
            outcome = processes.run("build", place.source, place.root)
            memory.append(outcome.anonymous / 1e6)
            return outcome.seconds

        def extract(_repetition: int, place: Place = place) -> float:
            folder = place.root.with_name(f"{place.root.name}-extracted")
            _forget(folder)
            seconds = processes.run("extract", place.source, folder).seconds
            _forget(folder)
            return seconds

        seconds = in_turn({"build": build, "extract": extract}, repetitions)
        dictionary = _largest_dictionary(place.source) / 1e6
        found += [
            compare(
                *("build", place.times, "s"),
                ours=seconds["build"],
                against="bare py7zr extraction",
                theirs=seconds["extract"],
                aim=at_most(1.5),
            ),
            compare(
                *("build: anonymous memory", place.times, "MB"),
                ours=memory,
                against="largest dictionary",
                theirs=[dictionary] * len(memory),
                aim=at_most(_ROOM_MB),
                is_ratio=False,
            ),
        ]
    return found


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()


def _largest_dictionary(source: Path) -> int:
    return max(Archive(source / c.archive).dictionary_bytes for c in facts.CONDITIONS)
