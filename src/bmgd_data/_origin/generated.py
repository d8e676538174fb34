"""The phantom: an archive that this package makes up, known by its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bmgd_data._origin import phantom, sources
from bmgd_data._origin.origin import Origin
from bmgd_data._system import disk
from bmgd_data._system.progress import bar

if TYPE_CHECKING:
    from bmgd_data._origin.origin import Wanted
    from bmgd_data._origin.trust import Seen


class Generated(Origin):
    """One condition of a phantom."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._phantom = cast("sources.Generated", wanted.source).phantom
        self._key = self._phantom.key(wanted.condition)

    def key(self, *, noted: bool = True) -> str | None:
        """What decides the samples."""
        return None if noted and (self.seen is None or self.seen.key != self._key) else self._key

    def obtain(self, *, online: bool, again: bool) -> Seen:  # noqa: ARG002 - it is made here
        """Generate the archive, unless it is there."""
        wanted, archive = self.wanted, self.wanted.archive
        # What lies there may come from an earlier generator, and then belongs to another key.
        stale = not archive.is_file() or self.key() is None
        if stale and not wanted.store(self._key).is_dir():
            title = f"generating {archive.name}"
            with disk.staged_file(archive) as partial, bar(title) as progress:
                progress.start_over(self._phantom.count(wanted.condition))
                phantom.write_archive(
                    self._phantom, wanted.condition, partial, lambda _done, _all: progress(1)
                )
        return self._is_now(self._key, archive.stat().st_size if archive.is_file() else 0)

    def changed_since(self, key: str) -> bool:  # noqa: ARG002
        """Never: two archives of the same samples differ in bytes."""
        return False
