"""Where data lives, whether the network may be used, and who may build.

    <root>/
      sources/<source>/<condition>.json   what was seen of a source's archive, and is trusted
      archives/<source>/250 Pa.7z ...     what was downloaded or generated
      stores/<condition>-<key>-v<n>/      what samples are read from
      locks/                              empty files that processes wait at

An argument beats the environment, but for BMGD_OFFLINE, which always holds: BMGD_HOME (root),
BMGD_SOURCE, BMGD_CHECKSUMS, BMGD_QUIET.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("bmgd_data")

_NO = {"", "0", "false", "no", "off"}


def root(path: str | os.PathLike[str] | None = None) -> Path:
    """The folder that everything is kept in; not created by asking.

    Args:
        path: The folder, or None for BMGD_HOME, or else the user's cache folder.

    Returns:
        An absolute path.
    """
    chosen = path or os.environ.get("BMGD_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("bmgd", appauthor=False)


def switched_on(variable: str) -> bool:
    """Whether an environment variable says yes: set, and not 0, false, no or off."""
    return os.environ.get(variable, "").strip().lower() not in _NO


def offline() -> bool:
    """Whether BMGD_OFFLINE forbids the network."""
    return switched_on("BMGD_OFFLINE")


@contextlib.contextmanager
def lock(root: Path, name: str) -> Iterator[None]:
    """Let one process at a time do the work called `name`; the others wait.

    It only saves work: what makes a store whole or absent is the rename in ``disk.staged``.

    Raises:
        StorageError: The root cannot be written, or its file system knows no locks.
    """
    from filelock import FileLock, Timeout

    path = root / "locks" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # As open to colleagues as the folder is, so that whoever may write there may also wait.
        guard = FileLock(path, mode=0o600 | path.parent.stat().st_mode & 0o666)
        try:
            guard.acquire(timeout=0)
        except Timeout:
            log.info("waiting for another process to prepare %s", name)
            guard.acquire()
    except (OSError, NotImplementedError) as error:  # the latter of a file system without flock
        why = getattr(error, "strerror", None) or error
        raise StorageError(
            f"Cannot write to {root} ({why}). Set BMGD_HOME, or root=, to a folder you can write "
            "to, or ask its owner to run `bmgd download` there."
        ) from error
    try:
        yield
    finally:
        guard.release()
