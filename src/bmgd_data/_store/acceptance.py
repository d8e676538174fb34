"""Doubts about opened stores: found, told once in a process, and accepted.

A doubt is one line that begins with a short code and a colon. Those of a single store were found
when it was built and are in its index; those between two stores are found here, from the indexes.
What was accepted lies beside the index, in ``accepted.json``, with the key of the store. The
maintainers' own acceptance is shipped in ``facts.ACCEPTED``.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import multiprocessing
import os
import warnings
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
_told: set[tuple[Path, str]] = set()


class Doubt(NamedTuple):
    """What may make samples wrong."""

    line: str
    stores: tuple[Store, ...]
    """The one store, or the two, that it is about."""
    refused: bool = False
    """Whether samples are served only once it is accepted."""

    @property
    def code(self) -> str:
        """What begins the line."""
        return self.line.split(":", 1)[0]

    @property
    def text(self) -> str:
        """The line with the names of the conditions."""
        return f"{' and '.join(store.condition.name for store in self.stores)}: {self.line}"

    def tag(self, store: Store) -> str:
        """What is written down beside one of the stores where it is accepted."""
        others = [other.index.key for other in self.stores if other is not store]
        return f"{self.code} with {others[0]}" if others else self.line

    @property
    def accepted(self) -> bool:
        """Whether it was accepted, in each of its stores."""
        return all(
            self.code in facts.ACCEPTED.get(store.index.key, ())
            or self.tag(store) in _accepted(store)
            for store in self.stores
        )


def doubts(stores: Sequence[Store]) -> list[Doubt]:
    """All doubts that are not accepted, of each store and between each two."""
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
    """Stop before samples are served that seem wrong, unless they were accepted.

    Args:
        store: An open store.
        command: The command that accepts it.

    Raises:
        CorruptArchiveError: Something refuses it; the message holds the command.
    """
    if refused := [doubt for doubt in doubts([store]) if doubt.refused]:
        lines = "\n  ".join(doubt.text for doubt in refused)
        raise CorruptArchiveError(
            f"Masks and images do not seem to belong together:\n  {lines}\nThe arrays were built "
            f"({store.path}), so that you can look. If the samples are right after all, accept "
            f"them:\n  {command}"
        )


def tell(stores: Sequence[Store], command: str = "bmgd verify") -> None:
    """Warn of doubts: each once in a process, and not in those that another one has started.

    Args:
        stores: Those that are opened together.
        command: The command that shows them all.
    """
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
        + f"\n`{command}` shows this; with --accept, once you have looked, it is not said again.",
        BMGDWarning,
        stacklevel=3,
    )


def accept(stores: Sequence[Store]) -> list[Doubt]:
    """Write down beside the stores that their doubts were looked at.

    Returns:
        The doubts that were accepted by this.

    Raises:
        StorageError: No permission to write there.
    """
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
    except (OSError, ValueError, LookupError, TypeError):  # none, or no longer readable
        return set()


def _is_helper() -> bool:
    """Whether another process of the same job speaks: a loader's worker, or another rank."""
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
    places = {digest: row for row, digest in enumerate(one.index.image_digests) if digest}
    twins = [
        (places[digest], row)
        for row, digest in enumerate(other.index.image_digests)
        if digest in places
    ]
    if twins:
        assigned = [
            splits.assign(store.index.names, store.condition, "random") for store in (one, other)
        ]
        apart = [(a, b) for a, b in twins if assigned[0][a] != assigned[1][b]]
        a, b = (apart or twins)[0]
        yield (
            f"duplicates: {len(twins)} images are there in both, {len(apart)} of them in different "
            f"splits of the scheme 'random'. Look at {one.index.names[a]} ({assigned[0][a]}) and "
            f"{other.index.names[b]} ({assigned[1][b]})."
        )
