"""What tests import from one another; fixtures are in conftest.py, a name that folders share."""

from __future__ import annotations

import io

import numpy as np
import tifffile

TINY = "phantom:size=0.02"
"""The smallest generated source: twelve images a stiffness."""


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
