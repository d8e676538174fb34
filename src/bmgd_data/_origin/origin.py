"""What the pipeline asks of an origin: one condition of one source, as it looks now.

The pipeline makes a new `Origin` for each new look.
"""

from __future__ import annotations

import abc
import datetime as dt
from typing import TYPE_CHECKING

from bmgd_data import _container, phantom
from bmgd_data._origin import trust
from bmgd_data._system import disk
from bmgd_data._system.progress import bar
from bmgd_data.phantom import Phantom

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bmgd_data._container.members import Files
    from bmgd_data._origin.sources import Wanted
    from bmgd_data._origin.trust import Seen


class Origin(abc.ABC):
    """One condition of one source, as it looks now.

    Attributes:
        seen: What the note says; None without a note.
        shown: The archive or folder, as messages name it.
        notice: What the user should know about how the source was read; may be empty.
        unpacked: Whether there is no archive with a digest of its own.
    """

    notice = ""
    unpacked = False

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.seen = trust.recall(wanted.note)
        self.shown = wanted.archive

    @abc.abstractmethod
    def key(self, *, noted: bool = True) -> str | None:
        """The key of the data, if it is known without the network.

        `noted`: only a key that the note confirms. False is for roots that cannot be written, where
        files are read again each time.
        """

    def require_reachable(self, *, online: bool, again: bool) -> None:  # noqa: B027
        """Raise DatasetNotFoundError before anything is written, if the data cannot be had."""

    @abc.abstractmethod
    def obtain(self, *, online: bool, again: bool) -> Seen:
        """Fetch, generate or read the data; the caller holds the lock.

        `again`: fetch again, and accept data that differs from what was seen first.
        """

    def opened(self) -> AbstractContextManager[Files]:
        """Open the archive or folder, to be read once."""
        return _container.open_archive(self.wanted.archive)

    def require_unchanged(self) -> None:  # noqa: B027
        """Raise CorruptArchiveError if the files changed while they were read."""

    def drop_damaged(self, key: str) -> None:
        """Remove a damaged download, so that the next run fetches it again.

        The pinned archive stays, since fetching would bring the same bytes.
        """
        if trust.binding(self.wanted.source, self.wanted.condition) != key:
            self.wanted.archive.unlink(missing_ok=True)

    def changed_since(self, key: str) -> bool:
        """Read the archive or folder again, and return whether its key has changed."""
        archive = self.wanted.archive
        return archive.exists() and _container.folder.sha256(archive) != key

    def status(self, key: str) -> str:
        """How far a key can be trusted: a word of ``trust.MEANING``."""
        wanted = self.wanted
        return trust.status(wanted.source, wanted.condition, key, unpacked=self.unpacked)

    def _seen_now(self, key: str, size: int) -> Seen:
        today = dt.datetime.now(dt.UTC).date().isoformat()
        return trust.Seen(self.wanted.source.label, key, today, size)


class Generated(Origin):
    """One condition of a phantom: an archive that this package generates."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._phantom = Phantom.parse(wanted.source.location)
        self._key = self._phantom.key(wanted.condition)

    def key(self, *, noted: bool = True) -> str | None:
        return None if noted and (self.seen is None or self.seen.key != self._key) else self._key

    def obtain(self, *, online: bool, again: bool) -> Seen:  # noqa: ARG002
        wanted, archive = self.wanted, self.wanted.archive
        # An archive of an earlier generator belongs to another key.
        stale = not archive.is_file() or self.key() is None
        if stale and not wanted.store(self._key).is_dir():
            title, number = f"generating {archive.name}", self._phantom.count(wanted.condition)
            with disk.staged_file(archive) as partial, bar(title, number) as progress:
                phantom.write_archive(self._phantom, wanted.condition, partial, progress)
        return self._seen_now(self._key, archive.stat().st_size if archive.is_file() else 0)

    def changed_since(self, key: str) -> bool:  # noqa: ARG002
        return False  # the key is not a digest of the archive
