"""Folds of a cross-validation, and a stiffness held out: one definition for every adapter.

In fold k of n, part k is test, part k + 1 (modulo n) validation, and the rest train. So each image
is tested in exactly one fold and validated in exactly one. Parts are drawn within each stiffness
from the names alone; with groups, whole groups go to a part.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from bmgd_data.splits.schemes import LEFT_OUT, by_rank, census

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["Fold", "assign_folds", "folded", "held_out", "parse_fold"]


class Fold(NamedTuple):
    """One fold of a cross-validation."""

    number: int
    """From 0."""
    folds: int

    def __str__(self) -> str:
        return f"{self.number}/{self.folds}"


def parse_fold(fold: int | str, folds: int | None = None) -> Fold:
    """Read a fold: its number and how many there are, or both as in "0/5".

    Raises:
        ValueError: There are fewer than three folds, or there is no fold of that number.
    """
    if folds is None and isinstance(fold, str) and (both := re.fullmatch(r"(\d+)/(\d+)", fold)):
        fold, folds = int(both[1]), int(both[2])
    try:
        number, count = operator.index(fold), operator.index(folds)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(
            f"{fold!r} is no fold. Valid: a number from 0 and how many folds there are, as in 0 "
            "and 5, or '0/5' on the command line."
        ) from None
    if count < 3 or not 0 <= number < count:  # noqa: PLR2004
        raise ValueError(
            f"No fold {number} of {count} folds. Valid: 3 folds or more (test, validation, train), "
            "fold 0 to folds - 1."
        )
    return Fold(number, count)


def folded(names: Sequence[str], fold: Fold, groups: Sequence[Hashable] | None = None) -> list[str]:
    """The split of each sample of one condition in a fold.

    Args:
        names: The condition's sample names, in any order.
        fold: The fold.
        groups: The group of each name, to keep groups whole. With fewer groups than folds, some
            parts are empty.

    Returns:
        ``"train"``, ``"val"`` or ``"test"`` for each name.
    """
    parts = assign_folds(names, fold.folds, groups)
    role = {fold.number: "test", (fold.number + 1) % fold.folds: "val"}
    return [role.get(part, "train") for part in parts]


def assign_folds(
    names: Sequence[str], folds: int, groups: Sequence[Hashable] | None = None
) -> list[int]:
    """Give each name a part, 0 to folds - 1, whose sizes are as equal as possible.

    Names are ranked by their sha256 and cut into runs whose lengths differ by at most one. Whole
    groups, in the order of the sha256 of their smallest names, go to the part that has the fewest
    images so far.

    Args:
        names: Sample names of one condition, in any order.
        folds: Number of folds.
        groups: The group of each; None if each image may go alone.
    """
    if groups is None:
        place = {name: rank * folds // len(names) for rank, name in enumerate(by_rank(names))}
        return [place[name] for name in names]
    order, size = census(names, groups)
    totals, of = [0] * folds, {}
    for group in order:
        of[group] = totals.index(min(totals))
        totals[of[group]] += size[group]
    return [of[group] for group in groups]


def held_out(assigned: Sequence[str], *, held: bool) -> list[str]:
    """The splits of a condition if some conditions are held out.

    Of these, all images are test. Of the others, the scheme's test images are in no split, so that
    they stay unseen.

    Args:
        assigned: The scheme's split of each sample of the condition.
        held: Whether the condition is held out.
    """
    if held:
        return ["test"] * len(assigned)
    return [LEFT_OUT if split == "test" else split for split in assigned]
