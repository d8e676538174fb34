"""The outlines of nuclei as closed lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Line = NDArray[np.float64]
    """(points, 2): x and y in pixels from the image's upper left corner."""
    Ring = NDArray[np.int32]
    """(points, 2): corners of pixels, x and y; the last point is the first one."""


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


_INSET: Final = 0.2
"""How far inside its pixels a polygon runs. pycocotools counts in fifths of a pixel."""


def is_outer(line: Line | Ring) -> bool:
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


def inside_pixels(line: Line) -> NDArray[np.float64]:
    """Turn a line of `outlines` into a polygon that is filled to the same pixels in two ways.

    pycocotools, hotcoco and scikit-image take the pixels whose centres are inside. Pillow
    (labelme) and those who fill with OpenCV (ultralytics) cut the coordinates to whole numbers,
    which name pixels, and take those on the line as well: between pixel corners they fill a row
    and a column too many. This polygon runs a fifth of a pixel inside the border, so that each of
    its points is in a pixel of the nucleus and no pixel's centre is left out. No polygon suits
    these and programs that round coordinates, too (supervision).

    Returns:
        (points, 2): x and y in pixels from the image's upper left corner; four points or more.
    """
    corners = along_pixels(line)
    arriving = np.sign(corners - np.roll(corners, 1, axis=0))
    inward = np.stack([-arriving[:, 1], arriving[:, 0]], axis=1)  # of the side before each corner
    onward = np.roll(inward, -1, axis=0)  # of the side after it
    # Where two pixels of the nucleus meet at a corner, the line goes from one into the other.
    _, index, times = np.unique(corners, axis=0, return_inverse=True, return_counts=True)
    pinched = times[index.ravel()] > 1
    first = inward + np.where(pinched[:, None], -onward, onward)
    points = np.stack([corners + _INSET * first, corners - _INSET * first], axis=1)
    return points.reshape(-1, 2)[np.stack([np.ones_like(pinched), pinched], 1).ravel()]


def pieces(labels: NDArray[np.integer[Any]]) -> Iterator[tuple[int, list[list[Ring]]]]:
    """Outline each label by rings along pixel corners, as valid polygons have them.

    No ring meets itself: pixels that meet at a corner alone are two pieces, and a hole that meets
    the outside at a corner is a hole.

    Args:
        labels: (H, W), 0 is background; numbers may be left out.

    Yields:
        Each label and its pieces, each of which has one outer ring and one for each hole. Outer
        rings run clockwise on the screen, which GeoJSON calls counterclockwise; holes the other
        way round.
    """
    from scipy.ndimage import find_objects, label

    for number, box in enumerate(find_objects(labels.astype(np.int32, copy=False)), 1):
        if box is not None:
            parts, _ = label(labels[box] == number)  # of pixels that share a side
            corner = np.array([box[1].start, box[0].start], np.int32)
            yield (
                number,
                [
                    [ring + corner for line in lines for ring in _rings(along_pixels(line))]
                    for _, lines in outlines(parts)
                ],
            )


def _rings(corners: NDArray[np.int32]) -> Iterator[Ring]:
    """Cut a line at corners that it meets twice into rings that meet no corner twice."""
    path: dict[tuple[int, int], int] = {}
    for point in map(tuple, np.concatenate([corners, corners[:1]]).tolist()):
        if point in path:
            ring = list(path)[path[point] :]
            yield np.array([*ring, point], np.int32)
            for left in ring:
                del path[left]
        path[point] = len(path)
