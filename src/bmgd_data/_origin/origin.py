"""What the pipeline asks of an origin, whatever its kind.

An `Origin` is one condition of one source as it looks at the moment the object is made. The
pipeline makes a new one whenever it wants a new look.
"""

from __future__ import annotations

import abc
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bmgd_data import _container
from bmgd_data._origin import phantom, trust
from bmgd_data._origin.phantom import Phantom
from bmgd_data._store import store
from bmgd_data._system import disk, home
from bmgd_data._system.progress import bar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bmgd_data import facts
    from bmgd_data._container.members import Files
    from bmgd_data._origin.sources import Source
    from bmgd_data._origin.trust import Seen


@dataclass(frozen=True)
class Wanted:
    """One condition of one source, kept below one root."""

    root: Path
    source: Source
    condition: facts.Condition

    @property
    def name(self) -> str:
        """Names the work of fetching and building it."""
        return f"{self.source.slug}-{self.condition.name}"

    @property
    def archive(self) -> Path:
        """Where a downloaded or generated archive is kept."""
        return home.archive(self.root, self.source.slug, self.condition)

    @property
    def note(self) -> Path:
        """The file that says what was seen of it."""
        return home.note(self.root, self.source.slug, self.condition)

    def store(self, key: str) -> Path:
        """Where the store with this key lies, or would lie."""
        return home.store(self.root, self.condition, key, store.FORMAT)


class Origin(abc.ABC):
    """One condition of one source, as it looks now.

    Args:
        wanted: Which one.

    Attributes:
        seen: What is noted of it; None for nothing.
        shown: The archive or folder, as messages name it.
        told: What the user should know about how the source was read; empty for nothing.
        unpacked: Whether there is no archive with a digest of its own.

    Raises:
        StorageError: What is noted of it cannot be read.
        DatasetNotFoundError: A local path does not hold it.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.seen = trust.recall(wanted.note)
        self.shown = wanted.archive
        self.told = ""
        self.unpacked = False

    @abc.abstractmethod
    def key(self, *, noted: bool = True) -> str | None:
        """What the data is known by, if that can be told without the network.

        Args:
            noted: Only if it is noted already. Files that are not noted are read again each time,
                so this is False for roots that cannot be written alone.
        """

    def require_reachable(self, *, online: bool, again: bool) -> None:  # noqa: B027 - most are
        """Stop before anything is made below the root if the data cannot be had.

        Args:
            online: Whether the network may be used.
            again: Whether it must be fetched again.

        Raises:
            DatasetNotFoundError: It is not here and may not be fetched.
        """

    @abc.abstractmethod
    def obtain(self, *, online: bool, again: bool) -> Seen:
        """Fetch, generate or look at the data; the caller holds the lock.

        Args:
            online: Whether the network may be used.
            again: Fetch again, and accept what differs from what was seen first.

        Raises:
            BMGDError: See ``pipeline.open_store``.
        """

    def opened(self) -> AbstractContextManager[Files]:
        """The archive or folder, to be read once.

        Raises:
            CorruptArchiveError: It cannot be read.
        """
        return _container.open_archive(self.wanted.archive)

    def require_unchanged(self) -> None:  # noqa: B027 - only local files change
        """Look again after reading.

        Raises:
            CorruptArchiveError: The files changed while they were read.
        """

    def drop_damaged(self, key: str) -> None:
        """Remove a damaged archive that was downloaded, so that the next run fetches it again.

        One that is exactly the pinned one stays, since fetching would bring the same bytes.
        """
        if trust.binding(self.wanted.source, self.wanted.condition) != key:
            self.wanted.archive.unlink(missing_ok=True)

    def changed_since(self, key: str) -> bool:
        """Read the archive or folder again: whether it is no longer what it was."""
        archive = self.wanted.archive
        return archive.exists() and _container.folder.sha256(archive) != key

    def _is_now(self, key: str, size: int) -> Seen:
        """What to note: first seen today."""
        today = dt.datetime.now(dt.UTC).date().isoformat()
        return trust.Seen(self.wanted.source.label, key, today, size)


class Generated(Origin):
    """One condition of a phantom: an archive that this package generates."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._phantom = Phantom.parse(wanted.source.location)
        self._key = self._phantom.key(wanted.condition)

    def key(self, *, noted: bool = True) -> str | None:
        """What decides the samples."""
        return None if noted and (self.seen is None or self.seen.key != self._key) else self._key

    def obtain(self, *, online: bool, again: bool) -> Seen:  # noqa: ARG002 - it is made here
        """Generate the archive, unless it is there."""
        wanted, archive = self.wanted, self.wanted.archive
        # An archive of an earlier generator belongs to another key.
        stale = not archive.is_file() or self.key() is None
        if stale and not wanted.store(self._key).is_dir():
            title, number = f"generating {archive.name}", self._phantom.count(wanted.condition)
            with disk.staged_file(archive) as partial, bar(title, number) as progress:
                phantom.write_archive(self._phantom, wanted.condition, partial, progress)
        return self._is_now(self._key, archive.stat().st_size if archive.is_file() else 0)

    def changed_since(self, key: str) -> bool:  # noqa: ARG002
        """Never: two archives of the same samples differ in bytes."""
        return False
