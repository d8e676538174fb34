"""BMGD, the Breast Mammary Gland Dataset: nuclei images with masks, as trustworthy samples.

    from bmgd_data import BMGD    # a torch Dataset
    from bmgd_data import Reader  # the same samples as numpy arrays

Names and submodules (``bmgd_data.metrics``, ``bmgd_data.export``, ...) are imported when they are
first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any, Final

from bmgd_data.errors import (
    BMGDError,
    BMGDWarning,
    ChecksumError,
    CorruptArchiveError,
    DamagedArchiveError,
    DatasetNotFoundError,
    DownloadError,
    MissingDependencyError,
    StorageError,
)

if TYPE_CHECKING:
    from bmgd_data.reader import Reader as Reader
    from bmgd_data.reader import Sample as Sample
    from bmgd_data.torch import BMGD as BMGD

__version__ = "0.2.0"

_HOMES: Final = {"BMGD": "torch", "Reader": "reader", "Sample": "reader"}
_NEEDS: Final = {
    "BMGD": ("torch",),
    "augment": ("torchvision",),
    "hf": ("datasets",),
    "lightning": ("lightning", "pytorch_lightning"),
    "tf": ("tensorflow",),
    "tfds": ("tensorflow_datasets",),
    "torch": ("torch",),
}
"""Names and submodules of optional frameworks, any one of which will do."""


def _is_usable(name: str) -> bool:
    return name not in _NEEDS or any(map(importlib.util.find_spec, _NEEDS[name]))


# Names whose framework is missing are left out, so that `import *` and help() work.
__all__ = [  # noqa: PLE0604
    "BMGDError",
    "BMGDWarning",
    "ChecksumError",
    "CorruptArchiveError",
    "DamagedArchiveError",
    "DatasetNotFoundError",
    "DownloadError",
    "MissingDependencyError",
    "StorageError",
    "__version__",
    *filter(_is_usable, _HOMES),
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    modules = [module.name for module in pkgutil.iter_modules(__path__)]
    public = [name for name in modules if not name.startswith("_") and _is_usable(name)]
    return sorted({*__all__, *public})
