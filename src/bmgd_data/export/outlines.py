"""The outlines of nuclei as closed lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Line = NDArray[np.float64]
    """(points, 2): x and y in pixels from the image's upper left corner."""


def outlines(labels: NDArray[np.integer[Any]]) -> Iterator[tuple[int, list[Line]]]:
    """Outline each label by lines through the middles of the pixel sides at its border.

    A label has one line per piece and one per hole. Pixels that meet at a corner are one piece.

    Args:
        labels: (H, W), 0 is background; numbers may be left out.

    Yields:
        Each label and its lines. The last point of a line is its first one.
    """
    from scipy.ndimage import find_objects
    from skimage.measure import find_contours

    for label, box in enumerate(find_objects(labels.astype(np.int32, copy=False)), 1):
        if box is not None:
            rows, columns = box
            padded = np.pad(labels[box] == label, 1).astype(float)
            # Less the padding, plus half a pixel: contours count from the first pixel's centre.
            corner = np.array([columns.start, rows.start]) - 0.5
            lines = find_contours(padded, 0.5, fully_connected="high")
            yield label, [line[:, ::-1] + corner for line in lines]


def is_outer(line: Line) -> bool:
    """Whether the line surrounds a piece, and not a hole: it runs clockwise on the screen."""
    x, y = line.T
    return bool(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0)  # shoelace formula


def along_pixels(line: Line) -> NDArray[np.int32]:
    """Turn a line of `outlines` into the polygon of pixel corners that encloses the same pixels."""
    before, after = line[:-1], line[1:]
    # On a level side y is whole and x is not; on an upright side it is the other way round.
    turns = (before[:, 0] % 1 == 0) != (after[:, 0] % 1 == 0)
    corners: NDArray[np.float64] = np.where(before % 1 == 0, before, after)[turns]
    return corners.astype(np.int32)
