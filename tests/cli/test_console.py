"""How the command line prints; test_cli.py tests what it prints."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from bmgd_data._system.progress import bar
from bmgd_data._tables import Grid
from bmgd_data.cli import console
from bmgd_data.errors import STEERING, BMGDWarning


def test_only_this_packages_warnings_become_lines(capsys):
    def warn():
        with console.tidy_warnings():
            warnings.warn("theirs", UserWarning, stacklevel=1)
            warnings.warn("ours", BMGDWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="theirs") as others:
        warn()
    assert [str(other.message) for other in others] == ["theirs"]
    assert capsys.readouterr().err == "warning: ours\n"


def test_log_records_become_lines_and_the_log_is_restored(capsys, caplog):
    log = logging.getLogger("bmgd_data")
    caplog.set_level(logging.ERROR, log.name)
    before = log.level, log.handlers[:]
    with console.tidy_warnings():
        log.info("waiting")
    assert capsys.readouterr().err == "note: waiting\n"
    assert (log.level, log.handlers) == before


def test_any_stream_can_be_printed_to():
    """Such as that of a notebook, which is no file and has no encoding."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        console.say("µm")
        console.show(Grid(("a", ">b"), [("x", "1")]))
    words = [word for word in out.getvalue().split() if word.isalnum()]
    assert words == ["µm", "a", "b", "x", "1"]


def test_control_characters_in_names_are_escaped(capsys, monkeypatch):
    """In text, tables and narrow tables, warnings, errors and log records."""
    name = "a\x1b[2J\r\x9b\u202e"
    console.say(f"{name}\nb")
    console.remark(name)
    console.complain(name)
    console.show(Grid(("title", ">title"), [(name, name)]))
    monkeypatch.setenv("COLUMNS", "20")
    console.show(Grid(("title", ">title"), [(name, name)]))
    with console.tidy_warnings():
        warnings.warn(name, BMGDWarning, stacklevel=1)
        logging.getLogger("bmgd_data").info(name)
    for shown in capsys.readouterr():
        assert not STEERING.search(shown.replace("\n", ""))
        assert shown.replace("\n", "").count(r"a\x1b[2J\r\x9b\u202e") >= 4


class Minimal:
    """A stream without isatty."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def test_streams_without_isatty(monkeypatch):
    monkeypatch.setattr(sys, "stdout", out := Minimal())
    monkeypatch.setattr(sys, "stderr", err := Minimal())
    console.say("a")
    console.remark("b")
    with bar("c", 1) as progress:
        progress(1)
    assert (out.text, err.text) == ("a\n", "note: b\n")


def test_without_streams_nothing_is_printed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    console.say("a")
    console.show(Grid(("a",), [("b",)]))
    console.remark("b")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_output_to_a_full_disk(streams):
    with Path("/dev/full").open("w") as full:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | dict.fromkeys(
            streams, full
        )
        command = [sys.executable, "-m", "bmgd_data", "where" if "stdout" in streams else "verify"]
        done = subprocess.run(command, **given, text=True, check=False)
    assert done.returncode == 1
    if "stderr" not in streams:
        assert done.stderr == "error: the output cannot be written (No space left on device)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_a_terminal_gets_whole_words_and_whole_commands(monkeypatch):
    import pty

    leader, follower = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    command = "bmgd download --stiffness 950Pa --accept-changed"
    code = 'BMGD("train", source="phantom", instances="components")'
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        console.say(f"Connected regions in the masks count as one: `{command}`.\n\n  {code}")
        console.remark("some samples may be wrong, look at the images", "error")
    output = b""
    with contextlib.suppress(OSError):  # the end on Linux
        while part := os.read(leader, 10_000):
            output += part
    os.close(leader)
    shown = re.sub(r"\x1b\[\d*m", "", output.decode()).split("\r\n")
    assert shown == [
        *("Connected regions in the masks", "count as one:", f"`{command}`.", "", f"  {code}"),
        *("error: some samples may be", "wrong, look at the images", ""),
    ]


def test_a_table_wider_than_the_terminal_repeats_its_first_column(monkeypatch, capsys):
    rows = [("250Pa", "12", "82", "374..2015"), ("950Pa", "10", "7", "375..2168")]
    monkeypatch.setenv("COLUMNS", "28")
    console.show(Grid(("stiffness", ">images", ">nuclei found", ">values"), rows))
    blocks = [block.split() for block in capsys.readouterr().out.strip().split("\n\n")]
    words = [[word for word in block if word[0].isalnum()] for block in blocks]
    assert words == [
        ["nuclei", "stiffness", "images", "found", "250Pa", "12", "82", "950Pa", "10", "7"],
        ["stiffness", "values", "250Pa", "374..2015", "950Pa", "375..2168"],
    ]
    monkeypatch.setenv("COLUMNS", "46")  # short cells stay whole where long ones must be broken
    console.show(Grid(("name", ">size", "from"), [("a" * 20, "12.8 kB", "http://host/ (mirror)")]))
    last = capsys.readouterr().out.rstrip().splitlines()
    assert [line.split() for line in last[-2:]] == [
        ["a" * 20, "12.8", "kB", "http://host/"],
        ["(mirror)"],
    ]
    monkeypatch.setenv("COLUMNS", "18")  # no room for two columns side by side
    console.show(Grid(("stiffness", ">images", ">nuclei found", ">values"), rows))
    assert "stiffness: 950Pa\nimages: 10\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("give the folder as source=.", "give the folder as --source."),
        ('read it with source="950 Pa".', 'read it with --source "950 Pa".'),
        ("Set BMGD_HOME, or root=, to", "Set BMGD_HOME, or --root, to"),
        ("(download=False)", "(--no-download)"),
        ("http://h/?source=x", "http://h/?source=x"),
    ],
)
def test_messages_speak_of_options(text, shown):
    assert console.as_options(text) == shown
