"""Arrays to the bytes of image files, lossless; and what ImageJ says in its descriptions."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EFFORT: Final = 4
"""Level of zlib; images of nuclei take 4 % more bytes than at its default, 6, in half the time."""


def encode_png(array: NDArray[Any]) -> bytes:
    """Encode an (H, W) array as PNG: uint16 with 16 bits, uint8 with 8, bool with 1 bit a pixel."""
    if array.dtype == np.bool_:
        import imageio.v3

        return bytes(imageio.v3.imwrite("<bytes>", array, extension=".png", compress_level=EFFORT))
    from imagecodecs import PNG, png_encode

    # Row filters do not make images of nuclei smaller, and take as much time again.
    return bytes(png_encode(array, level=EFFORT, filter=PNG.FILTER.NONE))


def encode_tiff(array: NDArray[Any], pixel_size_um: float, info: str) -> bytes:
    """Encode an (H, W) array as TIFF that ImageJ and Fiji open with its scale.

    It is uint16, uint8, or bool, which becomes uint8 0/255. Compressed with zlib and no predictor,
    which every reader supports. `info` is what "Show Info" in ImageJ shows.
    """
    import tifffile

    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        array,
        imagej=True,
        photometric="minisblack",
        compression="zlib",
        compressionargs={"level": EFFORT},
        resolution=(1 / pixel_size_um, 1 / pixel_size_um),
        metadata={"axes": "YX", "unit": "um", "Info": info},
    )
    return buffer.getvalue()


class Calibration(NamedTuple):
    """How ImageJ shows what is stored: signed 16 bits, for example, are stored 32,768 higher."""

    function: str
    """"0" for a straight line: a grey value is `low` + `factor` x what is stored."""
    low: float
    factor: float

    @property
    def changes(self) -> bool:
        """Whether grey values differ from what is stored."""
        return (self.low, self.factor) != (0, 1)


def calibration(description: str) -> Calibration:
    """What an image description of ImageJ says; no change for other descriptions."""
    ours = description if description.startswith("ImageJ=") else ""
    found = dict(re.findall(r"^(cf|c0|c1)=(\S+)$", ours, re.MULTILINE))
    low, factor = float(found.get("c0", 0)), float(found.get("c1", 1))
    return Calibration(found.get("cf", "0"), low, factor)
