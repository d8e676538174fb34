"""Instance masks of an open store: those that lie in it, or else computed and kept."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from bmgd_data._ingest import build
from bmgd_data._system import disk, home
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning, DatasetNotFoundError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data._store.store import Instances, Store


def labelled(opened: Store, method: str, root: Path) -> Instances:
    """Instance masks of a store; what is missing is computed and kept for the next time.

    On a read-only root they are computed in memory, with a warning.

    Raises:
        DatasetNotFoundError: "provided", where the archive brought none.
    """
    if opened.has(method):
        return opened.instances(method)
    if method == "provided":
        raise DatasetNotFoundError(
            f"The archive of {opened.condition.name} brought no instance labels. Use "
            "instances='components' (as they are in the mask) or 'watershed' (touching nuclei "
            "split)."
        )
    try:
        with home.lock(root, f"{opened.path.name}-{method}"):
            if not opened.has(method):
                disk.sweep(opened.path / method)
                build.keep(opened, method, _derived(opened, method))
            return opened.instances(method)
    except StorageError:
        # Named by the root, so that Python shows it once for all conditions.
        warnings.warn(
            f"{root} is full or cannot be written: instances={method!r} are computed in memory, "
            "each time anew. Let its owner read them once, and they are kept.",
            BMGDWarning,
            stacklevel=2,
        )
        return _derived(opened, method)


def _derived(opened: Store, method: str) -> Instances:
    with bar(f"{method} of {opened.condition.name}", len(opened)) as progress:
        return build.derive(opened, method, progress)
