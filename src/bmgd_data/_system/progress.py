"""Progress bars: drawn by rich where a person watches, silent elsewhere or with BMGD_QUIET=1."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from bmgd_data._system import home
from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bar(Protocol):
    """Something that can be told how far work has come."""

    def __call__(self, steps: int) -> object:
        """Tell that `steps` more are done."""

    def start_over(self, total: int) -> object:
        """Tell that work begins (again), and how many steps it has; 0 where nobody knows."""


class _Silent:
    def __call__(self, steps: int) -> None:
        """Say nothing."""

    def start_over(self, total: int) -> None:
        """Say nothing."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person watches: not where there is no stream, or one that knows no terminals."""
    return stream is not None and bool(getattr(stream, "isatty", bool)())


@contextlib.contextmanager
def bar(title: str, total: int = 0, *, in_bytes: bool = False) -> Iterator[Bar]:
    """Show the progress of one piece of work on the standard error stream.

    Args:
        title: What is being done.
        total: Steps in all; 0 if not known yet.
        in_bytes: Whether steps are bytes; shows size and speed.
    """
    if home.switched_on("BMGD_QUIET") or not is_terminal(sys.stderr):
        yield _Silent()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    measures = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *measures, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(printable(title)), total=total or None)

        class _Drawn:
            def __call__(self, steps: int) -> None:
                progress.advance(task, steps)

            def start_over(self, total: int) -> None:
                progress.reset(task, total=total or None)

        yield _Drawn()
