"""An unpacked folder, handed over as an archive is; what files look like, without reading them."""

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
    """The files of an unpacked condition.

    Args:
        path: The condition's folder.
        files: What `files_of` found in it.
    """

    def __init__(self, path: Path, files: dict[str, Path]) -> None:
        self.path = path
        self._files = files
        self.members = [Member(name, file.stat().st_size) for name, file in files.items()]

    def stream(self, sink: Sink) -> None:
        """Hand every file's relative path and bytes to `sink`."""
        for name, file in self._files.items():
            with readable(file):
                data = file.read_bytes()
            sink(name, data)


def files_of(origin: Path) -> dict[str, Path]:
    """An archive, or all files of an unpacked folder, by path relative to the folder above it.

    Ascending by path. Links are followed. Files that operating systems leave in folders are left
    out, so that looking at a folder does not change it; every other file counts.

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
                "its mask or image alike."
            ) from error
    return files


def is_junk(path: PurePosixPath) -> bool:
    """Whether a file or folder is what operating systems and git leave behind, or lies in it."""
    return any(part.lower() in _JUNK or part.startswith("._") for part in path.parts)


def fingerprint(files: dict[str, Path]) -> str:
    """Changes when a file's path, size or time of change does. No file is read."""
    found = [(name, file.stat()) for name, file in files.items()]
    return disk.sha256_of([[name, now.st_size, now.st_mtime_ns] for name, now in found])


def digest(files: dict[str, Path]) -> str:
    """The sha256 over the sorted (path, sha256 of the file): names a folder's content.

    Raises:
        CorruptArchiveError: A file cannot be read.
    """
    return disk.sha256_of([[name, sha256(file)] for name, file in files.items()])


def sha256(file: Path) -> str:
    """The sha256 of a file.

    Raises:
        CorruptArchiveError: It cannot be read.
    """
    with readable(file):
        return disk.sha256(file)


@contextlib.contextmanager
def readable(file: Path) -> Iterator[None]:
    """Say which file cannot be read, and why.

    Raises:
        CorruptArchiveError: An OSError was raised.
    """
    try:
        yield
    except BMGDError:  # some of ours are OSErrors
        raise
    except OSError as error:
        where = error.filename or file
        raise CorruptArchiveError(
            f"{where} cannot be read ({error.strerror}). Check the disk and its permissions."
        ) from error


def _inside(origin: Path) -> Iterator[Path]:
    """All files below a folder, except junk. `Path.rglob` would skip folders it may not read."""

    def stop(error: OSError) -> None:
        raise error

    # The real folders that lead to each one: a link to any of them would go round in circles.
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
