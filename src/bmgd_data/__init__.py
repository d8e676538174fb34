"""BMGD, the Breast Mammary Gland Dataset: nuclei images with masks, as trustworthy samples.

    from bmgd_data import BMGD    # a torch Dataset
    from bmgd_data import Reader  # the same samples as numpy arrays

Names and submodules (``bmgd_data.metrics``, ``bmgd_data.export``, ...) are imported at their first
use, so that importing the package is fast.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import errors
from bmgd_data.errors import *  # noqa: F403

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
"""Names and submodules that need an optional framework: any one of these."""


def _is_usable(name: str) -> bool:
    return name not in _NEEDS or any(map(importlib.util.find_spec, _NEEDS[name]))


# Names whose framework is missing are left out, so that `import *` and help() work.
__all__ = ["__version__", *filter(_is_usable, _HOMES)]  # noqa: PLE0604
__all__ += errors.__all__


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    modules = [module.name for module in pkgutil.iter_modules(__path__)]  # noqa: F405
    public = [name for name in modules if not name.startswith("_") and _is_usable(name)]
    return sorted({*__all__, *public})
