"""Which samples loaders serve is what the page says; loaders.py prints the table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs" / "surprises.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_loaders_serve_what_the_page_says():
    """Those that are installed here, in the version that the page names."""
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, HERE / "loaders.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = re.findall(r"^\| .* \|$", PAGE.split("## Loaders\n")[1], re.MULTILINE)
    versions = {row.split(" | ")[0] for row in rows}
    seen = [row for row in done.stdout.splitlines() if row.split(" | ")[0] in versions]
    assert len(seen) > 2
    assert [row for row in seen if row not in rows] == []
