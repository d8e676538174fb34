"""File bytes to checked arrays: TIFF through tifffile, everything else through imageio."""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS: Final = 4096 * 4096
"""A file that declares more is refused before it is decoded; BMGD's images have 65,536."""

_TIFF: Final = {".tif", ".tiff", ".lsm"}
_MAX_UINT16: Final = 65535


class DecodeError(ValueError):
    """One file is not what it should be; the message says why, without the file's name."""


class Image(NamedTuple):
    """A decoded image."""

    pixels: NDArray[np.uint16]
    """(H, W)."""
    bits: int
    """8 if it was stored with 8 bits a pixel, else 16."""
    odd: str | None
    """What was unusual about it."""


def image(data: bytes, path: str) -> Image:
    """Decode a grey image.

    Raises:
        DecodeError: Not decodable, several pages, true colour, or values beyond 0..65535.
    """
    pixels, inverted = _read(data, path)
    odd = None
    if pixels.ndim == 3:  # noqa: PLR2004
        colour = pixels[..., :3]
        if not (colour == colour[..., :1]).all():
            raise DecodeError("a colour image, where a grey one is expected")
        pixels, odd = colour[..., 0], "grey images stored as colour"
    if pixels.dtype == np.bool_:
        raise DecodeError("a 1-bit image, where at least 8 bits are expected")
    if pixels.dtype not in (np.uint8, np.uint16):
        odd = f"images stored as {pixels.dtype}"
        pixels = _as_integers(pixels)
    bits = 8 if pixels.dtype == np.uint8 else 16
    if inverted:
        odd = "images stored with white as zero"
    return Image(pixels.astype(np.uint16, copy=False), bits, odd)


def labels(data: bytes, path: str) -> NDArray[np.integer[Any]]:
    """Decode a mask or label image to one integer a pixel, 0 for background.

    A colour is one value: two colours are two labels. Transparent pixels are background.

    Returns:
        (H, W), of whatever integer type.

    Raises:
        DecodeError: Not decodable, several pages, fractions, negative values, or no background.
    """
    pixels, _ = _read(data, path)
    if pixels.ndim == 3:  # noqa: PLR2004
        pixels = _colours_as_labels(pixels)
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    if pixels.dtype.kind != "u":
        pixels = _as_integers(pixels)
    if pixels.size and pixels.min() != 0:
        values = ", ".join(map(str, np.unique(pixels)[:4]))
        raise DecodeError(f"a mask without background (0); its values: {values}")
    return pixels


def _read(data: bytes, path: str) -> tuple[NDArray[Any], bool]:
    """The raw pixels, (H, W) or (H, W, channels), and whether they were stored inverted."""
    if not data:
        raise DecodeError("an empty file")
    reader = _read_tiff if PurePosixPath(path).suffix.lower() in _TIFF else _read_other
    try:
        pixels, inverted = reader(data, path)
    except DecodeError:
        raise
    # Decoders raise whatever their parsers stumble on: ValueError, struct.error, KeyError, ...
    except Exception as error:
        raise DecodeError(f"not decodable ({type(error).__name__}: {error})") from error
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise DecodeError(f"of shape {pixels.shape}, where one grey plane is expected")
    return pixels, inverted


def _read_tiff(data: bytes, _path: str) -> tuple[NDArray[Any], bool]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pages = len(tiff.pages)
        page = tiff.pages.first
        if pages > 1 and not (tiff.is_lsm and pages == 2):  # noqa: PLR2004 - a .lsm adds a thumbnail
            raise DecodeError(f"{pages} pages, where one is expected")
        _refuse_absurd(page.shape)
        pixels = page.asarray()
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
            pixels = page.colormap[:, pixels].transpose(1, 2, 0)
        elif pixels.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:  # noqa: PLR2004
            pixels = np.moveaxis(pixels, 0, -1)
        inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    if inverted:
        pixels = ~pixels if pixels.dtype.kind in "bu" else pixels.max() - pixels
    return pixels, inverted


def _read_other(data: bytes, path: str) -> tuple[NDArray[Any], bool]:
    import imageio.v3 as iio

    extension = PurePosixPath(path).suffix.lower()
    _refuse_absurd(iio.improps(data, extension=extension).shape)
    return iio.imread(data, extension=extension), False


def _refuse_absurd(shape: tuple[int, ...]) -> None:
    if np.prod(shape, dtype=float) > 4 * MAX_PIXELS:
        raise DecodeError(f"of absurd size {shape}; at most {MAX_PIXELS} pixels are read")


def _colours_as_labels(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W, channels) to one number a pixel that is equal where the colours are."""
    channels = pixels.shape[-1]
    colours = 1 if channels == 2 else 3  # noqa: PLR2004 - grey and alpha, or true colour
    colour, alpha = pixels[..., :colours], pixels[..., colours:]
    if colour.dtype.kind not in "bu":
        colour = _as_integers(colour)
    value = np.zeros(pixels.shape[:2], np.uint64)
    for channel in range(colour.shape[-1]):
        value = value << np.uint64(16) | colour[..., channel].astype(np.uint64)
    if alpha.size:
        value[alpha[..., 0] == 0] = 0
    return value


def _as_integers(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    if pixels.dtype.kind not in "iuf":
        raise DecodeError(f"of type {pixels.dtype}, where whole numbers are expected")
    whole = pixels.astype(np.int64) if np.isfinite(pixels).all() else None
    if whole is None or (whole != pixels).any() or whole.min() < 0 or whole.max() > _MAX_UINT16:
        raise DecodeError("values that are not whole numbers within 0..65535")
    return whole.astype(np.uint16)
