"""What lies in a root, how large it is, and removing it: for `bmgd where --long` and `bmgd clean`.

``home`` says what this package keeps there. Other files are neither counted nor removed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import facts, instances
from bmgd_data._origin import sources, trust
from bmgd_data._system import disk, home, locks
from bmgd_data.errors import BMGDError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REPLACED: Final = ", replaced"


class Item(NamedTuple):
    """Something that this package has put into the root."""

    kind: str
    """One of ``home.KINDS``."""
    path: Path
    """The store, the records, the lock file, or the folder of one source."""
    files: tuple[Path, ...]
    """What is counted and removed of it."""
    origin: str
    """The source it came from, where that is known."""
    size: int
    """Bytes."""


def items(root: Path) -> list[Item]:
    """All that this package keeps below a root, sorted by kind and path."""
    kept = list(home.kept(root))
    notes = [note for each in kept if each.kind == "notes" for note in each.files]
    seen = {note.parent.name: now for note in notes if (now := _recalled(note))}
    by_key = {now.key[:16]: now.source for now in seen.values()}
    for now in map(_recalled, notes):
        for key in now.before if now else ():
            by_key.setdefault(key[:16], now.source + _REPLACED if now else "")
        if now:
            by_key[now.key[:16]] = now.source
    found = []
    for kind, path, files in kept:
        name = path.name.lstrip(".")
        if kind == "stores":
            known = by_key.get(name.split("-")[1], "")
        else:
            known = next((now.source for slug, now in seen.items() if name.startswith(slug)), "")
        found.append(Item(kind, path, files, known, sum(map(_size, files))))
    return found


def of_source(found: list[Item], named: str) -> list[Item]:
    """Those that came from a source, which itself may be gone."""
    labels, slug = {named}, "-"
    with contextlib.suppress(BMGDError, ValueError):
        source = sources.resolve(named)
        labels.add(source.label)
        slug = source.slug
    return [
        item
        for item in found
        if item.origin.removesuffix(_REPLACED) in labels
        or item.path.name.lstrip(".").startswith(slug)
    ]


def _recalled(note: Path) -> trust.Seen | None:
    """What a note says; one that cannot be read must not keep anything from being removed."""
    with contextlib.suppress(StorageError):
        return trust.recall(note)
    return None


def remove(root: Path, item: Item) -> None:
    """Remove one item, while no process of this package is making it.

    A store disappears in one step, so that being killed halfway leaves no half of it.

    Raises:
        StorageError: No permission to.
    """
    with contextlib.ExitStack() as held, disk.explained(item.path.parent):
        for name in _makers(item):
            held.enter_context(locks.lock(root, name))
        for path in item.files:
            if path.is_dir():
                disk.discard(path)
            else:
                path.unlink(missing_ok=True)


def leave(root: Path) -> None:
    """Remove what is left of a root once all items are gone: lock files and empty folders."""
    for item in items(root):
        if item.kind == "locks":
            item.path.unlink(missing_ok=True)
    for folder in home.folders(root):
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()


def _makers(item: Item) -> Iterator[str]:
    """The locks that processes hold while they make the item."""
    if item.kind in ("archives", "notes"):
        yield from (f"{item.path.name}-{condition.name}" for condition in facts.CONDITIONS)
    elif item.kind == "stores" and not item.path.name.startswith("."):
        yield item.path.name
        yield from (f"{item.path.name}-{method}" for method in instances.DERIVED)


def _size(path: Path) -> int:
    return disk.size_of(path) if path.is_dir() else path.stat().st_size
