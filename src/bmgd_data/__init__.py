"""BMGD, the Breast Mammary Gland Dataset: nuclei images with masks, as trustworthy samples.

    from bmgd_data import BMGD# a torch Dataset
    from bmgd_data import Reader# the same samples as numpy arrays

Names are imported when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bmgd_data.errors import BMGDError as BMGDError
    from bmgd_data.errors import BMGDWarning as BMGDWarning
    from bmgd_data.errors import ChecksumError as ChecksumError
    from bmgd_data.errors import CorruptArchiveError as CorruptArchiveError
    from bmgd_data.errors import DatasetNotFoundError as DatasetNotFoundError
    from bmgd_data.errors import DownloadError as DownloadError
    from bmgd_data.errors import MissingDependencyError as MissingDependencyError
    from bmgd_data.errors import StorageError as StorageError
    from bmgd_data.reader import Reader as Reader
    from bmgd_data.reader import Sample as Sample
    from bmgd_data.torch import BMGD as BMGD

__version__ = "0.2.0"

_HOMES: Final = {
    "BMGD": "torch",
    "BMGDError": "errors",
    "BMGDWarning": "errors",
    "ChecksumError": "errors",
    "CorruptArchiveError": "errors",
    "DatasetNotFoundError": "errors",
    "DownloadError": "errors",
    "MissingDependencyError": "errors",
    "Reader": "reader",
    "Sample": "reader",
    "StorageError": "errors",
}
_NEEDS: Final = {"BMGD": "torch"}

__all__ = [  # noqa: PLE0604 - names whose framework is missing are left out, so `import *` works
    "__version__",
    *(name for name in _HOMES if importlib.util.find_spec(_NEEDS.get(name, "bmgd_data"))),
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
