"""Which images show the same colony.

The images of one stiffness are slices of colonies. Slices of one colony look alike, so a split that
separates them measures memory, not generalisation. `find` groups them by two sources:

- Pixels. Each image becomes a small picture of whole numbers (`describe`). The likeness of two
  images is the cosine of their pictures (`likeness`). Images that are alike enough are linked, and
  linked images form a group.
- File names. The slice is the number in a name whose neighbours look alike most often; the colony
  is what precedes it (`read_names`). Names that the pixels contradict are not used.

The result is the same on every machine. All sums are of whole numbers below 2**53, which float64
holds exactly, so they depend on no linear algebra library, number of threads or order of addition.
IEEE 754 rounds square roots, products and quotients correctly.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = ["Groups", "Told", "describe", "find", "likeness", "links", "read_names"]

VERSION: Final = 1
"""Raised whenever the same images and names begin to give other groups."""


class Groups(NamedTuple):
    """Groups of the images of one stiffness, and the evidence for them."""

    numbers: NDArray[np.int32]
    """(n,) group of each image, 0..k-1 in the order of the groups' first images."""
    evidence: str
    """"pixels": names give no series. "names": names give series that the pixels support; series
    whose images are linked are one group. "contradicted": names give series that separate images
    that look alike, so only pixels are used."""
    pattern: str
    """How the names are read, as in ``colony#_z<z>``; empty if they give no series."""
    support: float
    """Share of the neighbours along the slice field that look alike."""
    crossing: float
    """Share of the links between two series."""

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self._asdict(), "numbers": self.numbers.tolist()}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Groups:
        """The inverse of `to_plain`."""
        return cls(**{**content, "numbers": np.array(content["numbers"], np.int32)})


def find(
    names: Sequence[str],
    images: NDArray[np.uint16],
    progress: Callable[[int], object] | None = None,
) -> Groups:
    """Group the images of one stiffness by colony.

    Args:
        names: Sample names in the Reader's order.
        images: (n, H, W) unsigned grey values; read one at a time.
        progress: Called with the number of images described since the last call.

    Returns:
        The groups. Memory is about ``8 * n * (n + 4096)`` bytes at its peak.
    """
    linked = links(likeness(describe(images, progress)))
    told = read_names([name.split("/", 1)[-1] for name in names], linked)
    if told.kind == "series":
        linked |= (told.series[:, None] == told.series) & (told.series >= 0)
    evidence = {"series": "names", "contradicted": "contradicted"}.get(told.kind, "pixels")
    return Groups(_components(linked), evidence, told.pattern, told.support, told.crossing)


# ------------------------------------------------------------------------------------- from pixels

SIDE: Final = 64  # blocks along a side, or somewhat more
_WINDOW: Final = 13  # blocks: about a nucleus and its surroundings
_LEVELS: Final = 8  # steps per grey value: block means are below 2**19, so that 127 x 127 products
#   of two of them add up to less than 2**53
_REACH: Final = 1  # blocks by which neighbouring slices may be shifted
_ROWS: Final = 256  # rows of the likeness that are computed at a time


def describe(
    images: NDArray[np.uint16], progress: Callable[[int], object] | None = None
) -> NDArray[np.int32]:
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
        cut = image[: rows * tall, : columns * wide]
        blocks = cut.reshape(rows, tall, columns, wide).sum((1, 3), dtype=np.int64)
        means = blocks * _LEVELS // (tall * wide)
        picture[...] = means - _window_sums(means) // around
        if progress is not None:
            progress(1)
    return pictures


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


def likeness(pictures: NDArray[np.int32], others: NDArray[np.int32] | None = None) -> Floats:
    """Cosine of pictures, the largest over shifts of up to one block each way.

    Args:
        pictures: (n, h, w), as `describe` gives them.
        others: (m, h, w) to compare with; None compares the pictures with one another.

    Returns:
        (n, m) between 0 and 1; 0 for pictures without contrast.
    """
    columns = pictures if others is None else others
    flat = _flat(columns)
    lengths = _lengths(flat)
    result = np.empty((len(pictures), len(columns)))
    for start in range(0, len(pictures), _ROWS):
        rows = slice(start, start + _ROWS)
        first = start if others is None else 0  # the columns before it follow by symmetry
        best = np.zeros((len(pictures[rows]), len(columns) - first))
        for shifted in _shifted(pictures[rows]):
            np.maximum(best, _flat(shifted) @ flat[first:].T, out=best)
        best /= np.multiply.outer(_lengths(_flat(pictures[rows])), lengths[first:])
        result[rows, first:] = best
        if others is None:
            result[first:, rows] = best.T
    return result


def _shifted(pictures: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
    """The pictures moved by each shift of up to `_REACH`, with 0 beyond their border."""
    _, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (_REACH, _REACH), (_REACH, _REACH)))
    for y in range(2 * _REACH + 1):
        for x in range(2 * _REACH + 1):
            yield padded[:, y : y + height, x : x + width]


def _flat(pictures: NDArray[np.int32]) -> Floats:
    return pictures.reshape(len(pictures), math.prod(pictures.shape[1:])).astype(np.float64)


def _lengths(flat: Floats) -> Floats:
    """Euclidean length of each picture; infinite if it is 0, so that likeness is 0."""
    lengths: Floats = np.sqrt([np.vdot(picture, picture) for picture in flat])
    lengths[lengths == 0] = np.inf
    return lengths


HIGH: Final = 0.5  # links any two images
LOW: Final = 0.45  # links two that are among each other's nearest
_RANKS: Final = 2  # largest sum of both ranks, 0 for the nearest: a slice has two neighbours
_SHARE: Final = 0.8  # of the nearest likeness: excludes chance likeness where slices are close


def links(alike: Floats) -> Bools:
    """Which images are alike enough to show one colony.

    Two images are linked if their likeness is at least `HIGH` and at least 0.8 of that of one of
    them with its nearest. They are also linked if it is at least `LOW` and their ranks in each
    other's list, 0 for the nearest, add up to at most 2. The thresholds were chosen on generated
    colonies; the documentation's page on splits has the measured recall and precision.

    Args:
        alike: (n, n) from `likeness`; the diagonal is ignored.

    Returns:
        (n, n), symmetric, False on the diagonal.
    """
    n = len(alike)
    own = np.arange(n)
    nearest = np.zeros(n)
    ranks = np.full((n, n), _RANKS + 1, np.int8)
    for row in range(n):
        others = alike[row].copy()
        others[row] = -1
        order = np.argsort(-others, kind="stable")[: _RANKS + 1]  # ties: the first by name
        ranks[row, order] = own[: len(order)]
        nearest[row] = max(others[order[0]], 0)
    linked = ranks + ranks.T <= _RANKS
    for row in range(n):
        near = alike[row] >= np.maximum(HIGH, _SHARE * np.minimum(nearest[row], nearest))
        linked[row] = near | (linked[row] & (alike[row] >= LOW))
    linked[own, own] = False
    return linked


def _components(linked: Bools) -> NDArray[np.int32]:
    from scipy import sparse

    _, found = sparse.csgraph.connected_components(sparse.csr_array(linked), directed=False)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    numbers: NDArray[np.int32] = np.argsort(np.argsort(first)).astype(np.int32)[inverse]
    return numbers


# -------------------------------------------------------------------------------------- from names

_DIGITS: Final = re.compile(r"(\d+)")
_LABEL: Final = re.compile(r"(?:^|[^a-z])(?:z|slice|plane)[ _=-]*$")  # before a slice's number
_SUPPORT: Final = 0.2  # least share of neighbours along a slice field that look alike (chance 0.01)
_CROSSING: Final = 0.05  # largest share of links between two series
_LONGEST: Final = 80  # slices; a colony of 60 um has 60, so a longer series is a running number


class Told(NamedTuple):
    """What file names say about colonies."""

    kind: str
    """"series": each image's colony; "running": one number that counts all images; "none";
    "contradicted": series that separate images that look alike."""
    series: NDArray[np.int32]
    """(n,) series of each name; -1 if there is none."""
    pattern: str
    support: float
    crossing: float


class _Field(NamedTuple):
    """One number in the names of a family, as a candidate for the slice."""

    support: float
    labelled: bool
    number: int
    runs: list[list[int]]  # images of each series


def read_names(names: Sequence[str], linked: Bools | None = None) -> Told:
    """Read series of slices from file names.

    Args:
        names: Sample names without the stiffness.
        linked: (n, n) which images look alike; None without pixels: then only numbers after z,
            slice or plane count as slices.

    Returns:
        What the names say.
    """
    families: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for image, name in enumerate(names):
        families[tuple(_DIGITS.split(name)[0::2])].append(image)
    series = np.full(len(names), -1, np.int32)
    patterns, supported, running, known, count = [], 0.0, 0, 0, 0
    for text, members in sorted(families.items()):
        best = _slice_field(names, text, members, linked)
        if best is None:
            continue
        longest = _LONGEST if best.labelled else min(_LONGEST, len(names) / 2)
        if max(map(len, best.runs)) > longest:
            running += len(members)
            continue
        for run in best.runs:
            series[run] = count
            count += 1
        known += len(members)
        supported += best.support * len(members)
        marks = ["<z>" if k == best.number else "#" for k in range(len(text) - 1)] + [""]
        patterns.append("".join(part + mark for part, mark in zip(text, marks, strict=True)))
    kind = "series" if 2 * known > len(names) else "running" if 2 * running > len(names) else "none"
    crossing = 0.0  # share of the links between two series
    if linked is not None:
        one, other = np.nonzero(np.triu(linked))
        told = (series[one] >= 0) & (series[other] >= 0)
        crossing = float((series[one] != series[other])[told].mean()) if told.any() else 0.0
    if kind == "series" and crossing > _CROSSING:
        kind = "contradicted"
    shown = " or ".join(patterns[:2]) + f" and {len(patterns) - 2} more" * (len(patterns) > 2)  # noqa: PLR2004
    return Told(kind, series, shown, supported / max(known, 1), crossing)


def _slice_field(
    names: Sequence[str], text: tuple[str, ...], members: Sequence[int], linked: Bools | None
) -> _Field | None:
    """The number whose neighbours look alike most often, or that has a label.

    A series is what precedes the slice's number; if that never varies, it is what follows.
    """
    numbers = {i: tuple(map(int, _DIGITS.split(names[i])[1::2])) for i in members}
    found = []
    for field, before in enumerate(text[:-1]):
        varies = len({number[:field] for number in numbers.values()}) > 1
        runs: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, number in numbers.items():
            runs[number[:field] if varies else number[field + 1 :]].append(i)
        pairs = []
        for run in runs.values():
            run.sort(key=lambda i: (numbers[i][field + 1 :], numbers[i][field], i))
            pairs += [
                (a, b)
                for a, b in itertools.pairwise(run)
                if numbers[a][field + 1 :] == numbers[b][field + 1 :]
            ]
        labelled = bool(_LABEL.search(before.lower()))
        alike = sum(bool(linked[pair]) for pair in pairs) if linked is not None else 0
        if pairs and (labelled or alike >= max(1, _SUPPORT * len(pairs))):
            found.append(_Field(alike / len(pairs), labelled, field, list(runs.values())))
    return max(found, key=lambda field: field[:3], default=None)
