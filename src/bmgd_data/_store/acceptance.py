"""Doubts about opened stores: found, told once per process, and accepted.

A doubt is one line that begins with a short code and a colon. Those about a single store are in its
index since it was built; those between two stores are found here, from their indexes. What users
accept is kept beside the index in ``accepted.json``, with the key of the store. What the
maintainers accept is shipped in ``facts.ACCEPTED``.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import multiprocessing
import os
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import facts, splits
from bmgd_data._system import disk
from bmgd_data.errors import BMGDWarning, CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bmgd_data._store.store import Store

FILE: Final = "accepted.json"
_SHOWN: Final = 5
_SHOWN_ALIKE: Final = 3
_told: set[tuple[Path, str]] = set()


class Doubt(NamedTuple):
    """What may make samples wrong."""

    line: str
    stores: tuple[Store, ...]
    """The one store, or the two, that it is about."""
    refused: bool = False
    """Whether samples are served only after it is accepted."""

    @property
    def code(self) -> str:
        """The word before the colon."""
        return self.line.split(":", 1)[0]

    @property
    def text(self) -> str:
        """The line with the names of the conditions."""
        return f"{' and '.join(store.condition.name for store in self.stores)}: {self.line}"

    def tag(self, store: Store) -> str:
        """What stands in the file of one of its stores once it is accepted."""
        others = [other.index.key for other in self.stores if other is not store]
        return f"{self.code} with {others[0]}" if others else self.line

    @property
    def accepted(self) -> bool:
        """Whether it is accepted in each of its stores."""
        return all(
            self.code in facts.ACCEPTED.get(store.index.key, ())
            or self.tag(store) in _accepted(store)
            for store in self.stores
        )


def doubts(stores: Sequence[Store]) -> list[Doubt]:
    """All doubts that are not accepted, about each store and between each two."""
    found = [
        Doubt(line, (store,), refused)
        for store in stores
        for lines, refused in ((store.index.refusals, True), (store.index.doubts, False))
        for line in lines
    ]
    for pair in itertools.combinations(stores, 2):
        found += [Doubt(line, pair) for line in _between(*pair)]
    return [doubt for doubt in found if not doubt.accepted]


def require(store: Store, command: str) -> None:
    """Raise CorruptArchiveError if a store has refusals that `command` has not accepted."""
    if refused := [doubt for doubt in doubts([store]) if doubt.refused]:
        lines = "\n  ".join(doubt.text for doubt in refused)
        raise CorruptArchiveError(
            f"Masks and images do not seem to belong together:\n  {lines}\nThe arrays were built "
            f"({store.path}), so that you can look. If the samples are right after all, accept "
            f"them:\n  {command}"
        )


def warn_of_doubts(stores: Sequence[Store], command: str = "bmgd verify") -> None:
    """Warn of doubts, once per process; `command` shows them all."""
    if _is_helper():
        return
    fresh = [doubt for doubt in doubts(stores) if (doubt.stores[0].path, doubt.line) not in _told]
    if not fresh:
        return
    _told.update((doubt.stores[0].path, doubt.line) for doubt in fresh)
    lines = [doubt.text for doubt in fresh[:_SHOWN]]
    if len(fresh) > _SHOWN:
        lines.append(f"and {len(fresh) - _SHOWN} more")
    warnings.warn(
        "\n  ".join(["Some samples may be wrong:", *lines])
        + f"\n`{command}` shows this; with --accept, once you have looked, it is not shown again.",
        BMGDWarning,
        stacklevel=3,
    )


def accept(stores: Sequence[Store]) -> list[Doubt]:
    """Record beside the stores that a user has looked at their doubts; returns these doubts."""
    found = doubts(stores)
    for store in {store.path: store for doubt in found for store in doubt.stores}.values():
        tags = {doubt.tag(store) for doubt in found if store in doubt.stores}
        content = {
            "key": store.index.key,
            "on": dt.datetime.now(dt.UTC).date().isoformat(),
            "accepted": sorted(_accepted(store) | tags),
        }
        with disk.explained(store.path):
            disk.write_json(store.path / FILE, content)
    return found


def _accepted(store: Store) -> set[str]:
    try:
        content = json.loads((store.path / FILE).read_text(encoding="utf-8"))
        return set(content["accepted"]) if content["key"] == store.index.key else set()
    except (OSError, ValueError, LookupError, TypeError):  # no file, or an unreadable one
        return set()


def _is_helper() -> bool:
    """Whether another process of the same job warns: this is a loader's worker, or another rank."""
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK")
    return multiprocessing.parent_process() is not None if rank is None else rank != "0"


def _between(one: Store, other: Store) -> Iterator[str]:
    """Lines on what is wrong between two stores."""
    scales = [store.index.full_scale for store in (one, other)]
    if scales[0] != scales[1]:
        yield (
            f"scales: images are on a scale of 0..{scales[0]} in one and of 0..{scales[1]} in the "
            "other, so that grey values may tell the stiffness. Look at some images of both."
        )
    yield from duplicates(
        *((s.condition, s.index.names, s.index.image_digests) for s in (one, other))
    )


def duplicates(*sides: tuple[facts.Condition, Sequence[str], Sequence[str]]) -> list[str]:
    """A line on images that one condition holds twice, or each of two, and on their splits.

    A side is a condition, the names of its images, and their digests, empty for uniform images.
    """
    alike: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for side, (_, _, digests) in enumerate(sides):
        for row, digest in enumerate(digests):
            if digest:
                alike[digest].append((side, row))
    repeated = [
        images
        for images in alike.values()
        if len(images) > 1 and len({side for side, _ in images}) == len(sides)
    ]
    if not repeated:
        return []
    assigned = [splits.assign(names, condition, "random") for condition, names, _ in sides]
    straddling = [
        images for images in repeated if len({assigned[side][row] for side, row in images}) > 1
    ]
    first = (straddling or repeated)[0][:_SHOWN_ALIKE]
    named = " and ".join(f"{sides[side][1][row]} ({assigned[side][row]})" for side, row in first)
    line = (
        f"duplicates: {len(repeated)} images appear more than once, {len(straddling)} of them "
        f"in several splits of the scheme 'random'. Look at {named}."
    )
    return [line]
