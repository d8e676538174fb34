"""The options that several commands of `bmgd` share.

Values that are wrong in any case are refused here, before any work, with exit code 2.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer
from typer import Option

from bmgd_data import facts, splits
from bmgd_data._arguments import ARGUMENTS
from bmgd_data._system import home
from bmgd_data.cli import console
from bmgd_data.errors import DatasetNotFoundError
from bmgd_data.facts import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bmgd_data.reader import Reader

READER: Final = ("stiffness", "root", "source", "download", "scheme", "instances")
"""What a `Reader` takes besides the split."""
VIEW: Final = ("fold", "hold_out")
"""What changes its splits."""


def opened(
    split: str = "all",
    *,
    fold: str | None = None,
    hold_out: list[str] | None = None,
    **data: Any,
) -> Reader:
    """The Reader that the options of `READER` and `VIEW` ask for."""
    from bmgd_data.reader import Reader

    reader = Reader("all", **data)
    with _refused():
        if fold:
            reader = reader.fold(fold)
        if hold_out:
            reader = reader.hold_out(hold_out)
    return reader.subset(split)


def takes(
    *names: str, **defaults: str | None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `SHARED` of these names, as one dict `data`.

    An option that the command declares itself stays its own.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = dict(inspect.signature(command).parameters)
        keyword = inspect.Parameter.KEYWORD_ONLY
        shared = [
            own.get(name)
            or inspect.Parameter(name, keyword, default=defaults.get(name, SHARED[name][1]))
            for name in (*names, "quiet")
        ]
        rest = [own[name] for name in own if name not in ("data", *names)]
        hints = {name: option for name, (option, _) in SHARED.items()}
        hints |= get_type_hints(command, include_extras=True)

        @wraps(command)
        def run(**given: Any) -> None:
            del given["quiet"]  # its callback has set BMGD_QUIET
            data = {name: given.pop(name) for name in names if name not in own}
            command(**given, data=data)

        typed = [option.replace(annotation=hints[option.name]) for option in (*rest, *shared)]
        run.__signature__ = inspect.Signature(typed)  # type: ignore[attr-defined]
        run.__annotations__ = {option.name: option.annotation for option in typed}
        return run

    return decorate


@contextlib.contextmanager
def _refused(where: str = "") -> Iterator[None]:
    try:
        yield
    except (ValueError, DatasetNotFoundError) as error:
        raise typer.BadParameter(console.as_options(f"{where}{error}")) from error


def _valid(read: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """A callback that refuses what `read` refuses."""

    def check(value: str | None) -> str | None:
        if value is not None:
            with _refused():
                read(value)
        return value

    return check


def one_of(values: Callable[[], list[str]]) -> dict[str, Any]:
    """What an option or argument needs to take only these values, and to complete them."""

    def check(value: str) -> str:
        if value not in values():
            raise typer.BadParameter(f"{value!r} is not valid. Valid: {', '.join(values())}.")
        return value

    return {"callback": check, "autocompletion": values}


valid_split = _valid(splits.parse_split)
valid_config = _valid(lambda name: name == "all" or facts.parse_stiffness(name))


def _valid_source(ctx: typer.Context, value: str | None) -> str | None:
    from bmgd_data._origin import sources  # imports numpy, which `bmgd --help` does not need

    with _refused("BMGD_SOURCE: " if value is None else ""):
        sources.resolve(value, home.root(ctx.params.get("root")))
    return value


def _valid_stiffness(values: list[str] | None) -> list[str] | None:
    wanted = [part for value in values or [] for part in value.split(",")] or None
    with _refused():
        facts.parse_stiffness(wanted)
    return wanted


def writable(path: Path | None) -> Path | None:
    """A callback that refuses a file in a folder that does not exist; "-" is standard output."""
    if path is not None and not os.path.isdir(path.parent):  # noqa: PTH112 - no PermissionError
        raise typer.BadParameter(
            f"There is no folder {path.parent}. Make it first, or name another file."
        )
    return path


def _instances() -> Any:
    from bmgd_data import instances  # imports numpy

    return instances


def _hush(value: bool) -> bool:
    if value:
        os.environ["BMGD_QUIET"] = "1"
    return value


def said(name: str) -> str:
    """The words of an argument, as the command line says them."""
    words = ARGUMENTS[name].words
    for python, shell in _IN_A_SHELL.items():
        words = words.replace(python, shell)
    return words


_IN_A_SHELL: Final = {
    "None:": "Default:",
    '"1200", 1200.': '"1200".',
    " or a mapping of names.": ".",
}
"""What only Python knows."""


def split_names() -> list[str]:
    """Values of --split, for shell completion."""
    return [*splits.SPLITS, "all"]


def _text(metavar: str, help: str, callback: Any, values: Callable[[], list[str]]) -> Any:  # noqa: A002
    return Option(metavar=metavar, help=help, callback=callback, autocompletion=values)


NewFile: Final = partial(Option, metavar="FILE", callback=writable)
"""An option that names a file to write."""
Root = Annotated[
    Path | None,
    Option(
        metavar="FOLDER",
        help=said("root"),
        is_eager=True,  # since what it keeps of a source that is gone is valid, too
    ),
]
Source = Annotated[
    str | None,
    _text(
        "SOURCE",
        said("source"),
        _valid_source,
        lambda: ["upstream", "phantom", "phantom:full"],
    ),
]
_Stiffness = _text(
    "PASCAL",
    f"{said('stiffness')} For several, repeat the option or separate them by commas.",
    _valid_stiffness,
    lambda: [condition.name for condition in CONDITIONS],
)
_Scheme = _text(
    "SCHEME",
    said("scheme"),
    _valid(splits.resolve_scheme),
    lambda: list(splits.SCHEMES),
)
_Instances = _text(
    "METHOD",
    said("instances"),
    _valid(lambda name: _instances().parse_method(name)),
    lambda: list(_instances().METHODS),
)
_Download = Option(help=said("download"))
_Fold = _text(
    "K/N",
    "Fold K of N of a cross-validation, from 0, as in 0/5: part K is test, part K + 1 validation.",
    _valid(splits.parse_fold),
    lambda: [f"{fold}/5" for fold in range(5)],
)
_HoldOut = _text(
    "PASCAL",
    "A stiffness to hold out: its images are test, and no others; as for --stiffness.",
    lambda values: _valid_stiffness(values) if values else None,
    lambda: [condition.name for condition in CONDITIONS],
)
_Quiet = Option("--quiet", "-q", callback=_hush, help="Show no progress bars.")
SHARED: Final[dict[str, tuple[Any, Any]]] = {
    "split": (Annotated[str, _text("SPLIT", said("split"), valid_split, split_names)], "all"),
    "stiffness": (Annotated[list[str] | None, _Stiffness], None),
    "root": (Root, None),
    "source": (Source, None),
    "download": (Annotated[bool, _Download], ARGUMENTS["download"].default),
    "scheme": (Annotated[str, _Scheme], ARGUMENTS["scheme"].default),
    "instances": (Annotated[str, _Instances], ARGUMENTS["instances"].default),
    "fold": (Annotated[str | None, _Fold], None),
    "hold_out": (Annotated[list[str] | None, _HoldOut], None),
    "quiet": (Annotated[bool, _Quiet], False),
}
"""The shared options and their defaults."""
