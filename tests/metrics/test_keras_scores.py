"""Metrics and losses of Keras are what docs/surprises.md says; keras_scores.py prints the table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "surprises.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_scores_of_keras_are_what_the_page_says():
    """In a process of its own, since Keras chooses its backend at import."""
    pytest.importorskip("keras")
    command = [sys.executable, HERE / "keras_scores.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = re.findall(r"^\| .* \|$", PAGE.split("## Keras\n")[1].split("\n## ")[0], re.MULTILINE)
    seen = done.stdout.splitlines()
    if seen[0] != rows[0]:
        pytest.skip(f"the page is about another version: {seen[0]}")
    assert seen == rows
