"""Connected components of a plane, found strip by strip: memory is that of the plane alone.

A strip is a band of whole rows. Components that cross the border of two strips are joined by a
union over the pairs of labels that touch there, so the result is that of one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data._system import graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Labels = NDArray[np.uint32]

PIXELS: Final = 1 << 22
"""Of a strip; a few tens of bytes each are in use while it is computed."""
_FOUR: Final = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
_EIGHT: Final = np.ones((3, 3), bool)


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of the strips that cover an (H, W) plane."""
    height, width = shape
    rows = max(1, PIXELS // max(width, 1))
    for top in range(0, height if width else 0, rows):
        yield slice(top, min(top + rows, height))


def components(
    mask: Callable[[slice], NDArray[np.bool_]], labels: Labels, *, corners: bool
) -> NDArray[np.int64]:
    """Label the connected components of a mask.

    Args:
        mask: Gives the mask of some rows; called once for each strip, from the top.
        labels: (H, W), receives 1..n in raster order of the components' first pixels, and 0
            elsewhere.
        corners: Whether pixels that share a corner only are connected.

    Returns:
        (n,) pixels of each component.
    """
    from scipy import ndimage

    areas, pairs, total = [np.zeros(0, np.int64)], [np.zeros((2, 0), np.uint32)], 0
    for rows in strips(labels.shape):
        part, count = ndimage.label(mask(rows), _EIGHT if corners else _FOUR)
        areas.append(np.bincount(part.ravel(), minlength=count + 1)[1:])
        np.add(part, total, out=labels[rows], where=part > 0, casting="unsafe")
        labels[rows][part == 0] = 0
        if rows.start:
            pairs.append(_touching(labels[rows.start - 1], labels[rows.start], corners=corners))
        total += count
    number, group = graphs.components(np.concatenate(pairs, axis=1).astype(np.int64).T - 1, total)
    # Groups in the order of their first labels; labels are in raster order already.
    order = np.empty(number, np.int64)
    order[np.argsort(np.unique(group, return_index=True)[1])] = np.arange(number)
    joined = order[group]
    if number < total:
        renumber(labels, joined + 1)
    return np.bincount(joined, np.concatenate(areas), minlength=number).astype(np.int64)


def _touching(above: Labels, below: Labels, *, corners: bool) -> NDArray[np.uint32]:
    """(2, n) pairs of labels in two neighbouring rows that touch."""
    width = len(above)
    found = []
    for step in (-1, 0, 1) if corners else (0,):
        pair = np.stack(
            [
                above[max(step, 0) : width + min(step, 0)],
                below[max(-step, 0) : width - max(step, 0)],
            ]
        )
        found.append(pair[:, pair.all(axis=0)])
    return np.unique(np.concatenate(found, axis=1), axis=1)


def renumber(labels: NDArray[Any], numbers: NDArray[np.integer[Any]]) -> None:
    """Replace each label n by ``numbers[n - 1]``, in place; 0 stays."""
    table = np.concatenate([[0], numbers]).astype(labels.dtype)
    for rows in strips(labels.shape):
        labels[rows] = table[labels[rows]]
