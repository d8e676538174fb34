"""The code in README and in the docs runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TINY

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = {
    page.name: blocks
    for page in PAGES
    if (blocks := re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
}


@pytest.mark.parametrize("page", CODE)
def test_code_runs(page, tiny_root, tmp_path):
    """From top to bottom, in a process of its own: frameworks mind which of them came first."""
    environment = {**os.environ, "BMGD_SOURCE": TINY, "BMGD_HOME": str(tiny_root)}
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(CODE[page])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_there_is_code():
    assert len(CODE["README.md"]) >= 3
