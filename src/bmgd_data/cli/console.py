"""How the command line speaks: tables, errors, warnings; on any terminal, or into a pipe."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from bmgd_data._system.progress import is_terminal
from bmgd_data.errors import BMGDWarning, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_PIPE_WIDTH: Final = 1000  # lines of a pipe or file have no end


def say(text: str = "") -> None:
    """Print prose; the terminal wraps it, and a pipe gets whole lines."""
    _print(sys.stdout, _text(text))


def remark(text: str, kind: str = "note", style: str = "bold") -> None:
    """Print a line to the standard error stream: not the answer, but about it."""
    _print(sys.stderr, _text(f"{kind}: ", style) + _text(text))


def complain(error: Exception) -> None:
    """Print an error as one message."""
    remark(str(error), "error", "bold red")


def show(titles: Sequence[str], rows: Sequence[Sequence[str]], *, total: bool = False) -> None:
    """Print a table; where the terminal is too narrow for it, one block a row instead.

    Args:
        titles: Of the columns; a leading ">" sets a column flush right, as numbers are.
        rows: One text a column, each.
        total: Whether the last row sums up the others.
    """
    from rich import box
    from rich.measure import Measurement
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title.lstrip(">"), justify="right" if title.startswith(">") else "left")
    for number, row in enumerate(rows):
        last = total and number == len(rows) - 1
        table.add_row(
            *map(_text, row),
            style="bold" if last else None,
            end_section=total and number == len(rows) - 2,
        )
    console = _console(sys.stdout)
    unbounded = console.options.update(max_width=_PIPE_WIDTH)
    if Measurement.get(console, unbounded, table).minimum <= console.width:
        say()
        _print(sys.stdout, table)
    else:
        for row in rows:
            say()
            for title, cell in zip(titles, row, strict=True):
                say(f"{title.lstrip('>')}: {cell}")
    say()


def write(path: Path, text: str) -> None:
    """Write an answer to a file, or print it where the file is called "-"."""
    if path == Path("-"):
        say(text.rstrip("\n"))
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}.") from error
    remark(f"written: {path}")


def _text(text: str, style: str = "") -> Text:
    """All that is printed is made here, so nothing that a file is called steers the terminal."""
    from rich.text import Text

    return Text(printable_lines(text), style)


def _print(stream: TextIO | None, content: Text | Table) -> None:
    if stream is not None:  # as Python has it where the stream was closed
        _console(stream).print(content, highlight=False, soft_wrap=not hasattr(content, "columns"))


def _console(stream: TextIO | None) -> Console:
    from rich.console import Console

    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # not every encoding has every letter
    given = is_terminal(stream) or "COLUMNS" in os.environ
    return Console(file=stream, width=None if given else _PIPE_WIDTH)


def give_up(error: OSError) -> None:
    """Tell that the output takes no more, as a full disk does, and drop what is left of it."""
    with contextlib.suppress(OSError):  # the standard error stream may take no more either
        complain(OSError(f"the output cannot be written ({error.strerror})"))
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:
            # Python would try once more when it ends, and fail with a message of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def tidy_warnings() -> Iterator[None]:
    """Show this package's warnings, and what it waits for, as one line each."""
    usual = warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, BMGDWarning):
            remark(str(message), "warning", "bold yellow")
        else:
            usual(message, category, *rest)

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            remark(record.getMessage())

    log, handler = logging.getLogger("bmgd_data"), Waiting(logging.INFO)
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


def size(count: int) -> str:
    """Bytes as people read them."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
