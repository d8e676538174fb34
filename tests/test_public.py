"""What is public: `dir`, the API page and each module's `__all__` agree."""

from __future__ import annotations

import ast
import pkgutil
import re
from pathlib import Path

import pytest

import bmgd_data
from test_init import WITHOUT_TORCH, run

ROOT = Path(__file__).parents[1]
PACKAGE = Path(bmgd_data.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.iter_modules(bmgd_data.__path__)
    if not module.name.startswith("_")
)
OPTIONAL = set(bmgd_data._NEEDS)
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))


def test_submodules_are_there_after_importing_the_package():
    names = [name for name in MODULES if name not in OPTIONAL]
    print_them = "import bmgd_data, types\n" + "".join(
        f"assert isinstance(bmgd_data.{name}, types.ModuleType)\n" for name in names
    )
    run(print_them)
    with pytest.raises(AttributeError):
        _ = bmgd_data.nothing


def test_help_lists_what_is_public():
    usable = {name for name in MODULES if bmgd_data._is_usable(name)}
    assert usable >= set(MODULES) - OPTIONAL
    assert sorted({*usable, *bmgd_data.__all__}) == dir(bmgd_data)


def test_help_leaves_out_what_would_fail():
    listed = run(WITHOUT_TORCH + "import bmgd_data; print(*dir(bmgd_data))").split()
    assert not {"BMGD", "torch", "augment"} & set(listed)
    assert {"Reader", "metrics", "splits"} <= set(listed)


def test_the_api_page_lists_the_public_modules():
    """Sphinx lists the members of each: what `__all__` names."""
    listed = re.findall(r"^\.\. automodule:: bmgd_data\.(\w+)$", DOCS, re.MULTILINE)
    assert sorted([*listed, "cli"]) == MODULES  # cli.md is made of the commands' own help
    assert not re.findall(r"^\.\. auto(?!module)\w+::", DOCS, re.MULTILINE)
    top = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", top)) >= set(bmgd_data.__all__) - {"__version__"}


@pytest.mark.parametrize("name", [name for name in MODULES if name not in {"cli", "facts"}])
def test_every_module_names_and_explains_what_is_public(name):
    """Read from the source, so that no framework is needed."""
    path = PACKAGE / f"{name}.py"
    tree = ast.parse(
        (path if path.is_file() else PACKAGE / name / "__init__.py").read_text("utf-8")
    )
    (public,) = (node.value for node in tree.body if _target(node) == "__all__")
    explained = {
        _target(node)
        for node, doc in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            explained.add(node.name)
    for node in ast.walk(tree):  # a lazy module names what it imports for type checkers
        if isinstance(node, ast.ImportFrom):
            explained |= {alias.name for alias in node.names}
    assert ast.get_docstring(tree)
    assert set(ast.literal_eval(public)) <= explained


def _target(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign):
        (target,) = node.targets
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None
