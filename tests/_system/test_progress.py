from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bmgd_data._system.progress import bar

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work() -> None:
    with bar("fetching 250 Pa.7z", 3) as progress:
        progress(1)
        progress.start_over(4)
        progress(4)
    with bar("fetching 950 Pa.7z", in_bytes=True) as progress:
        progress.start_over(0)
        progress(2**20)


@pytest.fixture
def terminal(monkeypatch) -> Callable[[], Terminal]:
    """Replaces the error stream by a terminal; called in the test, after pytest has set its own."""

    def begin() -> Terminal:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return begin


def test_a_terminal_shows_progress(terminal, capsys):
    stream = terminal()
    work()
    shown = stream.getvalue()
    assert "fetching 250 Pa.7z" in shown
    assert "4/4" in shown
    assert "fetching 950 Pa.7z" in shown
    assert capsys.readouterr().out == ""


def test_bmgd_quiet_silences_the_bar(terminal, monkeypatch):
    monkeypatch.setenv("BMGD_QUIET", "1")
    stream = terminal()
    work()
    assert stream.getvalue() == ""


def test_bmgd_quiet_0_does_not_silence_the_bar(terminal, monkeypatch):
    monkeypatch.setenv("BMGD_QUIET", "0")
    stream = terminal()
    work()
    assert stream.getvalue()


def test_silent_without_a_terminal(capfd):
    work()
    assert capfd.readouterr() == ("", "")


def test_programs_without_an_error_stream_work(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    work()


def test_an_error_goes_through(terminal):
    terminal()
    with pytest.raises(KeyError), bar("building", 2):
        raise KeyError


def test_rich_is_not_imported_before_a_bar_is_drawn():
    code = (
        "import sys; from bmgd_data._system.progress import bar\n"
        "with bar('x', 1) as step: step(1)\n"
        "print('rich' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (out.stdout.strip(), out.stderr) == ("False", "")
