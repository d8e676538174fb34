"""Writes that are whole or absent, digests, and free space."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTIAL: Final = ".partial"
_SYNCS: Final = 16
"""Files written through at once: the system joins them, and thousands take a tenth of the time."""
_CANNOT_SYNC: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
_CANNOT_WRITE: Final = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM),
    errno.ENAMETOOLONG,
}
_PAUSES_S: Final = (0.1, 0.3, 1.0, 3.0, 0.0)
_CHOICE: Final = "BMGD_HOME or root= for the data, another destination for what is exported"
_IN_THE_WAY: Final = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


@contextlib.contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give a private folder beside `final`, and rename it to `final` when the block ends well.

    If `final` exists by then, another process has made the same content, and this one is dropped.
    If the disk is full or not writable, it raises StorageError and leaves nothing behind.
    """
    with scratch(final) as partial:
        yield partial
        inside = sorted(partial.rglob("*"))
        with ThreadPoolExecutor(_SYNCS) as pool:
            list(pool.map(fsync, inside))  # list: raises what one of them raised
        fsync(partial)
        try:
            partial.rename(final)
        except OSError:
            if not final.is_dir():
                raise
        else:
            _await([final / path.relative_to(partial) for path in inside])
        fsync(final.parent)


def _await(paths: list[Path]) -> None:
    """Wait until files are seen that were just renamed; some network mounts show them late."""
    for pause in _PAUSES_S:
        if all(map(os.path.exists, paths)):
            return
        time.sleep(pause)
    raise StorageError(
        f"{paths[0].parent} was written, but its file system shows its files late. Read again in a "
        "minute, or set BMGD_HOME, or root=, to a folder on a disk of this machine."
    )


@contextlib.contextmanager
def staged_file(final: Path) -> Iterator[Path]:
    """As `staged`, for a file: give a private name, and rename the file at the end."""
    partial = _partial(final)
    with explained(final.parent), folder(final.parent):
        try:
            yield partial
            fsync(partial)
            partial.replace(final)  # from here, even a killed process leaves nothing behind
            fsync(final.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch(final: Path) -> Iterator[Path]:
    """Give a private folder beside `final`, which is removed when the block ends.

    A killed process leaves a ``.<name>-*.partial`` folder, which `sweep` removes.
    """
    partial = _partial(final)
    with explained(final.parent), folder(final.parent):
        try:
            partial.mkdir()
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def folder(path: Path) -> Iterator[None]:
    """Make a folder and its parents; if the block fails, remove those that were made."""
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: another process uses it
            for each in made:
                each.rmdir()
        raise


def sweep(final: Path) -> None:
    """Remove what killed processes left of `final`; the caller holds its lock."""
    for left in final.parent.glob(f".{glob.escape(final.name)}-*{_PARTIAL}"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                left.unlink()


def discard(folder: Path) -> None:
    """Remove a folder: first its name, in one step, then its files.

    If it fails halfway, with a StorageError, `sweep` knows the new name, and `discard` can be
    called on it.
    """
    doomed = folder if folder.name.endswith(_PARTIAL) else _partial(folder)
    try:
        if doomed != folder:
            try:
                folder.rename(doomed)
            except OSError as error:
                if error.errno != errno.EXDEV:  # a folder of a lower layer of overlayfs
                    raise
                doomed = folder
        shutil.rmtree(doomed)
    except OSError as error:
        left = doomed if doomed.exists() else folder
        raise StorageError(
            f"{left} cannot be removed: {error.strerror}. Close programs that use it, or ask its "
            "owner; then try again."
        ) from error


def _partial(final: Path) -> Path:
    return final.with_name(f".{final.name}-{secrets.token_hex(4)}{_PARTIAL}")


def write_json(path: Path, content: Any) -> None:
    """Write `content`; readers see the old file or the new one, never half of one."""
    with staged_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: Any) -> str:
    """The sha256 of plain data (lists, dicts, strings, numbers), the same on every machine."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def require_space(folder: Path, need: int, what: str) -> None:
    """Raise StorageError unless `need` bytes are free for `what`, such as "to unpack 250 Pa.7z"."""
    there = _nearest(folder)
    free = shutil.disk_usage(there).free
    if free < need:
        raise StorageError(
            f"{need / 1e6:,.0f} MB are needed {what}, but {there} has {free / 1e6:,.0f} MB free. "
            "Free some space, or set BMGD_HOME, or root=, to a folder on a larger disk."
        )


@contextlib.contextmanager
def reachable(folder: Path) -> Iterator[None]:
    """Turn any error of the system below `folder` into a StorageError, as of a lost disk."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{error.filename or folder} cannot be used ({error.strerror}). Check its permissions, "
            "and whether its disk is still connected."
        ) from error


@contextlib.contextmanager
def explained(folder: Path, choice: str = _CHOICE) -> Iterator[None]:
    """Turn errors of the system on writing to `folder` into a StorageError that says what to do.

    `choice` says how users choose another folder.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError) or not (advice := _advice(error, folder, choice)):
            raise
        raise StorageError(advice) from error


def _advice(error: OSError, folder: Path, choice: str) -> str:
    if error.errno in _CANNOT_WRITE:
        return (
            f"Cannot write below {folder}: {error.strerror}. Nothing half-written was left. Free "
            f"some space, or choose a folder you can write to: {choice}."
        )
    named = error.filename2 or error.filename
    if not isinstance(named, str | bytes | os.PathLike):
        return ""
    file = Path(os.fsdecode(named))
    if error.errno in _IN_THE_WAY and (os.path.lexists(file) or error.errno != errno.EEXIST):
        return (
            f"{_nearest(file)} is in the way of what is written below {folder} "
            f"({error.strerror}). Move it away, or choose another destination."
        )
    # mkdir says "exists" of a folder that is removed before mkdir looks again.
    if error.errno in (errno.ENOENT, errno.EEXIST) and file.is_relative_to(folder):
        return f"{folder} was removed, or files in it were, while it was written to. Run it again."
    return ""


def _nearest(path: Path) -> Path:
    """The path, or its nearest parent that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def fsync(path: Path) -> None:
    """Write a file, or on POSIX a folder, through to the disk, if the file system can."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)
