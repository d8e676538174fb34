"""What the pipeline asks of an origin, whatever its kind.

An `Origin` is one condition of one source as it looks at the moment the object is made. The
pipeline makes a new one whenever it wants a new look.
"""

from __future__ import annotations

import abc
import contextlib
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bmgd_data import _container
from bmgd_data._origin import trust
from bmgd_data._origin.trust import Seen
from bmgd_data._store import store
from bmgd_data._system import home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bmgd_data import facts
    from bmgd_data._container.members import Files
    from bmgd_data._origin.sources import Source


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
        """Where it is written down what was seen of it."""
        return home.note(self.root, self.source.slug, self.condition)

    def store(self, key: str) -> Path:
        """Where the store with this key lies, or would lie."""
        return home.store(self.root, self.condition, key, store.FORMAT)


class Origin(abc.ABC):
    """One condition of one source, as it looks now.

    Args:
        wanted: Which one.

    Raises:
        StorageError: What is written down of it cannot be read.
        DatasetNotFoundError: A local path does not hold it.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.seen = trust.recall(wanted.note)

    # ------------------------------------------------------------------ what the pipeline asks

    @abc.abstractmethod
    def key(self, *, noted: bool = True) -> str | None:
        """What the data is known by, if that can be told without the network.

        Args:
            noted: Only if it is also written down already. What is not noted is looked at again
                each time, so only roots that cannot be written do without.
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

    @contextlib.contextmanager
    def opened(self) -> Iterator[Files]:
        """The archive or folder, to be read once.

        Raises:
            CorruptArchiveError: It cannot be read.
        """
        with _container.open_archive(self.wanted.archive) as files:
            yield files

    def require_unchanged(self) -> None:  # noqa: B027 - only local files change
        """Look again after reading.

        Raises:
            CorruptArchiveError: The files changed while they were read.
        """

    def drop_damaged(self, key: str) -> None:
        """Remove a damaged archive of ours, so that the next run fetches it again.

        One that is exactly the pinned one stays, since fetching would bring the same bytes.
        """
        if trust.binding(self.wanted.source, self.wanted.condition) != key:
            self.wanted.archive.unlink(missing_ok=True)

    # --------------------------------------------------------------------- what is told of it

    @property
    def told(self) -> str:
        """What the user should know about how the source was read; empty for nothing."""
        return ""

    @property
    def shown(self) -> Path:
        """The archive or folder, as messages name it."""
        return self.wanted.archive

    @property
    def unpacked(self) -> bool:
        """Whether there is no archive with a digest of its own."""
        return False

    def changed_since(self, key: str) -> bool:
        """Read the archive or folder again: whether it is no longer what it was."""
        archive = self.wanted.archive
        return archive.exists() and _container.folder.sha256(archive) != key

    # ------------------------------------------------------------------------------- for its kinds

    def _is_now(self, key: str, size: int) -> Seen:
        """Something to write down: first seen today."""
        today = dt.datetime.now(dt.UTC).date().isoformat()
        return Seen(self.wanted.source.label, key, today, size)


def with_history(before: Seen | None, now: Seen) -> Seen:
    """What to write down, so that the keys trusted earlier are kept."""
    if before is None:
        return now
    changed = [before.key] if before.key != now.key else []
    first = now.first_seen if changed else before.first_seen
    return replace(now, first_seen=first, before=[*before.before, *changed])
