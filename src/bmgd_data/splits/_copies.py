"""Copies of an image that do not lie on it as they are: mirrored or turned.

Augmented or re-cut data sets are full of them, under names that say nothing. The result is the same
on every machine, as in ``_likeness``: what decides are sums of whole numbers, below 2**24 in
float32 and below 2**53 in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bmgd_data.splits._likeness import Pairs, likeness_of, parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Coarse = NDArray[np.float32]
    Turn = Callable[[NDArray[np.int32]], NDArray[np.int32]]  # of the last two axes

TURNS: Final[dict[str, Turn]] = {
    "mirrored left to right": lambda p: p[..., ::-1],
    "mirrored top to bottom": lambda p: p[..., ::-1, :],
    "turned by 180 degrees": lambda p: p[..., ::-1, ::-1],
    "mirrored and turned": lambda p: p.swapaxes(-1, -2),
    "mirrored and turned the other way": lambda p: p.swapaxes(-1, -2)[..., ::-1, ::-1],
    "turned by 90 degrees": lambda p: p.swapaxes(-1, -2)[..., ::-1],
    "turned by 90 degrees the other way": lambda p: p.swapaxes(-1, -2)[..., ::-1, :],
}
"""How one image becomes the other; the last four need square images."""
_OF_SQUARES: Final = list(TURNS)[3:]

_CELLS: Final = 16  # along a side
_LENGTH: Final = 2000  # of the whole numbers that stand for an image, so that its square and all
#   sums of products are below 2**24: float32 holds them exactly
_SCREENED: Final = 0.7  # least likeness of the cells
TURNED: Final = 0.8
"""Links an image with another that is mirrored or turned; a copy with noise reaches 0.9, others
0.7 by chance."""


def turned(pictures: NDArray[np.int32], first_kind: int) -> Pairs:
    """The pairs of images that are alike once one of them is mirrored or turned.

    Args:
        pictures: (n, h, w), as ``_likeness.describe`` gives them.
        first_kind: The kind of the first of `TURNS`; those of the others follow.

    Returns:
        The pairs, each once, with ``one < other``.
    """
    cells = _cells(pictures)
    square = pictures.shape[1] == pictures.shape[2]
    found, start = [], 0
    for part in parts(pictures):
        for kind, (name, turn) in enumerate(TURNS.items(), first_kind):
            if name in _OF_SQUARES and not square:
                continue
            moved = np.ascontiguousarray(turn(part))
            one, other = np.nonzero(_cells(moved) @ cells[start:].T >= _SCREENED * _LENGTH**2)
            one, other = one[other > one], other[other > one]
            value = likeness_of(moved, pictures, one, other + start)
            pairs = Pairs.of(one + start, other + start, value, kind)
            found.append(pairs.where(value >= TURNED))
        start += len(part)
    return Pairs.joined(found)


def _cells(pictures: NDArray[np.int32]) -> Coarse:
    """Sums over 16 x 16 cells, as whole numbers whose squares add up to about ``_LENGTH**2``."""
    n, *shape = pictures.shape
    tall, wide = (max(size // _CELLS, 1) for size in shape)
    rows, columns = shape[0] // tall, shape[1] // wide
    top, left = (shape[0] - rows * tall) // 2, (shape[1] - columns * wide) // 2
    cut = pictures[:, top : top + rows * tall, left : left + columns * wide]
    sums = cut.reshape(n, rows, tall, columns, wide).sum((2, 4), dtype=np.int64)
    lengths = np.sqrt((sums * sums).sum((1, 2)).astype(np.float64))
    lengths[lengths == 0] = np.inf
    whole: Coarse = np.rint(sums * (_LENGTH / lengths)[:, None, None]).astype(np.float32)
    return whole.reshape(n, rows * columns)
