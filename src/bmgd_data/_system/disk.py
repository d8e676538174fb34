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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTIAL: Final = ".partial"
_CANNOT_SYNC: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}
_CANNOT_WRITE: Final = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM),
    errno.ENAMETOOLONG,
}
_IN_THE_WAY: Final = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR}


@contextlib.contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give a private folder beside `final`, and make it `final` when the block ends well.

    If `final` exists by then, another process has made the same content, and this one is dropped.

    Args:
        final: The folder to be.

    Yields:
        The folder to write into, a `scratch` folder.

    Raises:
        StorageError: The disk is full or not writable; nothing is left behind.
    """
    with scratch(final) as partial:
        yield partial
        for path in partial.rglob("*"):
            fsync(path)
        fsync(partial)
        try:
            partial.rename(final)
        except OSError:
            if not final.is_dir():
                raise
        fsync(final.parent)


@contextlib.contextmanager
def staged_file(final: Path) -> Iterator[Path]:
    """Give a private file name, and make it `final` when the block ends well.

    Raises:
        StorageError: As `staged`.
    """
    partial = _partial(final)
    with explained(final.parent), folder(final.parent):
        try:
            yield partial
            fsync(partial)
            partial.replace(final)  # nothing is left after this step, even by a kill
            fsync(final.parent)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch(final: Path) -> Iterator[Path]:
    """Give a private folder beside `final`, on the same file system; it goes when the block ends.

    A process that is killed leaves a ``.<name>-*.partial`` folder, which `sweep` removes.

    Raises:
        StorageError: As `staged`.
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
    """Make a folder, with those above it; if the block fails, remove those that it made again."""
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
    """Remove what killed processes left of `final`. Only the holder of its lock may call this."""
    for left in final.parent.glob(f".{glob.escape(final.name)}-*{_PARTIAL}"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                left.unlink()


def discard(folder: Path) -> None:
    """Remove a folder, which vanishes whole before its files go one by one.

    What cannot be removed keeps a name that `sweep` knows, and may be discarded again.

    Raises:
        StorageError: No permission to, or another program holds it open.
    """
    doomed = folder if folder.name.endswith(_PARTIAL) else _partial(folder)
    try:
        if doomed != folder:
            folder.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        left = doomed if doomed.exists() else folder
        raise StorageError(
            f"{left} cannot be removed: {error.strerror}. Close programs that use it, or ask its "
            "owner; then try again."
        ) from error


def _partial(final: Path) -> Path:
    """An unused name beside `final`, which `sweep` knows."""
    return final.with_name(f".{final.name}-{secrets.token_hex(4)}{_PARTIAL}")


def write_json(path: Path, content: Any) -> None:
    """Write `content` so that readers see the old file or the new one, never half of one."""
    with staged_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: Any) -> str:
    """The sha256 of plain data (lists, dicts, strings, numbers), the same on every machine."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def require_space(folder: Path, need: int, what: str) -> None:
    """Stop before a disk runs full.

    Args:
        folder: Where it will be written; the nearest existing parent is asked.
        need: Bytes needed.
        what: What they are needed for, e.g. ``"to download 250 Pa.7z"``.

    Raises:
        StorageError: Fewer bytes are free.
    """
    there = _nearest(folder)
    free = shutil.disk_usage(there).free
    if free < need:
        raise StorageError(
            f"{need / 1e6:,.0f} MB are needed {what}, but {there} has {free / 1e6:,.0f} MB free. "
            "Free some space, or set BMGD_HOME, or root=, to a folder on a larger disk."
        )


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the system says of a folder that is written to into errors that say what to do.

    Raises:
        StorageError: No space, no permission, a file in the way, or the folder was removed.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError) or not (told := _told(error, folder)):
            raise
        raise StorageError(told) from error


def _told(error: OSError, folder: Path) -> str:
    if error.errno in _CANNOT_WRITE:
        return (
            f"Cannot write below {folder}: {error.strerror}. Nothing half-written was left. Free "
            "some space, or choose a folder you can write to: BMGD_HOME or root= for the data, "
            "another destination for what is exported."
        )
    names = [
        n for n in (error.filename2, error.filename) if isinstance(n, str | bytes | os.PathLike)
    ]
    if not names:
        return ""
    file = Path(os.fsdecode(names[0]))
    there = os.path.lexists(file)
    if error.errno in _IN_THE_WAY and (there or error.errno != errno.EEXIST):
        return (
            f"{_nearest(file)} is in the way of what is written below {folder} "
            f"({error.strerror}). Move it away, or choose another destination."
        )
    # mkdir says "exists" of a folder that was there, and is removed before it looks again.
    if error.errno in (errno.ENOENT, errno.EEXIST) and file.is_relative_to(folder):
        return f"{folder} was removed, or files in it were, while it was written to. Run it again."
    return ""


def _nearest(path: Path) -> Path:
    """The path, or the nearest one above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def fsync(path: Path) -> None:
    """Push a file, or on POSIX a folder, to the disk, so that a power cut cannot take it back.

    Some file systems cannot, and do without.
    """
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
