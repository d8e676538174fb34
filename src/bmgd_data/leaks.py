"""How much a split leaks: images of validation and test that look like one of train.

The slices of a colony look alike, so a random split puts look-alikes on both sides, and a score on
its test split says little about new colonies. `measure` counts them under each scheme, and scores a
"model" that only copies: the mask of the most similar image of train.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from bmgd_data import groups, splits
from bmgd_data._system.progress import bar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

__all__ = ["Exposure", "Grouping", "Leaks", "SchemeLeaks", "exposed", "measure"]

LARGE: Final = 0.25
"""A group with more than this share of a stiffness is named: whole groups cannot be split well."""


class Grouping(NamedTuple):
    """The groups of one stiffness."""

    stiffness: str
    """Such as "1200Pa"."""
    images: int
    sizes: list[int]
    """Images of each group, the largest first."""
    evidence: str
    """"pixels", "names" or "contradicted", see ``bmgd_data.groups.Groups``; or "given"."""
    pattern: str
    """How file names are read, where they tell series."""
    inside: float | None
    """Median likeness of two images of one group; None where there are none."""
    between: float | None
    """Median likeness of two images of different groups."""


class Exposure(NamedTuple):
    """Images of a split that look like one of train."""

    images: int
    """All images of the split."""
    within: int
    """How many look like one of the same stiffness."""
    across: int
    """How many look like one of another stiffness."""


class SchemeLeaks(NamedTuple):
    """What one scheme separates, and what it does not."""

    scheme: str
    train: int
    """Images of train."""
    val: Exposure
    test: Exposure
    copied_f1: float | None
    """Pixel F1, pooled over the test split, of copying the mask of the most similar image of train;
    None where there is nothing to copy or to score."""


class Leaks(NamedTuple):
    """Groups by stiffness, and leaks by scheme."""

    stiffnesses: tuple[Grouping, ...]
    schemes: tuple[SchemeLeaks, ...]

    def remarks(self) -> list[str]:
        """A sentence on each group that holds more than a quarter of its stiffness."""
        return [
            f"{each.stiffness}: one group holds {each.sizes[0]} of {each.images} images, more than "
            "a quarter. Whole groups give uneven splits here; grouped folds or a stiffness held "
            "out use the data better."
            for each in self.stiffnesses
            if each.sizes and each.sizes[0] > LARGE * each.images
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts, as JSON takes them."""
        return {
            "stiffnesses": [each._asdict() for each in self.stiffnesses],
            "schemes": [
                {**each._asdict(), "val": each.val._asdict(), "test": each.test._asdict()}
                for each in self.schemes
            ],
        }


def measure(reader: Reader) -> Leaks:
    """Measure what the schemes leak, on all images of a reader's stiffnesses.

    Two images of one stiffness look alike where ``groups.links`` links them; two of different
    stiffnesses where their likeness is at least ``groups.HIGH``. At most two stiffnesses are
    compared at a time, so memory is that of the largest: about ``8 * n * (n + 4096)`` bytes.

    Args:
        reader: Which data, whatever its split. If it has known groups, its scheme is measured too.

    Returns:
        Groups as under the reader's scheme, if it keeps groups; else as they are found. Leaks of
        every scheme.
    """
    names = [*splits.SCHEMES, *([reader.scheme] if reader.scheme not in splits.SCHEMES else [])]
    drawn = [reader.whole if name == reader.scheme else reader.under(name, "all") for name in names]
    tallies = [_Tally(each) for each in drawn]
    own = next(each for each in drawn if each.scheme == reader.scheme)
    found = {} if own.knows_groups else own.found_groups()
    groupings = []
    parts = [own.of(condition) for condition in own.conditions]
    pictures = _pictures(parts)
    for one, part in enumerate(parts):
        for other in range(one, len(parts)):
            if parts[other].masks.shape[1:] != part.masks.shape[1:]:
                continue  # masks of another size cannot be copied, nor pictures compared
            if one != other:
                alike = groups.likeness(pictures[one], pictures[other])
                for tally in tallies:
                    tally.add(one, other, alike, alike >= groups.HIGH)
                continue
            alike = groups.likeness(pictures[one])
            linked = groups.links(alike)
            for tally in tallies:
                tally.add(one, one, alike, linked)
            groupings.append(_grouping(part, found.get(part.conditions[0].name), alike))
    return Leaks(tuple(groupings), tuple(tally.result() for tally in tallies))


def exposed(reader: Reader, train: Collection[str] | None = None) -> NDArray[np.bool_]:
    """Which samples of a validation or test split look like one of train, of the same stiffness.

    Args:
        reader: A split of any scheme.
        train: Names of the training images, such as those of a fold. None: the train split of the
            reader's scheme.

    Returns:
        (N,) in the reader's order.
    """
    alike: dict[str, bool] = {}
    for condition in reader.conditions:
        part = reader.whole.of(condition)
        if train is None:
            trained = np.array([split == "train" for split in part.splits], bool)
        else:
            trained = np.isin(part.names, list(train))
        (pictures,) = _pictures([part])
        linked = groups.links(groups.likeness(pictures))
        for name, row in zip(part.names, linked, strict=True):
            alike[name] = bool(row[trained].any())
    return np.array([alike[name] for name in reader.names], bool)


def _pictures(parts: Sequence[Reader]) -> list[NDArray[np.int32]]:
    with bar("comparing images", sum(map(len, parts))) as progress:
        # A LazyArray gives one image at a time, which is all that is needed.
        images = [cast("NDArray[np.uint16]", part.images) for part in parts]
        return [groups.describe(each, progress) for each in images]


def _grouping(part: Reader, found: groups.Groups | None, alike: NDArray[np.float64]) -> Grouping:
    numbers = part.groups
    _, sizes = np.unique(numbers, return_counts=True)
    upper = np.triu_indices(len(numbers), 1)
    same = (numbers[:, None] == numbers)[upper]
    return Grouping(
        part.conditions[0].name,
        len(numbers),
        sorted(sizes.tolist(), reverse=True),
        found.evidence if found else "given",
        found.pattern if found else "",
        _median(alike[upper][same]),
        _median(alike[upper][~same]),
    )


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if values.size else None


class _Tally:
    """What one scheme leaks, gathered from pairs of stiffnesses."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.parts = [reader.of(condition) for condition in reader.conditions]
        self.splits = [np.array(part.splits, dtype=object) for part in self.parts]
        self.train = [np.flatnonzero(each == "train") for each in self.splits]
        self.within = [np.zeros(len(part), bool) for part in self.parts]
        self.across = [np.zeros(len(part), bool) for part in self.parts]
        self.nearest = [np.full(len(part), -1.0) for part in self.parts]
        self.copied = [np.full((len(part), 2), -1) for part in self.parts]

    def add(
        self, one: int, other: int, alike: NDArray[np.float64], near: NDArray[np.bool_]
    ) -> None:
        """Take over the likeness of two stiffnesses, by number, and what counts as alike there."""
        self._look(one, other, alike, near)
        if one != other:
            self._look(other, one, alike.T, near.T)

    def _look(
        self, at: int, where: int, alike: NDArray[np.float64], near: NDArray[np.bool_]
    ) -> None:
        train = self.train[where]
        if not len(train) or not len(self.nearest[at]):
            return
        seen = self.within if at == where else self.across
        seen[at] |= near[:, train].any(axis=1)
        among = alike[:, train]
        best = among.argmax(axis=1)  # of equals, the first
        value = among[np.arange(len(best)), best]
        closer = value > self.nearest[at]
        self.nearest[at] = np.where(closer, value, self.nearest[at])
        place = np.stack([np.full(len(best), where), train[best]], axis=1)
        self.copied[at] = np.where(closer[:, None], place, self.copied[at])

    def result(self) -> SchemeLeaks:
        val, test = (self._exposure(split) for split in splits.SPLITS[1:])
        train = sum(map(len, self.train))
        return SchemeLeaks(self.reader.scheme, train, val, test, self._copied_f1())

    def _exposure(self, split: str) -> Exposure:
        rows = [each == split for each in self.splits]
        within, across = (
            sum(int(part[row].sum()) for part, row in zip(seen, rows, strict=True))
            for seen in (self.within, self.across)
        )
        return Exposure(sum(int(row.sum()) for row in rows), within, across)

    def _copied_f1(self) -> float | None:
        hits = total = 0
        for mask, copy in self._copies():
            hits += int((mask & copy).sum())
            total += int(mask.sum()) + int(copy.sum())
        return 2 * hits / total if total else None

    def _copies(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """The mask of each test image, and of the most similar image of train."""
        for part, assigned, copied in zip(self.parts, self.splits, self.copied, strict=True):
            for row in np.flatnonzero(assigned == "test"):
                where, which = copied[row]
                if where >= 0:
                    yield part.masks[row], self.parts[where].masks[which]
