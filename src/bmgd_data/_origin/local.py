"""Files on this machine: an archive, or an unpacked folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bmgd_data import _container
from bmgd_data._container import folder
from bmgd_data._container import zip as zips
from bmgd_data._origin import locate, trust
from bmgd_data._origin.origin import Origin
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bmgd_data._container.members import Files
    from bmgd_data._origin.sources import Wanted
    from bmgd_data._origin.trust import Seen


class Local(Origin):
    """One condition's archive or unpacked folder, listed once; unchanged files are not read."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        named = Path(wanted.source.location)
        self._gone = self.seen is not None and locate.is_gone(named)
        if self.seen is not None and self._gone:  # what was read of it is kept
            self.shown, self._inside, self.files = named, "", {}
            self._nested = False
            self.fingerprint, self.unpacked = self.seen.fingerprint, self.seen.unpacked
            return
        found = locate.find(named, wanted.condition)
        self.shown, self._inside, self.notice = found
        self._nested = found.nested
        self.unpacked = found.unpacked
        self.files = folder.files_of(self.shown)
        self.fingerprint = disk.sha256_of([self._inside, folder.fingerprint(self.files)])

    def key(self, *, noted: bool = True) -> str | None:
        # Only the holder of the lock computes digests.
        return None if noted and not self._looks_unchanged else self._now.key

    def require_reachable(self, *, online: bool, again: bool) -> None:  # noqa: ARG002
        if self._gone:
            raise locate.gone(self.shown, self.wanted.condition)

    def obtain(self, *, online: bool, again: bool) -> Seen:  # noqa: ARG002
        if again:
            self.seen = None
        return self._now

    @contextlib.contextmanager
    def opened(self) -> Iterator[Files]:
        """The archive or folder; an archive within a .zip is unpacked beside the stores first."""
        with contextlib.ExitStack() as stack:
            if self.shown.is_dir():
                files: Files = folder.Folder(self.shown, self.files)
            elif self._nested:
                place = stack.enter_context(disk.scratch(self.wanted.archive))
                unpacked = place / Path(self._inside).name
                stack.enter_context(_named(unpacked, self.shown, self._inside))
                with unpacked.open("wb") as file:
                    zips.unpack(self.shown, self._inside, file.write)
                files = _container.open_archive(unpacked)
            elif self._inside:
                files = zips.Zip(self.shown, self._inside)
            else:
                files = _container.open_archive(self.shown)
            yield stack.enter_context(files)

    def require_unchanged(self) -> None:
        if Local(self.wanted).fingerprint != self.fingerprint:
            raise CorruptArchiveError(f"{self.shown} changed while it was read. Run it again.")

    def drop_damaged(self, key: str) -> None:
        """Does nothing: the files belong to the user."""

    def changed_since(self, key: str) -> bool:
        return not self._gone and self._digest() != key

    @property
    def _looks_unchanged(self) -> bool:
        return self.seen is not None and self.seen.fingerprint == self.fingerprint

    @functools.cached_property
    def _now(self) -> Seen:
        seen = self.seen
        key = seen.key if seen and self._looks_unchanged else self._digest()
        # An archive is a release, so a different one is an error. Users edit folders.
        if not self.unpacked:
            before = None if seen is None or seen.unpacked else seen
            trust.compare(self.wanted, before, key, str(self.shown))
        now = self._seen_now(key, sum(path.stat().st_size for path in self.files.values()))
        return replace(now, fingerprint=self.fingerprint, unpacked=self.unpacked)

    def _digest(self) -> str:
        if self.shown.is_dir():
            return folder.digest(self.files)
        if self._nested:  # of a .7z, the digest of upstream's own archive
            content = hashlib.sha256()
            zips.unpack(self.shown, self._inside, content.update)
            return content.hexdigest()
        key = folder.sha256(self.shown)
        return disk.sha256_of([key, self._inside]) if self._inside else key


@contextlib.contextmanager
def _named(copy: Path, outer: Path, inside: str) -> Iterator[None]:
    """Errors name the archive within the .zip instead of its copy, which goes away."""
    try:
        yield
    except CorruptArchiveError as error:
        text = str(error).replace(str(copy), inside)
        raise type(error)(f"Unpack {outer} first; within it: {text}") from error.__cause__
