"""Locks between processes. They only save work: a store is whole or absent with or without them."""

from __future__ import annotations

import contextlib
import errno
import logging
import warnings
from typing import TYPE_CHECKING, Final

from bmgd_data._system import disk, home
from bmgd_data.errors import BMGDWarning, StorageError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import BaseFileLock

SAY_AFTER_S: Final = 5.0
"""Seconds after which a wait is logged."""
GIVE_UP_AFTER_S: Final = 1800.0
"""Seconds after which the holder counts as stopped, or as killed on another host."""

log = logging.getLogger("bmgd_data")

_NO_LOCKS: Final = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
"""Answers to flock of file systems without locks."""


@contextlib.contextmanager
def lock(root: Path, name: str) -> Iterator[bool]:
    """Let one process at a time do the work called `name`; the others wait.

    The lock's file stays, unless the work fails. filelock before 3.21 may not notice that it was
    removed; then two processes do the same work.

    Yields:
        Whether the lock is held. It is not where the file system has no locks, or where another
        process holds it for half an hour; a warning says so.

    Raises:
        StorageError: The root cannot be written.
    """
    path = home.lock_file(root, name)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(disk.folder(path.parent))
            try:
                guard = _acquired(path, name)
            except FileNotFoundError:  # the holder failed, and removed the folder it had made
                path.parent.mkdir(parents=True, exist_ok=True)
                guard = _acquired(path, name)
        except OSError as error:
            raise StorageError(
                f"Cannot write to {root} ({error.strerror or error}). Set BMGD_HOME, or root=, to "
                "a folder you can write to, or ask its owner to run `bmgd download` there."
            ) from error
        if guard is None:
            yield False
            return
        try:
            yield True
        except BaseException:
            with contextlib.suppress(OSError):  # Windows removes no open files
                path.unlink()
            raise
        finally:
            guard.release()


def _acquired(path: Path, name: str) -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    # With the folder's permissions: all users who may write there may also wait.
    guard = FileLock(path, mode=0o600 | path.parent.stat().st_mode & 0o666)
    try:
        try:
            guard.acquire(timeout=SAY_AFTER_S)
        except Timeout:
            wait = f"Waiting for another process to prepare {name}, at {path}. If none is running, "
            log.warning("%s", printable(f"{wait}remove that file."))
            guard.acquire(timeout=GIVE_UP_AFTER_S)
    except Timeout:
        why = f"{path} has been held by another process for {GIVE_UP_AFTER_S:.0f} s"
    except (OSError, NotImplementedError) as error:  # the latter from filelock, for ENOSYS
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        why = f"The file system of {path.parent} has no locks"
    else:
        return guard
    warnings.warn(
        f"{why}, so the work is done without a lock. The result is the same; if several processes "
        "start at once, each does the work.",
        BMGDWarning,
        stacklevel=4,
    )
    return None
