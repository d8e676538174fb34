"""Convex hulls of pixels; a pixel is a square with sides of 1.

Corners of pixels are whole numbers, so areas are exact.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Point", "area", "diameter", "hull", "hulls_of"]

Point = tuple[int, int]
"""(y, x) of a corner of pixels; (0, 0) is the outer corner of the first pixel of an image."""


def hulls_of(labels: NDArray[np.integer[Any]]) -> dict[int, list[Point]]:
    """Corners of the convex hull of each label's pixels, in the order that `hull` has.

    Only the first and the last pixel of a row can be at the hull: two columns a row, and one
    monotone chain for each side, without sorting.

    Args:
        labels: (H, W) whole numbers, 0 is background.

    Returns:
        By label, ascending; labels without pixels are left out.
    """
    number, y, first, end = _rows(labels)
    if not len(number):
        return {}
    # Between two rows lies the outer one of their corners; only a last row has its own below it.
    new = np.diff(number, prepend=0) != 0
    follows = ~new & (np.diff(y, prepend=y[0]) == 1)
    left = np.where(follows, np.minimum(first, np.roll(first, 1)), first)
    right = np.where(follows, np.maximum(end, np.roll(end, 1)), end)
    kept = np.stack([np.ones_like(follows), ~np.roll(follows, -1)], axis=1)
    corners = np.stack([[y, left, right], [y + 1, first, end]], axis=-1)[:, kept]
    ys, lefts, rights = corners.tolist()
    hulls = {}
    start = 0
    lengths = np.add.reduceat(kept.sum(axis=1), starts := np.flatnonzero(new))
    for label, length in zip(number[starts].tolist(), lengths.tolist(), strict=True):
        part = slice(start, start := start + length)
        down = zip(ys[part], lefts[part], strict=True)
        up = zip(ys[part][::-1], rights[part][::-1], strict=True)
        hulls[label] = _chain(down) + _chain(up)
    return hulls


def _rows(labels: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], ...]:
    """Label, row, first and end column of each row of each label; by label, then by row."""
    height, width = labels.shape
    padded = np.zeros((height, width + 1), labels.dtype)  # background between rows
    padded[:, :width] = labels
    flat = np.append(0, padded)
    places = np.flatnonzero(flat[1:] != flat[:-1])
    y, x = np.divmod(places, width + 1)
    before, after = flat[places], flat[places + 1]
    # The n-th start of a run of one label and the n-th end belong together.
    y, first, end, number = y[after > 0], x[after > 0], x[before > 0], after[after > 0]
    order = np.argsort(number, kind="stable")
    y, first, end, number = y[order], first[order], end[order], number[order]
    new = (np.diff(number, prepend=0) != 0) | (np.diff(y, prepend=-1) != 0)
    return number[new], y[new], first[new], end[np.roll(new, -1)]


def hull(points: list[Point]) -> list[Point]:
    """Corners of the convex hull, in order around it (monotone chain: Andrew, 1979)."""
    ordered = sorted(points)
    return _chain(ordered)[:-1] + _chain(ordered[::-1])[:-1]  # an end begins the other half


def _chain(points: Iterable[Point]) -> list[Point]:
    """The points that turn to one side, of some in order."""
    found: list[Point] = []
    for y, x in points:
        while len(found) > 1:
            (y0, x0), (y1, x1) = found[-2:]
            if (y1 - y0) * (x - x0) > (x1 - x0) * (y - y0):
                break
            found.pop()
        found.append((y, x))
    return found


def area(polygon: list[Point]) -> float:
    """Area of a polygon, in pixels (shoelace formula)."""
    around = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return abs(sum(y0 * x1 - x0 * y1 for (y0, x0), (y1, x1) in around)) / 2


def diameter(polygon: list[Point]) -> float:
    """Largest distance of two corners, in pixels."""
    points = np.array(polygon)
    apart = points[:, None] - points
    return math.sqrt((apart**2).sum(axis=-1).max())
