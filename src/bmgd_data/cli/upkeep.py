"""What lies in a root, how large it is, and removing it: `bmgd where --long` and `bmgd clean`.

Only what this package names as it does is seen here. Other files in these folders, should somebody
keep some there, are neither counted nor removed; nor are links followed.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import facts, instances
from bmgd_data._origin import trust
from bmgd_data._system import disk, home
from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONDITIONS: Final = "|".join(condition.name for condition in facts.CONDITIONS)
_LEFTOVER: Final = r"(-[0-9a-f]{8}\.partial)?"  # of killed processes
_SOURCE: Final = rf"\.?(upstream|mirror|folder|phantom)-([A-Za-z0-9-]+-)?[0-9a-f]{{8}}{_LEFTOVER}"
_STORE: Final = rf"\.?({_CONDITIONS})-[0-9a-f]{{16}}-v\d+{_LEFTOVER}"

KINDS: Final = {
    "archives": re.compile(_SOURCE),
    "stores": re.compile(_STORE),
    "sources": re.compile(_SOURCE),
    "locks": re.compile(r".+\.lock"),
}
"""The root's folders, and what the entries in them are called."""


class Item(NamedTuple):
    """Something that this package has put into the root."""

    kind: str
    """One of `KINDS`."""
    path: Path
    origin: str
    """The source it came from, where that is known."""
    size: int
    """Bytes."""


def items(root: Path) -> list[Item]:
    """All that this package keeps below a root, sorted by kind and path."""
    notes = {note: _recalled(note) for note in sorted(root.glob("sources/*/*.json"))}
    by_slug = {note.parent.name: seen.source for note, seen in notes.items() if seen}
    by_key = {seen.key[:16]: seen.source for seen in notes.values() if seen}
    by_key |= {
        key[:16]: f"{seen.source}, replaced"
        for seen in notes.values()
        if seen
        for key in seen.before
        if key[:16] not in by_key
    }
    found = []
    for kind, pattern in KINDS.items():
        folder = root / kind
        if not folder.is_dir() or folder.is_symlink():
            continue
        for path in sorted(folder.iterdir()):
            if pattern.fullmatch(path.name) and not path.is_symlink():
                parts = path.name.lstrip(".").split("-")
                known = by_key.get(parts[1]) if kind == "stores" else by_slug.get(path.name)
                found.append(Item(kind, path, known or "", _size(path)))
    return found


def _recalled(note: Path) -> trust.Seen | None:
    """What a note says; one that cannot be read must not keep anybody from removing it."""
    with contextlib.suppress(StorageError):
        return trust.recall(note)
    return None


def remove(root: Path, item: Item) -> None:
    """Remove one item, while no process of this package is making it.

    A store disappears in one step, so that being killed halfway leaves no half of it.

    Raises:
        StorageError: No right to.
    """
    with contextlib.ExitStack() as locks, disk.explained(item.path.parent):
        for name in _makers(item):
            locks.enter_context(home.lock(root, name))
        if item.path.is_dir():
            disk.discard(item.path)
        else:
            item.path.unlink(missing_ok=True)


def leave(root: Path) -> None:
    """Remove what is left of a root once all items are gone: lock files and empty folders."""
    for item in items(root):
        if item.kind == "locks":
            item.path.unlink(missing_ok=True)
    for kind in KINDS:
        with contextlib.suppress(OSError):  # not empty, or not there
            (root / kind).rmdir()


def _makers(item: Item) -> Iterator[str]:
    """The locks that processes hold while they make the item."""
    if item.kind in ("archives", "sources"):
        yield from (f"{item.path.name}-{condition.name}" for condition in facts.CONDITIONS)
    elif item.kind == "stores" and not item.path.name.startswith("."):
        yield item.path.name
        yield from (f"{item.path.name}-{method}" for method in instances.DERIVED)


def _size(path: Path) -> int:
    return disk.size_of(path) if path.is_dir() else path.stat().st_size
