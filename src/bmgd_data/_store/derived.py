"""Instance masks and groups of an open store: what lies in it, or else computed and kept."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bmgd_data import groups, instances
from bmgd_data._store import store
from bmgd_data._store.arrays import ArrayFile
from bmgd_data._store.store import LABELS, Instances, write_side
from bmgd_data._system import disk, locks
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DatasetNotFoundError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bmgd_data._store.store import Store
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
            return derive(opened, method, progress)

    if method == "provided" and not opened.has(method):
        why = opened.index.unused_labels
        brought = f"label files, but {why}" if why else "no instance labels"
        raise DatasetNotFoundError(
            f"The archive of {opened.condition.name} brought {brought}. Use "
            "instances='components' (as they are in the mask) or 'watershed' (touching nuclei "
            "split)."
        )
    return _kept(
        opened,
        method,
        root,
        read=lambda: opened.instances(method),
        compute=compute,
        keep=lambda found: keep_instances(opened, method, found),
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
        with locks.lock(root, f"{opened.path.name}-{name}") as alone:
            if not opened.has(name):
                if alone:
                    disk.sweep(opened.path / store.folder_of(name))
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


def derive(
    opened: Store, method: str, progress: Callable[[int], object] | None = None
) -> Instances:
    """Compute instance masks in memory: (N, H, W) uint16, read-only, and the nuclei per image."""
    labels = np.empty(opened.index.shape, np.uint16)
    for row, mask in enumerate(opened.masks):
        labels[row] = instances.DERIVED[method](mask)
        if progress is not None:
            progress(1)
    labels.flags.writeable = False  # as those that lie in a store are
    return Instances(labels, [int(image.max()) for image in labels])


def keep_instances(opened: Store, method: str, found: Instances) -> None:
    """Put computed instance masks into the store, whole or not at all.

    Raises:
        StorageError: The disk is full or not writable.
    """
    with disk.staged(opened.path / store.folder_of(method)) as folder:
        # Not np.save, which hides "no space left" behind an error without its number.
        with contextlib.closing(ArrayFile(folder / LABELS, found.labels.shape)) as array:
            for row, labels in enumerate(found.labels):
                array.put(row, labels)
        write_side(folder, found.counts, disk.sha256(folder / LABELS))
