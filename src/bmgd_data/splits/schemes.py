"""Which samples are train, validation and test.

A scheme is a function of one condition's sample names, the group of each, and the condition. It
returns a split for each name. It handles one condition at a time, so fetching one archive gives the
same membership as fetching all four.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from bmgd_data import facts

    AnyScheme = str | os.PathLike[str] | Mapping[str, str | int]
    """A name, the path of a CSV file with known groups or splits, or a mapping of names to them."""
    Draw = Callable[[Sequence[str], Sequence[Hashable] | None, facts.Condition], list[str]]
    """Names, groups (None if the scheme needs none) and condition to a split for each name."""

__all__ = [
    "SCHEMES",
    "SPLITS",
    "Scheme",
    "assign",
    "grouped",
    "parse_scheme",
    "parse_split",
    "random",
]

SPLITS: Final = ("train", "val", "test")
"""The names of the splits everywhere except in TFDS and Hugging Face's libraries."""


LEFT_OUT: Final = "none"
"""The split of images that a membership, or a held-out stiffness, leaves out of all three."""
GIVEN: Final = "given"
"""The rule of a scheme whose membership was given."""
ALSO: Final = {"validation": "val", "valid": "val"}
"""Other words for a split."""


def parse_split(split: str) -> str:
    """Read a split name: train, val (also validation), test or all.

    Raises:
        ValueError: Any other name.
    """
    given: Any = split  # whatever users guess
    name: str = ALSO.get(given, given) if isinstance(given, str) else given
    if name not in (*SPLITS, "all"):
        hint = ""
        if not isinstance(given, str):
            hint = " One at a time: read 'all' and index it, or join two data sets."
        elif re.search(r"[./\\~]", split):
            hint = (
                " A folder is given by its keyword: root= for where data is kept, source= for "
                "archives or unpacked folders."
            )
        raise ValueError(
            f"Unknown split {split!r}. Valid: 'train', 'val' (or 'validation'), 'test', 'all'."
            f"{hint}"
        )
    return name


class Scheme(NamedTuple):
    """How splits are drawn."""

    name: str
    """A key of `SCHEMES`, or the origin of what was given."""
    rule: str
    """The key of `SCHEMES` that draws the splits; `GIVEN` if the membership was given."""
    known: Mapping[str, str] | None = None
    """Group of each sample name if groups were given; None if they are computed."""
    members: Mapping[str, str] | None = None
    """Split of each sample name if the membership was given."""

    @property
    def grouped(self) -> bool:
        """Whether images of one group stay together."""
        return self.rule == "grouped"

    @property
    def keeps_groups(self) -> bool:
        """Whether folds keep images of one group together."""
        return self.grouped or self.known is not None


def parse_scheme(scheme: str) -> str:
    """Read the name of a scheme.

    Raises:
        ValueError: Unknown scheme.
    """
    if isinstance(scheme, str) and scheme in SCHEMES:  # type: ignore[redundant-expr]
        return scheme
    why = f"Unknown scheme {scheme!r}."
    if scheme == "paper":
        why = (
            "There is no scheme 'paper': the paper does not publish which image is in which split. "
            "'random' has the paper's proportions."
        )
    raise ValueError(f"{why} Valid: {', '.join(map(repr, SCHEMES))}.")


def assign(
    names: Sequence[str],
    condition: facts.Condition,
    scheme: str = "random",
    groups: Sequence[Hashable] | None = None,
) -> list[str]:
    """Assign each sample of one condition to a split.

    Args:
        names: The condition's sample names, in any order.
        condition: The condition.
        scheme: A key of `SCHEMES`.
        groups: The group of each name; "random" needs none.

    Returns:
        ``"train"``, ``"val"`` or ``"test"`` for each name.

    Raises:
        ValueError: Unknown scheme, or one that needs groups and has none.
    """
    return SCHEMES[parse_scheme(scheme)](names, groups, condition)


def random(
    names: Sequence[str],
    groups: Sequence[Hashable] | None,  # noqa: ARG001 - every scheme takes the same
    condition: facts.Condition,
) -> list[str]:
    """80:10:10, ranked by the sha256 of the name; groups do not matter.

    Test is taken from the low end and validation from the high end, so that a changed count moves
    images only to or from train. At the paper's count the sizes add up to the paper's 655/82/82
    (``facts.CONDITIONS``); at any other, validation and test are each n/10, rounded half up. The
    result depends on the names alone, not on their order, a random generator or the machine.
    """
    size = _size(names, condition)
    ranked = by_rank(names)
    test, val = set(ranked[:size]), set(ranked[len(ranked) - size :])
    return ["test" if name in test else "val" if name in val else "train" for name in names]


def grouped(
    names: Sequence[str], groups: Sequence[Hashable] | None, condition: facts.Condition
) -> list[str]:
    """Whole groups, to sizes as near to those of "random" as groups allow.

    Groups are ranked by the sha256 of their smallest name. Test takes those that fit, from the low
    end, and the smallest that does not fit if this comes nearer to the size or if none fits.
    Validation then does the same from the high end. The largest group and at least half of the
    images stay in train, so with few groups validation or test may be empty. If every image is
    alone in its group, the result equals "random", image for image.

    Raises:
        ValueError: `groups` is None.
    """
    if groups is None:
        raise ValueError("The scheme 'grouped' needs the group of each name in groups=.")
    target, room = _size(names, condition), len(names) // 2
    order, size = census(names, groups)
    largest = max(order, key=size.__getitem__, default=None)
    queue = [group for group in order if group != largest or size[group] == 1]
    where: dict[Hashable, str] = {}
    for split, ranked in (("test", queue), ("val", queue[::-1])):
        chosen = _fill([group for group in ranked if group not in where], size, target)
        if (taken := sum(size[group] for group in chosen)) <= room:
            where.update(dict.fromkeys(chosen, split))
            room -= taken
    return [where.get(group, "train") for group in groups]


def _size(names: Sequence[str], condition: facts.Condition) -> int:
    """Number of validation images, and of test images."""
    return condition.val if len(names) == condition.images else (len(names) + 5) // 10


def census(
    names: Sequence[str], groups: Sequence[Hashable]
) -> tuple[list[Hashable], Counter[Hashable]]:
    """The groups in the order of their smallest names' hashes, and their sizes."""
    least: dict[Hashable, str] = {}
    for name, group in zip(names, groups, strict=True):
        least[group] = min(name, least.get(group, name))
    return sorted(least, key=lambda group: _rank(least[group])), Counter(groups)


def _fill(queue: Sequence[Hashable], size: Mapping[Hashable, int], target: int) -> list[Hashable]:
    """Groups from a queue whose sizes add up to about the target."""
    taken, total, over = [], 0, []
    for group in queue:
        if total + size[group] <= target:
            taken.append(group)
            total += size[group]
        else:
            over.append(group)
    if total < target and over:
        least = min(over, key=size.__getitem__)  # of equals, the first
        if not taken or total + size[least] - target < target - total:
            taken.append(least)
    return taken


def by_rank(names: Sequence[str]) -> list[str]:
    """The names in an order that is the same on every machine and depends on nothing else."""
    return sorted(names, key=_rank)


def _rank(name: str) -> bytes:
    """A key that shuffles names the same way on every machine."""
    # One bytes object: thousands of tuples would start the garbage collector, which, with torch
    # loaded, takes longer than all other steps of opening.
    encoded = name.encode()
    return hashlib.sha256(encoded).digest() + encoded


SCHEMES: Final[dict[str, Draw]] = {"random": random, "grouped": grouped}
"""Ways of drawing splits, by name: functions of (names, groups, condition)."""
