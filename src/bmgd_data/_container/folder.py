"""An unpacked folder, read as an archive is; digests, and what files look like unread."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from bmgd_data._container.members import Files, Member
from bmgd_data._system import disk
from bmgd_data.errors import BMGDError, CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bmgd_data._container.members import Sink

_JUNK: Final = {"thumbs.db", "desktop.ini", ".ds_store", "__macosx", "@eadir", ".git"}


class Folder(Files):
    """The folder of an unpacked condition; `files` is what `files_of` found in it."""

    def __init__(self, path: Path, files: dict[str, Path]) -> None:
        self.path = path
        self._files = files
        self.members = [Member(name, file.stat().st_size) for name, file in files.items()]

    def stream(self, sink: Sink) -> None:
        for name, file in self._files.items():
            with readable(file):
                data = file.read_bytes()
            sink(name, data)


def files_of(origin: Path) -> dict[str, Path]:
    """List an archive, or all files of an unpacked folder, by path relative to the parent folder.

    Ascending by path. Links are followed. Files that operating systems leave behind are left out,
    so that looking at a folder does not change its digest.

    Raises:
        CorruptArchiveError: A folder or link in it cannot be read, or a file name is not Unicode.
    """
    with readable(origin):
        found = [origin] if origin.is_file() else sorted(_inside(origin))
    files = {file.relative_to(origin.parent).as_posix(): file for file in found}
    for name in files:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise CorruptArchiveError(
                f"The name of {name!r} in {origin.parent} is not Unicode. Rename that file, and "
                "give its mask or image the same name."
            ) from error
    return files


def is_junk(path: PurePosixPath) -> bool:
    """Whether a path is, or lies in, something that operating systems or git leave behind."""
    return any(part.lower() in _JUNK or part.startswith("._") for part in path.parts)


def fingerprint(files: dict[str, Path]) -> str:
    """Summarise paths, sizes and times of change. No file is read."""
    found = [(name, file.stat()) for name, file in files.items()]
    return disk.sha256_of([[name, now.st_size, now.st_mtime_ns] for name, now in found])


def digest(files: dict[str, Path]) -> str:
    """Name a folder's content: the sha256 over the sorted (path, sha256 of the file)."""
    return disk.sha256_of([[name, sha256(file)] for name, file in files.items()])


def sha256(file: Path) -> str:
    with readable(file):
        return disk.sha256(file)


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn an OSError into a CorruptArchiveError that names the file and the reason."""
    try:
        yield
    except BMGDError:  # some of them are OSErrors
        raise
    except OSError as error:
        where = error.filename or file
        raise CorruptArchiveError(
            f"{where} cannot be read ({error.strerror}). Check the disk and its permissions."
        ) from error


def _inside(origin: Path) -> Iterator[Path]:
    """All files below a folder, except junk. `Path.rglob` skips folders without permission."""

    def stop(error: OSError) -> None:
        raise error

    # For each folder, the real folders that lead to it: following a link to one would not end.
    above = {str(origin): {os.path.realpath(origin)}}
    for folder, folders, names in os.walk(origin, onerror=stop, followlinks=True):
        here, passed = Path(folder), above.pop(folder)
        for name in folders.copy():
            real = os.path.realpath(here / name)
            if real in passed or is_junk(PurePosixPath(name)):
                folders.remove(name)
            else:
                above[str(here / name)] = passed | {real}
        for file in (here / name for name in names if not is_junk(PurePosixPath(name))):
            if stat.S_ISREG(file.stat().st_mode):  # unlike is_file, fails for a broken link
                yield file
