"""From a source to an open store: the one place where fetching, trust and building meet."""

from __future__ import annotations

import datetime as dt
import os
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bmgd_data._container.sevenzip import Archive
from bmgd_data._ingest import build
from bmgd_data._origin import fetch, sources, trust
from bmgd_data._origin.trust import Seen
from bmgd_data._store import store
from bmgd_data._store.store import Store
from bmgd_data._system import disk, home
from bmgd_data._system.progress import bar
from bmgd_data.errors import (
    BMGDWarning,
    CorruptArchiveError,
    DamagedArchiveError,
    DatasetNotFoundError,
    StorageError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data import facts
    from bmgd_data._origin.sources import Source


@dataclass(frozen=True)
class Place:
    """One condition of one source, below one root."""

    root: Path
    source: Source
    condition: facts.Condition

    @property
    def archive(self) -> Path:
        """Where the downloaded or generated archive is kept."""
        return self.root / "archives" / self.source.slug / self.condition.archive

    @property
    def note(self) -> Path:
        """Where it is written down what was seen of it."""
        return self.root / "sources" / self.source.slug / f"{self.condition.name}.json"

    def store(self, key: str) -> Path:
        """Where the store with this key lies, or would lie."""
        return store.location(self.root, self.condition, key)


def prepare(place: Place, *, download: bool = True, accept_changed: bool = False) -> Store:
    """Open the store of a condition; fetch and build what is missing.

    An existing store is opened without a lock, without the network, and on a read-only root.

    Args:
        place: Which condition of which source, and where it is kept.
        download: Whether the network may be used; BMGD_OFFLINE=1 forbids it too.
        accept_changed: Fetch anew, and trust what comes even if it differs from what was seen
            first, unless a pin forbids it. The store of the old archive is kept.

    Raises:
        DatasetNotFoundError: Not there, and may not be fetched.
        DownloadError: The server does not give it.
        ChecksumError: Not the archive that is pinned or was seen first.
        CorruptArchiveError: Damaged.
        StorageError: No room, or no right to write.
    """
    if not accept_changed and (opened := _open_known(place)):
        return opened
    may_download = download and not home.offline()
    if place.source.remote and not may_download:
        if accept_changed and trust.recall(place.note):
            raise _not_anew(place)
        if not os.path.exists(place.archive):  # noqa: PTH110
            raise _not_here(place)
    try:
        name = f"{place.source.slug}-{place.condition.name}"
        with home.lock(place.root, name), disk.explained(place.root):
            disk.sweep(place.archive)
            disk.sweep(place.note)
            if not accept_changed and (opened := _open_known(place)):
                return opened
            return _make(place, may_download=may_download, accept=accept_changed)
    except StorageError:
        if not accept_changed and (opened := _open_known(place, noted=False)):
            return opened
        raise


def _open_known(place: Place, *, noted: bool = True) -> Store | None:
    """The store, if it can be told without the network which one it is, and it is there.

    Args:
        place: Whose store.
        noted: Whether it also must be written down already which one it is. What is not noted is
            looked at anew each time, so only roots that cannot be written do without.
    """
    seen = trust.recall(place.note)
    if place.source.kind == "phantom":
        key: str | None = place.source.phantom.key(place.condition)
        up_to_date = seen is not None and seen.key == key
    elif place.source.kind == "folder":
        now = _Local.of(place)
        up_to_date = seen is not None and seen.fingerprint == now.fingerprint
        if noted and not up_to_date:
            return None  # before everything is hashed: whoever holds the lock does that, once
        key = _look_at_local(place, seen, now).key
    else:
        key = trust.expected(place.source, place.condition, seen)
        up_to_date = True
    if key is None or (noted and not up_to_date):
        return None
    # Unlike Path.is_dir, this says no where it may not look; the lock then tells what to do.
    return Store(path, key) if os.path.isdir(path := place.store(key)) else None  # noqa: PTH112


def _make(place: Place, *, may_download: bool, accept: bool) -> Store:
    """Get the archive or folder, build its store, and only then trust it. Holds the lock."""
    seen = trust.recall(place.note)
    if place.source.kind == "phantom":
        fresh = _generated(place, seen)
    elif place.source.kind == "folder":
        fresh = _look_at_local(place, None if accept else seen, _Local.of(place))
    else:
        fresh = _fetched(place, None if accept else seen, may_download=may_download, anew=accept)
    path = place.store(fresh.key)
    with home.lock(place.root, path.name):
        disk.sweep(path)
        if not path.is_dir():
            _build(place, fresh, path)
        opened = Store(path, fresh.key)
    _remember(place, seen, fresh)
    return opened


def _remember(place: Place, seen: Seen | None, fresh: Seen) -> None:
    if seen is not None:
        changed = [seen.key] if seen.key != fresh.key else []
        first = fresh.first_seen if changed else seen.first_seen
        fresh = replace(fresh, first_seen=first, before=[*seen.before, *changed])
    trust.remember(place.note, fresh)


def _build(place: Place, fresh: Seen, path: Path) -> None:
    local = place.source.kind == "folder"
    origin = sources.local_files(place.source, place.condition) if local else place.archive

    def check() -> None:
        if local and _Local.of(place).fingerprint != fresh.fingerprint:
            raise CorruptArchiveError(f"{origin} changed while it was read. Run it again.")

    try:
        files = sources.Folder(origin) if origin.is_dir() else Archive(origin)
        with bar(f"reading {origin.name}", len(files.members)) as progress:
            build.build(files, place.condition, fresh.key, path, progress, check=check)
    except DamagedArchiveError:
        # So that the next run fetches it again, unless that would bring the same bytes.
        if not local and trust.binding(place.source, place.condition) != fresh.key:
            origin.unlink(missing_ok=True)
        raise
    if (notes := Store(path).index.notes) and place.source.kind != "phantom":
        warnings.warn(
            f"{origin} was read, with notes: {'; '.join(notes)}. `bmgd verify` lists them.",
            BMGDWarning,
            stacklevel=2,
        )


def _generated(place: Place, seen: Seen | None) -> Seen:
    from bmgd_data._origin import phantom

    wanted = place.source.phantom
    key = wanted.key(place.condition)
    # What lies there may come from an earlier generator, and then belongs to another key.
    stale = not place.archive.is_file() or seen is None or seen.key != key
    if stale and not place.store(key).is_dir():
        title = f"generating {place.archive.name}"
        with disk.staged_file(place.archive) as partial, bar(title) as progress:
            progress.start_over(wanted.count(place.condition))
            phantom.write_archive(wanted, place.condition, partial, lambda _done, _all: progress(1))
    return _seen(place, key, place.archive.stat().st_size if place.archive.is_file() else 0)


class _Local(NamedTuple):
    """A local archive or folder as it looks now, without reading it."""

    origin: Path
    files: dict[str, Path]
    fingerprint: str

    @classmethod
    def of(cls, place: Place) -> _Local:
        origin = sources.local_files(place.source, place.condition)
        files = sources.files_of(origin)
        return cls(origin, files, sources.fingerprint(files))


def _look_at_local(place: Place, seen: Seen | None, now: _Local) -> Seen:
    """What a local archive or folder is now; files that look unchanged are not read again."""
    origin, files, fingerprint = now
    unchanged = seen is not None and seen.fingerprint == fingerprint
    key = seen.key if seen and unchanged else sources.digest(origin, files)
    # An archive is a release: another one is an error. A folder is a workshop: people mend masks.
    unpacked = origin.is_dir()
    if not unpacked:
        before = None if seen is None or seen.unpacked else seen
        trust.compare(place.source, place.condition, before, key, str(origin))
    size = sum(path.stat().st_size for path in files.values())
    return replace(_seen(place, key, size), fingerprint=fingerprint, unpacked=unpacked)


def _fetched(place: Place, seen: Seen | None, *, may_download: bool, anew: bool) -> Seen:
    """The archive of a remote source, from the cache or the network."""

    def check(key: str, where: str) -> None:
        trust.compare(place.source, place.condition, seen, key, where)

    cached = {} if anew or not place.archive.is_file() else sources.files_of(place.archive)
    key = sources.digest(place.archive, cached) if cached else None
    wanted = trust.expected(place.source, place.condition, seen)
    if key is None or wanted not in (None, key):
        if not may_download:
            if key is not None:
                check(key, str(place.archive))
            raise _not_here(place)
        url, auth = place.source.url(place.condition), place.source.auth
        with bar(f"fetching {place.condition.archive}", in_bytes=True) as progress:
            key = fetch.download(url, place.archive, lambda came: check(came, url), progress, auth)
    if place.source.kind == "mirror":
        _compare_with_upstream(place, key)
    return _seen(place, key, place.archive.stat().st_size)


def _compare_with_upstream(place: Place, key: str) -> None:
    upstream = trust.recall(replace(place, source=sources.resolve("upstream")).note)
    if upstream is not None and upstream.key != key:
        warnings.warn(
            f"{place.condition.archive} of the mirror {place.source.label} (sha256 {key}) is not "
            f"the one that upstream sent on {upstream.first_seen} ({upstream.key}).",
            BMGDWarning,
            stacklevel=2,
        )


def _seen(place: Place, key: str, size: int) -> Seen:
    return Seen(place.source.label, key, dt.datetime.now(dt.UTC).date().isoformat(), size)


def _not_anew(place: Place) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"{place.condition.name} of {place.source.label} cannot be fetched anew "
        f"({_why_offline()}); what was read before is untouched. Run it again where the network "
        "may be used, or read what is there without --accept-changed."
    )


def _why_offline() -> str:
    return "BMGD_OFFLINE is set" if home.offline() else "download=False"


def _not_here(place: Place) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"{place.condition.name} of {place.source.label} is not in {place.root}, and nothing is "
        f"fetched ({_why_offline()}). Run `bmgd download` where the network may be used, or give "
        "a folder that holds the archives as source= (or BMGD_SOURCE), or set BMGD_HOME to where "
        "the data is."
    )
