"""Time and memory of building the store, beside bare extraction, and what the peer does then."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import peer
import processes
from measure import Row, at_most, compare, in_turn

from bmgd_data import facts
from bmgd_data._container.sevenzip import Archive

if TYPE_CHECKING:
    from pathlib import Path

    from place import Place

_ROOM_MB: Final = 150


def rows(places: list[Place], repetitions: int) -> list[Row]:
    """Build from scratch and extract, by turns; leaves each place's store built.

    Each run is a process of its own, with its imports done; between runs the disk is let settle.
    """
    return [row for place in places for row in _of(place, repetitions)]


def _of(place: Place, repetitions: int) -> list[Row]:
    memory: list[float] = []
    preparation: list[float] = []

    def build(_repetition: int) -> float:
        _forget(place.root)
        outcome = processes.run("build", place.source, place.root)
        memory.append(outcome.anonymous / 1e6)
        return outcome.seconds

    def extract(_repetition: int) -> float:
        folder = place.root.with_name(f"{place.root.name}-extracted")
        _forget(folder)
        seconds = processes.run("extract", place.source, folder).seconds
        if place.peer:
            os.sync()
            preparation.append(place.peer.alone("prepare", folder=folder))
        _forget(folder)
        return seconds

    seconds = in_turn({"build": build, "extract": extract}, repetitions)
    dictionary = _largest_dictionary(place.source) / 1e6
    found = [
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
    if place.peer:
        found.append(
            compare(
                *("build", place.times, "s"),
                ours=seconds["build"],
                against=f"py7zr + {peer.NAME} preparing",
                theirs=[sum(pair) for pair in zip(seconds["extract"], preparation, strict=True)],
                aim=at_most(0.5),
            )
        )
    return found


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()


def _largest_dictionary(source: Path) -> int:
    return max(Archive(source / c.archive).dictionary_bytes for c in facts.CONDITIONS)
