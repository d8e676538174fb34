"""Writes Zeiss .lsm files by their published structure; no microscope wrote such a file."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_lsm(
    path: Path,
    stack: NDArray[np.uint16],
    voxel_um: tuple[float, float, float],
    compression: str | None = None,
) -> None:
    """Write (T, Z, C, Y, X): a page a plane, each with a thumbnail; CZ_LSMINFO is in the first.

    The channels of a plane are samples of its page, one after the other.
    """
    times, depth, channels, height, width = stack.shape
    sizes = (512, width, height, depth, channels, times, 2, 12, 12)  # its own first, 12 bits
    voxel = (size * 1e-6 for size in reversed(voxel_um))  # metres
    scan = 6 if times > 1 else 0  # a time series of stacks, or one stack
    info = struct.pack("<I9i6d2H", 0x0400494C, *sizes, *voxel, 0, 0, 0, scan, 0).ljust(512, b"\0")
    planar = {"planarconfig": "separate"} if channels > 1 else {}
    told = {"metadata": None, "contiguous": False}
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number, plane in enumerate(stack.reshape(-1, *stack.shape[2:])):
            file.write(
                plane if channels > 1 else plane[0],
                photometric="minisblack",
                compression=compression,
                extratags=[] if number else [(34412, 1, len(info), info, True)],
                **planar,
                **told,
            )
            file.write(np.zeros((12, 12, 3), np.uint8), photometric="rgb", subfiletype=1, **told)
