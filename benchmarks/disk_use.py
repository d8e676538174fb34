"""Bytes on disk: the store beside pixels, archives, unpacked folders and the peer's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import memory
import peer
from measure import Row, at_most, compare

from bmgd_data import facts
from bmgd_data._system import disk

if TYPE_CHECKING:
    from place import Place


def rows(places: list[Place]) -> list[Row]:
    """Add up the files' sizes; nothing here is timed."""
    return [row for place in places for row in _of(place)]


def _of(place: Place) -> list[Row]:
    archives = [place.source / condition.archive for condition in facts.CONDITIONS]
    beside = {
        "pixels and labels alone": memory.one_copy(place),
        "archives": sum(path.stat().st_size for path in archives),
    }
    if place.folder:
        prepared = disk.size_of(place.folder / "processed")
        unpacked = disk.size_of(place.folder) - prepared
        beside["unpacked folders"] = unpacked
        if place.peer:  # which keeps needing the folders, or else it downloads anew
            beside[peer.NAME] = unpacked + prepared
    store = disk.size_of(place.root / "stores") / 1e6
    return [
        compare(
            *("disk: store", place.times, "MB"),
            ours=[store],
            against=against,
            theirs=[size / 1e6],
            aim=at_most(1.01) if against.startswith("pixels") else None,
        )
        for against, size in beside.items()
    ]
