"""The TensorFlow Datasets adapter: after importing it, ``tfds.load("bmgd")`` works.

    import tensorflow_datasets as tfds
    import bmgd_data.tfds

    train = tfds.load("bmgd/1200Pa", split="train")

After `prepare`, or ``bmgd tfds``, ``tfds.load("bmgd")`` works without this import.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bmgd_data.errors import READER, MissingDependencyError

# tensorflow-datasets needs importlib_resources without declaring it, and imports it late.
_NEEDED: Final = ("tensorflow_datasets", "tensorflow", "importlib_resources")

if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
    raise MissingDependencyError(
        f"TFDS records need {', '.join(missing)}, not installed here: pip install "
        f'"bmgd-data[tfds]". {READER}'
    )

from bmgd_data.tfds.bmgd_dataset_builder import Builder  # noqa: E402 - after the check

if TYPE_CHECKING:
    import os

__all__ = ["Builder", "prepare"]


def prepare(
    config: str | int = "all",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    source: str | os.PathLike[str] | None = None,
    download: bool = True,
    scheme: str = "random",
    instances: str = "components",
    file_format: str = "tfrecord",
) -> Path:
    """Write the records, so that other processes load them without importing this package.

    Existing records are checked and kept.

    Args:
        config: "all", or one stiffness: "250Pa", "950Pa", "1200Pa", "1800Pa" (or 1200, "1200 Pa").
        data_dir: TFDS's folder; None as in `Builder`.
        root: Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.
        source: "upstream", "phantom" (generated data), an archive, a folder with the archives or
            the unpacked folders, a ZIP of the repository, or the base URL of a mirror. None:
            BMGD_SOURCE, or upstream.
        download: Whether the network may be used. BMGD_OFFLINE=1 forbids it too.
        scheme: How splits are drawn: "random" (80:10:10 of each stiffness) or "grouped" (likewise,
            images of one colony together).
        instances: How nuclei are told apart: "components" (8-connected), "watershed" (touching
            nuclei split) or "provided" (label images of the archive, where it has any).
        file_format: "tfrecord" for ``tfds.load``, "array_record" for ``tfds.data_source``.

    Returns:
        The `data_dir` that the records can be loaded from.

    Raises:
        BMGDError: The data cannot be read, or `data_dir` holds other data.
        ValueError: An argument is not valid.
    """
    builder = Builder(
        config=config,
        data_dir=data_dir,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
        file_format=file_format,
    )
    builder.download_and_prepare()
    return Path(builder.data_dir_root)
