"""Measurements and what is made of them: rows with an aim, the table, and JSON for machines."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_POSIX: Final = hasattr(os, "sched_getaffinity")
_LIBRARIES: Final = (
    *("bmgd-data", "numpy", "py7zr", "tifffile", "scikit-image", "torch", "torchvision"),
    *("tensorflow-cpu", "albumentations"),
)
_TITLE: Final = (
    "Medians; the figure is ours / theirs, or ours - theirs (+), with its lowest and highest"
)
_COLUMNS: Final[dict[str, Literal["left", "right"]]] = {
    "what": "left",
    "ours": "right",
    "": "left",
    "beside": "left",
    "theirs": "right",
    "figure": "left",
    "aim": "left",
    " ": "left",
}
_MET: Final = {None: "", True: "met", False: "MISSED"}


class Spread(NamedTuple):
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The median, the smallest and the largest."""
        return cls(statistics.median(values), min(values), max(values))


class Aim(NamedTuple):
    """What a figure should be."""

    bound: float
    at_least: bool

    def met_by(self, value: float) -> bool:
        """Whether a figure is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def at_least(bound: float) -> Aim:
    return Aim(bound, at_least=True)


def at_most(bound: float) -> Aim:
    return Aim(bound, at_least=False)


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    unit: str
    """Of `ours` and `theirs`."""
    ours: Spread
    against: str
    theirs: Spread
    figure: Spread
    """Of the pairs measured one after the other: `ours` by `theirs`, or their difference."""
    is_ratio: bool
    aim: Aim | None

    @property
    def met(self) -> bool | None:
        """Whether the median of the figure meets the aim; None where there is none."""
        return self.aim.met_by(self.figure.median) if self.aim else None


def in_turn(
    sides: Mapping[str, Callable[[int], float]], repetitions: int
) -> dict[str, list[float]]:
    """Measure A B C, A B C, ..., so that a busy moment of the machine slows every side alike.

    Each side takes the number of the repetition and gives one measurement.
    """
    found: dict[str, list[float]] = {key: [] for key in sides}
    for repetition in range(repetitions):
        for key, measure in sides.items():
            found[key].append(measure(repetition))
    return found


def compare(
    what: str,
    unit: str,
    ours: Sequence[float],
    against: str,
    theirs: Sequence[float],
    *,
    aim: Aim | None = None,
    is_ratio: bool = True,
) -> Row:
    """Make a row of measurements that were made in turn."""
    pairs = [a / b if is_ratio else a - b for a, b in zip(ours, theirs, strict=True)]
    spreads = Spread.of(ours), Spread.of(theirs), Spread.of(pairs)
    return Row(what, unit, spreads[0], against, *spreads[1:], is_ratio, aim)


def show(machine: dict[str, str], rows: list[Row], notes: list[str]) -> None:
    """Print the machine, the table, and what was left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=_TITLE, box=box.SIMPLE_HEAD)
    for heading, justify in _COLUMNS.items():
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in rows:
        cells = (row.what, _number(row.ours.median), row.unit, row.against)
        aim = str(row.aim) if row.aim else ""
        table.add_row(
            *(*cells, _number(row.theirs.median), _figure(row), aim, _MET[row.met]),
            style="bold red" if row.met is False else None,
        )
    console = Console(width=180)  # lines are whole also where the output is piped
    for name, value in machine.items():
        console.print(f"{name}: {value}", highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    missed = [f"{row.what} by {row.against}" for row in rows if row.met is False]
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
    machine: dict[str, str],
    settings: dict[str, str],
    rows: list[Row],
    notes: list[str],
) -> None:
    """Write everything that the table shows."""
    shown = [
        asdict(row)
        | {key: getattr(row, key)._asdict() for key in ("ours", "theirs", "figure")}
        | {"aim": str(row.aim) if row.aim else None, "met": row.met}
        for row in rows
    ]
    content = {"machine": machine, "settings": settings, "notes": notes, "rows": shown}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def machine() -> dict[str, str]:
    """Cores, processor, memory, versions, and how busy the machine is."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if _POSIX else os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    if _POSIX:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory"] = f"{memory / 1e9:.0f} GB"
        found["load before"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
