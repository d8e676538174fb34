"""`python -m bmgd_data` is `bmgd`, for where scripts are not on the path."""

from __future__ import annotations

from bmgd_data.cli import app

app(prog_name="bmgd")
