"""Which images show the same colony.

The images of one stiffness are slices of colonies. Slices of one colony look alike, so a split that
separates them measures memory, not generalisation. `find` groups them by two sources:

- Pixels. Images that are alike enough are linked (`links`), and linked images form a group.
- File names. Names may say which colony and slice an image is (`read_names`). Names that the pixels
  contradict are not used.

The result is the same on every machine; ``_likeness`` and ``_copies`` say why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._system import graphs
from bmgd_data.splits import _copies, _overlaps
from bmgd_data.splits._likeness import Pairs, alike, describe, likeness, likeness_of, nearest
from bmgd_data.splits._series import NameSeries, read_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "Groups",
    "NameSeries",
    "Pairs",
    "across",
    "alike",
    "describe",
    "find",
    "likeness",
    "likeness_of",
    "links",
    "nearest",
    "read_names",
]

VERSION: Final = 2
"""Raised whenever the same images and names begin to give other groups, or these are kept in
another form."""


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
    linked: Pairs
    """The pairs of images that pixels link."""

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        linked = {name: each.tolist() for name, each in self.linked._asdict().items()}
        return {**self._asdict(), "numbers": self.numbers.tolist(), "linked": linked}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Groups:
        """The inverse of `to_plain`."""
        types = (np.int64, np.int64, np.float64, np.int8)
        linked = Pairs(*map(np.array, content["linked"].values(), types))
        return cls(
            **{**content, "numbers": np.array(content["numbers"], np.int32), "linked": linked}
        )


def find(
    names: Sequence[str],
    images: NDArray[np.uint16],
    progress: Callable[[int], object] | None = None,
) -> Groups:
    """Group the images of one stiffness by colony.

    Args:
        names: Sample names in the Reader's order.
        images: (n, H, W) grey values, uint8 or uint16; read one at a time.
        progress: Called with the number of images described since the last call.

    Returns:
        The groups. Memory is about 70 kB an image at its peak.

    Raises:
        ValueError: The images are of another shape or type, or their number is not that of names.
    """
    if images.dtype not in (np.uint8, np.uint16) or len(images.shape) != 3:  # noqa: PLR2004
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; groups are found in "
            "(n, H, W) grey values, uint8 or uint16. Stack images of one size and one channel."
        )
    if len(names) != len(images):
        raise ValueError(f"{len(names)} names for {len(images)} images; each image needs one name")
    pictures = describe(images, progress)
    slices = links(alike(pictures, LOW), len(pictures))
    turned = _copies.turned(pictures, 1)
    del pictures
    whole = Pairs.joined([slices, turned])
    sure = whole.where(whole.likeness >= _copies.TURNED)  # no other kind would be told
    parts = _overlaps.overlapping(images, 1 + len(_copies.TURNS), sure)
    linked = Pairs.joined([whole, parts])
    edges = np.column_stack(linked[:2])
    near = zip(slices.one.tolist(), slices.other.tolist(), strict=True)
    told = read_names([name.split("/", 1)[-1] for name in names], set(near))
    if told.kind == "series":
        order = np.argsort(told.series, kind="stable")
        chain = np.column_stack([order[:-1], order[1:]])  # a series' images, one after another
        same = (told.series[chain[:, 0]] == told.series[chain[:, 1]]) & (
            told.series[chain[:, 0]] >= 0
        )
        edges = np.concatenate([edges, chain[same]])
    evidence = {"series": "names", "contradicted": "contradicted"}.get(told.kind, "pixels")
    numbers = _components(edges, len(names))
    return Groups(numbers, evidence, told.pattern, told.support, told.crossing, linked)


KINDS: Final = ("look-alike", *_copies.TURNS, *_overlaps.KINDS)
"""Why two images are linked. Look-alikes show the same at the same place: neighbouring slices, and
copies with other light, contrast or noise."""


def across(pictures: NDArray[np.int32], stiffness: NDArray[np.int64]) -> Pairs:
    """The pairs of whole images of two stiffnesses that show the same, as they are or turned.

    Args:
        pictures: (n, h, w) of all stiffnesses, as `describe` gives them.
        stiffness: (n,) a number for that of each.
    """
    pairs = Pairs.joined([alike(pictures, HIGH), _copies.turned(pictures, 1)])
    return pairs.where(stiffness[pairs.one] != stiffness[pairs.other])


HIGH: Final = 0.5  # links any two images
LOW: Final = 0.45  # links two that are among each other's nearest
_RANKS: Final = 2  # largest sum of both ranks, 0 for the nearest: a slice has two neighbours
_SHARE: Final = 0.8  # of the nearest likeness: excludes chance likeness where slices are close


def links(pairs: Pairs, count: int) -> Pairs:
    """Which images are alike enough to show one colony.

    Two images are linked if their likeness is at least `HIGH` and at least 0.8 of that of one of
    them with its nearest. They are also linked if it is at least `LOW` and their ranks in each
    other's list, 0 for the nearest, add up to at most 2. The thresholds were chosen on generated
    colonies; the documentation's page on splits has the measured recall and precision.

    Args:
        pairs: All pairs whose likeness is at least `LOW`, from `alike`.
        count: Number of images.

    Returns:
        The linked ones of the pairs.
    """
    one, other = (np.concatenate(each) for each in (pairs[:2], pairs[1::-1]))  # both ways
    value = np.tile(pairs.likeness, 2)
    order = np.lexsort((other, -value, one))  # ties: the first by name
    starts = np.searchsorted(one[order], np.arange(count + 1))
    ranks = np.empty(len(order), int)
    ranks[order] = np.arange(len(order)) - starts[one[order]]
    highest = np.zeros(count)
    known = np.flatnonzero(np.diff(starts))
    highest[known] = value[order][starts[known]]
    limit = _SHARE * np.minimum(highest[pairs.one], highest[pairs.other])
    near = pairs.likeness >= np.maximum(HIGH, limit)
    return pairs.where(near | (ranks.reshape(2, -1).sum(axis=0) <= _RANKS))


def _components(edges: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    _, found = graphs.components(edges, count)
    _, first, inverse = np.unique(found, return_index=True, return_inverse=True)
    numbers: NDArray[np.int32] = np.argsort(np.argsort(first)).astype(np.int32)[inverse]
    return numbers
