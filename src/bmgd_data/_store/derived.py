"""Instance masks and groups of an open store: read from it, or else computed and kept in it."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np

from bmgd_data import instances
from bmgd_data._store import store
from bmgd_data._store.arrays import ArrayFile
from bmgd_data._store.store import Instances
from bmgd_data._system import disk, home, locks
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DatasetNotFoundError, StorageError
from bmgd_data.splits import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bmgd_data._store.store import Store
    from bmgd_data.splits.groups import Groups

    Progress = Callable[[int], object]

T = TypeVar("T")

_COMPUTED: Final[dict[Path, Any]] = {}
"""What could not be kept, by the folder that would have it. A folder's name has the data's key."""


def labelled(opened: Store, method: str, root: Path) -> Instances:
    """Instance masks of a store; missing ones are computed and kept for the next time.

    On a read-only root they are computed in memory, once in this process, with a warning.

    Raises:
        DatasetNotFoundError: "provided", where the archive has none.
    """
    if method == "provided" and not opened.has(method):
        why = opened.index.unused_labels
        held = f"label files, but {why}" if why else "no instance labels"
        raise DatasetNotFoundError(
            f"The archive of {opened.condition.name} has {held}. Use "
            "instances='components' (as they are in the mask) or 'watershed' (touching nuclei "
            "split)."
        )

    def compute(progress: Progress) -> Instances:
        labels = np.empty(opened.index.shape, np.uint16)
        for row, mask in enumerate(opened.masks):
            labels[row] = instances.DERIVED[method](mask)
            progress(1)
        labels.flags.writeable = False  # like those in a store
        return Instances(labels, [int(image.max()) for image in labels])

    def write(folder: Path, found: Instances) -> None:
        # np.save hides "no space left" behind an error without its number.
        with contextlib.closing(ArrayFile(folder / store.LABELS, found.labels.shape)) as array:
            for row, labels in enumerate(found.labels):
                array.put(row, labels)
        store.write_side(folder, found.counts, disk.sha256(folder / store.LABELS))

    return _kept(
        opened,
        store.folder_of(method),
        (f"instances={method!r}", f"bmgd download --instances {method}"),
        root,
        read=lambda: opened.instances(method),
        compute=compute,
        write=write,
    )


def grouped(opened: Store, root: Path) -> Groups:
    """Which images of a store show one colony; computed at the first call and kept.

    On a read-only root they are computed in memory, once in this process, with a warning.
    """
    folder = f"{store.GROUPS}{groups.VERSION}"
    return _kept(
        opened,
        folder,
        ("groups", "bmgd leaks"),
        root,
        read=lambda: groups.Groups.from_plain(opened.sealed(folder)),
        compute=lambda progress: groups.find(opened.index.names, opened.images, progress),
        write=lambda staged, found: store.write_index(staged, found.to_plain()),
    )


def _kept(
    opened: Store,
    folder: str,
    named: tuple[str, str],
    root: Path,
    *,
    read: Callable[[], T],
    compute: Callable[[Progress], T],
    write: Callable[[Path, T], object],
) -> T:
    """Read a folder of the store; where it is missing, compute its content and put it there.

    `named` is what it holds, and the command that makes it.
    """
    path, (what, command) = opened.path / folder, named

    def computed() -> T:
        with bar(f"{what} of {opened.condition.name}", len(opened)) as progress:
            return compute(progress)

    if path.is_dir():
        return read()
    try:
        with locks.lock(root, home.lock_name(root, path)) as alone:
            if not path.is_dir():
                if alone:
                    disk.sweep(path)
                found = computed()
                if not opened.path.is_dir():  # removed meanwhile; its mapped arrays stay readable
                    return found
                with disk.staged(path) as staged:
                    write(staged, found)
            return read()
    except StorageError:
        # The text names the root only, so that Python shows it once for all conditions.
        if path not in _COMPUTED:
            warnings.warn(
                f"{root} is full or cannot be written: {what} are computed in memory, again in "
                "each program. They are kept once somebody who may write there runs "
                f"`{command} --root {shlex.quote(str(root))}`, with the same --source if one is "
                "given.",
                BMGDWarning,
                stacklevel=3,
            )
            _COMPUTED[path] = computed()
        found = _COMPUTED[path]
        return cast("T", found)


def computed_of(paths: Sequence[Path], method: str) -> dict[Path, Any]:
    """What was computed in memory for these stores, by its folder, to be given to workers."""
    folders = (store.folder_of(method), f"{store.GROUPS}{groups.VERSION}")
    wanted = [path / folder for path in paths for folder in folders]
    return {path: _COMPUTED[path] for path in wanted if path in _COMPUTED}


def restore(computed: dict[Path, Any]) -> None:
    """Take over what another process computed."""
    for found in computed.values():
        if isinstance(found, Instances):
            found.labels.flags.writeable = False  # a pickle does not keep this
    _COMPUTED.update(computed)
