"""Which samples are train, validation and test.

A scheme is a function of one condition's sample names, the group of each, and the condition. It
returns a split for each name. It handles one condition at a time, so fetching one archive gives the
same membership as fetching all four.
"""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import facts
from bmgd_data.errors import BMGDWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    AnyScheme = str | os.PathLike[str] | Mapping[str, str | int]
    """A name, the path of a CSV file with known groups, or a mapping of names to groups."""
    Draw = Callable[[Sequence[str], Sequence[Hashable] | None, facts.Condition], list[str]]
    """Names, groups (None if the scheme needs none) and condition to a split for each name."""

__all__ = [
    "SCHEMES",
    "SPLITS",
    "Scheme",
    "assign",
    "deal",
    "grouped",
    "known_groups",
    "parse_fold",
    "parse_scheme",
    "parse_split",
    "random",
    "refold",
    "resolve_scheme",
]

SPLITS: Final = ("train", "val", "test")
"""The names of the splits everywhere except in TFDS and Hugging Face's libraries."""


def parse_split(split: str) -> str:
    """Read a split name: train, val (also validation), test or all.

    Raises:
        ValueError: Any other name.
    """
    name = {"validation": "val", "valid": "val"}.get(split, split)
    if name not in (*SPLITS, "all"):
        raise ValueError(
            f"Unknown split {split!r}. Valid: 'train', 'val' (or 'validation'), 'test', 'all'."
        )
    return name


class Scheme(NamedTuple):
    """How splits are drawn."""

    name: str
    """A key of `SCHEMES`, or the origin of the known groups."""
    rule: str
    """The key of `SCHEMES` that draws the splits."""
    known: Mapping[str, str] | None = None
    """Group of each sample name if groups were given; None if they are computed."""

    @property
    def grouped(self) -> bool:
        """Whether images of one group stay together."""
        return self.rule == "grouped"


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


def resolve_scheme(scheme: AnyScheme) -> Scheme:
    """Read a scheme: a name, or known groups.

    Args:
        scheme: A key of `SCHEMES`; or the path of a CSV file with the columns ``name`` and
            ``group`` (others are ignored); or a mapping of sample names to groups.

    Raises:
        ValueError: Unknown scheme, or groups that cannot be used.
    """
    if isinstance(scheme, Mapping):
        given: dict[str, object] = dict(scheme)
        pairs = ((str(n), "" if group is None else str(group)) for n, group in given.items())
        return _known(pairs, "a mapping")
    path = os.fspath(scheme)
    if path in SCHEMES or not (isinstance(scheme, os.PathLike) or path.lower().endswith(".csv")):
        try:
            return Scheme(parse_scheme(path), path)
        except ValueError as error:
            raise ValueError(
                f"{error} Or known groups: the path of a CSV file (its name ends in .csv) with the "
                "columns name and group."
            ) from error
    return _known(_read_csv(Path(path).expanduser()), Path(path).name)


def _read_csv(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if missing := {"name", "group"} - set(table.fieldnames or ()):
                raise ValueError(
                    f"{path} has no column {' and no column '.join(sorted(missing))}. Its first "
                    "line must name the columns name and group, separated by commas."
                )
            return [(row["name"] or "", row["group"] or "") for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"The groups in {path} cannot be read: {error}.") from error


def _known(pairs: Iterable[tuple[str, str]], where: str) -> Scheme:
    """Known groups as a scheme, whose name includes a digest of them."""
    known: dict[str, str] = {}
    problems: dict[str, list[str]] = defaultdict(list)
    owners = tuple(f"{condition.name}/" for condition in facts.CONDITIONS)
    for name, group in pairs:
        if not name.startswith(owners):
            problems["are no sample names, which look like '1200Pa/001'"].append(name)
        elif not group:
            problems["have no group"].append(name)
        elif known.setdefault(name, group) != group:
            problems["have two groups"].append(name)
    if problems:
        told = [f"{_listed(names)} {what}" for what, names in problems.items()]
        raise ValueError(f"The groups of {where} cannot be used: {'; '.join(told)}.")
    places = {(group, name.partition("/")[0]) for name, group in known.items()}
    if several := sorted(group for group, n in Counter(g for g, _ in places).items() if n > 1):
        warnings.warn(
            f"{len(several)} groups of {where} hold images of several stiffnesses, such as "
            f"{several[0]!r}. Each stiffness is split on its own, so these groups may be both in "
            "train and in test. Hold one stiffness out, or give such groups to one stiffness.",
            BMGDWarning,
            stacklevel=4,
        )
    content = "\n".join(f"{name},{group}" for name, group in sorted(known.items()))
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Scheme(f"grouped by {where}, {digest}", "grouped", known)


def known_groups(
    known: Mapping[str, str], names: Sequence[str], condition: facts.Condition
) -> list[str]:
    """Look up the known group of each sample of a condition.

    Args:
        known: Group of each name; names of other conditions are ignored.
        names: All sample names of the condition.
        condition: The condition.

    Raises:
        ValueError: Names without a group, or groups of names that do not exist.
    """
    own = {name for name in known if name.startswith(f"{condition.name}/")}
    problems = {
        "images have no group": [name for name in names if name not in own],
        "names with a group are of no image": sorted(own.difference(names)),
    }
    if told := [f"{len(some)} {what}: {_listed(some)}" for what, some in problems.items() if some]:
        raise ValueError(
            f"The known groups do not fit the {len(names)} images of {condition.name}: "
            f"{'; '.join(told)}. Reader('all').names has the names; each needs one group."
        )
    return [known[name] for name in names]


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown + f" and {len(names) - most} more" * (len(names) > most)


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
    ranked = sorted(names, key=_rank)
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
    order, size = _census(names, groups)
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


def _census(
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


def parse_fold(fold: int, folds: int) -> tuple[int, int]:
    """Check the number of a fold and the number of folds.

    Raises:
        ValueError: There are fewer than two folds, or there is no fold of that number.
    """
    if folds < 2 or not 0 <= fold < folds:  # noqa: PLR2004
        raise ValueError(
            f"No fold {fold} of {folds} folds. Valid: folds of 2 or more, fold 0 to folds - 1."
        )
    return fold, folds


def refold(
    names: Sequence[str],
    assigned: Sequence[str],
    fold: int,
    folds: int,
    groups: Sequence[Hashable] | None = None,
) -> list[str]:
    """Draw train and validation again, as one fold of a k-fold cross-validation; test stays.

    The names that are not in test, ranked by sha256, are cut into `folds` runs whose lengths differ
    by at most one. Run number `fold` is validation and the others are train, so each of these names
    is validated in exactly one fold. With `groups`, whole groups go to folds as in `deal`; with
    fewer groups than folds, some folds have no validation.

    Args:
        names: One condition's sample names, in any order.
        assigned: The split of each, as from `assign`.
        fold: Number of the fold, from 0.
        folds: Number of folds.
        groups: The group of each name, to keep groups whole.

    Raises:
        ValueError: There is no such fold, or it would be empty without groups.
    """
    fold, folds = parse_fold(fold, folds)
    kept = [name for name, split in zip(names, assigned, strict=True) if split != "test"]
    if groups is not None:
        group_of = dict(zip(names, groups, strict=True))
        fold_of = dict(zip(kept, deal(kept, [group_of[n] for n in kept], folds), strict=True))
    elif folds > len(kept):
        raise ValueError(f"{len(kept)} images cannot be cut into {folds} folds. Ask for fewer.")
    else:
        ranked = sorted(kept, key=_rank)
        fold_of = {name: rank * folds // len(ranked) for rank, name in enumerate(ranked)}
    drawn = {name: "val" if number == fold else "train" for name, number in fold_of.items()}
    return [drawn.get(name, "test") for name in names]


def deal(names: Sequence[str], groups: Sequence[Hashable], folds: int) -> list[int]:
    """Give whole groups to folds, each to the fold that has the fewest images so far.

    Groups are taken in the order of the sha256 of their smallest names.

    Args:
        names: Sample names, in any order.
        groups: The group of each.
        folds: Number of folds.

    Returns:
        The fold of each name, 0 to folds - 1.
    """
    order, size = _census(names, groups)
    totals, of = [0] * folds, {}
    for group in order:
        of[group] = totals.index(min(totals))
        totals[of[group]] += size[group]
    return [of[group] for group in groups]


def _rank(name: str) -> bytes:
    """A key that shuffles names the same way on every machine."""
    # One bytes object: thousands of tuples would start the garbage collector, which, with torch
    # loaded, takes longer than all other steps of opening.
    encoded = name.encode()
    return hashlib.sha256(encoded).digest() + encoded


SCHEMES: Final[dict[str, Draw]] = {"random": random, "grouped": grouped}
"""Ways of drawing splits, by name: functions of (names, groups, condition)."""
