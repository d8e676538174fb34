"""How the command line speaks; what it says is in test_cli.py."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import pytest

from bmgd_data.cli import console
from bmgd_data.errors import BMGDWarning


def test_only_this_packages_warnings_become_lines(capsys):
    def warn():
        with console.tidy_warnings():
            warnings.warn("theirs", UserWarning, stacklevel=1)
            warnings.warn("ours", BMGDWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="theirs") as others:
        warn()
    assert [str(other.message) for other in others] == ["theirs"]
    assert capsys.readouterr().err == "warning: ours\n"


def test_what_is_waited_for_becomes_a_line_and_the_log_is_as_before(capsys, caplog):
    log = logging.getLogger("bmgd_data")
    caplog.set_level(logging.ERROR, log.name)
    before = log.level, log.handlers[:]
    with console.tidy_warnings():
        log.info("waiting")
    assert capsys.readouterr().err == "note: waiting\n"
    assert (log.level, log.handlers) == before


@pytest.mark.parametrize(
    ("count", "said"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (24_300, "24.3 kB")),
        *((1_000_000, "1.0 MB"), (1_500_000_000, "1.5 GB"), (2_000_000_000_000, "2000.0 GB")),
    ],
)
def test_sizes(count, said):
    assert console.size(count) == said


def test_it_speaks_to_any_stream():
    """A notebook's, for one, which is no file and knows no encoding."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        console.say("µm")
        console.show(("a", ">b"), [("x", "1")])
    words = [word for word in out.getvalue().split() if word.isalnum()]
    assert words == ["µm", "a", "b", "x", "1"]
