"""The augmentation that the paper suggests: what its forms for PyTorch and TensorFlow share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH: Final = 4
"""Bumps this many standard deviations beyond the border still shape the field within it."""


def check(  # noqa: PLR0917 - in the order of `protocol`
    crop: int,
    flip: float,
    displacement: float,
    smoothness: float,
    brightness: float,
    contrast: float,
) -> None:
    """Check the arguments of `protocol`.

    Raises:
        ValueError: A number is outside its range.
    """
    valid = {
        "crop": crop >= 1,
        "flip": 0 <= flip <= 1,
        "displacement": displacement >= 0,
        "smoothness": smoothness > 0,
        "brightness": 0 <= brightness <= 1,
        "contrast": 0 <= contrast <= 1,
    }
    if bad := [name for name, is_valid in valid.items() if not is_valid]:
        raise ValueError(
            f"protocol(): {', '.join(bad)} outside the valid range. crop is at least 1, "
            "displacement at least 0, smoothness above 0; flip, brightness and contrast are "
            "between 0 and 1."
        )


def bumps(size: int, smoothness: float) -> NDArray[np.float32]:
    """Gaussian bumps that turn coarse noise into a smooth field along one axis.

    Args:
        size: Pixels along the axis.
        smoothness: Standard deviation of a bump, and distance between two, in pixels.

    Returns:
        (size, bumps) float32, how much each bump adds to each pixel. The squares of a pixel sum up
        to 1, so a field of unit noise has unit variance everywhere.
    """
    count = math.ceil(size / smoothness) + 2 * _REACH
    middles = (size - 1) / 2 + smoothness * (np.arange(count) - (count - 1) / 2)
    weights = np.exp(-0.5 * ((np.arange(size)[:, None] - middles) / smoothness) ** 2)
    scaled: NDArray[np.float32] = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    return scaled.astype(np.float32)
