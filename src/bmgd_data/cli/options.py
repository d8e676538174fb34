"""The options that several commands of `bmgd` share, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bmgd_data import conditions, splits

if TYPE_CHECKING:
    from collections.abc import Callable


def _valid(read: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """A callback that refuses what `read` does not understand."""

    def check(value: str | None) -> str | None:
        if value is not None:
            try:
                read(value)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from error
        return value

    return check


def _source(text: str) -> object:
    from bmgd_data._origin import sources  # loads numpy, which `bmgd --help` can do without

    return sources.resolve(text)


def _method(text: str) -> object:
    from bmgd_data.instances import parse_method

    return parse_method(text)


valid_source = _valid(_source)
valid_split = _valid(splits.parse_split)
valid_config = _valid(lambda name: name == "all" or conditions.parse_stiffness(name))


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


SPLIT_HELP: Final = '"train", "val" (also "validation"), "test" or "all".'

Root = Annotated[
    Path | None,
    typer.Option(
        help="Folder that data is kept in. Default: BMGD_HOME, or the user's cache folder."
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        callback=valid_source,
        help='"upstream", "phantom" (generated data), an archive, a folder with the archives or '
        "the unpacked folders, a ZIP of the repository, or the base URL of a mirror. Default: "
        "BMGD_SOURCE, or upstream.",
    ),
]
Stiffness = Annotated[
    list[str] | None,
    typer.Option(
        callback=_valid_stiffness,
        help='One or several of "1200Pa", "1200 Pa", "1200", 1200. Default: all four. For several, '
        "repeat the option or separate them by commas.",
    ),
]
Download = Annotated[
    bool, typer.Option(help="Whether the network may be used. BMGD_OFFLINE=1 forbids it too.")
]
Scheme = Annotated[
    str,
    typer.Option(
        callback=_valid(splits.resolve_scheme),
        help='How splits are drawn: "random" (80:10:10 of each stiffness) or "grouped" (likewise, '
        "images of one colony together). Known groups: a CSV file (name, group).",
    ),
]
Instances = Annotated[
    str,
    typer.Option(
        callback=_valid(_method),
        help='How nuclei are told apart: "components" (8-connected), "watershed" (touching nuclei '
        'split) or "provided" (label images of the archive, where it has any).',
    ),
]
Split = Annotated[str, typer.Option(callback=valid_split, help=SPLIT_HELP)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_hush, help="No progress bars.")]
