"""Progress bars: in terminals by rich, in notebooks as HTML; none elsewhere or if BMGD_QUIET=1."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from bmgd_data._system import home
from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BETWEEN_S: Final = 0.3  # seconds between two updates in a notebook


class Bar:
    """The progress of some work; this one is silent."""

    def __call__(self, steps: int) -> None:
        """Add steps."""

    def start_over(self, total: int) -> None:
        """Start, or start again, with `total` steps; 0 if not known."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a user sees it; streams may be missing, or have no isatty."""
    return stream is not None and bool(getattr(stream, "isatty", bool)())


@contextlib.contextmanager
def bar(title: str, total: int = 0, *, in_bytes: bool = False) -> Iterator[Bar]:
    """Show the progress of one piece of work until the block ends.

    `total` is the number of steps, 0 if not known yet; for steps `in_bytes`, size and speed are
    shown.
    """
    ipython = sys.modules.get("IPython")
    if home.switched_on("BMGD_QUIET"):
        yield Bar()
    elif ipython is not None and hasattr(ipython.get_ipython(), "kernel"):  # has no terminal
        with contextlib.closing(_InNotebook(printable(title), total, in_bytes=in_bytes)) as shown:
            yield shown
    elif is_terminal(sys.stderr):
        with _in_terminal(printable(title), total, in_bytes=in_bytes) as drawn:
            yield drawn
    else:
        yield Bar()


@contextlib.contextmanager
def _in_terminal(title: str, total: int, *, in_bytes: bool) -> Iterator[Bar]:
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
        task = drawing.add_task(escape(title), total=total or None)

        class Drawn(Bar):
            def __call__(self, steps: int) -> None:
                drawing.advance(task, steps)

            def start_over(self, total: int) -> None:
                drawing.reset(task, total=total or None)

        yield Drawn()


class _InNotebook(Bar):
    """A bar in the output of a cell, without widgets; short work shows none."""

    def __init__(self, title: str, total: int, *, in_bytes: bool) -> None:
        self._title, self._in_bytes = title, in_bytes
        self._handle: Any = None
        self.start_over(total)

    def __call__(self, steps: int) -> None:
        self._done += steps
        if time.monotonic() - self._shown > _BETWEEN_S:
            self._show()

    def start_over(self, total: int) -> None:
        self._done, self._total = 0, total
        self._shown = time.monotonic()

    def close(self) -> None:
        if self._handle is not None:
            self._handle.update({"text/html": "", "text/plain": ""}, raw=True)

    def _show(self) -> None:
        from html import escape

        from IPython.display import display

        factor, unit = (1e6, " MB") if self._in_bytes else (1, "")
        of_all = f" of {self._total / factor:.0f}" if self._total else ""
        text = f"{self._title}: {self._done / factor:.0f}{of_all}{unit}"
        share = f' value="{self._done}" max="{self._total}"' if self._total else ""
        drawn = f"<progress{share}></progress> {escape(text)}"
        state = {"text/html": drawn, "text/plain": text}
        if self._handle is None:
            self._handle = display(state, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(state, raw=True)
        self._shown = time.monotonic()
