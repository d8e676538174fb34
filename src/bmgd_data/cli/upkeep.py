"""List and remove what this package keeps in a root, for `bmgd where --long` and `bmgd clean`."""

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
    """An entry of ``home.kept``, the source it came from (if known), and its bytes."""

    kind: str
    path: Path
    files: tuple[Path, ...]
    origin: str
    size: int


def items(root: Path) -> list[Item]:
    """All that this package keeps below a root, sorted by kind and path."""
    kept = list(home.kept(root))
    notes = [note for kind, _, files in kept if kind == "notes" for note in files]
    seen = {note: now for note in notes if (now := _recalled(note))}
    source_of = {key: now.source + _REPLACED for now in seen.values() for key in now.before}
    source_of |= {now.key: now.source for now in seen.values()}
    by_key = {key[:16]: source for key, source in source_of.items()}
    by_slug = {note.parent.name: now.source for note, now in seen.items()}
    found = []
    for kind, path, files in kept:
        name = path.name.lstrip(".")
        if kind == "stores":
            known = by_key.get(name.split("-")[1], "")
        else:
            known = next((by_slug[slug] for slug in by_slug if name.startswith(slug)), "")
        size = sum(disk.size_of(each) if each.is_dir() else each.stat().st_size for each in files)
        found.append(Item(kind, path, files, known, size))
    return found


def of_source(found: list[Item], named: str) -> list[Item]:
    """The items that came from a source, which may no longer exist."""
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
    with contextlib.suppress(StorageError):  # unreadable notes can be removed, too
        return trust.recall(note)
    return None


def remove(root: Path, item: Item) -> None:
    """Remove one item, while no process of this package is making it."""
    with contextlib.ExitStack() as held, disk.explained(item.path.parent):
        for name in _makers(item):
            held.enter_context(locks.lock(root, name))
        for path in item.files:
            if path.is_dir():
                disk.discard(path)
            else:
                path.unlink(missing_ok=True)


def leave(root: Path) -> None:
    """Remove lock files and empty folders, once all other items are gone."""
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
