"""What a client should see. Each client runs where bmgd_data is not installed."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

BASE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
"""Holds the exports, ``<format>/<split>/...``, and truth.npz."""


def samples() -> dict[str, np.ndarray]:
    """Arrays by ``<sample name>/<image, mask or instances>``."""
    with np.load(BASE / "truth.npz") as arrays:
        return dict(arrays)


def names(form: str) -> dict[str, str]:
    """Sample names by the files of an export."""
    with (BASE / form / "index.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["name"] for row in csv.DictReader(file)}


def require_same(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    """End with a message unless all pixels are equal."""
    found, wanted = np.squeeze(np.asarray(found)), np.squeeze(wanted)
    if found.shape != wanted.shape or (found != wanted).any():
        sys.exit(f"{what} differs: {found.shape} {found.dtype}, at most {found.max()}")


def tell(version: str, seen: str) -> None:
    """Report what was run; the last line of the output."""
    print(json.dumps({"version": version, "seen": seen}))
