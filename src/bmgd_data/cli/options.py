"""The options that several commands of `bmgd` share, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bmgd_data import conditions
from bmgd_data._origin import sources

__all__ = ["Instances", "Quiet", "Root", "Source", "Stiffness", "valid_source"]


def valid_source(value: str | None) -> str | None:
    """Refuse what names no source."""
    try:
        if value is not None:
            sources.resolve(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return value


def _valid_stiffness(values: list[str] | None) -> list[str] | None:
    wanted = [part for value in values or [] for part in value.split(",")]
    try:
        conditions.parse_stiffness(wanted or None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return wanted or None


def _hush(value: bool) -> bool:
    if value:
        os.environ["BMGD_QUIET"] = "1"
    return value


Root = Annotated[
    Path | None,
    typer.Option(help="Folder that data is kept in. Default: BMGD_HOME, or the user's cache."),
]
Source = Annotated[
    str | None,
    typer.Option(
        callback=valid_source,
        help="'upstream', 'phantom' (generated data), the base URL of a mirror, or a folder with "
        "the archives or the unpacked folders. Default: BMGD_SOURCE, or upstream.",
    ),
]
Stiffness = Annotated[
    list[str] | None,
    typer.Option(
        callback=_valid_stiffness,
        help="Only this one: 250, 950, 1200 or 1800; repeat it, or part by commas, for several.",
    ),
]
Instances = Annotated[
    str,
    typer.Option(help="How nuclei are told apart in the masks: components, watershed or provided."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_hush, help="No progress bars.")]
