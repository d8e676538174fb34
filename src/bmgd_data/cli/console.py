"""What `bmgd` prints: text, tables, errors and warnings, to any terminal or into a pipe."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import textwrap
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from bmgd_data._system.progress import is_terminal
from bmgd_data.errors import BMGDWarning, StorageError, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from bmgd_data._tables import Grid

_PIPE_WIDTH: Final = 1000
"""Lines in a pipe or file are not wrapped."""
_GAP: Final = 2
"""Spaces between two columns of a table."""
_SHORT: Final = 15
"""A cell of up to so many characters stays on one line."""
_COMMAND: Final = re.compile("`[^`]+`")
_ARGUMENT: Final = re.compile(
    r"(?<![\w/?&-])(source|root|stiffness|scheme|instances)=(?=([\w'\"/~.]\S)?)"
)
_NO_DOWNLOAD: Final = ("download=False", "--no-download")
_KEPT: Final = "\0"
"""Stands for a space at which no line is broken; printable text never holds it."""


def say(text: str = "") -> None:
    """Print text, wrapped between words on a terminal; a pipe gets whole lines."""
    _print(sys.stdout, _prose(text, sys.stdout))


def remark(text: str, kind: str = "note", style: str = "bold") -> None:
    """Print a line to the standard error stream."""
    line = _prose(f"{kind}: {text}", sys.stderr)
    line.stylize(style, 0, len(kind) + 1)
    _print(sys.stderr, line)


def complain(text: str) -> None:
    """Print an error message."""
    remark(as_options(text), "error", "bold red")


def as_options(text: str) -> str:
    """The library's message with the names of options: ``source=`` becomes ``--source``."""
    return _ARGUMENT.sub(
        lambda found: f"--{found[1]}" + " " * bool(found[2]), text.replace(*_NO_DOWNLOAD)
    )


def show(grid: Grid, *, total: bool = False, styles: Mapping[int, str] | None = None) -> None:
    """Print a table and its notes.

    A table wider than the terminal becomes several tables that repeat the first column; if not even
    two columns fit, each row becomes a list.

    Args:
        grid: The table.
        total: Whether the last row sums up the others.
        styles: Styles of rows, by their number.
    """
    titles, rows = grid.titles, grid.rows
    last = {len(rows) - 1: "bold"} if total else {}
    width = _console(sys.stdout).width
    groups = _fitting(list(zip(titles, *rows, strict=True)), width)
    if max(map(_together, groups)) > width:
        for row in rows:
            say()
            for title, cell in zip(grid.heads, row, strict=True):
                say(f"{title}: {cell}")
    else:
        for group in groups:
            say()
            table = _table(group, width)
            for number, cells in enumerate(list(zip(*group, strict=True))[1:]):
                table.add_row(
                    *map(_text, cells),
                    style=(last | dict(styles or {})).get(number),
                    end_section=total and number == len(rows) - 2,
                )
            _print(sys.stdout, table)
    say()
    for note in grid.notes:
        say(note)


def _narrowest(column: Sequence[str]) -> int:
    """The smallest width of a column: titles and long cells are broken between words."""
    title, *cells = column
    whole = [[cell] if len(cell) <= _SHORT else cell.split() for cell in cells]
    return max(_cells(word) for words in (title.split(), *whole, [""]) for word in words)


def _together(columns: Sequence[Sequence[str]]) -> int:
    """The smallest width of a table."""
    return sum(_narrowest(column) + _GAP for column in columns)


def _cells(text: str) -> int:
    """The width of a text on a terminal."""
    from rich.cells import cell_len

    return cell_len(printable_lines(text.lstrip(">")))


def _fitting(columns: Sequence[Sequence[str]], width: int) -> list[list[Sequence[str]]]:
    """Groups of columns that fit side by side; each begins with the first column."""
    groups = [[columns[0]]]
    for column in columns[1:]:
        if len(groups[-1]) > 1 and _together([*groups[-1], column]) > width:
            groups.append([columns[0]])
        groups[-1].append(column)
    return groups


def _table(columns: Sequence[Sequence[str]], width: int) -> Table:
    """An empty table; spare width goes first to the columns that lack least."""
    from rich import box
    from rich.table import Table

    widths = [_narrowest(column) for column in columns]
    lacking = [max(map(_cells, column)) - got for column, got in zip(columns, widths, strict=True)]
    spare = width - _together(columns)
    for number in sorted(range(len(columns)), key=lacking.__getitem__):
        more = min(lacking[number], spare)
        widths[number] += more
        spare -= more
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for (title, *_), got in zip(columns, widths, strict=True):
        table.add_column(
            title.lstrip(">"), justify="right" if title.startswith(">") else "left", width=got
        )
    return table


def write(path: Path, text: str) -> None:
    """Write text to a file, or print it if the file is called "-"."""
    if path == Path("-"):
        say(text.rstrip("\n"))
        return
    with writing(path):
        path.write_text(text, encoding="utf-8")
    remark(f"written: {path}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise StorageError if the file cannot be written."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"Cannot write {path} ({error.strerror or error}). Name another file."
        ) from error


def _prose(text: str, stream: TextIO | None) -> Text:
    """Wrapped on a terminal, except indented lines and commands in backticks, to be copied."""
    if is_terminal(stream):
        fill = partial(textwrap.fill, break_long_words=False, break_on_hyphens=False)
        width = _console(stream).width
        whole = _COMMAND.sub(lambda found: found[0].replace(" ", _KEPT), printable_lines(text))
        lines = (line if line.startswith(" ") else fill(line, width) for line in whole.split("\n"))
        text = "\n".join(lines).replace(_KEPT, " ")
    return _text(text)


def _text(text: str) -> Text:
    """All printed text is made here, so that no file name can steer the terminal."""
    from rich.text import Text

    return Text(printable_lines(text))


def _print(stream: TextIO | None, content: Text | Table) -> None:
    if stream is not None:  # None in programs without streams
        _console(stream).print(content, highlight=False, soft_wrap=not hasattr(content, "columns"))


def _console(stream: TextIO | None) -> Console:
    from rich.console import Console

    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # for characters its encoding lacks
    given = is_terminal(stream) or "COLUMNS" in os.environ
    return Console(file=stream, width=None if given else _PIPE_WIDTH)


def give_up(error: OSError) -> None:
    """Say that the output cannot be written, as on a full disk, and drop the rest of it."""
    with contextlib.suppress(OSError):  # the standard error stream may be full, too
        complain(f"the output cannot be written ({error.strerror})")
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:
            # Otherwise Python tries again at its end, and prints an error of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def tidy_warnings() -> Iterator[None]:
    """Show this package's warnings and log records as one line each."""
    import logging  # takes long, and `bmgd --help` does not need it

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            remark(record.getMessage())

    usual = warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, BMGDWarning):
            remark(as_options(str(message)), "warning", "bold yellow")
        else:
            usual(message, category, *rest)

    log, handler = logging.getLogger("bmgd_data"), Notes(logging.INFO)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", BMGDWarning)
            warnings.showwarning = shown  # type: ignore[assignment]
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
