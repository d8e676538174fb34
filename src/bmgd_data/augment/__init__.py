"""The augmentation that the paper suggests, for PyTorch; ``bmgd_data.tf`` has it for TensorFlow.

The package itself is light: PyTorch is imported when `protocol` is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bmgd_data.augment._moves import Moves as Moves
    from bmgd_data.augment._torch import Protocol as Protocol
    from bmgd_data.augment._torch import protocol as protocol

__all__ = ["Protocol", "protocol"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from bmgd_data.augment import _torch

        return getattr(_torch, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
