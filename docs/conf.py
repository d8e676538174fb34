"""How the site is built: Sphinx, MyST Markdown and notebooks, the furo theme."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bmgd_data
from bmgd_data import facts
from bmgd_data.card import dataset_card

HERE = Path(__file__).parent
GENERATED = HERE / "_generated"
NOTEBOOKS = HERE / "notebooks"  # copies: Sphinx reads nothing outside its folder

project = "bmgd-data"
author = "The bmgd-data developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
version = release = bmgd_data.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 2
nb_execution_in_temp = True
nb_execution_mode = "force"
nb_merge_streams = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
html_theme = "furo"
html_title = f"bmgd-data {version}"
html_static_path = ["_static"]
autodoc_default_options = {"members": True, "no-value": True}
autodoc_typehints = "description"
autodoc_member_order = "bysource"
suppress_warnings = ["ref.python"]  # `Table` is a class of nuclei and one of metrics
napoleon_numpy_docstring = False


def _write_facts() -> None:
    """The data card and the citation, from the one place where the facts are."""
    card = dataset_card().partition("\n# ")[2].partition("\n")[2]
    rows = "\n".join(
        f"| {b.encoder} | {b.f1} | {b.iou} | {b.val_loss:.5f} |" for b in facts.BASELINES
    )
    head = "| encoder | F1 in % | IoU in % | validation loss |\n| --- | --- | --- | --- |"
    citation = f"{facts.CITATION}\n\n```bibtex\n{facts.BIBTEX}```"
    texts = {"card": card, "baselines": f"{head}\n{rows}", "citation": citation}
    for name, text in texts.items():
        (GENERATED / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def _write_command_line() -> None:
    """The command-line reference, from the commands' own help."""
    command = [sys.executable, "-m", "typer", "bmgd_data.cli", "utils", "docs", "--name", "bmgd"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    (GENERATED / "cli.md").write_text(text.partition("\n")[2], encoding="utf-8")


def _take_notebooks() -> None:
    """Copy the notebooks here. They run on generated data, which is kept for the next time."""
    for path in (HERE.parent / "examples" / "notebooks").glob("*.ipynb"):
        shutil.copy2(path, NOTEBOOKS)
    own = {
        "BMGD_HOME": str(HERE / "_build" / "data"),
        "BMGD_SOURCE": "phantom:size=0.02",
        "BMGD_QUIET": "1",
    }
    os.environ.update(own)


GENERATED.mkdir(exist_ok=True)
NOTEBOOKS.mkdir(exist_ok=True)
_write_facts()
_write_command_line()
_take_notebooks()
