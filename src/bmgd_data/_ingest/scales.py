"""The scale of a stiffness's grey values: measured per image, decided for all.

Images are kept as they are. The full scale is what the float images of the adapters are divided by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._ingest.remarks import Remarks, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FULL_SCALES: Final = {8: 255, 12: facts.FULL_SCALE, 16: 65535}
"""The largest value by bit depth."""

_OVERSHOOT: Final = 1.15
"""Of the full scale: bicubic and Lanczos resampling exceed the largest value by less."""
_HOT_SHARE, _HOT_PIXELS = 0.001, 4  # of an image: hot pixels, which are on no scale
_LEVEL: Final = 0.999  # share of pixels at or below an image's level: hot pixels are above
_APART: Final = 8  # a scale of 8 bits is 16 times smaller than one of 12


class Grey(NamedTuple):
    """The figures that are kept of an image's grey values."""

    minimum: int
    maximum: int
    total: int
    """Sum of the pixels."""
    squares: int
    """Sum of the squared pixels."""
    middle: int
    """The median: the background, in most images."""
    level: int
    """99.9 % of the pixels are at most this."""
    above: int
    """Pixels above 4095."""
    depth: int
    """8, 12 or 16: the smallest number of bits that holds all pixels but a small overshoot."""
    bits: int
    """8 or 16: bits per pixel in the file."""


@dataclass
class Scale(Remarks):
    """What is decided for all images of a stiffness."""

    full: int = 0
    """255, 4095 or 65535."""


def measure(counts: NDArray[np.intp], bits: int) -> Grey:
    """Measure an image of so many `bits` per pixel from ``np.bincount(image.ravel())``."""
    values = np.arange(len(counts))
    below = counts.cumsum()
    size = int(below[-1])
    maximum = len(counts) - 1
    far = int(counts[int(FULL_SCALES[12] * _OVERSHOOT) + 1 :].sum())
    is_wide = far > max(_HOT_PIXELS, _HOT_SHARE * size)
    return Grey(
        minimum=int((below > 0).argmax()),
        maximum=maximum,
        total=int(counts @ values),
        squares=int(counts @ values**2),
        middle=int(below.searchsorted(size / 2)),
        level=int(below.searchsorted(_LEVEL * size)),
        above=int(counts[FULL_SCALES[12] + 1 :].sum()),
        depth=8 if maximum <= FULL_SCALES[8] else 16 if is_wide else 12,
        bits=bits,
    )


def decide(greys: Sequence[Grey], names: Sequence[str]) -> Scale:
    """Decide the full scale of a stiffness, and find the images that do not fit it."""
    depths = [grey.depth for grey in greys]
    most = max(FULL_SCALES, key=lambda depth: (depths.count(depth), depth))
    usual = [grey for grey in greys if grey.depth == most]
    level = float(np.median([grey.level for grey in usual]))
    middle = float(np.median([grey.middle for grey in usual]))
    scale = Scale(full=FULL_SCALES[most])

    def is_on_another(grey: Grey) -> bool:
        """Whether an image is on another scale than most, and not only darker."""
        if grey.minimum == grey.maximum or grey.depth == most:
            return False
        stretched = grey.maximum == FULL_SCALES[grey.depth]
        darker = grey.level * _APART <= level and grey.middle * _APART / 2 <= middle
        return grey.bits != usual[0].bits or grey.depth > most or stretched or darker

    if other := [row for row, grey in enumerate(greys) if is_on_another(grey)]:
        tops = sorted(greys[row].maximum for row in other)
        scale.doubts.append(
            f"scales: {len(other)} of {len(greys)} images reach up to {tops[0]}..{tops[-1]}, "
            f"where the others are on a scale of 0..{scale.full} (99.9 % of their pixels within "
            f"{level:.0f}). They may be rescaled to 8 bits or shifted. Look at "
            f"{some(names[row] for row in other)}."
        )
    if most != facts.BIT_DEPTH:
        highest = max(grey.maximum for grey in greys)
        unused_bits = most < min(grey.bits for grey in usual)
        scale.notes.append(
            f"16-bit files with values 0..{highest} only: were they rescaled to 8 bits?"
            if unused_bits
            else f"images with values 0..{highest}, where the paper has 0..{facts.FULL_SCALE}"
        )
    elif exceeding := [grey for grey in usual if grey.above]:
        scale.notes.append(
            f"{sum(grey.above for grey in exceeding)} pixels in {len(exceeding)} images exceed "
            f"{facts.FULL_SCALE}, by up to {max(g.maximum for g in exceeding) - facts.FULL_SCALE}; "
            "they are kept as they are"
        )
    return scale
