"""Instance masks and groups of an open store: what lies in it, or else computed and kept."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

from bmgd_data import groups
from bmgd_data._ingest import build
from bmgd_data._store import store
from bmgd_data._system import disk, home
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DatasetNotFoundError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bmgd_data._store.store import Instances, Store
    from bmgd_data.groups import Groups

T = TypeVar("T")


def labelled(opened: Store, method: str, root: Path) -> Instances:
    """Instance masks of a store; what is missing is computed and kept for the next time.

    On a read-only root they are computed in memory, with a warning.

    Raises:
        DatasetNotFoundError: "provided", where the archive brought none.
    """

    def compute() -> Instances:
        with bar(f"{method} of {opened.condition.name}", len(opened)) as progress:
            return build.derive(opened, method, progress)

    if method == "provided" and not opened.has(method):
        raise DatasetNotFoundError(
            f"The archive of {opened.condition.name} brought no instance labels. Use "
            "instances='components' (as they are in the mask) or 'watershed' (touching nuclei "
            "split)."
        )
    return _kept(
        opened,
        method,
        root,
        read=lambda: opened.instances(method),
        compute=compute,
        keep=lambda found: build.keep(opened, method, found),
    )


def grouped(opened: Store, root: Path) -> Groups:
    """Which images of a store show one colony; computed at the first call and kept.

    On a read-only root they are computed in memory, with a warning.
    """
    name = f"{store.GROUPS}{groups.VERSION}"

    def compute() -> Groups:
        with bar(f"groups of {opened.condition.name}", len(opened)) as progress:
            return groups.find(opened.index.names, opened.images, progress)

    def keep(found: Groups) -> None:
        with disk.staged(opened.path / name) as folder:
            store.write_index(folder, found.to_plain())

    return _kept(
        opened,
        name,
        root,
        read=lambda: groups.Groups.from_plain(opened.sealed(name)),
        compute=compute,
        keep=keep,
    )


def _kept(
    opened: Store,
    name: str,
    root: Path,
    *,
    read: Callable[[], T],
    compute: Callable[[], T],
    keep: Callable[[T], object],
) -> T:
    """Read a folder of the store; where it is missing, compute what it holds and put it there."""
    if opened.has(name):
        return read()
    try:
        with home.lock(root, f"{opened.path.name}-{name}"):
            if not opened.has(name):
                disk.sweep(opened.path / name)
                keep(compute())
            return read()
    except StorageError:
        # Named by the root, so that Python shows it once for all conditions.
        what = "groups" if name.startswith(store.GROUPS) else f"instances={name!r}"
        warnings.warn(
            f"{root} is full or cannot be written: {what} are computed in memory, each time "
            "again. Let its owner read them once, and they are kept.",
            BMGDWarning,
            stacklevel=3,
        )
        return compute()
