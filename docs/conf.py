"""How the site is built: Sphinx, MyST Markdown and notebooks, the furo theme."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import typer

import bmgd_data
from bmgd_data import facts
from bmgd_data._card import dataset_card
from bmgd_data.cli import app
from bmgd_data.nuclei import COLUMNS

HERE = Path(__file__).parent
GENERATED = HERE / "_generated"
NOTEBOOKS = HERE / "notebooks"  # copies: Sphinx reads nothing outside its folder
REPOSITORY = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "urls"
]["Repository"]

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
if "/OWNER/" not in REPOSITORY:  # a placeholder until the project is hosted
    html_theme_options = {
        "source_repository": REPOSITORY,
        "source_branch": "main",
        "source_directory": "docs/",
    }
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
    columns = ["| column | unit | meaning |", "| --- | --- | --- |"]
    columns += [f"| `{name}` | {c.unit} | {c.meaning} |" for name, c in COLUMNS.items()]
    texts = {
        "card": card,
        "baselines": f"{head}\n{rows}",
        "citation": citation,
        "columns": "\n".join(columns),
    }
    for name, text in texts.items():
        (GENERATED / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def _write_command_line() -> None:
    """The help of every command, as a terminal shows it."""
    group = typer.main.get_command(app)
    pages = {"bmgd": group} | {f"bmgd {name}": group.commands[name] for name in group.commands}
    sections = []
    for name, command in pages.items():
        context = typer.Context(
            command, info_name=name, terminal_width=80, **group.context_settings
        )
        sections.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    (GENERATED / "cli.md").write_text("\n".join(sections), encoding="utf-8")


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
