"""The TensorFlow Datasets adapter: after importing it, ``tfds.load("bmgd")`` works.

    import tensorflow_datasets as tfds
    import bmgd_data.tfds

    train = tfds.load("bmgd/1200Pa", split="train")

After `prepare`, or ``bmgd tfds``, ``tfds.load("bmgd")`` works without this import.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
    file_format: str = "tfrecord",
    **data: Any,
) -> Path:
    """Write the records, so that other processes load them without importing this package.

    Existing records are checked and kept.

    Args:
        config: "all", or one stiffness: "250Pa", "950Pa", "1200Pa", "1800Pa" (or 1200, "1200 Pa").
        data_dir: TFDS's folder; None as in `Builder`.
        file_format: "tfrecord" for ``tfds.load``, "array_record" for ``tfds.data_source``.
        data: Which data: root, source, download, scheme and instances, as `Builder` takes them.

    Returns:
        The `data_dir` that the records can be loaded from.

    Raises:
        BMGDError: The data cannot be read, or `data_dir` holds other data.
        ValueError: An argument is not valid.
    """
    builder = Builder(config=config, data_dir=data_dir, file_format=file_format, **data)
    builder.download_and_prepare()
    return Path(builder.data_dir_root)
