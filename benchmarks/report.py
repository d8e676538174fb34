"""The table for people, JSON for machines, and a chart of the ratios."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Row, Spread

_TITLE: Final = (
    "Medians; the figure is ours / theirs, or ours - theirs (+), with its lowest and highest"
)
_COLUMNS: Final[dict[str, Literal["left", "right"]]] = {
    "what": "left",
    "images": "right",
    "ours": "right",
    "": "left",
    "beside": "left",
    "theirs": "right",
    "figure": "left",
    "aim": "left",
    " ": "left",
}
_MET: Final = {None: "", True: "met", False: "MISSED"}


def show(facts: dict[str, str], rows: list[Row], notes: list[str]) -> None:
    """Print the machine, the table, and what was left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_TITLE, box=box.SIMPLE_HEAD)
    for heading, justify in _COLUMNS.items():
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(
            row.what,
            f"{row.times}x",
            _number(row.ours.median),
            row.unit,
            row.against,
            _number(row.theirs.median),
            _figure(row),
            str(row.aim) if row.aim else "",
            _MET[row.met],
            style="bold red" if row.met is False else None,
        )
    console = Console(width=200)  # lines are whole also where the output is piped
    for name, value in facts.items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    missed = [f"{row.what} by {row.against}, {row.times}x" for row in rows if row.met is False]
    if any(row.aim for row in rows):
        console.print("\n  ".join(["Missed:", *missed]) if missed else "Every aim was met.")


def _figure(row: Row) -> str:
    form = ".2f" if row.is_ratio else "+.3g"
    middle, low, high = (f"{value:{form}}" for value in row.figure)
    return f"{middle}{'x' if row.is_ratio else ''} ({low}..{high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_json(
    path: Path,
    facts: dict[str, str],
    settings: dict[str, object],
    rows: list[Row],
    notes: list[str],
) -> None:
    """Write everything that the table shows."""
    content = {
        "machine": facts,
        "settings": settings,
        "notes": notes,
        "rows": [
            {
                **asdict(row),
                "ours": _spread(row.ours),
                "theirs": _spread(row.theirs),
                "figure": _spread(row.figure),
                "aim": str(row.aim) if row.aim else None,
                "met": row.met,
            }
            for row in rows
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _spread(spread: Spread) -> dict[str, float]:
    return spread._asdict()
