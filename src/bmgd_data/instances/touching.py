"""Split touching nuclei: cut a mask into too many pieces, then merge those of one nucleus.

Depth is the distance to the background. Each local maximum of the depth, however slight, gets a
piece. This separates nuclei that touch, and cuts many single ones too. Then the pair of touching
pieces that looks most like one nucleus is merged, until no pair looks like one.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from bmgd_data.instances import hulls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["split"]

_EIGHT: Final = np.ones((3, 3))


def split(mask: NDArray[np.bool_], median_area: float | None = None) -> NDArray[np.intp]:
    """Label the nuclei of a mask; touching nuclei get different labels.

    Args:
        mask: (H, W) bool.
        median_area: Pixels of the median component, if `mask` is a part of an image. None: that of
            `mask`.

    Returns:
        (H, W) labels 1..n without gaps, 0 for background. No label covers more than one component
        (8-connected) of the mask.
    """
    from scipy import ndimage

    components, count = ndimage.label(mask, _EIGHT)
    if not count:
        return np.zeros(mask.shape, np.intp)
    if median_area is None:
        median_area = float(np.median(np.bincount(components.ravel())[1:]))
    labels, depth = _cut(mask)
    pieces = _touching(labels, depth)
    _merge(pieces, _saddle_share, above=0.97)  # cut by an uneven outline
    _merge(pieces, partial(_log_odds_of_one, median_area=median_area), above=0)
    merged = np.arange(labels.max() + 1)
    for piece in pieces.values():
        merged[piece.labels] = piece.labels[0]
    numbers: NDArray[np.intp] = np.unique(merged, return_inverse=True)[1]
    return numbers[labels]


def _cut(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The labels of the pieces, and the depth; both (H, W)."""
    from scipy import ndimage
    from skimage.segmentation import watershed

    distance = ndimage.distance_transform_edt(mask)
    depth = np.where(mask, ndimage.gaussian_filter(distance, 0.5), 0).astype(np.float32)
    maxima = (ndimage.maximum_filter(depth, 3) == depth) & mask
    seeds, _ = ndimage.label(maxima, _EIGHT)
    return watershed(-depth, seeds, mask=mask, connectivity=2), depth


class _Contact(NamedTuple):
    """Where two pieces touch: all pairs of neighbouring pixels with one pixel in each piece.

    Each field is a maximum, so contacts are joined by the largest value of each.
    """

    saddle: float
    """Largest depth of the pairs; the depth of a pair is that of its shallower pixel."""
    up: float
    down: float
    to_left: float
    to_right: float
    """Extent of the pairs' middles, in pixels: largest -y, y, -x and x."""

    @property
    def length(self) -> float:
        """Diagonal of the box around the middles, plus one pixel."""
        return math.hypot(self.up + self.down, self.to_left + self.to_right) + 1


@dataclass
class _Piece:
    labels: list[int]
    """Its labels in the image of pieces."""
    area: int
    peak: float
    """Largest depth."""
    hull: list[hulls.Point]
    """Corners of the convex hull of its pixels."""
    contacts: dict[int, _Contact]
    """Contacts by the key of the other piece."""


def _saddle_share(one: _Piece, other: _Piece, contact: _Contact) -> float:
    """Depth of the saddle as a share of the lower peak; 1 if the outline does not narrow there."""
    return contact.saddle / min(one.peak, other.peak)


def _log_odds_of_one(one: _Piece, other: _Piece, contact: _Contact, median_area: float) -> float:
    """Logarithm of the odds that two pieces are of one nucleus, from five features.

    The coefficients are of a logistic regression on pairs of pieces in real fluorescence images,
    DSB2018 (stage 1, masks corrected) and BBBC039, not BMGD. ``docs/data.md`` has its scores.
    """
    area, smaller = one.area + other.area, min(one.area, other.area)
    width = 2 * math.sqrt(smaller / math.pi)
    hull_areas = hulls.area(one.hull) + hulls.area(other.hull)
    solidity_lost = area / hull_areas - area / hulls.area(hulls.hull(one.hull + other.hull))
    return (
        3.311 * _saddle_share(one, other, contact)
        - 0.671 * contact.length / width
        - 24.325 * solidity_lost
        - 1.184 * math.log(smaller / median_area)
        + 5.301 * min(one.peak, other.peak) / max(one.peak, other.peak)
        - 6.852
    )


def _merge(
    pieces: dict[int, _Piece], rate: Callable[[_Piece, _Piece, _Contact], float], *, above: float
) -> None:
    """Merge the pair with the highest rate, until no rate is above the limit.

    A merged piece gets a new key, so entries of the queue with older keys are out of date.
    """
    queue: list[tuple[float, int, int]] = []

    def enqueue(key: int, other: int, contact: _Contact) -> None:
        if (rated := rate(pieces[key], pieces[other], contact)) > above:
            heapq.heappush(queue, (-rated, key, other))

    for key, piece in pieces.items():
        for other, contact in piece.contacts.items():
            if key < other:
                enqueue(key, other, contact)
    new = max(pieces, default=0)
    while queue:
        _, key, other = heapq.heappop(queue)
        if key in pieces and other in pieces:
            new += 1
            _join(pieces, key, other, new)
            for neighbour, contact in pieces[new].contacts.items():
                enqueue(neighbour, new, contact)


def _join(pieces: dict[int, _Piece], key: int, other: int, new: int) -> None:
    one, two = pieces.pop(key), pieces.pop(other)
    contacts = {}
    for neighbour in sorted((one.contacts.keys() | two.contacts.keys()) - {key, other}):
        theirs = pieces[neighbour].contacts
        both = [theirs.pop(part) for part in (key, other) if part in theirs]
        contacts[neighbour] = theirs[new] = _Contact(*map(max, zip(*both, strict=True)))
    pieces[new] = _Piece(
        one.labels + two.labels,
        one.area + two.area,
        max(one.peak, two.peak),
        hulls.hull(one.hull + two.hull),
        contacts,
    )


def _touching(labels: NDArray[np.int32], depth: NDArray[np.float32]) -> dict[int, _Piece]:
    """The pieces that touch others, by label."""
    from scipy import ndimage

    contacts = list(_contacts(labels, depth))
    found = sorted({label for pair, _ in contacts for label in pair})
    wanted = np.zeros(labels.max(initial=0) + 1, bool)
    wanted[found] = True
    areas = np.bincount(labels.ravel())[found].tolist()
    peaks = ndimage.maximum(depth, labels, found)
    polygons = hulls.hulls_of(np.where(wanted[labels], labels, 0))
    pieces = {
        label: _Piece([label], area, float(peak), polygons[label], {})
        for label, area, peak in zip(found, areas, peaks, strict=True)
    }
    for (one, two), contact in contacts:
        pieces[one].contacts[two] = pieces[two].contacts[one] = contact
    return pieces


def _contacts(
    labels: NDArray[np.int32], depth: NDArray[np.float32]
) -> Iterator[tuple[list[int], _Contact]]:
    """Every two labels that touch, the lower one first, and where they touch."""
    labels, depth = np.pad(labels, 1), np.pad(depth, 1)  # neighbours do not wrap around then
    width = labels.shape[1]
    half = np.array([1, width - 1, width, width + 1])  # of the eight neighbours: each pair once
    inside = np.flatnonzero(labels)
    there = labels.flat[inside + half[:, None]]
    step, place = np.nonzero((there > 0) & (there != labels.flat[inside]))
    if not place.size:
        return
    ends = np.stack([inside[place], inside[place] + half[step]])
    y, x = (part.mean(axis=0) - 1 for part in np.divmod(ends, width))
    fields = np.stack([depth.flat[ends].min(axis=0), -y, y, -x, x])
    pairs = np.sort(labels.flat[ends], axis=0)
    order = np.lexsort(pairs)
    starts = np.flatnonzero(np.diff(pairs[:, order], prepend=0).any(axis=0))
    largest = np.maximum.reduceat(fields[:, order], starts, axis=1)
    for pair, values in zip(pairs[:, order[starts]].T.tolist(), largest.T.tolist(), strict=True):
        yield pair, _Contact(*values)
