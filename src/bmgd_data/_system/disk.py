"""Writes that are whole or absent, digests, and free space."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTIAL = ".partial"


@contextlib.contextmanager
def scratch(final: Path) -> Iterator[Path]:
    """Give a private folder beside `final`, on the same file system; it goes when the block ends.

    A process that is killed leaves a ``.<name>-*.partial`` folder, which `sweep` removes.

    Raises:
        StorageError: The disk is full or not writable; nothing is left behind.
    """
    partial = _partial(final)
    with explained(final.parent):
        try:
            partial.mkdir(parents=True)
            yield partial
        finally:
            _remove(partial)


@contextlib.contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Give a private folder beside `final`, and make it `final` when the block ends well.

    Where `final` has come into being meanwhile, another process won with the same content, and
    ours is dropped.

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


def _partial(final: Path) -> Path:
    """A name beside `final` that nobody else has, and that `sweep` knows."""
    return final.with_name(f".{final.name}-{secrets.token_hex(4)}{_PARTIAL}")


def sweep(final: Path) -> None:
    """Remove what killed processes left of `final`. Only the holder of its lock may call this."""
    for litter in final.parent.glob(f".{_escaped(final.name)}-*{_PARTIAL}"):
        if litter.is_dir() and not litter.is_symlink():
            _remove(litter)
        else:
            with contextlib.suppress(OSError):
                litter.unlink()


def _remove(folder: Path) -> None:
    """Remove a folder of ours as well as can be."""
    _open_up(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _open_up(folder: Path) -> None:
    """Take the rights to a folder of ours that an odd umask, or somebody, has taken from us."""
    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IRWXU)
        for parent, folders, _ in os.walk(folder):  # each is opened before it is walked into
            for inner in (Path(parent, name) for name in folders):
                if not inner.is_symlink():
                    inner.chmod(stat.S_IRWXU)


def discard(folder: Path) -> None:
    """Remove a folder, which vanishes whole before its files go one by one.

    What cannot be removed keeps a name that `sweep` knows, and may be discarded again.

    Raises:
        StorageError: No right to, or another program holds it open.
    """
    doomed = folder if folder.name.endswith(_PARTIAL) else _partial(folder)
    try:
        if doomed != folder:
            folder.rename(doomed)
        _open_up(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        left = doomed if doomed.exists() else folder
        raise StorageError(
            f"{left} cannot be removed: {error.strerror}. Close what may be using it, or ask its "
            "owner; then try again."
        ) from error


@contextlib.contextmanager
def staged_file(final: Path) -> Iterator[Path]:
    """Give a private file name beside `final`, and make it `final` when the block ends well."""
    partial = _partial(final)
    with explained(final.parent):
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            fsync(partial)
            partial.replace(final)
            fsync(final.parent)
        finally:
            partial.unlink(missing_ok=True)


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


def require_space(folder: Path, need: int, what: str) -> None:
    """Stop before a disk runs full.

    Args:
        folder: Where it will be written; the nearest existing parent is asked.
        need: Bytes needed.
        what: What they are needed for, e.g. ``"to download 250 Pa.7z"``.

    Raises:
        StorageError: Fewer bytes are free.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < need:
        raise StorageError(
            f"{_megabytes(need)} are needed {what}, but {folder} has {_megabytes(free)} free. "
            "Free some space, or set BMGD_HOME, or root=, to a folder on a larger disk."
        )


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn "no space left", "not permitted" and "gone" into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        if _tells_of_removal(error, folder):
            raise StorageError(
                f"{folder} was removed, or files in it were, while it was written to. Run it again."
            ) from error
        # pooch raises PermissionErrors of its own making, without a number.
        forbidden = isinstance(error, PermissionError)
        if not (forbidden or error.errno in _STORAGE_FAULTS) or isinstance(error, StorageError):
            raise
        raise StorageError(
            f"Cannot write below {folder}: {error.strerror or error}. "
            "Nothing half-written was left. Free some space, or choose a folder you can write to: "
            "BMGD_HOME or root= for the data, another destination for what is exported."
        ) from error


def _tells_of_removal(error: OSError, folder: Path) -> bool:
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return False
    file = Path(os.fsdecode(error.filename))
    # mkdir, too, where a folder is there and then is not: it has seen one, and says that it exists.
    removed = error.errno == errno.ENOENT or (
        error.errno == errno.EEXIST and not os.path.lexists(file)
    )
    return removed and file.is_relative_to(folder)


_STORAGE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


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


_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
