"""What the figures were taken on, the table for people, and JSON for machines."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from measure import Row, Spread

_POSIX: Final = hasattr(os, "sched_getaffinity")
_LIBRARIES: Final = (
    *("bmgd-data", "numpy", "py7zr", "tifffile", "scikit-image", "torch", "torchvision"),
)
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


def facts() -> dict[str, str]:
    """Cores, processor, memory, versions, and how busy the machine was."""
    found = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if _POSIX else os.cpu_count()),
        "memory": f"{_memory_gb():.0f} GB" if _POSIX else "not told",
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    if _POSIX:
        found["load before"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
