"""One set of arguments: the same keywords, defaults and words wherever data is asked for.

Python's side is read from the sources, so that no framework is needed to compare it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

import bmgd_data
from bmgd_data.cli import app

SHARED = ("split", "stiffness", "root", "source", "download", "scheme", "instances")
TAKERS = {
    "Reader": ("reader.py", SHARED),
    "BMGD": ("torch/_dataset.py", SHARED),
    "BMGDDataModule": ("lightning.py", SHARED[1:]),  # it holds all three splits
    "Evaluator": ("metrics/evaluator.py", SHARED),
    "to_hf_dict": ("hf.py", SHARED[1:]),
    "Builder": ("tfds/bmgd_dataset_builder.py", SHARED[2:]),  # its config is the stiffness
    "prepare": ("tfds/__init__.py", SHARED[2:]),
}
DEFAULTS = {"split": "train", "download": True, "scheme": "random", "instances": "components"}
OTHER_DEFAULTS = {("Evaluator", "split"): "test"}
COMMANDS = {
    "demo": SHARED[1:],
    "evaluate": SHARED,
    "export": SHARED,
    "leaks": SHARED[1:6],
    "tfds": SHARED[2:],
    "download": SHARED[1:4],
    "verify": SHARED[1:4],
    "checksums": SHARED[2:4],
    "nuclei": SHARED,
    "report": SHARED[1:],
}
OTHER_COMMAND_DEFAULTS = {
    ("demo", "source"): "phantom",  # it needs no network
    ("evaluate", "split"): "test",
    ("export", "split"): None,  # the three of them
    ("nuclei", "split"): "all",
    ("nuclei", "instances"): "watershed",  # they show nuclei one by one
    ("report", "instances"): "watershed",
}
SOURCES = Path(bmgd_data.__file__).parent


def arguments(taker: str) -> tuple[dict[str, object], dict[str, str]]:
    """Defaults in the order of the signature, and explanations, of a function or class."""
    tree = ast.parse((SOURCES / TAKERS[taker][0]).read_text(encoding="utf-8"))
    (found,) = (node for node in tree.body if getattr(node, "name", None) == taker)
    function = found
    if isinstance(found, ast.ClassDef):
        (function,) = (node for node in found.body if getattr(node, "name", None) == "__init__")
    given = function.args
    assert given.kwarg is None, "signatures are explicit"
    plain = [argument.arg for argument in given.args]
    values = [*given.defaults, *given.kw_defaults]
    names = [*plain[len(plain) - len(given.defaults) :], *(each.arg for each in given.kwonlyargs)]
    defaults = {
        name: ast.literal_eval(value)
        for name, value in zip(names, values, strict=True)
        if isinstance(value, ast.Constant)
    }
    return defaults, explanations(ast.get_docstring(found))


def explanations(docstring: str) -> dict[str, str]:
    section = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", docstring, re.DOTALL | re.MULTILINE)[1]
    entries = re.findall(r"^    (\w+): (.*?)(?=\n    \w|\Z)", section, re.DOTALL | re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


WORDS = arguments("Reader")[1]
NAMED_SCHEMES = ("Builder", "prepare")  # TFDS keeps records apart by the scheme's name


def scheme_words(name):
    return WORDS[name].partition(" Known groups: ")[0] if name == "scheme" else WORDS[name]


@pytest.mark.parametrize("taker", TAKERS)
def test_the_same_names_defaults_and_words(taker):
    defaults, words = arguments(taker)
    shared = TAKERS[taker][1]
    assert [name for name in defaults if name in SHARED] == list(shared)
    for name in shared:
        default = OTHER_DEFAULTS.get((taker, name), DEFAULTS.get(name))
        assert defaults[name] == default, name
        assert words[name] == (WORDS[name] if taker not in NAMED_SCHEMES else scheme_words(name))


def test_every_argument_is_explained():
    for taker in TAKERS:
        defaults, words = arguments(taker)
        assert set(defaults) <= set(words), taker


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_on_the_command_line(command):
    options = {
        option.name: option for option in typer.main.get_command(app).commands[command].params
    }
    shared = COMMANDS[command]
    assert [name for name in options if name in SHARED and name in shared] == list(shared)
    for name in shared:
        plain = DEFAULTS.get(name) if name != "split" else None
        default = OTHER_COMMAND_DEFAULTS.get((command, name), plain)
        assert options[name].default == default, name
        said = options[name].help.replace("Default: ", "None: ")
        known = WORDS[name].replace('"1200", 1200.', '"1200".')  # a shell knows no numbers
        assert said.startswith(known.removesuffix(" or a mapping.")), name
