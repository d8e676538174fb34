"""How much a split leaks: images of validation and test that look like one of train.

The slices of a colony look alike, so a random split puts look-alikes into train and test, and a
score on its test split says little about new colonies. `measure` counts the look-alikes under each
scheme. It also scores a baseline that copies the mask of the most similar image of train.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from bmgd_data import splits
from bmgd_data._system.progress import bar
from bmgd_data.splits import groups

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

__all__ = ["Exposure", "Grouping", "Leaks", "SchemeLeaks", "exposed", "measure"]

LARGE: Final = 0.25
"""`Leaks.remarks` names groups with more than this share of a stiffness."""


class Grouping(NamedTuple):
    """The groups of one stiffness."""

    stiffness: str
    """Such as "1200Pa"."""
    images: int
    sizes: list[int]
    """Images of each group, the largest first."""
    evidence: str
    """"pixels", "names" or "contradicted", see ``bmgd_data.splits.groups.Groups``; or "given"."""
    pattern: str
    """How file names are read, if they give series."""
    inside: float | None
    """Median likeness of two images of one group; None if there are none."""
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
    """Look-alikes between the splits of one scheme."""

    scheme: str
    train: int
    """Images of train."""
    val: Exposure
    test: Exposure
    copied_f1: float | None
    """Pixel F1, pooled over the test split, of copying the mask of the most similar image of train;
    None if there is nothing to copy or to score."""


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
        """Plain numbers, lists and dicts for JSON."""
        return {
            "stiffnesses": [each._asdict() for each in self.stiffnesses],
            "schemes": [
                {**each._asdict(), "val": each.val._asdict(), "test": each.test._asdict()}
                for each in self.schemes
            ],
        }


def measure(reader: Reader) -> Leaks:
    """Measure what the schemes leak, on all images of a reader's stiffnesses.

    Two images of one stiffness look alike if ``groups.links`` links them; two of different
    stiffnesses if their likeness is at least ``groups.HIGH``. Two stiffnesses are compared at a
    time, so memory depends on the largest: about ``8 * n * (n + 4096)`` bytes for its n images, and
    16 KB for each image of all.

    Args:
        reader: Any split of the data. If it has known groups, its scheme is measured too.

    Returns:
        Groups of the reader's scheme, if it keeps groups; otherwise as they are found. Leaks of
        every scheme.
    """
    names = list(dict.fromkeys([*splits.SCHEMES, reader.scheme]))
    drawn = [reader.whole if name == reader.scheme else reader.under(name) for name in names]
    tallies = [_Tally(each) for each in drawn]
    own = drawn[names.index(reader.scheme)]
    found = {} if own.knows_groups else own.found_groups()
    parts = [own.of(condition) for condition in own.conditions]
    pictures = _pictures(parts)
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    rows = [slice(*ends) for ends in itertools.pairwise(starts)]
    groupings = []
    for one, other in itertools.combinations_with_replacement(range(len(parts)), 2):
        if parts[one].masks.shape[1:] != parts[other].masks.shape[1:]:
            continue  # sizes differ: masks cannot be copied, nor pictures compared
        same = one == other
        alike = groups.likeness(pictures[one], None if same else pictures[other])
        near = groups.links(alike) if same else alike >= groups.HIGH
        if same:
            condition = parts[one].conditions[0]
            groupings.append(_grouping(parts[one], found.get(condition.name), alike))
        for tally in tallies:
            tally.add(rows[one], rows[other], alike, near)
            if not same:
                tally.add(rows[other], rows[one], alike.T, near.T)
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
        trained = (
            np.array(part.splits, str) == "train"
            if train is None
            else np.isin(part.names, list(train))
        )
        (pictures,) = _pictures([part])
        linked = groups.links(groups.likeness(pictures))
        for name, row in zip(part.names, linked, strict=True):
            alike[name] = bool(row[trained].any())
    return np.array([alike[name] for name in reader.names], bool)


def _pictures(parts: Sequence[Reader]) -> list[NDArray[np.int32]]:
    with bar("comparing images", sum(map(len, parts))) as progress:
        # `describe` reads one image at a time, so a LazyArray will do.
        images = [cast("NDArray[np.uint16]", part.images) for part in parts]
        return [groups.describe(each, progress) for each in images]


def _grouping(part: Reader, found: groups.Groups | None, alike: NDArray[np.float64]) -> Grouping:
    numbers = part.groups
    sizes = np.unique(numbers, return_counts=True)[1]
    together = numbers[:, None] == numbers
    pairs = np.tri(len(numbers), k=-1, dtype=bool)
    inside, between = (
        float(np.median(alike[chosen], overwrite_input=True)) if chosen.any() else None
        for chosen in (pairs & together, pairs & ~together)
    )
    return Grouping(
        part.conditions[0].name,
        len(numbers),
        sorted(sizes.tolist(), reverse=True),
        found.evidence if found else "given",
        found.pattern if found else "",
        inside,
        between,
    )


class _Tally:
    """What one scheme leaks; arrays are of all images, in the reader's order."""

    def __init__(self, reader: Reader) -> None:
        count = len(reader)
        self.reader = reader
        self.splits = np.array(reader.splits, dtype=object)
        self.within, self.across = np.zeros(count, bool), np.zeros(count, bool)
        self.nearest = np.full(count, -1.0)
        self.copied = np.full(count, -1)
        """The image of train that is most like each; the first of equals."""

    def add(
        self, rows: slice, others: slice, alike: NDArray[np.float64], near: NDArray[np.bool_]
    ) -> None:
        """Compare the images `rows` of one stiffness with those of train among `others`.

        `alike` is the likeness of each pair, `near` says which pairs count as alike.
        """
        train = np.flatnonzero(self.splits[others] == "train")
        if not train.size or not len(alike):
            return
        seen = self.within if rows == others else self.across
        seen[rows] |= near[:, train].any(axis=1)
        among = alike[:, train]
        best = among.argmax(axis=1)
        value = among[np.arange(len(best)), best]
        closer = value > self.nearest[rows]
        self.nearest[rows] = np.where(closer, value, self.nearest[rows])
        self.copied[rows] = np.where(closer, others.start + train[best], self.copied[rows])

    def result(self) -> SchemeLeaks:
        chosen = {split: self.splits == split for split in splits.SPLITS}
        val, test = (
            Exposure(*(int(each[chosen[split]].sum()) for each in (rows, self.within, self.across)))
            for split, rows in list(chosen.items())[1:]
        )
        hits = total = 0
        for row in np.flatnonzero(chosen["test"] & (self.copied >= 0)).tolist():
            mask, copy = (self.reader[at]["mask"] for at in (row, int(self.copied[row])))
            hits += int((mask & copy).sum())
            total += int(mask.sum()) + int(copy.sum())
        copied_f1 = 2 * hits / total if total else None
        train = int(chosen["train"].sum())
        return SchemeLeaks(self.reader.scheme, train, val, test, copied_f1)
