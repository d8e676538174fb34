"""The arguments that say which data is meant reach every adapter from one place."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import typer

from bmgd_data import Reader
from bmgd_data._arguments import ARGUMENTS
from bmgd_data.cli import app
from bmgd_data.cli.options import READER, said

DOCS = Path(__file__).parents[1] / "docs"
OTHER_DEFAULTS = {("demo", "source"): "phantom", ("nuclei", "instances"): "watershed"}
OTHER_DEFAULTS |= {("report", "instances"): "watershed", ("evaluate", "split"): "test"}


def keywords(taker):
    found = inspect.signature(taker).parameters
    return {name: each.default for name, each in found.items() if name in ARGUMENTS}


def takers():
    yield Reader, list(ARGUMENTS)
    for module, name, left_out in (
        ("torch", "BMGD", ()),
        ("lightning", "BMGDDataModule", ("split",)),
        ("tfds", "Builder", ("split", "stiffness")),
    ):
        found = pytest.importorskip(f"bmgd_data.{module}", exc_type=ImportError)
        yield getattr(found, name), [each for each in ARGUMENTS if each not in left_out]


def test_signatures_are_explicit_and_agree():
    for taker, expected in takers():
        assert keywords(taker) == {name: ARGUMENTS[name].default for name in expected}
        text = " ".join(taker.__doc__.split())
        assert all(f"{name}: {ARGUMENTS[name].words}" in text for name in expected)
        assert not re.search(r"\{\w+\}", taker.__doc__)


@pytest.mark.parametrize("command", ["evaluate", "export", "nuclei", "report", "leaks", "demo"])
def test_the_command_line_has_the_same(command):
    options = {each.name: each for each in typer.main.get_command(app).commands[command].params}
    for name in READER:
        if name in options:
            default = OTHER_DEFAULTS.get((command, name), ARGUMENTS[name].default)
            assert options[name].default == default, name
            assert options[name].help.startswith(said(name))


def test_the_page_names_all_and_their_defaults():
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]+) \|$", (DOCS / "arguments.md").read_text(), re.MULTILINE
    )
    assert [name for name, _ in rows] == list(ARGUMENTS)
    for name, default in rows:
        assert default.strip('"').startswith(str(ARGUMENTS[name].default)), name
