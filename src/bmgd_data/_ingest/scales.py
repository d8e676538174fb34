"""The scale of a stiffness's grey values: measured per image, decided for all.

Images are kept as they are. The full scale is what the float images of the adapters are divided by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._ingest.roles import some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FULL_SCALES: Final = {8: 255, 12: facts.FULL_SCALE, 16: 65535}
"""Largest value by bit depth."""

_OVERSHOOT: Final = 1.15
"""Of the full scale: bicubic and Lanczos resampling exceed the largest value by less."""
_HOT_SHARE, _HOT_PIXELS = 0.001, 4  # of an image: hot pixels, which are on no scale
_LEVEL: Final = 0.999  # the share of pixels at or below an image's level: hot pixels are above
_APART: Final = 8  # a scale of 8 bits is 16 times smaller than one of 12
_SHOWN: Final = 3


class Grey(NamedTuple):
    """What is kept of an image's grey values."""

    minimum: int
    maximum: int
    total: int
    """Sum of the pixels."""
    squares: int
    """Sum of the squared pixels."""
    middle: int
    """The median: the background, in most images."""
    level: int
    """What 99.9 % of the pixels do not exceed."""
    above: int
    """Pixels above 4095."""
    depth: int
    """8, 12 or 16: the smallest number of bits that holds all pixels but a small overshoot."""
    bits: int
    """8 or 16: what the file holds per pixel."""


class Scale(NamedTuple):
    """What is decided for all images of a stiffness."""

    full: int
    """255, 4095 or 65535."""
    notes: list[str]
    doubts: list[str]


def measure(counts: NDArray[np.intp], bits: int) -> Grey:
    """Measure the grey values of an image.

    Args:
        counts: Pixels of each grey value, ``np.bincount(image.ravel())``.
        bits: What its file held per pixel.
    """
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
    """Decide the full scale of a stiffness, and say which images do not fit it."""
    depths = np.array([grey.depth for grey in greys])
    most: int = max((8, 12, 16), key=lambda depth: (int((depths == depth).sum()), depth))
    usual = [grey for grey in greys if grey.depth == most]
    level, middle = (float(np.median([g[at] for g in usual])) for at in (5, 4))
    strange = [
        row for row, grey in enumerate(greys) if _is_on_another(grey, most, level, middle, usual)
    ]
    scale = Scale(FULL_SCALES[most], [], [])
    highest = max(grey.maximum for grey in greys)
    if strange:
        other = sorted(greys[row].maximum for row in strange)
        scale.doubts.append(
            f"scales: {len(strange)} of {len(greys)} images reach up to {other[0]}..{other[-1]}, "
            f"where the others are on a scale of 0..{scale.full} (99.9 % of their pixels within "
            f"{level:.0f}). They may be rescaled to 8 bits or shifted. Look at "
            f"{some((names[row] for row in strange), _SHOWN)}."
        )
    if most != facts.BIT_DEPTH:
        wide = all(grey.bits > 8 for grey in usual)  # noqa: PLR2004
        scale.notes.append(
            f"16-bit files with values 0..{highest} only: were they rescaled to 8 bits?"
            if most == 8 and wide  # noqa: PLR2004
            else f"images with values 0..{highest}, where the paper has 0..{facts.FULL_SCALE}"
        )
    elif exceeding := [grey for grey in usual if grey.above]:
        scale.notes.append(
            f"{sum(grey.above for grey in exceeding)} pixels in {len(exceeding)} images exceed "
            f"{facts.FULL_SCALE}, by up to {max(g.maximum for g in exceeding) - facts.FULL_SCALE}; "
            "they are kept as they are"
        )
    return scale


def _is_on_another(
    grey: Grey, most: int, level: float, middle: float, usual: Sequence[Grey]
) -> bool:
    """Whether an image is on another scale than most, and not only darker."""
    if grey.minimum == grey.maximum:
        return False
    if grey.bits != usual[0].bits and grey.depth != most:
        return True
    if grey.depth >= most:
        return grey.depth > most
    stretched = grey.maximum == FULL_SCALES[grey.depth]
    darker = grey.level * _APART <= level and grey.middle * _APART / 2 <= middle
    return stretched or darker


def overall(greys: Sequence[Grey]) -> dict[str, Any]:
    """What `store.Index` keeps of the grey values."""
    return {
        "minimum": min(grey.minimum for grey in greys),
        "maximum": max(grey.maximum for grey in greys),
        "sums": [grey.total for grey in greys],
        "sums_of_squares": [grey.squares for grey in greys],
    }
