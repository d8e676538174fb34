"""From an origin to an open store: the whole way on one page.

sources.resolve   what the user names                      -> Source
origin_of         one condition of it, as it looks now     -> Origin
Origin.obtain     fetched, generated or looked at, trusted -> Seen, with the key
Origin.opened     an archive or a folder                   -> Files
build.build       paired, decoded, checked, written        -> a store's folder
acceptance        refused ones only once accepted
Store             mapped                                   -> what Reader serves from
"""

from __future__ import annotations

import os
import shlex
import warnings
from typing import TYPE_CHECKING, Final

from bmgd_data import facts
from bmgd_data._ingest import build
from bmgd_data._origin import trust
from bmgd_data._origin.local import Local
from bmgd_data._origin.origin import Generated, Origin, Wanted
from bmgd_data._origin.remote import Remote
from bmgd_data._store import acceptance
from bmgd_data._store.store import Store
from bmgd_data._system import disk, home, locks
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DamagedArchiveError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bmgd_data._origin.trust import Seen

__all__ = ["Wanted", "open_store", "origin_of", "verify_command"]

_KINDS: Final[dict[str, type[Origin]]] = {
    "upstream": Remote,
    "mirror": Remote,
    "folder": Local,
    "phantom": Generated,
}


def origin_of(wanted: Wanted) -> Origin:
    """Look at one condition of a source, as it is now.

    Raises:
        BMGDError: See `open_store`.
    """
    return _KINDS[wanted.source.kind](wanted)


def open_store(
    wanted: Wanted,
    *,
    download: bool = True,
    accept_changed: bool = False,
    unaccepted: bool = False,
) -> Store:
    """Open the store of a condition; fetch and build what is missing.

    An existing store is opened without a lock, without the network, and on a read-only root.

    Args:
        wanted: Which condition of which source, and where it is kept.
        download: Whether the network may be used; BMGD_OFFLINE=1 forbids it too.
        accept_changed: Fetch again, and trust what comes even if it differs from what was seen
            first, unless a pin forbids it. The store of the old archive is kept.
        unaccepted: Open it also if its masks seem not to belong to its images.

    Raises:
        DatasetNotFoundError: Not there, and may not be fetched.
        DownloadError: The server does not give it.
        ChecksumError: Not the archive that is pinned or was seen first.
        CorruptArchiveError: Damaged, or its masks seem not to belong to its images and were not
            accepted.
        StorageError: No room, or no permission to write.
    """
    opened = _opened(wanted, download=download, accept_changed=accept_changed)
    if not unaccepted:
        acceptance.require(opened, f"{verify_command([wanted])} --accept")
    return opened


def verify_command(wanted: Sequence[Wanted]) -> str:
    """The command that verifies these conditions of one source."""
    words = ["bmgd", "verify"]
    if len(wanted) < len(facts.CONDITIONS):
        words += [word for one in wanted for word in ("--stiffness", one.condition.name)]
    source, root = wanted[0].source, wanted[0].root
    if source.kind != "upstream":
        words += ["--source", source.public]
    if root != home.root():
        words += ["--root", str(root)]
    return shlex.join(words)


def _opened(wanted: Wanted, *, download: bool, accept_changed: bool) -> Store:
    origin = origin_of(wanted)
    if origin.told:
        warnings.warn(origin.told, BMGDWarning, stacklevel=2)
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
    """The store, if it can be told without the network which one it is, and it is there."""
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
    path = origin.wanted.store(found.key)
    with locks.lock(origin.wanted.root, path.name) as alone:
        if alone:
            disk.sweep(path)
        if not path.is_dir():
            _build(origin, found)
        opened = Store(path, found.key)
    trust.remember(origin.wanted.note, before, found)
    return opened


def _build(origin: Origin, found: Seen) -> None:
    wanted = origin.wanted
    path = wanted.store(found.key)
    try:
        with (
            origin.opened() as files,
            bar(f"reading {origin.shown.name}", len(files.members)) as progress,
        ):
            check = origin.require_unchanged
            build.build(files, wanted.condition, found.key, path, progress, check=check)
    except DamagedArchiveError:
        origin.drop_damaged(found.key)
        raise
    if (notes := Store(path).index.notes) and not wanted.source.generated:
        warnings.warn(
            f"{origin.shown} was read, with notes: {'; '.join(notes)}. `bmgd verify` lists them.",
            BMGDWarning,
            stacklevel=2,
        )
