"""File bytes to what they mean: a grey image, a mask or labels, a prediction.

In a mask the lower, darker or surrounding value is read as background. Whether that is right is not
decided here, but from the pixels of mask and image together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._ingest import raster
from bmgd_data._ingest.raster import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bmgd_data._ingest.raster import Raster

__all__ = ["DecodeError", "Image", "Labels", "image", "labels", "prediction"]

_MAX_UINT16: Final = 65535
_FEWEST_GREYS: Final = 16  # between background and foreground, where grey fringes can be seen
_WHITES: Final = (255, 65535, 1)
_STRAYS: Final = 3  # pixels of other values that a mask may have
_TWO_COLOURS: Final = 0.8  # share of pixels in one of two colours; the others lie along edges
_OTHER_COLOURS: Final = 0.001  # share of pixels in such an image that lie between neither
_OFF_LINE: Final = 0.25  # of the two colours' distance: JPEG moves colours along edges by less
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # brightness of red, green, blue: ITU-R BT.601
_CODE: Final = np.array([2**32, 2**16, 1], np.uint64)
_NEAR: Final = 0.1  # of the range: noise of JPEG in flat places
_NOISE: Final = 0.05  # of the range: noise of JPEG away from edges
_EDGES: Final = 0.4  # largest share of an image with other values
_FLAT: Final = 0.25  # share of fringes in places of one value; most labels lie there
_SURROUNDING: Final = 0.25  # smallest share of an image that a background other than 0 covers


class Image(NamedTuple):
    pixels: NDArray[np.uint16]
    """(H, W)."""
    bits: int
    """8 if it is stored with 8 bits a pixel, else 16."""
    note: str | None
    """What is unusual about it."""


def image(data: bytes, path: str) -> Image:
    """Decode a grey image, or one in shades of one colour, as DAPI in blue; round fractions.

    Raises:
        DecodeError: Not decodable, several planes, several colours, values beyond 0..65535, or
            fractions on an unknown scale.
    """
    found = raster.read(data, path)
    notes, pixels = found.notes, _one_channel(found)
    if pixels is None:
        raise DecodeError(
            "a colour image, where a grey one is expected; save the DAPI channel alone, with "
            "16 bits a pixel"
        )
    if pixels.dtype == np.bool_:
        raise DecodeError(
            "a 1-bit image, where at least 8 bits are expected; put the grey image in its place"
        )
    bits = 8 if pixels.dtype == np.uint8 else 16
    if pixels.dtype not in (np.uint8, np.uint16):
        notes = [f"stored as {pixels.dtype}", *notes]
        pixels, rounded = _rounded(pixels)
        notes += ["rounded to whole numbers"] * rounded
    note = f"images {' and '.join(notes)}" if notes else None
    return Image(pixels.astype(np.uint16, copy=False), bits, note)


class Labels(NamedTuple):
    pixels: NDArray[np.integer[Any]]
    """(H, W), of any integer type."""
    note: str | None
    """What is unusual about how it is stored."""


def labels(data: bytes, path: str) -> Labels:
    """Decode a mask or label image to one integer a pixel, 0 for background.

    Each colour is one label. Transparent pixels are background. Of two values the lower one is
    background, of two colours the darker one. Grey fringes, as resizing and JPEG leave them along
    edges, are cut at half the maximum.

    Raises:
        DecodeError: Not decodable, several planes, fractions, or no background.
    """
    found = raster.read(data, path)
    notes, pixels = found.notes, _one_channel(found)
    if found.indices is not None and _number_labels(found.indices, found.pixels):
        pixels = found.indices
    elif pixels is None:
        pixels = _colours_as_labels(found)
    elif found.transparent is not None:
        pixels = np.where(found.transparent, 0, pixels)
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    values = _as_labels(pixels, notes)
    return Labels(values, " and ".join(notes) or None)


def prediction(data: bytes, path: str) -> NDArray[Any]:
    """Decode the output of a model: a binary mask, instance labels, or probabilities.

    Unlike a mask it may have no background, and a TIFF may hold floats.

    Returns:
        (H, W), bool, integer or float as it is stored; for a picture in two colours one integer a
        colour.

    Raises:
        DecodeError: Not decodable, several planes, or a picture in more colours.
    """
    found = raster.read(data, path)
    pixels = _one_channel(found)
    if pixels is not None and found.transparent is None:
        return pixels
    codes = _coded(found)
    if len(np.unique(codes)) > 2:  # noqa: PLR2004
        raise DecodeError(
            "a picture in colours, from which the number of a nucleus cannot be read; save the "
            "labels themselves, as TIFF or PNG with one channel of 8 or 16 bits"
        )
    return codes


# ------------------------------------------------------------------------------------------ colours


def _one_channel(found: Raster) -> NDArray[Any] | None:
    """The grey values of an image in shades of one colour; None if it has several."""
    pixels = found.pixels
    if pixels.ndim == 2 and found.transparent is None:  # noqa: PLR2004
        return pixels
    channels = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0))  # noqa: PLR2004
    used = [channel for channel in channels if channel.min() != channel.max()]
    if not used and found.transparent is not None:
        raise DecodeError("an image in which only the transparency varies; save that as grey")
    first, *others = used or channels[:1]
    return first if all(np.array_equal(first, other) for other in others) else None


def _coded(found: Raster) -> NDArray[np.uint64]:
    """One number a pixel, equal for equal colours, and 0 for black and transparent pixels."""
    colours = found.pixels.reshape(*found.pixels.shape[:2], -1)
    if colours.dtype.kind not in "bu":
        colours, _ = _rounded(colours)
    codes: NDArray[np.uint64] = colours.astype(np.uint64) @ _CODE[-colours.shape[2] :]
    if found.transparent is not None:
        codes[found.transparent] = 0
    return codes


def _colours_as_labels(found: Raster) -> NDArray[np.integer[Any]]:
    """Colours by number, 0 for black, or else for the darker of two or the most common of many."""
    codes = _coded(found)
    _, first, places, counts = np.unique(
        codes, return_index=True, return_inverse=True, return_counts=True
    )
    places = places.reshape(codes.shape)  # flat before numpy 2
    colours = found.pixels.reshape(codes.size, -1)[first].astype(float)
    colours[codes.ravel()[first] == 0] = 0
    common = int(counts.argmax())
    other = int((counts * ((colours - colours[common]) ** 2).sum(axis=1)).argmax())
    background, bright = sorted((common, other), key=lambda number: colours[number] @ _LUMA)
    between = _between(colours[background], colours[bright], colours)
    at_ends, off = counts[between.round(1) % 1 == 0].sum(), counts[np.isnan(between)].sum()
    if at_ends > _TWO_COLOURS * codes.size and off < _OTHER_COLOURS * codes.size:
        labels = (255 * np.nan_to_num(between)).round().astype(np.uint8)[places]
    elif codes.min() == 0:
        return codes
    else:
        background = common
        labels = np.where(places == background, 0, places + 1)
    if colours[background].any():
        shown = tuple(colours[background].astype(int).tolist())
        found.notes.append(f"with the colour {shown} as background")
    return labels


def _number_labels(indices: NDArray[Any], colours: NDArray[Any]) -> bool:
    """Whether indices into a colour table are labels, as programs that draw labels store them.

    They are not if black, which is background, has another index than 0.
    """
    black = np.asarray(~colours.any(axis=-1))
    return not black[indices != 0].any() or bool(black[indices == 0].any())


def _between(
    dark: NDArray[Any], bright: NDArray[Any], colours: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The position of each colour from 0 (dark) to 1 (bright); NaN if it is not between them."""
    line = bright - dark
    place: NDArray[np.float64] = ((colours - dark) @ line / (line @ line)).clip(0, 1)
    off = np.abs(colours - dark - place[:, None] * line).max(axis=1)
    return np.where(off <= _OFF_LINE * np.abs(line).max(), place, np.nan)


# ------------------------------------------------------------------------------------------ numbers


def _rounded(pixels: NDArray[Any]) -> tuple[NDArray[np.uint16], bool]:
    """Grey values as uint16, and whether some were rounded."""
    pixels = _numbers(pixels)
    low, high = float(pixels.min()), float(pixels.max())
    whole = np.rint(pixels) if pixels.dtype.kind == "f" else pixels
    fractions = bool((whole != pixels).any())
    if fractions and high < _FEWEST_GREYS:
        raise DecodeError(
            f"fractions from {low:.9g} to {high:.9g}, whose scale is unknown; multiply them by "
            "the value that 1 stands for, 4095 for 12 bits, and save whole numbers"
        )
    if low < -0.5 or high >= _MAX_UINT16 + 0.5:  # noqa: PLR2004
        raise DecodeError(
            f"values from {low:.9g} to {high:.9g}, where 0 to {_MAX_UINT16} are expected; "
            "subtract the lowest value, or clip, in the same way in all images"
        )
    return whole.astype(np.uint16), fractions


def _numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.dtype.kind not in "iuf":
        raise DecodeError(f"of type {pixels.dtype}, where numbers are expected")
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():  # before the cast, which warns of signalling NaN
            raise DecodeError("values that are no numbers (NaN) or infinite; replace them by 0")
        pixels = pixels.astype(np.float64)  # half precision does not reach the limits
    return pixels


def _as_labels(pixels: NDArray[Any], notes: list[str]) -> NDArray[np.integer[Any]]:
    """Turn values into labels, 0 for background."""
    pixels = _numbers(pixels)
    low, high = pixels.min(), pixels.max()
    if low == high:  # empty or full
        return np.full(pixels.shape, low != 0, np.uint8)
    top = pixels == high
    if (top | (pixels == low)).all():
        if low:
            notes.append(f"with {low:g} as background")
        return top.view(np.uint8) if low or pixels.dtype.kind == "f" else pixels
    if (cut := _without_fringes(pixels)) is not None:
        notes.append("with other values along edges, cut at half the maximum")
        return cut.view(np.uint8)
    if (pixels != np.rint(pixels)).any():
        raise DecodeError(
            "a mask of fractions that are no fringes of two values; save 0 for background and 255 "
            "for nuclei"
        )
    return _with_background(pixels.astype(np.int64), notes)


def _without_fringes(pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Pixels above half the maximum, if all other values are fringes and noise along edges.

    Fringes lie between areas of two values; labels form areas of their own. A few pixels of any
    other value are ignored.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    ordered = np.partition(pixels, (_STRAYS, pixels.size - 1 - _STRAYS), axis=None)
    low, high = ordered[_STRAYS].astype(float), ordered[-1 - _STRAYS].astype(float)
    if low == high:
        low, high = float(pixels.min()), float(pixels.max())
    span = high - low
    others = (pixels != low) & (pixels != high)
    count = np.count_nonzero(others)
    if pixels.dtype.kind in "iu" and span < _FEWEST_GREYS and count > _STRAYS:
        return None
    off = np.minimum(np.abs(pixels - low), np.abs(pixels - high)) > _NOISE * span
    if np.count_nonzero(off) > _EDGES * pixels.size:
        return None
    cut = pixels > (low + high) / 2
    full = np.count_nonzero(pixels >= high - _NEAR * span)
    if 2 * full < np.count_nonzero(cut):
        return None
    flat = others & (maximum_filter(pixels, 3) == minimum_filter(pixels, 3))
    if high in _WHITES:
        if _all_are_areas(pixels, low):
            return None
        flat &= pixels < high - span / _WHITES[0]  # 254 for 255 is an error of rounding
    in_flat_places = np.count_nonzero(others & maximum_filter(flat, 3))
    return None if in_flat_places > _FLAT * count else np.asarray(cut)


def _all_are_areas(pixels: NDArray[Any], low: float) -> bool:
    """Whether each value but the lowest is one region with a place of 3 x 3 pixels: a nucleus.

    So are two nuclei with the labels 254 and 255, while 254 for 255 by rounding is scattered, or
    has fringes around it that hold no such place.
    """
    from scipy.ndimage import maximum_filter, minimum_filter
    from skimage.measure import label

    kinds, numbered = np.unique(pixels, return_inverse=True)
    numbered = numbered.reshape(pixels.shape) * (pixels != low)
    flat = maximum_filter(numbered, 3) == minimum_filter(numbered, 3)
    if len(np.unique(numbered[flat])) < len(kinds):
        return False
    return bool(label(numbered, background=0, connectivity=2).max() == len(kinds) - 1)


def _with_background(values: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    """Replace another background by 0."""
    if values.min() < -1:
        raise DecodeError(f"labels from {values.min()} on; number nuclei from 1, background 0")
    kinds, counts = np.unique(values, return_counts=True)
    if _is_labkit(values):
        notes.append("with 0 and 1 as background, 2 as foreground")
        return np.where(values == 2, values, np.int64(0))  # noqa: PLR2004
    zeros, negative = (int(counts[kinds == kind].sum()) for kind in (0, -1))
    if zeros and zeros >= negative:
        return np.where(values < 0, np.int64(0), values)
    background = int(kinds[counts.argmax()])
    if counts.max() < _SURROUNDING * values.size:
        shown = ", ".join(map(str, kinds[:4]))
        raise DecodeError(f"labels without background (0); their values: {shown}, ...; make it 0")
    notes.append(f"with {background} as background")
    labels = values - min(int(kinds[0]), 0)
    labels[values == background] = 0
    return labels


def _is_labkit(values: NDArray[np.int64]) -> bool:
    """Whether 0 is unlabelled, 1 background and 2 foreground, as Labkit writes it.

    If so, 1 surrounds 2 and reaches the borders of the image, which labels of nuclei do not.
    """
    from scipy.ndimage import binary_dilation

    if values.min() < 0 or values.max() != 2:  # noqa: PLR2004
        return False
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    inside = values == 2  # noqa: PLR2004
    around = values[binary_dilation(inside, np.ones((3, 3))) & ~inside]
    return bool((border == 1).mean() >= 0.5 and (around == 1).mean() >= 0.75)  # noqa: PLR2004
