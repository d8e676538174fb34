"""The code in README and in the docs runs as it stands there."""

from __future__ import annotations

import re
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


@pytest.mark.filterwarnings("default")  # other libraries' deprecations are not what is tested here
@pytest.mark.parametrize("page", CODE)
def test_code_runs(page, tiny_root, tmp_path, monkeypatch):
    """A page is read from top to bottom, so its blocks share their names."""
    monkeypatch.setenv("BMGD_SOURCE", TINY)
    monkeypatch.setenv("BMGD_HOME", str(tiny_root))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for number, block in enumerate(CODE[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)


def test_there_is_code():
    assert len(CODE["README.md"]) >= 3
