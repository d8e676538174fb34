"""Arrays to the bytes of image files, without loss."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EFFORT: Final = 4
"""Level of zlib: on nuclei images 4 % more bytes than at 6, its default, in half the time."""


def encode_png(array: NDArray[Any]) -> bytes:
    """Encode one plane as PNG: uint16 with 16 bits, uint8 with 8, bool with one bit a pixel.

    Args:
        array: (H, W) uint16, uint8 or bool.

    Returns:
        The bytes of the file; Pillow opens them in mode "I;16", "L" or "1".
    """
    if array.dtype == np.bool_:
        import imageio.v3

        return bytes(imageio.v3.imwrite("<bytes>", array, extension=".png", compress_level=EFFORT))
    from imagecodecs import PNG, png_encode

    # Without row filters: on nuclei images as small as with Pillow's, in half the time or less.
    return bytes(png_encode(array, level=EFFORT, filter=PNG.FILTER.NONE))


def encode_tiff(array: NDArray[Any], pixel_size_um: float, info: str) -> bytes:
    """Encode one plane as TIFF that ImageJ and Fiji open with its scale.

    Compressed with zlib and no predictor, which every reader has built in.

    Args:
        array: (H, W) uint16, uint8, or bool, which becomes uint8 0/255.
        pixel_size_um: Width and height of a pixel in micrometres.
        info: What "Show Info" in ImageJ tells.

    Returns:
        The bytes of the file.
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
