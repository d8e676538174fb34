"""Progress bars: drawn by rich on terminals, silent elsewhere or with BMGD_QUIET=1."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TextIO

from bmgd_data._system import home
from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


class Bar:
    """How far work has come; silent without a drawing.

    Args:
        drawing: rich's Progress with one task.
    """

    def __init__(self, drawing: Any = None) -> None:
        self._drawing = drawing

    def __call__(self, steps: int) -> None:
        """Tell that `steps` more are done."""
        if self._drawing:
            self._drawing.advance(self._drawing.task_ids[0], steps)

    def start_over(self, total: int) -> None:
        """Tell that work begins (again), and how many steps it has; 0 if not known."""
        if self._drawing:
            self._drawing.reset(self._drawing.task_ids[0], total=total or None)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a user watches; streams may be missing, or have no isatty."""
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
        yield Bar()
        return
    from rich import progress
    from rich.console import Console
    from rich.markup import escape

    measures: list[progress.ProgressColumn] = (
        [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        if in_bytes
        else [progress.MofNCompleteColumn()]
    )
    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        *measures,
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as drawing:
        drawing.add_task(escape(printable(title)), total=total or None)
        yield Bar(drawing)
