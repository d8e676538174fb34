"""Reads the pixels of an image file as they are stored; refuses what is too large to decode.

TIFF through tifffile, everything else through Pillow, told apart by their first bytes. Pixels come
as every reader gives them: neither a white-is-zero tag nor a colour table for display changes them.
"""

from __future__ import annotations

import io
import math
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
    from tifffile import TiffFile, TiffPage

MAX_VALUES: Final = 4096 * 4096
"""A file that declares more (pixels times channels) is refused before it is decoded; BMGD's images
have 65,536. At 16 bytes a value, the most there are, that is 256 MB."""

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
"""Of TIFF: those that decode into as many bytes as the page has. Others (JPEG and its kin) bring a
size of their own, which nothing bounds: 469 bytes were seen to take 4 GB."""
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
"""By the value of the Orientation tag (TIFF 6.0, and EXIF in JPEG): what brings rows to the top and
columns to the left."""
_TURNED: Final = "turned as their Orientation tag says"
_PHOTOMETRICS: Final = {"MINISWHITE", "MINISBLACK", "RGB", "PALETTE"}
_MAX_CHANNELS: Final = 4
_MAX_PAGES: Final = 100
_MAX_EXTRA_PAGES: Final = 8
_SMOOTH: Final = 20  # steps of 255 from a colour to the next, in tables for display
_QUIET: Final = threading.Lock()
_LONGEST: Final = 200  # letters of a decoder's message, which may quote the file


class DecodeError(ValueError):
    """One file is not what it should be; the message says why, without the file's name."""


class Raster(NamedTuple):
    """The pixels of a file."""

    pixels: NDArray[Any]
    """(H, W); or (H, W, channels), 2 to 4 of them, of which 2 and 4 end in transparency."""
    notes: list[str]
    """What was unusual about how they were stored; follows "images" or "masks"."""
    indices: NDArray[Any] | None = None
    """(H, W) of a file with a colour table that is not for display: what the file stores."""


def read(data: bytes, path: str) -> Raster:
    """Read the one plane that a file holds.

    Raises:
        DecodeError: Not decodable, too large, several planes, or channels that are no colours.
    """
    if not data:
        raise DecodeError("an empty file")
    magic = next((magic for magic in _SUFFIXES if data.startswith(magic)), None)
    if magic is None:
        raise DecodeError(
            f"neither TIFF, PNG, BMP nor JPEG; it begins with {data[:8]!r}; save it as TIFF"
        )
    try:
        pixels, notes, indices = _read_tiff(data) if magic in _TIFF else _read_other(data, magic)
    except DecodeError:
        raise
    # Decoders raise whatever their parsers meet: ValueError, struct.error, KeyError, ...
    except Exception as error:
        why = printable(f"{type(error).__name__}: {error}"[:_LONGEST])
        raise DecodeError(f"not decodable ({why})") from error
    while pixels.ndim > 2 and 1 in pixels.shape:  # noqa: PLR2004 - as (1, H, W) is written
        pixels = pixels.squeeze(pixels.shape.index(1))
    channels = pixels.shape[2:] or (1,)
    if pixels.ndim not in (2, 3) or pixels.size == 0 or channels[0] > _MAX_CHANNELS:
        raise DecodeError(f"of shape {pixels.shape}, where one grey plane is expected")
    suffix = PurePosixPath(path).suffix.strip().lower()
    if suffix not in _SUFFIXES[magic]:
        notes.append(f"in files named {suffix} which are {_SUFFIXES[magic][0][1:].upper()}")
    return Raster(pixels, notes, indices)


# --------------------------------------------------------------------------------------------- TIFF


def _read_tiff(data: bytes) -> Raster:
    import tifffile

    pages = _pages(data)
    # tifffile keeps a file it cannot open in a cycle of references; closed, that holds no data.
    with io.BytesIO(data) as file, tifffile.TiffFile(file) as tiff:
        page = _main_page(tiff, pages)
        _refuse_absurd(page.shape)
        _refuse_absurd(page.chunks if page.is_tiled else ())
        if page.compression not in _COMPRESSIONS:
            how = tifffile.COMPRESSION(page.compression).name
            raise DecodeError(f"compressed as {how}; save it uncompressed, or with LZW or Deflate")
        # ImageJ and tifffile may write one page only, and the other planes bare behind it.
        if tiff.is_imagej or tiff.is_shaped:
            shape = tiff.series[0].shape
            if math.prod(shape) > math.prod(page.shape):
                raise _several(f"a stack of shape {shape}")
        pixels, notes, indices = _pixels(data, page, display_only=bool(tiff.is_imagej))
        tag = page.tags.get(_ORIENTATION)
        if turn := _TURNS.get(int(tag.value) if tag is not None else 1):
            pixels = turn(pixels)
            indices = None if indices is None else turn(indices)
            notes.append(_TURNED)
    return Raster(pixels, notes, indices)


def _main_page(tiff: TiffFile, pages: int) -> TiffPage:
    """The largest page; others may be smaller copies of it."""
    if pages > _MAX_EXTRA_PAGES:
        raise _several(f"{f'more than {_MAX_PAGES}' if pages > _MAX_PAGES else pages} pages")
    found: list[TiffPage] = [tiff.pages[number].aspage() for number in range(max(1, pages))]
    main = max(found, key=lambda page: (not page.is_reduced, page.imagewidth * page.imagelength))
    for page in found:
        smaller = page.imagewidth < main.imagewidth and page.imagelength < main.imagelength
        if page is not main and not (page.is_reduced or smaller):
            raise _several(f"{pages} pages")
    return main


def _several(what: str) -> DecodeError:
    return DecodeError(
        f"{what}, where one plane is expected; save each plane as a file of its own, image and "
        "mask under equal names"
    )


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


def _pixels(data: bytes, page: TiffPage, *, display_only: bool) -> Raster:
    """A page's pixels, and what is unusual.

    Args:
        data: The file.
        page: Of an allowed size and compression.
        display_only: Whether a colour table says how to show the pixels, not what they are: ImageJ
            stores its lookup tables so, Fire and Glasbey as much as an inverting one.
    """
    import tifffile

    notes: list[str] = []
    indices = None
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
        if display_only or _is_for_display(table):
            notes += _inverting(table)
        else:
            indices = pixels.astype(np.intp)
            pixels = table[indices]
    elif kind == "MINISWHITE":
        if pixels.dtype == np.bool_:  # as the standard says; readers do not agree on deeper ones
            pixels = ~pixels
        else:
            notes.append("stored with white as zero")
    return Raster(pixels, notes, indices)


def _padded(page: TiffPage) -> bool:
    """Whether 10 to 15 bits are claimed, and the pixels take 16, as some cameras write them."""
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
    # Pillow warns of damage that it can read. The filters belong to the whole process: a lock.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # By default Pillow tries dozens of formats, PostScript among them.
        picture = kinds[magic](io.BytesIO(data))
        bands = len(picture.getbands())
        _refuse_absurd(picture.size[::-1] if bands == 1 else (*picture.size[::-1], bands))
        if (frames := getattr(picture, "n_frames", 1)) > 1:
            raise _several(f"{frames} frames")
        if magic == _PNG and data[24:25] == b"\x10":  # 16 bits, of which Pillow drops 8 in colour
            import imagecodecs

            return Raster(imagecodecs.png_decode(data), notes)
        if picture.mode == "CMYK":
            raise DecodeError("of colours stored as CMYK; save it as grey or RGB")
        if picture.mode == "P":
            table = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
            if _is_for_display(table):
                return Raster(np.asarray(picture), _inverting(table))
            if "transparency" not in picture.info:
                indices = np.asarray(picture)
                return Raster(table[indices], notes, indices)
            picture = picture.convert("RGBA")
        elif picture.mode == "PA":
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


def _is_for_display(table: NDArray[np.uint8]) -> bool:
    """Whether a colour table (colours, 3) says how to show grey values, which are the data.

    Such as one that only grows brighter, or changes smoothly, as ImageJ's Fire and its inverting
    one. White and black, or the colours of classes, are no such table.
    """
    steps = np.diff(table.astype(np.int16), axis=0)
    grows = (steps >= 0).all() and steps.any(axis=1).all()
    smooth = len(table) == 256 and abs(steps).max() <= _SMOOTH  # noqa: PLR2004
    return bool(grows or smooth)


def _inverting(table: NDArray[np.uint8]) -> list[str]:
    falls = table[0].astype(int).sum() > table[-1].astype(int).sum()
    return ["stored with a colour table that shows them inverted"] if falls else []
