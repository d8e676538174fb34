"""How alike two images are at the same place, and which of many are alike.

Each image becomes a small picture of whole numbers (`describe`). The likeness of two images is the
cosine of their pictures, the largest over small shifts (`likeness`). `alike` finds the pairs above
a limit and `nearest` the most alike of others, without computing or holding all n x n of them: a
bound leaves out pairs that cannot reach the limit, and the rest are computed as `likeness` does.

The result is the same on every machine. All sums are of whole numbers below 2**53, which float64
holds exactly, so they depend on no linear algebra library, number of threads or order of addition.
IEEE 754 rounds square roots, products and quotients correctly. The bound is computed with rounding
errors, but these are smaller than its margin, so it never decides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]
    Pictures = NDArray[np.int32]

T = TypeVar("T", bound=np.generic)

SIDE: Final = 64  # blocks along a side, or somewhat more
_WINDOW: Final = 13  # blocks: about a nucleus and its surroundings
_LEVELS: Final = 8  # steps per grey value: block means are below 2**19, so that 127 x 127 products
#   of two of them add up to less than 2**53
_REACH: Final = 1  # blocks by which neighbouring slices may be shifted
_ADVANTAGE: Final = 0.2  # of look-alikes over other kinds of the same pair
ROWS: Final = 128  # rows that are compared at a time


class Pairs(NamedTuple):
    """Pairs of images; arrays of one length, in the order of `one`, then of `other`."""

    one: Rows
    other: Rows
    likeness: Floats
    kind: NDArray[np.int8]
    """Place in ``groups.KINDS``."""

    @classmethod
    def of(cls, one: Rows, other: Rows, likeness: Floats, kind: int = 0) -> Pairs:
        """Pairs of one kind."""
        return cls(one, other, likeness, np.full(len(one), kind, np.int8))

    @classmethod
    def joined(cls, several: Iterable[Pairs]) -> Pairs:
        """The pairs of several, in order; of those of the same two images, the most alike.

        Look-alikes have an advantage: neighbouring slices may be more alike if moved a little.
        """
        pairs = [cls.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)), *several]
        together = cls(*map(np.concatenate, zip(*pairs, strict=True)))
        rank = together.likeness + _ADVANTAGE * (together.kind == 0)
        order = np.lexsort((-rank, together.other, together.one))  # stable
        together = together.where(order)
        new = np.diff(together.one, prepend=-1) | np.diff(together.other, prepend=-1)
        return together.where(new != 0)

    def where(self, chosen: NDArray[np.bool_] | Rows) -> Pairs:
        """The chosen ones of the pairs."""
        return Pairs(self.one[chosen], self.other[chosen], self.likeness[chosen], self.kind[chosen])


def describe(
    images: NDArray[np.uint16], progress: Callable[[int], object] | None = None
) -> Pictures:
    """Reduce images to small pictures that hardly depend on light and background.

    A picture is the mean of each of 64 x 64 blocks (of each pixel, in smaller images) in eighths of
    a grey value, less the mean of the 13 x 13 blocks around it.

    Args:
        images: (n, H, W) unsigned, up to 16 bits.
        progress: Called with 1 after each image.

    Returns:
        (n, h, w) whole numbers between -2**19 and 2**19; h and w are 64 to 127, or the image's
        own size if that is smaller.
    """
    n, height, width = images.shape
    tall, wide = max(height // SIDE, 1), max(width // SIDE, 1)
    rows, columns = height // tall, width // wide
    around = _window_sums(np.ones((rows, columns), np.int64))
    pictures = np.empty((n, rows, columns), np.int32)
    for picture, image in zip(pictures, images, strict=True):
        means = block_sums(image, tall, wide) * _LEVELS // (tall * wide)
        picture[...] = means - _window_sums(means) // around
        if progress is not None:
            progress(1)
    return pictures


def block_sums(image: NDArray[np.uint16], tall: int, wide: int) -> Rows:
    """Sums over blocks of an image; what is left over at the right and below is left out."""
    rows, columns = image.shape[0] // tall, image.shape[1] // wide
    cut = image[: rows * tall, : columns * wide]
    strips = cut.reshape(rows, tall, columns * wide).sum(axis=1, dtype=np.int64)
    total: Rows = strips[:, ::wide].copy()
    for column in range(1, wide):  # a sum over a short last axis takes several times as long
        total += strips[:, column::wide]
    return total


def _window_sums(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums over the window around each element, cut at the border."""
    half = _WINDOW // 2
    for axis in (0, 1):
        size = values.shape[axis]
        total = np.insert(values.cumsum(axis), 0, 0, axis)
        at = np.arange(size)
        upper, lower = np.minimum(at + half + 1, size), np.maximum(at - half, 0)
        values = total.take(upper, axis) - total.take(lower, axis)
    return values


def likeness(pictures: Pictures, others: Pictures | None = None) -> Floats:
    """Cosine of pictures, the largest over shifts of up to one block each way.

    All of them, in time and memory that grow with n times m; `alike` and `nearest` need far less.

    Args:
        pictures: (n, h, w), as `describe` gives them.
        others: (m, h, w) to compare with; None compares the pictures with one another.

    Returns:
        (n, m) between 0 and 1; 0 for pictures without contrast.
    """
    columns = pictures if others is None else others
    one, other = np.indices((len(pictures), len(columns))).reshape(2, -1)
    return likeness_of(pictures, columns, one, other).reshape(len(pictures), len(columns))


def likeness_of(pictures: Pictures, others: Pictures, one: Rows, other: Rows) -> Floats:
    """Likeness of each picture ``pictures[one]`` with ``others[other]``; `one` is in order."""
    result = np.zeros(len(one))
    ends = np.searchsorted(one, np.arange(len(pictures) + 1))
    for row in np.unique(one).tolist():
        shifted = _flat(np.concatenate(list(_shifted(pictures[row : row + 1]))))
        length = _lengths(pictures[row : row + 1])
        for start in range(ends[row], ends[row + 1], ROWS):
            part = slice(start, min(start + ROWS, ends[row + 1]))
            those = others[other[part]]
            best = np.maximum((_flat(those) @ shifted.T).max(axis=1), 0)
            result[part] = best / (length * _lengths(those))
    return result


def alike(pictures: Pictures, least: float) -> Pairs:
    """The pairs of pictures whose likeness is at least `least`.

    Args:
        pictures: (n, h, w), as `describe` gives them.
        least: Smallest likeness, above 0.

    Returns:
        The pairs, each once, with ``one < other``. Besides them and the pictures, memory is about
        3 kB an image.
    """
    bound = _Bound(pictures.shape)
    found = [np.zeros((2, 0), np.int64)]
    for start, part in zip(range(0, len(pictures), ROWS), parts(pictures), strict=True):
        reduced = bound.reduce(part)
        bound.add(reduced)
        row, column = np.nonzero(bound.of(reduced) >= least - _MARGIN)
        found.append(np.stack([column, row + start])[:, column < row + start])
    pairs = np.hstack(found)
    one, other = pairs[:, np.lexsort(pairs[::-1])]
    value = likeness_of(pictures, pictures, one, other)
    return Pairs.of(one, other, value).where(value >= least)


def nearest(pictures: Pictures, asked: Sequence[tuple[Rows, Rows]]) -> list[Rows]:
    """For some pictures, which of others is most alike, the first of equals.

    Args:
        pictures: (n, h, w), as `describe` gives them.
        asked: Rows of pictures, and the rows, at least one, that they are compared with.

    Returns:
        For each that was asked, the row of the most alike for each of its rows.
    """
    bound = _Bound(pictures.shape)
    for part in parts(pictures):
        bound.add(bound.reduce(part))
    return [
        np.concatenate(
            [
                np.zeros(0, np.int64),
                *(_nearest(bound, pictures, part, among) for part in parts(rows)),
            ]
        )
        for rows, among in asked
    ]


def _nearest(bound: _Bound, pictures: Pictures, rows: Rows, among: Rows) -> Rows:
    those = pictures[rows]
    above = bound.of(bound.reduce(those))[:, among]
    own = np.arange(len(rows))
    reached = likeness_of(those, pictures, own, among[above.argmax(axis=1)])
    one, other = np.nonzero(above >= reached[:, None] - _MARGIN)
    exact = likeness_of(those, pictures, one, among[other])
    order = np.lexsort((other, -exact, one))
    return among[other[order[np.searchsorted(one, own)]]]  # the first of each row


_KEPT: Final = 24  # lowest frequencies along a side; 16 leave 5 to 200 times as many pairs
_MARGIN: Final = 1e-4  # above all rounding errors of the bound
#
# Proof. Let u and v be pictures of length 1 or less. P is the projection to the lowest frequencies
# of the orthonormal cosine transform and R that to all others, so that u.v = Pu.Pv + Ru.Rv, which
# is at most Pu.Pv + |Ru||Rv| (Cauchy-Schwarz). This holds for each shift of u, hence for the
# largest. Errors: P is computed in float64, where two products of up to 127 terms have errors below
# 24 * 254 * 2**-53 < 1e-12; |Ru| is the root of a difference of squares, with an error below
# 1e-6 * sqrt(2). Rounded to float32, the sum of 577 products has an error below
# 579 * 2**-24 * (|Pu||Pv| + |Ru||Rv|) < 4e-5. Together that is below half of the margin.


class _Bound:
    """An upper bound of the likeness of any pictures with those that were added, in float32."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        count, height, width = shape
        self._down, self._right = _cosines(height), _cosines(width)
        kept = self._down.shape[1] * self._right.shape[1] + 1
        self._stack = np.empty((count, kept), np.float32)
        self._filled = 0

    def add(self, reduced: NDArray[np.float32]) -> None:
        """Add pictures, from `reduce`."""
        unmoved = reduced[_REACH, _REACH]
        self._stack[self._filled : self._filled + len(unmoved)] = unmoved
        self._filled += len(unmoved)

    def of(self, reduced: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, m) bound for pictures, from `reduce`, with those that were added."""
        stack = self._stack[: self._filled]
        best = np.zeros((reduced.shape[2], len(stack)), np.float32)
        for row in reduced:
            for shifted in row:
                np.maximum(best, shifted @ stack.T, out=best)
        return best

    def reduce(self, pictures: Pictures) -> NDArray[np.float32]:
        """Lowest frequencies of the pictures over their lengths, and the length of all others.

        Returns:
            (s, s, n, kept) for the shifts down and right; to shift a picture is to shift the
            cosines the other way.
        """
        n, height, width = pictures.shape
        unit = pictures / _lengths(pictures)[:, None, None]
        shifts, down, _ = self._down.shape
        right = self._right.shape[1]
        low = unit.reshape(-1, width) @ self._right.reshape(-1, width).T
        low = self._down.reshape(-1, height) @ low.reshape(n, height, -1)
        low = low.reshape(n, shifts, down, shifts, right)
        seen = [(side != 0).any(axis=1).astype(float) for side in (self._down, self._right)]
        rest = seen[0] @ ((unit * unit).reshape(-1, width) @ seen[1].T).reshape(n, height, -1)
        rest -= np.einsum("nyixj,nyixj->nyx", low, low)
        reduced = np.empty((shifts, shifts, n, down * right + 1), np.float32)
        reduced[..., :-1] = low.transpose(1, 3, 0, 2, 4).reshape(shifts, shifts, n, -1)
        reduced[..., -1] = np.sqrt(np.maximum(rest, 0)).transpose(1, 2, 0)
        return reduced


def _cosines(size: int) -> Floats:
    """(s, k, size) lowest rows of the orthonormal cosine transform (DCT-II), for each shift.

    A row that is shifted is 0 where a shifted picture would have left the border.
    """
    k = np.arange(min(_KEPT, size))[:, None]
    rows: Floats = np.cos(np.pi * k * (np.arange(size) + 0.5) / size) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    padded = np.pad(rows, ((0, 0), (_REACH, _REACH)))
    return np.stack([padded[:, at : at + size] for at in range(2 * _REACH + 1)])


def parts(rows: NDArray[T]) -> Iterator[NDArray[T]]:
    """The rows, some at a time."""
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


def _shifted(pictures: Pictures) -> Iterator[Pictures]:
    """The pictures moved by each shift of up to `_REACH`, with 0 beyond their border."""
    _, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)))
    for y in range(2 * _REACH + 1):
        for x in range(2 * _REACH + 1):
            yield padded[:, y : y + height, x : x + width]


def _flat(pictures: Pictures) -> Floats:
    return pictures.reshape(len(pictures), math.prod(pictures.shape[1:])).astype(np.float64)


def _lengths(pictures: Pictures) -> Floats:
    """Euclidean length of each picture; infinite if it is 0, so that likeness is 0."""
    squares = [np.vdot(flat, flat) for part in parts(pictures) for flat in _flat(part)]
    lengths: Floats = np.sqrt(np.array(squares, float))
    lengths[lengths == 0] = np.inf
    return lengths
