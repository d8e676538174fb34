"""How the site is built: Sphinx, MyST Markdown, the furo theme."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bmgd_data
from bmgd_data import facts

HERE = Path(__file__).parent
GENERATED = HERE / "_generated"

project = "bmgd-data"
author = "The bmgd-data developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
version = release = bmgd_data.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 2
html_theme = "furo"
html_title = f"bmgd-data {version}"
html_static_path = ["_static"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _write_facts() -> None:
    """The tables of the data card, from the one place where the facts are."""
    conditions = [
        (f"{c.pa} Pa", c.images, c.nuclei, f"{c.nuclei / c.images:.2f}", f"`{c.archive}`")
        for c in facts.CONDITIONS
    ]
    per_image = f"{facts.NUCLEI / facts.IMAGES:.2f}"
    conditions.append(("all", facts.IMAGES, facts.NUCLEI, per_image, ""))
    head = ("stiffness", "images", "nuclei", "nuclei per image", "archive")
    tables = {
        "conditions": _table(head, conditions),
        "acquisition": _table(("what", "how"), list(facts.ACQUISITION.items())),
        "baselines": _table(
            ("encoder", "F1 in %", "IoU in %", "validation loss"),
            [(b.encoder, b.f1, b.iou, f"{b.val_loss:.5f}") for b in facts.BASELINES],
        ),
        "licences": _table(
            ("what", "licence"), [("code", facts.CODE_LICENSE), ("data", facts.DATA_LICENSE)]
        ),
        "citation": f"{facts.CITATION}\n\n```bibtex\n{facts.BIBTEX}```",
    }
    for name, text in tables.items():
        (GENERATED / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def _write_command_line() -> None:
    """The command-line reference, from the commands' own help."""
    command = [sys.executable, "-m", "typer", "bmgd_data.cli", "utils", "docs", "--name", "bmgd"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    (GENERATED / "cli.md").write_text(text.partition("\n")[2], encoding="utf-8")


GENERATED.mkdir(exist_ok=True)
_write_facts()
_write_command_line()
