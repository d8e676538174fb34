"""Copies that show a part of an image, or show it larger, smaller or tilted.

Each image has marks: its brightest and darkest places, with what is around them at three sizes.
Marks that look alike are matched. Two matches of the same two images say how one image lies on the
other. Where at least three matches agree, this is refined, and the cosine of both images where
they overlap decides.

The result is the same on every machine: sums are of whole numbers, below 2**24 in float32 and 2**53
in float64. Products, quotients and roots of single numbers are rounded as IEEE 754 says.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from bmgd_data.splits._likeness import ROWS, Pairs, block_sums, parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Picture = NDArray[np.int16]
    Around = NDArray[np.int8]

KINDS: Final = ("shifted or cut beside it", "larger or smaller", "tilted")
"""How one image lies on the other."""

_SIDE: Final = 128  # blocks along a side, or somewhat more
_SURROUNDINGS: Final = 27  # blocks whose mean is taken off
_MARKS: Final = 64  # of an image, at most: half of them bright
_SMOOTH: Final = 5  # blocks that a mark is the mean of
_APART: Final = 5  # blocks: the square in which a mark is the brightest or darkest
_BORDER: Final = 3  # blocks without marks
_GRID: Final = 4  # samples from a mark to each side: 9 x 9
_OFFSETS: Final = tuple(
    np.rint(np.arange(-_GRID, _GRID + 1) * step).astype(int) for step in (2.5, 3, 3.5)
)
_MIDDLE: Final = 1  # of the three sizes
_LENGTH: Final = 300  # of the whole numbers that describe a mark
_ALIKE: Final = 0.7 * _LENGTH**2  # least product of two marks that match
_NEAREST: Final = 3  # best matches of a mark among the marks of a word
_MATCHES: Final = 6  # of a mark, at most
_WORDS: Final = 512  # marks are compared with those nearest to the same few


class _Marks(NamedTuple):
    """The marks of all images, in the order of the images."""

    image: Ints
    place: Floats
    """(k, 2) row and column in blocks, whole numbers"""
    around: Around
    """(3, k, 81) what is around each, at three sizes"""


def overlapping(images: NDArray[np.uint16], first_kind: int, known: Pairs) -> Pairs:
    """The pairs of images that show a part of the same, shifted, rescaled or tilted.

    Args:
        images: (n, H, W) unsigned grey values; read one at a time.
        first_kind: The kind of the first of `KINDS`; those of the others follow. It is 0 where
            nothing is shifted.
        known: Pairs that are left out.

    Returns:
        The pairs; likeness is that of the overlap. None in images below 128 pixels, which show too
        little. Memory is about 50 kB an image.
    """
    if min(images.shape[1:]) < _SIDE:
        return Pairs.joined([])
    pictures, marks = _describe(images)
    known_keys = known.one * len(images) + known.other
    found = [Pairs.joined([])]
    for one, other, count, lie in _candidates(marks, *_matches(marks), known_keys, len(images)):
        value, refined = _refine(pictures[one], pictures[other], lie)
        if value >= (_LEAST if count > _AGREE else _LEAST_OF_FEW) and (
            count > _AGREE or refined.kind <= 0
        ):
            kind = first_kind + refined.kind if refined.kind >= 0 else 0
            found.append(Pairs.of(np.array([one]), np.array([other]), np.array([value]), kind))
    return Pairs.joined(found)


# ------------------------------------------------------------------------------------------- marks


def _describe(images: NDArray[np.uint16]) -> tuple[NDArray[np.int16], _Marks]:
    """(n, h, w) pictures of whole numbers, 0 for the mean of the surroundings; and the marks."""
    n, height, width = images.shape
    block = max(min(height, width) // _SIDE, 1)
    rows, columns = height // block, width // block
    pictures = np.zeros((n, rows, columns), np.int16)
    image, place = [np.zeros(0, np.int64)], [np.zeros((0, 2))]
    around = [np.zeros((len(_OFFSETS), 0, (2 * _GRID + 1) ** 2), np.int8)]
    for number, whole in enumerate(images):
        sums = block_sums(whole, block, block)
        means = (8 * sums // block**2).astype(np.int32)  # below 2**19, so that sums fit
        fine = _box(means, 3) * (_SURROUNDINGS**2 // 9) - _box(means, _SURROUNDINGS)
        most = int(abs(fine).max(initial=0))
        if most:
            pictures[number] = fine.astype(np.int64) * 32000 // most
            place.append(_places(pictures[number]))
            around.append(_around(pictures[number], place[-1]))
            image.append(np.full(len(place[-1]), number))
    return pictures, _Marks(
        np.concatenate(image), np.concatenate(place), np.concatenate(around, axis=1)
    )


def _box(values: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Sums over squares, the border repeated."""
    half = size // 2
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (half + 1, half)
        total = np.pad(values, pad, "edge").cumsum(axis, dtype=np.int32)  # may wrap; the
        length = values.shape[axis]  # difference is right
        upper = [slice(None), slice(None)]
        lower = upper.copy()
        upper[axis], lower[axis] = slice(size, size + length), slice(length)
        values = total[tuple(upper)] - total[tuple(lower)]
    return values


def _places(picture: Picture) -> Floats:
    from scipy import ndimage  # not needed where groups are read

    smooth = _box(picture.astype(np.int32), _SMOOTH)
    found = []
    for each in (smooth, -smooth):
        peaks = (each == ndimage.maximum_filter(each, _APART)) & (each > 0)
        peaks[:_BORDER] = peaks[-_BORDER:] = peaks[:, :_BORDER] = peaks[:, -_BORDER:] = False
        place = np.argwhere(peaks)
        order = np.argsort(-each[peaks], kind="stable")  # ties: the first from the top left
        found.append(place[order[: _MARKS // 2]])
    return np.concatenate(found).astype(np.float64)


def _around(picture: Picture, place: Floats) -> Around:
    """(3, k, 81) what is around each place; 0 beyond the border."""
    reach = int(_OFFSETS[-1].max())
    sums = np.pad(_box(picture.astype(np.int32), 3), reach)
    y, x = place.astype(np.int64).T[..., None, None] + reach
    result = []
    for offsets in _OFFSETS:
        values = sums[y + offsets[:, None], x + offsets].reshape(len(place), offsets.size**2)
        values = values.astype(np.int64)
        values -= values.sum(axis=1, keepdims=True) // offsets.size**2
        lengths = np.sqrt((values * values).sum(axis=1).astype(np.float64))
        lengths[lengths == 0] = np.inf
        whole = np.rint(values * (_LENGTH / lengths)[:, None])
        result.append(np.clip(whole, -127, 127).astype(np.int8))
    return np.array(result)


# ----------------------------------------------------------------------------------------- matches


def _matches(marks: _Marks) -> tuple[Ints, Ints]:
    """Marks that look alike: one in its image at any size, the other at the middle size.

    Marks are compared with those that are nearest to the same of some marks, the words.
    """
    count = len(marks.image)
    middle = marks.around[_MIDDLE]
    words = middle[:: max(count // _WORDS, 50)].astype(np.float32)
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    (home,) = _nearest_words(middle, words, 1)
    members = _split(home, len(words))
    found = [np.zeros((3, 0), np.int64)]
    for around in marks.around:
        for asked in _nearest_words(around, words, 2):
            for rows, against in zip(_split(asked, len(words)), members, strict=True):
                if not (rows.size and against.size):
                    continue
                alike = around[rows].astype(np.float32) @ middle[against].astype(np.float32).T
                alike[marks.image[rows][:, None] == marks.image[against]] = 0
                least = np.full((len(rows), 1), _ALIKE)
                if len(against) > _NEAREST:  # by value: which of equals comes first would vary
                    near = np.partition(alike, -_NEAREST, axis=1)[:, -_NEAREST, None]
                    least = np.maximum(near, least)
                row, column = np.nonzero(alike >= least)
                value = alike[row, column].astype(np.int64)
                found.append(np.stack([rows[row], against[column], value]))
    one, other, value = np.hstack(found)
    order = np.lexsort((other, -value, one))
    one, other = one[order], other[order]
    _, first = np.unique(one * count + other, return_index=True)
    first.sort()
    one, other = one[first], other[first]
    rank = np.arange(len(one)) - np.searchsorted(one, one)
    return one[rank < _MATCHES], other[rank < _MATCHES]


def _nearest_words(around: Around, words: NDArray[np.float32], count: int) -> list[Ints]:
    """The words nearest to each mark: the nearest of all, then the second of all."""
    nearest = np.zeros((min(count, len(words)), len(around)), np.int64)
    for start, part in zip(range(0, len(around), ROWS), parts(around), strict=True):
        alike = part.astype(np.float32) @ words.T
        for row in nearest[:, start : start + len(part)]:
            row[:] = alike.argmax(axis=1)
            alike[np.arange(len(part)), row] = -np.inf
    return list(nearest)


def _split(word: Ints, words: int) -> list[Ints]:
    """The rows of each word."""
    order = np.argsort(word, kind="stable")
    return np.split(order, np.searchsorted(word[order], np.arange(1, words)))


# ------------------------------------------------------------------------------ how one image lies

_AGREE: Final = 3  # matches; where no more agree, an image must be shifted and nothing else
_LEAST: Final = 0.88  # cosine of the overlap
_LEAST_OF_FEW: Final = 0.93
_SAME_SCALE, _SAME_TILT, _SAME_PLACE = 0.02, 0.02, 3  # the last in blocks
_OVERLAP: Final = 0.15  # least share of an image
_ENOUGH: Final = 12  # matches; more are not looked for
_LAGS: Final = 8
_SCALES: Final = (0.76, 1.32)
_TILT: Final = 0.23  # tangent: 13 degrees
_CLOSE: Final = 100.0  # square of the distance of two marks that say no direction
_RESIDUAL: Final = 9.0  # square of blocks


class _Lie(NamedTuple):
    """Where a place of one image lies on the other: turned, scaled, then moved."""

    along: float
    across: float
    down: float
    right: float

    @property
    def kind(self) -> int:
        """Place in `KINDS`, or -1 where one image lies on the other as it is."""
        if abs(math.sqrt(self.along**2 + self.across**2) - 1) > _SAME_SCALE:
            return 1
        if abs(self.across) > _SAME_TILT:
            return 2
        return 0 if max(abs(self.down), abs(self.right)) > _SAME_PLACE else -1

    def of(self, place: Floats) -> Floats:
        """Where places lie."""
        y, x = place.T
        return np.stack(
            [
                self.along * y - self.across * x + self.down,
                self.across * y + self.along * x + self.right,
            ],
            axis=1,
        )

    @classmethod
    def between(cls, place: Floats, to: Floats) -> _Lie:
        """The best in the sense of least squares."""
        n = len(place)
        a, b = n * place - place.sum(axis=0), n * to - to.sum(axis=0)  # whole numbers
        along, across = (float(each[0]) for each in _turn(a[None], b[None]))
        down, right = (to.sum(axis=0) - cls(along, across, 0, 0).of(place.sum(axis=0)[None])[0]) / n
        return cls(along, across, float(down), float(right))


def _turn(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Along and across of vectors ``a[k]`` that become ``b[k]``, in the last two axes."""
    size = (a * a).sum((-1, -2))
    size[size == 0] = np.inf
    along = (a * b).sum((-1, -2)) / size
    return along, (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(-1) / size


def _candidates(
    marks: _Marks, one: Ints, other: Ints, known: Ints, images: int
) -> Iterator[tuple[int, int, int, _Lie]]:
    """Pairs of images, how many of their matches agree, and how one lies on the other."""
    forward = marks.image[one] < marks.image[other]
    pair = np.unique(
        np.stack([np.where(forward, one, other), np.where(forward, other, one)]), axis=1
    )
    image = marks.image[pair]
    new_pairs = ~np.isin(image[0] * images + image[1], known)
    pair, image = pair[:, new_pairs], image[:, new_pairs]
    order = np.lexsort(image[::-1])
    (one, other), (left, right) = pair[:, order], image[:, order]
    place, to = marks.place[one], marks.place[other]
    new = np.flatnonzero(np.diff(left, prepend=-1) | np.diff(right, prepend=-1))
    run = np.searchsorted(new, np.arange(len(one)), side="right") - 1
    ends = np.append(new[1:], len(one))
    best: dict[int, tuple[int, NDArray[np.bool_]]] = {}
    for lag in range(1, _LAGS + 1):
        first = np.flatnonzero(run[lag:] == run[:-lag])
        a, b = place[first + lag] - place[first], to[first + lag] - to[first]
        along, across = _turn(a[:, None], b[:, None])
        size = along * along + across * across
        fit = (size >= _SCALES[0] ** 2) & (size <= _SCALES[1] ** 2) & (abs(across) <= _TILT * along)
        fit &= (a * a).sum(axis=1) >= _CLOSE
        for k, m, n in zip(
            first[fit].tolist(), along[fit].tolist(), across[fit].tolist(), strict=True
        ):
            number = int(run[k])
            among = slice(int(new[number]), int(ends[number]))
            count = best[number][0] if number in best else _AGREE - 1
            if among.stop - among.start <= count or count >= _ENOUGH:
                continue
            down, right_ = (to[k] - _Lie(m, n, 0, 0).of(place[k : k + 1])[0]).tolist()
            off = _Lie(m, n, down, right_).of(place[among]) - to[among]
            near = (off * off).sum(axis=1) <= _RESIDUAL
            agree = min(len(set(each[among][near].tolist())) for each in (one, other))
            if agree > count:
                best[number] = agree, near
    for number, (count, near) in sorted(best.items()):
        among = slice(int(new[number]), int(ends[number]))
        lie = _Lie.between(place[among][near], to[among][near])
        yield int(left[new[number]]), int(right[new[number]]), count, lie


# ------------------------------------------------------------------------------------- the decision

_POINT: Final = 16  # bits behind the point
_HOPELESS: Final = 0.4
_MOVES: Final = (
    *((0, 0, 1, 0), (0, 0, -1, 0), (0, 0, 0, 1), (0, 0, 0, -1)),
    *((0.02, 0, 0, 0), (-0.02, 0, 0, 0), (0, 0.02, 0, 0), (0, -0.02, 0, 0)),
)


def _refine(one: Picture, other: Picture, lie: _Lie) -> tuple[float, _Lie]:
    """The largest cosine nearby, and how one lies on the other then."""
    value = _cosine(one, other, lie)
    if value < _HOPELESS:
        return value, lie
    middle = np.array([one.shape]) / 2
    for scale in (1.0, 0.5):
        for _ in range(4):
            before = value
            for move in _MOVES:
                along, across, down, right = (scale * each for each in move)
                kept = _Lie(along, across, 0, 0).of(middle)[0]  # the middle stays in its place
                moved = _Lie(
                    lie.along + along,
                    lie.across + across,
                    lie.down + down - float(kept[0]),
                    lie.right + right - float(kept[1]),
                )
                if (reached := _cosine(one, other, moved)) > value:
                    value, lie = reached, moved
            if value == before:
                break
    return value, lie


def _cosine(one: Picture, other: Picture, lie: _Lie) -> float:
    """Cosine of one image and the other where they overlap, at every second block each way."""
    height, width = other.shape
    size = lie.along**2 + lie.across**2
    along, across, down, right = (
        round(each * 2**_POINT)
        for each in (lie.along / size, lie.across / size, lie.down, lie.right)
    )
    y, x = (
        (np.arange(0, length, 2) << _POINT) - by for length, by in ((height, down), (width, right))
    )
    half = 1 << (2 * _POINT - 1)
    rows = (along * y[:, None] + across * x + half) >> (2 * _POINT)
    columns = (along * x - across * y[:, None] + half) >> (2 * _POINT)
    inside = (rows >= 0) & (rows < one.shape[0]) & (columns >= 0) & (columns < one.shape[1])
    if np.count_nonzero(inside) < _OVERLAP * inside.size:
        return 0.0
    a = one[rows[inside], columns[inside]].astype(np.float64)
    b = other[::2, ::2][inside].astype(np.float64)
    squares = np.vdot(a, a), np.vdot(b, b)
    return (
        float(np.vdot(a, b)) / math.sqrt(squares[0]) / math.sqrt(squares[1])
        if all(squares)
        else 0.0
    )
