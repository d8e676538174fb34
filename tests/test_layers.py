"""Imports go to lower rooms, or stay within one without circles. CONTRIBUTING shows the order."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

import bmgd_data

PACKAGE = Path(bmgd_data.__file__).parent
LAYERS = (
    {"facts", "errors", "_arguments", "_tables"},
    {"_system"},
    {"splits", "instances", "phantom"},
    {"_store"},
    {"_container"},
    {"_origin"},
    {"_ingest"},
    {"_pipeline"},
    {"_division", "upkeep"},
    {"reader"},
    {"nuclei", "leaks", "metrics", "_card"},
    {"plot"},
    {"torch", "augment", "lightning", "tf", "hf", "tfds"},
    {"export"},
    {"report", "own"},
    {"cli", "napari"},
)
"""From low to high."""
NAMED_TUPLE = {"_asdict", "_fields", "_replace", "_make"}  # public, though they begin with "_"
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


def modules() -> dict[str, Path]:
    """Dotted names below the package."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name not in ("", "__main__"):
            found[name] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """What a module imports of this package, wherever in it, also for type checking alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bmgd_data"):
            base = (node.module or "").removeprefix("bmgd_data").lstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                found.add(name if name in known else base)
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("bmgd_data.")
                for alias in node.names
                if alias.name.startswith("bmgd_data.")
            }
    return found - {""}


MODULES = modules()
IMPORTS = {name: imports(path, set(MODULES)) - {name} for name, path in MODULES.items()}


def room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def test_every_room_has_its_layer():
    assert {room(name) for name in MODULES} <= HEIGHT.keys()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_to_lower_layers(name):
    higher = {
        other
        for other in IMPORTS[name]
        if room(other) != room(name) and HEIGHT[room(other)] > HEIGHT[room(name)]
    }
    assert not higher


def test_there_are_no_circles_of_modules():
    # A package's own modules are imported by its __init__, and not the other way round.
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_there_are_no_circles_of_rooms():
    rooms: dict[str, set[str]] = {}
    for name, others in IMPORTS.items():
        rooms.setdefault(room(name), set()).update({*map(room, others)} - {room(name)})
    graphlib.TopologicalSorter(rooms).prepare()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_reaches_into_the_private_parts_of_others(name):
    nodes = list(ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))))
    own = NAMED_TUPLE | {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store)
    }
    own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    reached = {
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in ("self", "cls", "super()")
        and node.attr not in own
    }
    imported = {
        f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bmgd_data.")
        for alias in node.names
        if alias.name.startswith("_")
        and room(f"{node.module}".removeprefix("bmgd_data.")) != room(name)
    }
    assert not reached | imported


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples beside these tests")
def test_examples_use_what_is_public():
    found = {
        f"{path.relative_to(EXAMPLES)}: {name}"
        for path in EXAMPLES.rglob("*.py")
        for name in imports(path, set(MODULES))
        if any(part.startswith("_") for part in name.split("."))
    }
    assert not found
