"""Convex hulls of pixels; a pixel is a square with sides of 1.

Corners of pixels are whole numbers, so areas are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Point", "area", "corners", "diameter", "hull"]

Point = tuple[int, int]
"""(y, x) of a corner of pixels; (0, 0) is the outer corner of the first pixel of an image."""


def corners(inside: NDArray[np.bool_], top: int = 0, left: int = 0) -> list[Point]:
    """Outer corners of the first and the last pixel of each row of a region.

    Args:
        inside: (H, W) bool, an image or a box cut out of one.
        top: First row of the box in the image.
        left: First column of the box in the image.
    """
    rows = np.flatnonzero(inside.any(axis=1))
    inside, y = inside[rows], top + rows
    first = left + inside.argmax(axis=1)
    end = left + inside.shape[1] - inside[:, ::-1].argmax(axis=1)
    points = np.stack([[y, y, y + 1, y + 1], [first, end, first, end]], axis=-1)
    return list(map(tuple, points.reshape(-1, 2).tolist()))


def hull(points: list[Point]) -> list[Point]:
    """Corners of the convex hull, in order around it (monotone chain: Andrew, 1979)."""
    ordered = sorted(points)
    found: list[Point] = []
    for half in (ordered, ordered[::-1]):
        start = len(found)
        for y, x in half:
            while len(found) - start > 1:
                (y0, x0), (y1, x1) = found[-2:]
                if (y1 - y0) * (x - x0) > (x1 - x0) * (y - y0):
                    break
                found.pop()
            found.append((y, x))
        found.pop()  # it begins the other half
    return found


def area(polygon: list[Point]) -> float:
    """Area of a polygon, in pixels (shoelace formula)."""
    around = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return abs(sum(y0 * x1 - x0 * y1 for (y0, x0), (y1, x1) in around)) / 2


def diameter(polygon: list[Point]) -> float:
    """Largest distance of two corners, in pixels."""
    points = np.array(polygon)
    apart = points[:, None] - points
    return float(np.sqrt((apart**2).sum(axis=-1).max()))
