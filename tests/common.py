"""What tests import from one another; fixtures are in conftest.py, a name that folders share."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import tifffile

from bmgd_data._ingest import measures

TINY = "phantom:size=0.02"
"""The smallest generated source: twelve images a stiffness."""


_NOBODY = """
import os, sys
from pathlib import Path
from bmgd_data._container import folder
from bmgd_data._origin import trust
from bmgd_data._system import disk
os.geteuid() or os.setgroups([]) or os.setgid(65534) or os.setuid(65534)
"""


def as_nobody(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code, on POSIX, in a process that file modes bind: root's would be let through.

    It finds its arguments in `sys.argv`, and `Path`, `disk`, `sources` and `trust` imported.
    """
    command = [sys.executable, "-c", _NOBODY + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def packs_bits() -> bool:
    """Whether TIFFs of 12 bits a pixel can be written; older libraries only read them."""
    try:
        tifffile.imwrite(io.BytesIO(), np.zeros((2, 2), np.uint16), bitspersample=12)
    except NotImplementedError:
        return False
    return True


def reads_fax() -> bool:
    """Whether TIFFs packed like a fax (CCITT group 4) can be read; older libraries refuse them."""
    return "CCITTFAX4" in tifffile.COMPRESSION.__members__


def look(image: np.ndarray, mask: np.ndarray) -> measures.Pair:
    """Measure an image and its mask."""
    return measures.measure_pair(image, mask, np.bincount(image.ravel()))
