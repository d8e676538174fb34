"""Who is in train, validation and test.

A scheme is a function of one condition's sample names, the group that each belongs to, and the
condition. It gives a split for each name. It sees one condition at a time, so that fetching one
archive gives the same membership as fetching all four.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bmgd_data import facts

    Scheme = Callable[[Sequence[str], Sequence[int] | None, facts.Condition], list[str]]
    """Names, groups (None where the scheme asks for none) and condition to a split for each."""

__all__ = [
    "SCHEMES",
    "SPLITS",
    "assign",
    "parse_fold",
    "parse_scheme",
    "parse_split",
    "random",
    "refold",
]

SPLITS: Final = ("train", "val", "test")
"""The splits, by the names that are used everywhere but in TFDS and Hugging Face's libraries."""

_ALIASES: Final = {"validation": "val", "valid": "val"}


def parse_split(split: str) -> str:
    """Read a split name: train, val (also validation), test or all.

    Raises:
        ValueError: Any other name.
    """
    name = _ALIASES.get(split, split)
    if name not in (*SPLITS, "all"):
        raise ValueError(
            f"Unknown split {split!r}. Valid: 'train', 'val' (or 'validation'), 'test', 'all'."
        )
    return name


def parse_scheme(scheme: str) -> str:
    """Read the name of a scheme.

    Raises:
        ValueError: Unknown scheme.
    """
    if scheme not in SCHEMES:
        why = _NO_SCHEME.get(scheme, f"Unknown scheme {scheme!r}.")
        raise ValueError(f"{why} Valid: {', '.join(map(repr, SCHEMES))}.")
    return scheme


_NO_SCHEME: Final = {
    "paper": "There is no scheme 'paper': which image is in which split of the paper is not "
    "published. 'random' has the paper's proportions."
}


def assign(
    names: Sequence[str],
    condition: facts.Condition,
    scheme: str = "random",
    groups: Sequence[int] | None = None,
) -> list[str]:
    """Say for each sample of one condition which split it is in.

    Args:
        names: The condition's sample names, in any order.
        condition: Which condition they are of.
        scheme: How splits are drawn: a key of `SCHEMES`.
        groups: For each name the group of images that it belongs to; "random" takes None.

    Returns:
        ``"train"``, ``"val"`` or ``"test"`` for each name.

    Raises:
        ValueError: Unknown scheme.
    """
    return SCHEMES[parse_scheme(scheme)](names, groups, condition)


def random(
    names: Sequence[str],
    groups: Sequence[int] | None,  # noqa: ARG001 - every scheme takes the same
    condition: facts.Condition,
) -> list[str]:
    """80:10:10, ranked by the sha256 of the name; groups do not matter.

    Test is taken from the low end and validation from the high end, so that a changed count moves
    images only to or from train. At the paper's count the sizes add up to the paper's 655/82/82
    (``facts.CONDITIONS``); at any other, validation and test are each n/10 rounded half up. No
    random generator, machine or order has a say.
    """
    size = condition.val if len(names) == condition.images else (len(names) + 5) // 10
    ranked = sorted(names, key=_rank)
    test, val = set(ranked[:size]), set(ranked[len(ranked) - size :])
    return ["test" if name in test else "val" if name in val else "train" for name in names]


def parse_fold(fold: int, folds: int) -> tuple[int, int]:
    """Check which fold of how many is meant.

    Raises:
        ValueError: There are fewer than two folds, or none of that number.
    """
    if folds < 2 or not 0 <= fold < folds:  # noqa: PLR2004 - two is the least that validates
        raise ValueError(
            f"No fold {fold} of {folds} folds. Valid: folds of 2 or more, fold 0 to folds - 1."
        )
    return fold, folds


def refold(names: Sequence[str], assigned: Sequence[str], fold: int, folds: int) -> list[str]:
    """Draw train and validation anew, as one fold of a k-fold cross-validation; test stays.

    The names that are not in test, ranked by sha256, are cut into `folds` runs whose lengths differ
    by one at most; run number `fold` is validation and the others are train. So each of these
    names is validated in exactly one fold.

    Args:
        names: One condition's sample names, in any order.
        assigned: The split of each, as from `assign`.
        fold: Number of the fold, from 0.
        folds: How many there are.

    Raises:
        ValueError: There is no such fold, or it would be empty.
    """
    fold, folds = parse_fold(fold, folds)
    ranked = sorted((n for n, at in zip(names, assigned, strict=True) if at != "test"), key=_rank)
    if folds > len(ranked):
        raise ValueError(f"{len(ranked)} images cannot be cut into {folds} folds. Ask for fewer.")
    val = {name for rank, name in enumerate(ranked) if rank * folds // len(ranked) == fold}
    return [
        "val" if name in val else "test" if split == "test" else "train"
        for name, split in zip(names, assigned, strict=True)
    ]


def _rank(name: str) -> bytes:
    """Sorting by it shuffles names the same way on every machine."""
    # One bytes object: tuples by the thousand would set off the garbage collector, which takes
    # longer over what torch has loaded than all else that opening takes.
    encoded = name.encode()
    return hashlib.sha256(encoded).digest() + encoded


SCHEMES: Final[dict[str, Scheme]] = {"random": random}
"""Ways of drawing splits, by name: functions of (names, groups, condition)."""
