"""From an origin to an open store, on one page.

sources.resolve   reads what the user names                -> Source
origin_of         looks at one condition of it             -> Origin
Origin.obtain     fetches, generates or reads, and trusts  -> Seen, with the key
Origin.opened     opens the archive or folder              -> Files
build.build       pairs, decodes, checks, writes           -> a store's folder
acceptance        refuses doubtful stores until accepted
Store             maps the arrays                          -> what Reader serves from
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

from bmgd_data._ingest import build
from bmgd_data._origin import sources, trust
from bmgd_data._origin.local import Local
from bmgd_data._origin.origin import Generated, Origin
from bmgd_data._origin.remote import Remote
from bmgd_data._origin.sources import Wanted
from bmgd_data._store import acceptance
from bmgd_data._store.store import Store
from bmgd_data._system import disk, home, locks
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DamagedArchiveError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Wanted", "open_store", "origin_of", "verify_command"]

_KINDS: Final[dict[str, type[Origin]]] = {
    "upstream": Remote,
    "mirror": Remote,
    "folder": Local,
    "phantom": Generated,
}


def origin_of(wanted: Wanted) -> Origin:
    """Look at one condition of a source; raises what `open_store` raises."""
    return _KINDS[wanted.source.kind](wanted)


def open_store(
    wanted: Wanted, *, download: bool = True, accept_changed: bool = False, unaccepted: bool = False
) -> Store:
    """Open the store of a condition; fetch and build what is missing.

    An existing store is opened without a lock, without the network, and on a read-only root.

    Args:
        wanted: Which condition of which source, and where it is kept.
        download: Whether the network may be used; BMGD_OFFLINE=1 forbids it too.
        accept_changed: Fetch again, and trust the archive even if it differs from the first one,
            unless a pin forbids it. The store of the old archive is kept.
        unaccepted: Open it also if its masks seem not to belong to its images.

    Raises:
        DatasetNotFoundError: The data is not here and may not be fetched.
        DownloadError: The data could not be fetched.
        ChecksumError: The archive is not the one that is pinned or was seen first.
        CorruptArchiveError: The data is damaged, or its masks seem not to belong to its images and
            were not accepted.
        StorageError: The disk is full, or may not be written.
    """
    opened = _opened(wanted, download=download, accept_changed=accept_changed)
    if not unaccepted:
        acceptance.require(opened, f"{verify_command([wanted])} --accept")
    return opened


def verify_command(wanted: Sequence[Wanted]) -> str:
    """The command that verifies these conditions of one source."""
    return sources.command("verify", wanted)


def _opened(wanted: Wanted, *, download: bool, accept_changed: bool) -> Store:
    origin = origin_of(wanted)
    if origin.notice:
        warnings.warn(origin.notice, BMGDWarning, stacklevel=2)
    if not accept_changed and (opened := _known(origin)):
        return opened
    online = download and not home.offline()
    origin.require_reachable(online=online, again=accept_changed)
    try:
        with (
            locks.lock(wanted.root, wanted.name) as alone,
            disk.explained(wanted.root),
            disk.folder(wanted.note.parent),
        ):
            if alone:
                disk.sweep(wanted.archive)
                disk.sweep(wanted.note)
            origin = origin_of(wanted)
            if not accept_changed and (opened := _known(origin)):
                return opened
            return _make(origin, online=online, again=accept_changed)
    except StorageError:
        if not accept_changed and (opened := _known(origin, noted=False)):
            return opened
        raise


def _known(origin: Origin, *, noted: bool = True) -> Store | None:
    """The store, if its key is known without the network and it exists."""
    key = origin.key(noted=noted)
    if key is None:
        return None
    path = origin.wanted.store(key)
    # Unlike Path.is_dir, this returns False instead of raising PermissionError.
    return Store(path, key) if os.path.isdir(path) else None  # noqa: PTH112


def _make(origin: Origin, *, online: bool, again: bool) -> Store:
    """Get the archive or folder, build its store, and only then trust it. Holds the lock."""
    before = origin.seen
    found = origin.obtain(online=online, again=again)
    root, path = origin.wanted.root, origin.wanted.store(found.key)
    with locks.lock(root, home.lock_name(root, path)) as alone:
        if alone:
            disk.sweep(path)
        if not path.is_dir():
            _build(origin, found.key, path)
        opened = Store(path, found.key)
    trust.remember(origin.wanted.note, before, found)
    return opened


def _build(origin: Origin, key: str, path: Path) -> None:
    try:
        with (
            origin.opened() as files,
            bar(f"reading {origin.shown.name}", len(files.members)) as progress,
        ):
            check = origin.require_unchanged
            build.build(files, origin.wanted.condition, key, path, progress, check=check)
    except DamagedArchiveError:
        origin.drop_damaged(key)
        raise
    if (notes := Store(path).index.notes) and not origin.wanted.source.generated:
        warnings.warn(
            f"{origin.shown} was read, with notes: {'; '.join(notes)}. `bmgd verify` lists them.",
            BMGDWarning,
            stacklevel=2,
        )
