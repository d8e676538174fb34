"""Imports go to lower rooms, or stay within one without circles. CONTRIBUTING shows the order."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

import bmgd_data

PACKAGE = Path(bmgd_data.__file__).parent
LAYERS = (
    {"facts", "errors", "_arguments"},
    {"_system"},
    {"splits", "instances", "phantom"},
    {"_store"},
    {"_container"},
    {"_origin"},
    {"_ingest"},
    {"_pipeline", "plot"},
    {"reader", "upkeep"},
    {"nuclei", "leaks", "metrics", "_card"},
    {"torch", "augment", "lightning", "tf", "hf", "tfds"},
    {"export"},
    {"report", "own"},
    {"cli", "napari"},
)
"""From low to high."""
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
    """What a module imports of this package, wherever in it, but for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
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


def test_there_are_no_circles():
    # A package's own modules are imported by its __init__, and not the other way round.
    order = graphlib.TopologicalSorter(IMPORTS)
    order.prepare()
