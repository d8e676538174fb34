"""The augmentation that the paper suggests: what its forms for PyTorch and TensorFlow share.

The place in the image of each output pixel is a sum of three parts: the middle of the cut, the
pixel's distance from it (negative along a flipped axis), and a smooth displacement. All three are
one product of small matrices::

    places = rows @ core @ columns.T    (h, w), for each axis of the image

`rows` is (h, 2 + a) and `columns` (w, 2 + b), see `lines`: a column of ones, the distance from the
middle, and Gaussian bumps. `core` (2 + a, 2 + b) holds what is drawn: ``core[0, 0]`` the middle,
``core[1, 0]`` or ``core[0, 1]`` the direction, and from ``core[2, 2]`` on the noise of the bumps.

Bumps are whole multiples of 1/64 and noise of half a pixel, so places are multiples of 2**-13, and
float32 holds every sum exactly up to 1024 pixels from the middle. So places do not depend on batch
size, number of threads or device. The rounding changes the field's correlations by at most 0.02.
"""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_REACH: Final = 4
"""Bumps this many standard deviations beyond the border still shape the field within it."""
_STEP: Final = 64
"""Bumps are whole multiples of 1 / _STEP."""
LEVELS: Final = 4096
"""Noise takes this many values, equally likely."""
DRAWN: Final = 2**24
"""Numbers are drawn from 0..DRAWN - 1."""
OFF_TIES: Final = 2.0**-14
"""Added to every place, in pixels: without it, exact sums may lie midway between two pixels, where
devices choose the nearest one differently."""
CHANGES: Final = 5
"""Numbers drawn for an image besides the noise: `ROW`, `COLUMN`, and so on."""
ROW, COLUMN, FLIP, BRIGHTNESS, CONTRAST = range(CHANGES)


@dataclass(frozen=True)
class Strengths:
    """The arguments of `protocol`, checked.

    Raises:
        ValueError: A number is outside its range.
    """

    crop: int | tuple[int, int] = 224
    flip: float = 0.5
    displacement: float = 2.0
    smoothness: float = 10.0
    brightness: float = 0.2
    contrast: float = 0.2

    def __post_init__(self) -> None:
        valid = {
            "crop": min(self.size) >= 1,
            "flip": 0 <= self.flip <= 1,
            "displacement": 0 <= self.displacement < math.inf,
            "smoothness": 0 < self.smoothness < math.inf,
            "brightness": 0 <= self.brightness <= 1,
            "contrast": 0 <= self.contrast <= 1,
        }
        if bad := [name for name, is_valid in valid.items() if not is_valid]:
            raise ValueError(
                f"protocol(): {', '.join(bad)} outside the valid range. crop is a whole number of "
                "at least 1, or two of them (height, width); displacement is at least 0, "
                "smoothness above 0; flip, brightness and contrast are between 0 and 1."
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what is cut out."""
        if isinstance(self.crop, int):
            return self.crop, self.crop
        height, width = map(operator.index, self.crop)
        return height, width

    @property
    def lines(self) -> tuple[Floats, Floats]:
        """`lines` of the rows and of the columns."""
        height, width = (lines(side, self.smoothness) for side in self.size)
        return height, width

    @property
    def levels(self) -> Floats:
        """(LEVELS,) the values of the noise, in pixels: those of a normal distribution."""
        from scipy.special import ndtri

        normal = ndtri((np.arange(LEVELS) + 0.5) / LEVELS)
        steps = np.rint(2 * self.displacement * normal) / 2
        return np.asarray(steps, np.float32)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in asdict(self).items())


def lines(size: int, smoothness: float) -> Floats:
    """What describes the pixels along one axis.

    Args:
        size: Pixels along the axis.
        smoothness: Standard deviation of a bump, and distance between two, in pixels.

    Returns:
        (size, 2 + bumps) float32: ones; distances from the middle in pixels; how much each Gaussian
        bump adds to each pixel. The squares of a pixel's bumps sum up to about 1, so a field of
        unit noise has unit variance everywhere.
    """
    along = np.arange(size) - (size - 1) / 2
    count = math.ceil(size / smoothness) + 2 * _REACH
    middles = smoothness * (np.arange(count) - (count - 1) / 2)
    weights = np.exp(-0.5 * ((along[:, None] - middles) / smoothness) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    columns = [np.ones(size), along, np.rint(_STEP * weights) / _STEP]
    return np.column_stack(columns).astype(np.float32)
