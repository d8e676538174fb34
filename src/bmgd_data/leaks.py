"""How much a split leaks: images of validation and test that look like one of train.

The slices of a colony look alike, so a random split puts look-alikes into train and test, and a
score on its test split says little about new colonies. `measure` counts the look-alikes under each
scheme. It also scores a baseline that copies the mask of the most similar image of train.
"""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np

from bmgd_data import splits
from bmgd_data._system.progress import bar
from bmgd_data._tables import Grid
from bmgd_data.splits import groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

__all__ = ["Exposure", "Grouping", "Leaks", "SchemeLeaks", "exposed", "measure"]

_MEDIAN: Final = 2000  # pairs of images that a median likeness is of
_NOTES: Final = (
    "Look-alikes: images of the split that look like one of train, of the same stiffness.",
    "Across stiffnesses: images of val and test that look like one of train, of another stiffness.",
    'F1 of copying: test score of a "model" that copies the mask of the most similar train image.',
)
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
    """Median likeness of two images of one group, of at most 2,000 pairs; None without pairs."""
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


class Pair(NamedTuple):
    """Two images of one stiffness that show the same."""

    stiffness: str
    kind: str
    """One of ``groups.KINDS``."""
    one: str
    other: str
    """Their names."""
    likeness: float


class Leaks(NamedTuple):
    """Groups and pairs by stiffness, and leaks by scheme."""

    stiffnesses: tuple[Grouping, ...]
    schemes: tuple[SchemeLeaks, ...]
    pairs: tuple[Pair, ...] = ()
    """All pairs that pixels link, by stiffness, then by kind, the most alike first."""

    def kinds(self) -> list[tuple[int, Pair]]:
        """How many pairs there are of each kind in each stiffness, and the most alike of them."""
        runs = itertools.groupby(self.pairs, key=lambda pair: pair[:2])
        several = [list(run) for _, run in runs]
        return [(len(run), run[0]) for run in several]

    def remarks(self) -> list[str]:
        """A sentence on each kind of copies, and on each group above a quarter of its stiffness."""
        copied = [
            f"{pair.stiffness}: {count} pairs of images are copies, {pair.kind}, such as "
            f"{pair.one} and {pair.other}. Grouped splits keep them together; within a split they "
            "count twice."
            for count, pair in self.kinds()
            if pair.kind != groups.KINDS[0]
        ]
        return copied + [
            f"{each.stiffness}: one group holds {each.sizes[0]} of {each.images} images, more than "
            "a quarter. Whole groups give uneven splits here; grouped folds or a stiffness held "
            "out use the data better."
            for each in self.stiffnesses
            if each.sizes and each.sizes[0] > LARGE * each.images
        ]

    def groups_grid(self) -> Grid:
        """The groups of each stiffness, for people."""
        return Grid(
            (
                *("stiffness", ">images", ">groups", ">largest", "evidence"),
                *(">likeness inside", ">between"),
            ),
            [
                [
                    each.stiffness,
                    *map(str, (each.images, len(each.sizes), max(each.sizes, default=0))),
                    f"{each.evidence} {each.pattern}".strip(),
                    *("-" if v is None else f"{v:.2f}" for v in (each.inside, each.between)),
                ]
                for each in self.stiffnesses
            ],
            ["Likeness: median over pairs of images, 0 to 1. Evidence: what shows the groups."],
            "Groups of images that show one colony",
        )

    def kinds_grid(self) -> Grid:
        """How many pairs there are of each kind, for people."""
        return Grid(
            ("stiffness", "kind", ">pairs", ">likeness", "the most alike"),
            [
                [
                    *(pair.stiffness, pair.kind, str(count), f"{pair.likeness:.2f}"),
                    " and ".join(name.split("/", 1)[-1] for name in (pair.one, pair.other)),
                ]
                for count, pair in self.kinds()
            ],
            caption="Pairs of images that show the same",
        )

    def schemes_grid(self) -> Grid:
        """How many look-alikes each scheme puts on both sides, for people."""
        return Grid(
            (
                *("scheme", ">train", ">val", ">test", ">val look-alikes", ">test look-alikes"),
                *(">across stiffnesses", ">F1 of copying, %"),
            ),
            [
                [
                    each.scheme,
                    *map(str, (each.train, each.val.images, each.test.images)),
                    *(f"{part.within} of {part.images}" for part in (each.val, each.test)),
                    str(each.val.across + each.test.across),
                    "-" if each.copied_f1 is None else f"{100 * each.copied_f1:.1f}",
                ]
                for each in self.schemes
            ],
            _NOTES,
            "What each scheme puts on both sides",
        )

    def grids(self) -> list[Grid]:
        """All of it, for people."""
        kinds = [self.kinds_grid()] if self.pairs else []
        return [self.groups_grid(), *kinds, self.schemes_grid()]

    def __repr__(self) -> str:
        tables = [grid.to_text() for grid in self.grids()]
        return "\n\n".join([*tables, *self.remarks()])

    def _repr_html_(self) -> str:
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks())
        return "".join(grid.to_html() for grid in self.grids()) + remarks

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts for JSON."""
        return {
            "stiffnesses": [each._asdict() for each in self.stiffnesses],
            "schemes": [
                {**each._asdict(), "val": each.val._asdict(), "test": each.test._asdict()}
                for each in self.schemes
            ],
            "pairs": [pair._asdict() for pair in self.pairs],
        }


def measure(reader: Reader) -> Leaks:
    """Measure what the schemes leak, on all images of a reader's stiffnesses.

    Two images of one stiffness look alike if ``groups.links`` links them; two of different
    stiffnesses if their likeness is at least ``groups.HIGH``. Links within a stiffness are kept
    with the data, as ``Reader.found_groups`` gives them. Memory is about 40 kB an image.

    Args:
        reader: Any split of the data. If it has known groups, its scheme is measured too.

    Returns:
        Groups of the reader's scheme, if it keeps groups; otherwise as they are found. Leaks of
        every scheme.
    """
    names = list(dict.fromkeys([*splits.SCHEMES, reader.scheme]))
    drawn = [reader.whole if name == reader.scheme else reader.under(name) for name in names]
    own = drawn[names.index(reader.scheme)]
    found = own.found_groups()
    parts = [own.of(condition) for condition in own.conditions]
    pictures = _pictures(parts)
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    within = [
        _moved(found[part.conditions[0].name].linked, start, start)
        for part, start in zip(parts, starts, strict=False)
    ]
    same_size: dict[tuple[int, ...], list[int]] = {}  # others cannot be compared, nor masks copied
    for number, part in enumerate(parts):
        same_size.setdefault(part.masks.shape[1:], []).append(number)
    sizes = [
        (
            np.concatenate([np.arange(starts[k], starts[k + 1]) for k in numbers]),
            np.concatenate([pictures[k] for k in numbers]),
        )
        for numbers in same_size.values()
    ]
    across = []
    for rows, those in sizes:
        pairs = groups.across(those, own.stiffness_pa[rows])
        across.append(pairs._replace(one=rows[pairs.one], other=rows[pairs.other]))
    copied = _copied(drawn, sizes)
    return Leaks(
        tuple(
            _grouping(part, None if own.knows_groups else found[part.conditions[0].name], those)
            for part, those in zip(parts, pictures, strict=True)
        ),
        tuple(
            _scheme(each, within, across, pairs) for each, pairs in zip(drawn, copied, strict=True)
        ),
        tuple(pair for part in parts for pair in _named(part, found[part.conditions[0].name])),
    )


def exposed(reader: Reader, train: Collection[str] | None = None) -> NDArray[np.bool_]:
    """Which samples of a validation or test split look like one of train, of the same stiffness.

    Args:
        reader: A split of any scheme.
        train: Names of the training images, such as those of a fold. None: the train split of the
            reader's scheme.

    Returns:
        (N,) in the reader's order. The links that tell are kept with the data.
    """
    alike: dict[str, bool] = {}
    found = reader.found_groups()
    for condition in reader.conditions:
        part = reader.whole.of(condition)
        trained = (
            np.array(part.splits, str) == "train"
            if train is None
            else np.isin(part.names, list(train))
        )
        alike.update(
            zip(
                part.names,
                _linked_to(trained, [found[condition.name].linked]).tolist(),
                strict=True,
            )
        )
    return np.array([alike[name] for name in reader.names], bool)


def _pictures(parts: Sequence[Reader]) -> list[NDArray[np.int32]]:
    with bar("comparing images", sum(map(len, parts))) as progress:
        # `describe` reads one image at a time, so a LazyArray will do.
        images = [cast("NDArray[np.uint16]", part.images) for part in parts]
        return [groups.describe(each, progress) for each in images]


def _named(part: Reader, found: groups.Groups) -> list[Pair]:
    linked, names = found.linked, part.names
    order = np.lexsort((-linked.likeness, linked.kind))
    return [
        Pair(
            part.conditions[0].name,
            groups.KINDS[kind],
            names[one],
            names[other],
            likeness,
        )
        for one, other, likeness, kind in zip(
            *(each.tolist() for each in linked.where(order)), strict=True
        )
    ]


def _moved(pairs: groups.Pairs, one: int, other: int) -> groups.Pairs:
    """Pairs whose rows are counted among all images, where the parts' first rows are these."""
    return pairs._replace(one=pairs.one + one, other=pairs.other + other)


def _linked_to(chosen: NDArray[np.bool_], pairs: Iterable[groups.Pairs]) -> NDArray[np.bool_]:
    """(n,) which images are in a pair with a chosen one."""
    linked = np.zeros_like(chosen)
    for each in pairs:
        linked[each.one[chosen[each.other]]] = True
        linked[each.other[chosen[each.one]]] = True
    return linked


def _grouping(part: Reader, found: groups.Groups | None, pictures: NDArray[np.int32]) -> Grouping:
    numbers = part.groups
    sizes = np.unique(numbers, return_counts=True)[1]
    order = np.argsort(numbers, kind="stable")
    inside = _pairs_of(sizes)
    between = _pairs_of(np.array([len(numbers)]))
    between = between[:, numbers[order[between[0]]] != numbers[order[between[1]]]]
    medians = []
    for pairs in (inside, between):
        one, other = order[pairs]
        rows = np.argsort(one, kind="stable")
        alike = groups.likeness_of(pictures, pictures, one[rows], other[rows])
        medians.append(float(np.median(alike)) if alike.size else None)
    return Grouping(
        part.conditions[0].name,
        len(numbers),
        sorted(sizes.tolist(), reverse=True),
        found.evidence if found else "given",
        found.pattern if found else "",
        *medians,
    )


def _pairs_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(2, k) pairs within runs of these sizes: all, or else `_MEDIAN` of them, evenly spread."""
    counts = sizes * (sizes - 1) // 2
    ends, starts = counts.cumsum(), sizes.cumsum() - sizes
    total = int(counts.sum())
    chosen = np.unique(np.linspace(0, total - 1, min(total, _MEDIAN)).astype(np.int64))
    run = np.searchsorted(ends, chosen, side="right")
    number = chosen - (ends - counts)[run]  # of the pair (1, 0), (2, 0), (2, 1), (3, 0) ...
    larger = ((1 + np.sqrt(8 * number + 1)) // 2).astype(np.int64)
    smaller = number - larger * (larger - 1) // 2
    return np.stack([smaller, larger]) + starts[run]


def _copied(
    drawn: Sequence[Reader], sizes: Sequence[tuple[NDArray[np.int64], NDArray[np.int32]]]
) -> list[list[tuple[int, int]]]:
    """The images of test of each scheme, each with the most similar one of train.

    `sizes` are rows and pictures of the images of each size.
    """
    found: list[list[tuple[int, int]]] = [[] for _ in drawn]
    for rows, pictures in sizes:
        assigned = [np.array(reader.splits, str)[rows] for reader in drawn]
        schemes = [scheme for scheme, split in enumerate(assigned) if (split == "train").any()]
        asked = [
            (np.flatnonzero(split == "test"), np.flatnonzero(split == "train"))
            for split in (assigned[scheme] for scheme in schemes)
        ]
        nearest = groups.nearest(pictures, asked)
        for scheme, (tested, _), copied in zip(schemes, asked, nearest, strict=True):
            found[scheme] += zip(rows[tested].tolist(), rows[copied].tolist(), strict=True)
    return found


def _scheme(
    reader: Reader,
    within: Sequence[groups.Pairs],
    across: Sequence[groups.Pairs],
    copied: Sequence[tuple[int, int]],
) -> SchemeLeaks:
    """What one scheme leaks; `copied` are its images of test, each with the nearest of train."""
    chosen = {split: np.array(reader.splits, str) == split for split in splits.SPLITS}
    seen = [_linked_to(chosen["train"], pairs) for pairs in (within, across)]
    val, test = (
        Exposure(*(int(each[rows].sum()) for each in (rows, *seen)))
        for rows in list(chosen.values())[1:]
    )
    hits = total = 0
    for pair in copied:
        mask, copy = (reader[at]["mask"] for at in pair)
        hits += int((mask & copy).sum())
        total += int(mask.sum()) + int(copy.sum())
    copied_f1 = 2 * hits / total if total else None
    return SchemeLeaks(reader.scheme, int(chosen["train"].sum()), val, test, copied_f1)
