"""Reads the pixels of an image file as they are stored; refuses what is too large to decode.

tifffile reads TIFF, Pillow everything else; the first bytes decide. Pixels are those that other
readers return: neither a white-is-zero tag nor a colour table for display changes them.
"""

from __future__ import annotations

import contextlib
import io
import math
import threading
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._system.image_files import calibration
from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

MAX_VALUES: Final = 4096 * 4096
"""A file that declares more (pixels times channels) is refused before it is decoded; BMGD's images
have 65,536. At 16 bytes a value, the largest type, this is 256 MB."""

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG, _BMP, _JPEG = b"\x89PNG", b"BM", b"\xff\xd8"
_SUFFIXES: Final = {
    **dict.fromkeys(_TIFF, (".tif", ".tiff", ".lsm")),
    _PNG: (".png",),
    _BMP: (".bmp",),
    _JPEG: (".jpg", ".jpeg"),
}
_COMPRESSIONS: Final = {
    *(1, 2, 3, 4, 5),  # none, three of CCITT, LZW
    *(8, 32946, 32773),  # Deflate, its older number, PackBits
    *(34925, 50000),  # LZMA, Zstandard
}
"""Of TIFF: those that decode into as many bytes as the page has. Others (such as JPEG) declare
sizes of their own, which nothing bounds: 469 bytes took 4 GB."""
_ORIENTATION: Final = 274
_TURNS: Final[dict[int, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p[::-1].swapaxes(0, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p[:, ::-1].swapaxes(0, 1),
}
"""By the value of the Orientation tag (TIFF 6.0, and EXIF in JPEG): moves the first row to the top
and the first column to the left."""
_TURNED: Final = "turned as their Orientation tag says"
_PHOTOMETRICS: Final = {"MINISWHITE", "MINISBLACK", "RGB", "PALETTE"}
_MAX_CHANNELS: Final = 4
_MAX_PAGES: Final = 8
_SMOOTH: Final = 20  # largest step, of 255, from a colour to the next in tables for display
_QUIET: Final = threading.Lock()
_LONGEST: Final = 200  # characters of a decoder's message, which may quote the file


class DecodeError(ValueError):
    """One file is not what it should be; the message says why, without the file's name."""


class Raster(NamedTuple):
    pixels: NDArray[Any]
    """(H, W), or (H, W, 3) colours."""
    notes: list[str]
    """What is unusual about how they are stored; follows "images" or "masks"."""
    indices: NDArray[Any] | None = None
    """(H, W): the stored indices, if the file has a colour table that is not for display."""
    transparent: NDArray[np.bool_] | None = None
    """(H, W); None if no pixel is transparent, or all are."""


def read(data: bytes, path: str) -> Raster:
    """Read the one plane that a file holds; raises DecodeError."""
    if not data:
        raise DecodeError("an empty file")
    magic = next((magic for magic in _SUFFIXES if data.startswith(magic)), None)
    if magic is None:
        raise DecodeError(
            f"neither TIFF, PNG, BMP nor JPEG; it begins with {data[:8]!r}; save it as TIFF"
        )
    try:
        found = _read_tiff(data) if magic in _TIFF else _read_other(data, magic)
    except DecodeError:
        raise
    # Decoders raise whatever their parsers meet: ValueError, struct.error, KeyError, ...
    except Exception as error:
        why = printable(f"{type(error).__name__}: {error}"[:_LONGEST])
        raise DecodeError(f"not decodable ({why})") from error
    pixels = found.pixels
    while pixels.ndim > 2 and 1 in pixels.shape:  # noqa: PLR2004 - such as (1, H, W)
        pixels = pixels.squeeze(pixels.shape.index(1))
    channels = pixels.shape[2:] or (1,)
    if pixels.ndim not in (2, 3) or pixels.size == 0 or channels[0] > _MAX_CHANNELS:
        raise DecodeError(f"of shape {pixels.shape}, where one grey plane is expected")
    transparent = None
    if pixels.ndim == 3:  # noqa: PLR2004
        found.notes.insert(0, "stored as colour")
        if channels[0] in (2, 4):
            clear = pixels[..., -1] == 0
            transparent = clear if clear.any() and not clear.all() else None
        pixels = pixels[..., 0] if channels[0] == 2 else pixels[..., :3]  # noqa: PLR2004
    suffix = PurePosixPath(path).suffix.strip().lower()
    if suffix not in _SUFFIXES[magic]:
        found.notes.append(f"in files named {suffix} which are {_SUFFIXES[magic][0][1:].upper()}")
    return Raster(pixels, found.notes, found.indices, transparent)


# --------------------------------------------------------------------------------------------- TIFF


def _read_tiff(data: bytes) -> Raster:
    import tifffile

    # tifffile keeps a file it cannot open in a cycle of references; once closed, it holds no data.
    with io.BytesIO(data) as file, tifffile.TiffFile(file) as tiff:
        page = _main_page(tiff)
        _refuse_absurd(page.shape)
        _refuse_absurd(page.chunks if page.is_tiled else ())
        if page.compression not in _COMPRESSIONS:
            how = tifffile.COMPRESSION(page.compression).name
            raise DecodeError(f"compressed as {how}; save it uncompressed, or with LZW or Deflate")
        # ImageJ and tifffile may write one page only, followed by the bare pixels of other planes.
        if tiff.is_imagej or tiff.is_shaped:
            shape = tiff.series[0].shape
            if math.prod(shape) > math.prod(page.shape):
                raise _several(f"a stack of shape {shape}")
        pixels, notes, indices, _ = _pixels(data, page, display_only=bool(tiff.is_imagej))
        tag = page.tags.get(_ORIENTATION)
        if turn := _TURNS.get(int(tag.value) if tag is not None else 1):
            pixels = turn(pixels)
            indices = None if indices is None else turn(indices)
            notes.append(_TURNED)
    return Raster(pixels, notes, indices)


def _main_page(tiff: TiffFile) -> TiffPage:
    """The largest page; others may be smaller copies of it."""
    found: list[TiffPage] = []
    with contextlib.suppress(IndexError):
        # One by one: asked for their number, tifffile follows some loops of pages without end.
        while len(found) <= _MAX_PAGES:
            page = tiff.pages[len(found)].aspage()
            if page.offset in [each.offset for each in found]:
                break
            found.append(page)
    if len(found) > _MAX_PAGES:
        raise _several(f"more than {_MAX_PAGES} pages")
    main = max(found, key=lambda page: (not page.is_reduced, page.imagewidth * page.imagelength))
    for page in found:
        smaller = page.imagewidth < main.imagewidth and page.imagelength < main.imagelength
        if page is not main and not (page.is_reduced or smaller):
            raise _several(f"{len(found)} pages")
    return main


def _several(what: str) -> DecodeError:
    return DecodeError(
        f"{what}, where one plane is expected; save each plane as a file of its own, image and "
        "mask under equal names"
    )


def _calibrated(pixels: NDArray[Any], description: str) -> NDArray[Any]:
    """The grey values that ImageJ shows: it stores signed 16 bits 32,768 higher, and says so."""
    found = calibration(description)
    if not found.changes:
        return pixels
    shown = pixels + found.low
    exact = found.factor == 1 and found.low.is_integer() and pixels.dtype.kind in "iu"
    if not exact or shown.min() < 0:
        raise DecodeError(
            "calibrated grey values, or negative ones; in ImageJ, choose Analyze > Calibrate, "
            "Function: None, and save it as 16 bits from 0"
        )
    return shown.astype(np.uint16)


def _pixels(data: bytes, page: TiffPage, *, display_only: bool) -> Raster:
    """The pixels of a page of an allowed size and compression.

    With `display_only`, a colour table only says how to show them: ImageJ stores all its lookup
    tables in this way, Fire and Glasbey as well as an inverting one.
    """
    import tifffile

    notes: list[str] = []
    photometric: int | None = page.photometric  # a file may lack the tag
    kind = tifffile.PHOTOMETRIC(photometric).name if photometric is not None else ""
    if kind not in _PHOTOMETRICS:
        raise DecodeError(f"of colours stored as {kind or 'nothing known'}; save it as grey or RGB")
    if _padded(page):
        notes.append(f"stored with 16 bits a pixel and a tag that says {page.bitspersample}")
        parts = zip(page.dataoffsets, page.databytecounts, strict=True)
        joined = b"".join(data[start : start + count] for start, count in parts)
        pixels = np.frombuffer(joined, f"{page.parent.byteorder}u2").reshape(page.shape)
        pixels = pixels.astype(np.uint16)
    else:
        pixels = page.asarray()
    pixels = _calibrated(pixels, page.description)
    if page.samplesperpixel > 1:
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            pixels = np.moveaxis(pixels, 0, -1)
        transparent = kind == "RGB" or set(page.extrasamples) & {1, 2}
        if page.samplesperpixel in (2, 4) and not transparent:
            raise DecodeError(
                f"{page.samplesperpixel} channels, where one is expected; keep the DAPI channel "
                "alone (in Fiji: Image > Color > Split Channels)"
            )
    elif kind == "PALETTE" and page.colormap is not None:
        table = (page.colormap >> 8).astype(np.uint8).T
        return _looked_up(pixels, table, display_only=display_only)
    elif kind == "MINISWHITE":
        if pixels.dtype == np.bool_:  # as in the standard; readers disagree on deeper ones
            # tifffile, which scikit-image and imageio use, tags bool so and stores True as 1.
            if not (page.is_shaped or page.software == "tifffile.py"):
                pixels = ~pixels
        else:
            notes.append("stored with white as zero")
    return Raster(pixels, notes)


def _padded(page: TiffPage) -> bool:
    """Whether pixels of 9 to 15 bits, by the tag, take 16 bits in the file, as some cameras do."""
    size = page.imagewidth * page.imagelength * page.samplesperpixel
    return (
        page.compression == 1
        and not page.is_tiled
        and page.samplesperpixel == 1
        and 8 < page.bitspersample < 16  # noqa: PLR2004
        and sum(page.databytecounts) == 2 * size
    )


# -------------------------------------------------------------------------------- PNG, BMP and JPEG


def _read_other(data: bytes, magic: bytes) -> Raster:
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin

    kinds: dict[bytes, Any] = {
        _PNG: PngImagePlugin.PngImageFile,
        _BMP: BmpImagePlugin.BmpImageFile,
        _JPEG: JpegImagePlugin.JpegImageFile,
    }
    notes: list[str] = []
    # Pillow warns of damage that it can read. Warning filters are global, hence the lock.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Image.open tries dozens of formats, PostScript among them.
        picture = kinds[magic](io.BytesIO(data))
        bands = len(picture.getbands())
        _refuse_absurd(picture.size[::-1] if bands == 1 else (*picture.size[::-1], bands))
        if (frames := getattr(picture, "n_frames", 1)) > 1:
            raise _several(f"{frames} frames")
        if magic == _PNG and data[24:25] == b"\x10":  # Pillow reduces 16-bit colours to 8 bits
            import imagecodecs

            return Raster(imagecodecs.png_decode(data), notes)
        if picture.mode == "CMYK":
            raise DecodeError("of colours stored as CMYK; save it as grey or RGB")
        if picture.mode == "P":
            table = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
            if "transparency" not in picture.info or _is_for_display(table):
                return _looked_up(np.asarray(picture), table)
        if picture.mode in ("P", "PA"):
            picture = picture.convert("RGBA")
        pixels = np.asarray(picture)
        if magic == _JPEG and (turn := _TURNS.get(picture.getexif().get(_ORIENTATION, 1))):
            pixels = turn(pixels)
            notes.append(_TURNED)
        return Raster(pixels, notes)


# --------------------------------------------------------------------------------------------- both


def _refuse_absurd(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MAX_VALUES:
        raise DecodeError(f"of absurd size {shape}; at most {MAX_VALUES} values are read")


def _looked_up(
    stored: NDArray[Any], table: NDArray[np.uint8], *, display_only: bool = False
) -> Raster:
    """The pixels of a file with a colour table (colours, 3)."""
    if not display_only and not _is_for_display(table):
        return Raster(table[stored], [], stored)
    falls = table[0].astype(int).sum() > table[-1].astype(int).sum()
    return Raster(stored, ["stored with a colour table that shows them inverted"] if falls else [])


def _is_for_display(table: NDArray[np.uint8]) -> bool:
    """Whether a colour table (colours, 3) says how to show grey values.

    It does if it only grows brighter, or changes smoothly, as ImageJ's Fire and inverting tables.
    White and black, or the colours of classes, do not.
    """
    steps = np.diff(table.astype(np.int16), axis=0)
    grows = (steps >= 0).all() and steps.any(axis=1).all()
    smooth = len(table) == 256 and abs(steps).max() <= _SMOOTH  # noqa: PLR2004
    return bool(grows or smooth)
