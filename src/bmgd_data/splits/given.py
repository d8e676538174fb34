"""Schemes that users give: known groups, or a membership, as a file, a table or a mapping."""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data import facts
from bmgd_data.errors import BMGDWarning
from bmgd_data.splits.schemes import ALSO, GIVEN, LEFT_OUT, SPLITS, Scheme, parse_scheme

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bmgd_data.splits.schemes import AnyScheme

__all__ = ["known_of", "resolve_scheme"]

_WORDS: Final = {**{word: word for word in (*SPLITS, LEFT_OUT)}, **ALSO}
_VALID_SPLITS: Final = ", ".join(_WORDS)
_MISSING: Final = {"", "nan", "na", "n/a", "<na>", "nat", "none", "null"}
"""What programs write for a missing value, in lower case; "none" as it is here is `LEFT_OUT`."""
_COLUMNS: Final = ("name", "group", "split")


def resolve_scheme(scheme: AnyScheme) -> Scheme:
    """Read a scheme: a name, known groups, or a membership.

    Args:
        scheme: A key of `SCHEMES`; or the path of a CSV file with the column ``name`` and at least
            one of ``group`` and ``split`` (others are ignored); or a mapping of sample names to
            groups, or to splits. A pandas DataFrame is read as the file is, a Series as a mapping.
            Splits are train, val (also validation, valid) and test; none leaves an image out.

    Raises:
        ValueError: Unknown scheme, or groups or splits that cannot be used.
    """
    table: Any = scheme
    if hasattr(table, "itertuples"):  # of pandas, which is not imported here
        columns = [str(column) for column in table.columns]
        rows = (map(str, row) for row in table.itertuples(index=False))
        return _given(_records(columns, rows, "a DataFrame"), "a DataFrame")
    if isinstance(scheme, Mapping) or hasattr(table, "to_dict"):
        return _given(_from_mapping(dict(table.items())), "a mapping")
    if isinstance(scheme, os.PathLike) or str(scheme).lower().endswith(".csv"):
        path = Path(scheme).expanduser()
        return _given(_read_csv(path), path.name)
    if str(scheme).startswith((f"{GIVEN} by ", "grouped by ")):  # as a checkpoint records it
        raise ValueError(
            f"The groups or splits of the scheme {scheme!r} were given as a file or a mapping, "
            "which this name does not hold. Give that file or mapping again as scheme=."
        )
    try:
        name = parse_scheme(scheme)
    except ValueError as error:
        raise ValueError(
            f"{error} Or known groups or splits: the path of a CSV file (its name ends in .csv) "
            "with the columns name and group, or name and split; or a mapping of names."
        ) from None
    return Scheme(name, name)


class _Row(NamedTuple):
    """What is given of one sample; None if that is not given for any."""

    name: str
    group: str | None
    split: str | None


def _from_mapping(given: Mapping[Any, Any]) -> list[_Row]:
    texts = {str(name): str(value) for name, value in given.items()}
    present = [t for t in texts.values() if t == LEFT_OUT or not _is_missing(t)]
    splits = [text for text in present if _word(text)]
    if splits and len(splits) < len(present):
        other = next(text for text in present if not _word(text))
        raise ValueError(
            f"The values of a mapping are either all groups or all splits: {len(splits)} are "
            f"splits, such as {splits[0]!r}, and {len(present) - len(splits)} are not, such as "
            f"{other!r}. Valid splits: {_VALID_SPLITS}. Groups need other names."
        )
    return [_Row(n, None, text) if splits else _Row(n, text, None) for n, text in texts.items()]


def _read_csv(path: Path) -> list[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            # Spreadsheets write what their country separates columns by.
            delimiter = max(",;\t", key=head.count)
            columns, *rows = csv.reader(file, delimiter=delimiter)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise ValueError(f"The groups or splits in {path} cannot be read: {error}.") from error
    return _records([column.strip().lower() for column in columns], filter(None, rows), str(path))


def _records(columns: list[str], rows: Iterable[Iterable[str]], where: str) -> list[_Row]:
    places = {column: columns.index(column) for column in _COLUMNS if column in columns}
    if "name" not in places or len(places) == 1:
        raise ValueError(
            f"{where} has the columns {', '.join(map(repr, columns))}. It needs the column name, "
            "and group, split or both."
        )

    def cell(row: list[str], column: str) -> str | None:
        if column not in places:
            return None
        return row[places[column]] if places[column] < len(row) else ""

    return [
        _Row(cell(row, "name") or "", cell(row, "group"), cell(row, "split"))
        for row in map(list, rows)
    ]


def _given(rows: list[_Row], where: str) -> Scheme:
    """Known groups or a membership as a scheme, whose name includes a digest of them."""
    problems: dict[str, list[str]] = defaultdict(list)
    owners = tuple(f"{condition.name}/" for condition in facts.CONDITIONS)
    for row in rows:
        if not row.name.startswith(owners):
            problems["are no sample names, which look like '1200Pa/001'"].append(row.name)
    known = _values([(row.name, row.group) for row in rows], "group", problems)
    members = _values([(row.name, row.split) for row in rows], "split", problems)
    if problems or not rows:
        told = [f"{len(names)} {what}: {_listed(names)}" for what, names in problems.items()]
        told = told or ["It holds none"]
        raise ValueError(f"The groups or splits of {where} cannot be used. {'; '.join(told)}.")
    digest = _digest(known, members)
    if members:
        return Scheme(f"{GIVEN} by {where}, {digest}", GIVEN, known or None, members)
    _warn_of_several_stiffnesses(known, where)
    return Scheme(f"grouped by {where}, {digest}", "grouped", known)


def _values(
    cells: Iterable[tuple[str, str | None]], what: str, problems: dict[str, list[str]]
) -> dict[str, str]:
    """The group, or the split, of each name; what is wrong is added to the problems."""
    found: dict[str, str] = {}
    for number, (name, text) in enumerate(cells, 1):
        if text is None:
            continue
        value = _word(text) if what == "split" else text
        if _is_missing(text) and not value == LEFT_OUT == text.strip():
            hint = f" (write {LEFT_OUT} to leave an image out)" if what == "split" else ""
            problems[f"have no {what}{hint}"].append(f"{name} (row {number})")
        elif value is None:
            problems[f"have a split that is none of {_VALID_SPLITS}"].append(f"{name} ({text})")
        elif found.setdefault(name, value) != value:
            problems[f"have two {what}s"].append(name)
    return found


def _digest(*given: Mapping[str, str]) -> str:
    """The first digits of a digest of what was given for each name."""
    content = "\n\n".join(
        "\n".join(f"{name},{value}" for name, value in sorted(each.items()))
        for each in given
        if each
    )
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _word(text: str) -> str | None:
    """The split that a text names, if it names one."""
    return _WORDS.get(text.strip().lower())


def _is_missing(text: str) -> bool:
    return text.strip().lower() in _MISSING


def _warn_of_several_stiffnesses(known: Mapping[str, str], where: str) -> None:
    places = {(group, name.partition("/")[0]) for name, group in known.items()}
    if several := sorted(group for group, n in Counter(g for g, _ in places).items() if n > 1):
        warnings.warn(
            f"{len(several)} groups of {where} hold images of several stiffnesses, such as "
            f"{several[0]!r}. Each stiffness is split on its own, so these groups may be both in "
            "train and in test. Hold one stiffness out, or give such groups to one stiffness.",
            BMGDWarning,
            stacklevel=5,
        )


def known_of(
    known: Mapping[str, str], names: Sequence[str], condition: facts.Condition, what: str = "group"
) -> list[str]:
    """Look up the known group, or split, of each sample of a condition.

    Args:
        known: Value of each name; names of other conditions are ignored.
        names: All sample names of the condition.
        condition: The condition.
        what: "group" or "split".

    Raises:
        ValueError: Names without a value, or values of names that do not exist.
    """
    own = {name for name in known if name.startswith(f"{condition.name}/")}
    problems = {
        f"images have no {what}": [name for name in names if name not in own],
        f"names with a {what} are of no image": sorted(own.difference(names)),
    }
    if told := [f"{len(some)} {text}: {_listed(some)}" for text, some in problems.items() if some]:
        raise ValueError(
            f"The known {what}s do not fit the {len(names)} images of {condition.name}: "
            f"{'; '.join(told)}. Reader('all').names has the names; each needs one {what}."
        )
    return [known[name] for name in names]


def _listed(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return shown + f" and {len(names) - most} more" * (len(names) > most)
