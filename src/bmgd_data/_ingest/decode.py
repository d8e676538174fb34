"""File bytes to checked arrays: TIFF through tifffile, everything else through imageio."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

MAX_VALUES: Final = 4096 * 4096
"""A file that declares more (pixels times channels) is refused before it is decoded; BMGD's images
have 65,536. At 16 bytes a value, the most there are, that is 256 MB."""

_MAX_CHANNELS: Final = 4
_TIFF: Final = {".tif", ".tiff", ".lsm"}
_COMPRESSIONS: Final = {
    *("NONE", "LZW", "DEFLATE", "ADOBE_DEFLATE", "PACKBITS", "ZSTD", "LZMA"),
    *("CCITTRLE", "CCITT_T4", "CCITT_T6"),
}
"""Of TIFF: those that decode into as many bytes as the page has. Others (JPEG and its kin) bring a
size of their own, which nothing bounds: 469 bytes were seen to take 4 GB."""
_MAX_PAGES: Final = 100
_QUIET: Final = threading.Lock()
_MAX_UINT16: Final = 65535
_LONGEST: Final = 200  # letters of a decoder's message, which may quote the file


class DecodeError(ValueError):
    """One file is not what it should be; the message says why, without the file's name."""


class Image(NamedTuple):
    """A decoded image."""

    pixels: NDArray[np.uint16]
    """(H, W)."""
    bits: int
    """8 if it was stored with 8 bits a pixel, else 16."""
    note: str | None
    """What was unusual about it."""


def image(data: bytes, path: str) -> Image:
    """Decode a grey image.

    Raises:
        DecodeError: Not decodable, several pages, true colour, or values beyond 0..65535.
    """
    pixels, inverted = _read(data, path)
    note = None
    if pixels.ndim == 3:  # noqa: PLR2004
        colour, _ = _colour_and_alpha(pixels)
        if not (colour == colour[..., :1]).all():
            raise DecodeError("a colour image, where a grey one is expected")
        pixels, note = colour[..., 0], "grey images stored as colour"
    if pixels.dtype == np.bool_:
        raise DecodeError("a 1-bit image, where at least 8 bits are expected")
    if pixels.dtype not in (np.uint8, np.uint16):
        note = f"images stored as {pixels.dtype}"
        pixels = _as_integers(pixels)
    bits = 8 if pixels.dtype == np.uint8 else 16
    if inverted:
        note = "images stored with white as zero"
    return Image(pixels.astype(np.uint16, copy=False), bits, note)


class Labels(NamedTuple):
    """A decoded mask or label image."""

    pixels: NDArray[np.integer[Any]]
    """(H, W), of whatever integer type."""
    note: str | None
    """What was unusual about how it was stored."""


def labels(data: bytes, path: str) -> Labels:
    """Decode a mask or label image to one integer a pixel, 0 for background.

    A colour is one value: two colours are two labels. Transparent pixels are background.

    Raises:
        DecodeError: Not decodable, several pages, fractions, negative values, or no background.
    """
    pixels, inverted = _read(data, path)
    note = "stored with white as zero" if inverted else None
    if pixels.ndim == 3:  # noqa: PLR2004
        pixels, note = _colours_as_labels(pixels), "stored as colour"
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    if pixels.dtype.kind != "u":
        pixels = _as_integers(pixels)
    if pixels.size and pixels.min() != 0:
        values = ", ".join(map(str, np.unique(pixels)[:4]))
        raise DecodeError(f"a mask without background (0); its values: {values}")
    return Labels(pixels, note)


def prediction(data: bytes, path: str) -> NDArray[Any]:
    """Decode what a model has put out: a binary mask, instance labels, or probabilities.

    Unlike a mask it may have no background, and a TIFF may hold floats.

    Returns:
        (H, W), bool, integer or float as it was stored; of a picture in one or two colours one
        integer a colour.

    Raises:
        DecodeError: Not decodable, several pages, or a picture in more colours.
    """
    pixels, _ = _read(data, path)
    if pixels.ndim < 3:  # noqa: PLR2004
        return pixels
    colour, alpha = _colour_and_alpha(pixels)
    if (colour == colour[..., :1]).all() and not alpha.size:
        return colour[..., 0]
    labels = _colours_as_labels(pixels)
    if len(np.unique(labels)) > 2:  # noqa: PLR2004
        raise DecodeError(
            "a picture in colours, from which the number of a nucleus cannot be read; save the "
            "labels themselves, as TIFF or PNG with one channel of 8 or 16 bits"
        )
    return labels


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
        why = printable(f"{type(error).__name__}: {error}"[:_LONGEST])
        raise DecodeError(f"not decodable ({why})") from error
    channels = pixels.shape[2:] or (1,)
    if pixels.ndim not in (2, 3) or pixels.size == 0 or channels[0] > _MAX_CHANNELS:
        raise DecodeError(f"of shape {pixels.shape}, where one grey plane is expected")
    return pixels, inverted


def _read_tiff(data: bytes, _path: str) -> tuple[NDArray[Any], bool]:
    import tifffile

    pages = _pages(data)
    if pages > 2:  # noqa: PLR2004 - a .lsm adds a thumbnail
        raise _several(pages)
    # tifffile keeps a file it cannot open in a cycle of references; closed, that holds no data.
    with io.BytesIO(data) as file, tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        if pages > 1 and not tiff.is_lsm:
            raise _several(pages)
        _refuse_absurd(page.shape)
        _refuse_absurd(page.chunks if page.is_tiled else ())
        compression = tifffile.COMPRESSION(page.compression)
        if compression not in {tifffile.COMPRESSION[name] for name in _COMPRESSIONS}:
            raise DecodeError(
                f"compressed as {compression.name}; save it uncompressed, or with LZW or Deflate"
            )
        # ImageJ and tifffile may write one page only, and the other planes bare behind it.
        if (tiff.is_imagej or tiff.is_shaped) and (shape := tiff.series[0].shape) != page.shape:
            raise DecodeError(f"a stack of shape {shape}, where one plane is expected")
        pixels = page.asarray()
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
            pixels = _looked_up(page.colormap, pixels)
        elif pixels.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:  # noqa: PLR2004
            pixels = np.moveaxis(pixels, 0, -1)
        inverted = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        if inverted:
            if pixels.dtype.kind not in "bu":  # nobody says how white these are at most
                raise DecodeError(f"of type {pixels.dtype} with white as zero")
            pixels = pixels.dtype.type((1 << page.bitspersample) - 1) ^ pixels
    return pixels, inverted


def _pages(data: bytes) -> int:
    """How many pages (TIFF 6.0: IFDs) are chained up; tifffile follows some loops for ever."""
    order = ">" if data.startswith(b"MM") else "<"
    big = data[2:4] in (b"+\0", b"\0+")
    first, count, tag, following = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + following, data, first)
        while at and at not in seen and len(seen) <= _MAX_PAGES:
            (tags,) = struct.unpack_from(order + count, data, at)
            seen.add(at)
            end = at + struct.calcsize(order + count) + tags * tag
            (at,) = struct.unpack_from(order + following, data, end)
    except (struct.error, OverflowError):
        pass  # the chain leads out of the file; tifffile ends it there too
    return len(seen)


def _several(pages: int) -> DecodeError:
    many = f"more than {_MAX_PAGES}" if pages > _MAX_PAGES else pages
    return DecodeError(f"{many} pages, where one is expected")


def _read_other(data: bytes, path: str) -> tuple[NDArray[Any], bool]:
    import imageio.v3 as iio
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin

    kinds: dict[bytes, Callable[[io.BytesIO], PILImage]] = {
        b"\x89PNG": PngImagePlugin.PngImageFile,
        b"BM": BmpImagePlugin.BmpImageFile,
        b"\xff\xd8": JpegImagePlugin.JpegImageFile,
    }
    # Left to itself, Pillow tries dozens of formats, PostScript among them.
    kind = next((kinds[magic] for magic in kinds if data.startswith(magic)), None)
    if kind is None:
        raise DecodeError(f"neither PNG, BMP nor JPEG; it begins with {data[:8]!r}")
    how: dict[str, Any] = {"extension": PurePosixPath(path).suffix.lower(), "plugin": "pillow"}
    # Pillow warns of what it makes do with. The lock, since the filters are the whole process's.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _refuse_absurd(kind(io.BytesIO(data)).size[::-1])
        _refuse_absurd(iio.improps(data, **how).shape)
        return iio.imread(data, **how), False


def _refuse_absurd(shape: tuple[int, ...]) -> None:
    if np.prod(shape, dtype=float) > MAX_VALUES:
        raise DecodeError(f"of absurd size {shape}; at most {MAX_VALUES} values are read")


def _looked_up(table: NDArray[np.uint16], pixels: NDArray[Any]) -> NDArray[Any]:
    """What a TIFF with a colour table (3, colours) shows, (H, W, 3).

    A table that only grows brighter is for display, as ImageJ stores an 8-bit image shown in blue;
    the grey values are then the pixels as they are, (H, W).
    """
    steps = np.diff(table.astype(np.int32), axis=1)
    if (steps >= 0).all() and steps.any(axis=0).all():
        return pixels
    return np.moveaxis(table[:, pixels], 0, -1)


def _colour_and_alpha(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(H, W, channels) as its 1 or 3 colour channels, and its 0 or 1 of transparency."""
    colours = 1 if pixels.shape[-1] == 2 else 3  # noqa: PLR2004 - grey and alpha, or true colour
    return pixels[..., :colours], pixels[..., colours:]


def _colours_as_labels(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W, channels) to one number a pixel that is equal where the colours are."""
    colour, alpha = _colour_and_alpha(pixels)
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
    # False for NaN; in double precision, as half precision does not reach the limit.
    within = (pixels >= 0) & (pixels <= np.float64(_MAX_UINT16))
    if not within.all() or (pixels != np.floor(pixels)).any():
        raise DecodeError("values that are not whole numbers within 0..65535")
    return pixels.astype(np.uint16)
