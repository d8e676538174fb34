"""The code in README and in the docs runs as it stands there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common import TINY

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = {
    page.name: blocks
    for page in PAGES
    if (blocks := re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
}
NEEDS = {
    "BMGD(": "torch",
    "bmgd_data.torch": "torchvision",
    "bmgd_data.lightning": "lightning",
    "bmgd_data.hf": "datasets",
    "bmgd_data.tf import": "tensorflow",
    "bmgd_data.tfds": "tensorflow_datasets",
    "import grain": "grain",
    "tfds.as_dataframe": "pandas",
    "tfds.show_examples": "matplotlib",
}
"""What code that holds this needs beyond the core."""


@pytest.mark.parametrize("page", CODE)
def test_code_runs(page, tiny_root, tmp_path):
    """From top to bottom, in a process of its own: frameworks mind which of them came first."""
    needed = {needs for sign, needs in NEEDS.items() if sign in "".join(CODE[page])}
    if missing := [name for name in sorted(needed) if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    own = {"BMGD_SOURCE": TINY, "BMGD_HOME": str(tiny_root), "TFDS_DATA_DIR": str(tmp_path)}
    environment = {**os.environ, **own}
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(CODE[page])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_every_dialect_is_shown_in_a_few_lines():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## In other frameworks")[2].partition("\n## ")[0]
    dialects = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(dialects) == 5
    assert max(len(code.strip().splitlines()) for code in dialects) <= 6
