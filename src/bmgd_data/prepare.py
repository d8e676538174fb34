"""From a source to an open store: the one place where fetching, trust and building meet."""

from __future__ import annotations

import datetime as dt
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bmgd_data import build, disk, fetch, home, sources, store, trust
from bmgd_data.archive import Archive
from bmgd_data.errors import (
    BMGDWarning,
    ChecksumError,
    CorruptArchiveError,
    DatasetNotFoundError,
    StorageError,
)
from bmgd_data.progress import bar
from bmgd_data.store import Store
from bmgd_data.trust import Seen

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data import facts
    from bmgd_data.sources import Source
    from bmgd_data.store import Instances


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
            first. The store of the old archive is kept.

    Raises:
        DatasetNotFoundError: Not there, and may not be fetched.
        DownloadError: The server does not give it.
        ChecksumError: Not the archive that is pinned or was seen first.
        CorruptArchiveError: Damaged.
        StorageError: No room, or no right to write.
    """
    if not accept_changed and (opened := _open_known(place)):
        return opened
    with home.lock(place.root, f"{place.source.slug}-{place.condition.name}"):
        if not accept_changed and (opened := _open_known(place)):
            return opened
        return _make(place, may_download=download and not home.offline(), accept=accept_changed)


def labelled(opened: Store, method: str, root: Path) -> Instances:
    """Instance masks of a store; what is missing is computed and kept for the next time.

    On a read-only root they are computed in memory, with a warning.

    Raises:
        DatasetNotFoundError: "provided", where the archive brought none.
    """
    if opened.has(method):
        return opened.instances(method)
    if method == "provided":
        raise DatasetNotFoundError(
            f"The archive of {opened.condition.name} brought no instance labels. Use "
            "instances='components' (as they are in the mask) or 'watershed' (touching nuclei "
            "split)."
        )
    title = f"{method} of {opened.condition.name}"
    try:
        with home.lock(root, f"{opened.path.name}-{method}"):
            if not opened.has(method):
                disk.sweep(opened.path / method)
                with bar(title, len(opened)) as progress:
                    build.keep(opened, method, build.derive(opened, method, progress))
            return opened.instances(method)
    except StorageError:
        warnings.warn(
            f"{opened.path} cannot be written: instances={method!r} are computed in memory, each "
            "time anew. Let its owner read them once, and they are kept.",
            BMGDWarning,
            stacklevel=2,
        )
        with bar(title, len(opened)) as progress:
            return build.derive(opened, method, progress)


def _open_known(place: Place) -> Store | None:
    """The store, if it can be told without the network which one it is, and it is there."""
    seen = trust.recall(place.note)
    if place.source.kind == "phantom":
        key: str | None = place.source.phantom.key(place.condition)
    elif place.source.kind == "folder":
        key = _look_at_local(place, seen).key
    else:
        key = trust.binding(place.source, place.condition) or (seen.key if seen else None)
    if key is None or not (path := place.store(key)).is_dir():
        return None
    return Store(path)


def _make(place: Place, *, may_download: bool, accept: bool) -> Store:
    """Get the archive or folder, build its store, and only then trust it. Holds the lock."""
    seen = trust.recall(place.note)
    if place.source.kind == "phantom":
        fresh = _generated(place)
    elif place.source.kind == "folder":
        fresh = _look_at_local(place, None if accept else seen)
    else:
        fresh = _fetched(place, seen, may_download=may_download, accept=accept)
    path = place.store(fresh.key)
    with home.lock(place.root, path.name):
        disk.sweep(path)
        if not path.is_dir():
            _build(place, fresh.key, path)
    if seen is not None:
        changed = [seen.key] if seen.key != fresh.key else []
        first = fresh.first_seen if changed else seen.first_seen
        fresh = replace(fresh, first_seen=first, before=[*seen.before, *changed])
    trust.remember(place.note, fresh)
    return Store(path)


def _build(place: Place, key: str, path: Path) -> None:
    local = place.source.kind == "folder"
    origin = sources.local_files(place.source, place.condition) if local else place.archive
    try:
        files = sources.Folder(origin) if origin.is_dir() else Archive(origin)
        with bar(f"reading {origin.name}", len(files.members)) as progress:
            build.build(files, place.condition, key, path, progress)
    except CorruptArchiveError:
        if not local:
            origin.unlink(missing_ok=True)  # so that the next run fetches it again
        raise
    if (odd := Store(path).index.odd) and place.source.kind != "phantom":
        warnings.warn(
            f"{origin} was read, with oddities: {'; '.join(odd)}. `bmgd verify` lists them.",
            BMGDWarning,
            stacklevel=2,
        )


def _generated(place: Place) -> Seen:
    from bmgd_data import phantom

    wanted = place.source.phantom
    if not place.archive.is_file():
        title = f"generating {place.archive.name}"
        with disk.staged_file(place.archive) as partial, bar(title) as progress:
            progress.start_over(wanted.count(place.condition))
            phantom.write_archive(wanted, place.condition, partial, lambda _done, _all: progress(1))
    return _seen(place, wanted.key(place.condition), place.archive.stat().st_size)


def _look_at_local(place: Place, seen: Seen | None) -> Seen:
    """What a local archive or folder is now; files that look unchanged are not read again."""
    origin = sources.local_files(place.source, place.condition)
    files = sources.files_of(origin)
    fingerprint = sources.fingerprint(files)
    unchanged = seen is not None and seen.fingerprint == fingerprint
    key = seen.key if seen and unchanged else sources.digest(origin, files)
    # An archive is a release: another one is an error. A folder is a workshop: people mend masks.
    if origin.is_file():
        expected = trust.binding(place.source, place.condition) or (seen.key if seen else key)
        if key != expected:
            raise ChecksumError(
                f"{origin} is not the archive that was expected: its sha256 is {key}, not "
                f"{expected}. Put the right one there, or take this one with `bmgd download "
                f"--source {place.source.location!r} --accept-changed`; the old data is kept."
            )
    return _seen(place, key, sum(path.stat().st_size for path in files.values()), fingerprint)


def _fetched(place: Place, seen: Seen | None, *, may_download: bool, accept: bool) -> Seen:
    """The archive of a remote source, from the cache or the network."""
    pin = trust.binding(place.source, place.condition)
    expected = pin or (seen.key if seen and not accept else None)
    key = disk.sha256(place.archive) if place.archive.is_file() and not accept else None
    if key is None or (expected and key != expected):
        if not may_download:
            raise _not_here(place)
        url = place.source.url(place.condition)
        with bar(f"fetching {place.condition.archive}", in_bytes=True) as progress:
            fetch.download(url, place.archive, expected, progress)
        key = disk.sha256(place.archive)
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


def _seen(place: Place, key: str, size: int, fingerprint: str = "") -> Seen:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Seen(place.source.label, key, today, size, fingerprint)


def _not_here(place: Place) -> DatasetNotFoundError:
    why = "BMGD_OFFLINE is set" if home.offline() else "download=False"
    return DatasetNotFoundError(
        f"{place.condition.name} of {place.source.label} is not in {place.root}, and nothing is "
        f"fetched ({why}). Run `bmgd download` where the network may be used, or give a folder "
        "that holds the archives as source= (or BMGD_SOURCE), or set BMGD_HOME to where the data "
        "is."
    )
