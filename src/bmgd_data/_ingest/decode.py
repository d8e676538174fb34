"""File bytes to what they mean: a grey image, a mask or labels, a prediction.

A mask is read plainly: the lower, darker or surrounding value is background. Which way round its
values are is not decided here, but from the pixels of mask and image together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._ingest import raster
from bmgd_data._ingest.raster import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DecodeError", "Image", "Labels", "image", "labels", "prediction"]

_MAX_UINT16: Final = 65535
_FEWEST_GREYS: Final = 16  # between background and foreground, where grey fringes can be told
_WHITES: Final = (255, 65535, 1)
_STRAYS: Final = 3  # pixels of other values that a mask may have
_TWO_COLOURS: Final = 0.8  # share of an image that has two, and others along edges
_OTHER_COLOURS: Final = 0.001  # share of colours that are neither, in such an image
_OFF_LINE: Final = 0.25  # of their distance: by how much JPEG moves colours along edges
_LUMA: Final = np.array([0.299, 0.587, 0.114])  # brightness of red, green, blue: ITU-R BT.601
_NEAR: Final = 0.1  # of the range: noise of JPEG in flat places
_NOISE: Final = 0.05  # of the range: noise of JPEG away from edges
_EDGES: Final = 0.4  # share of an image that has other values at most
_FLAT: Final = 0.25  # share of fringes in places of one value; of labels, that is most
_SURROUNDING: Final = 0.25  # share of an image that a background other than 0 covers at least


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

    One that is shown in a single colour, as DAPI in blue, is grey. Fractions are rounded.

    Raises:
        DecodeError: Not decodable, several planes, several colours, values beyond 0..65535, or
            fractions on an unknown scale.
    """
    pixels, notes, _ = raster.read(data, path)
    if pixels.ndim == 3:  # noqa: PLR2004
        grey = _one_channel(pixels)
        if grey is None:
            raise DecodeError(
                "a colour image, where a grey one is expected; save the DAPI channel alone, with "
                "16 bits a pixel"
            )
        pixels, notes = grey, ["stored as colour", *notes]
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
    """A decoded mask or label image."""

    pixels: NDArray[np.integer[Any]]
    """(H, W), of whatever integer type."""
    note: str | None
    """What was unusual about how it was stored."""


def labels(data: bytes, path: str) -> Labels:
    """Decode a mask or label image to one integer a pixel, 0 for background.

    A colour is one value: two colours are two labels. Transparent pixels are background. Of two
    values the lower one is background, of two colours the darker one. Grey fringes, as resizing
    and JPEG leave them along edges, are cut at half the maximum.

    Raises:
        DecodeError: Not decodable, several planes, fractions, or no background.
    """
    pixels, notes, indices = raster.read(data, path)
    if pixels.ndim == 3:  # noqa: PLR2004
        notes = ["stored as colour", *notes]
        grey = _one_channel(pixels)
        if indices is not None and _number_labels(indices, pixels):
            pixels = indices
        elif grey is None:
            pixels = _colours_as_labels(pixels, notes)
        else:
            pixels = np.where(_transparent(pixels), 0, grey)
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    found = _as_labels(pixels, notes)
    return Labels(found, " and ".join(notes) or None)


def prediction(data: bytes, path: str) -> NDArray[Any]:
    """Decode what a model has put out: a binary mask, instance labels, or probabilities.

    Unlike a mask it may have no background, and a TIFF may hold floats.

    Returns:
        (H, W), bool, integer or float as it was stored; of a picture in one or two colours one
        integer a colour.

    Raises:
        DecodeError: Not decodable, several planes, or a picture in more colours.
    """
    pixels, _, _ = raster.read(data, path)
    if pixels.ndim < 3:  # noqa: PLR2004
        return pixels
    colour, alpha = _colour_and_alpha(pixels)
    if (colour == colour[..., :1]).all() and not alpha.size:
        return colour[..., 0]
    labels = _coded(pixels)
    if len(np.unique(labels)) > 2:  # noqa: PLR2004
        raise DecodeError(
            "a picture in colours, from which the number of a nucleus cannot be read; save the "
            "labels themselves, as TIFF or PNG with one channel of 8 or 16 bits"
        )
    return labels


# ------------------------------------------------------------------------------------------ colours


def _colour_and_alpha(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(H, W, channels) as its 1 or 3 colour channels, and its 0 or 1 of transparency."""
    colours = 1 if pixels.shape[-1] == 2 else 3  # noqa: PLR2004 - grey and alpha, or true colour
    return pixels[..., :colours], pixels[..., colours:]


def _one_channel(pixels: NDArray[Any]) -> NDArray[Any] | None:
    """The grey values of an image in shades of one colour; None if it has several.

    Raises:
        DecodeError: All that varies is the transparency.
    """
    colour, alpha = _colour_and_alpha(pixels)
    channels = [colour[..., number] for number in range(colour.shape[-1])]
    used = [channel for channel in channels if channel.min() != channel.max()]
    if not used and alpha.size and alpha.min() != alpha.max():
        raise DecodeError(
            "an image that only its transparency tells anything of; save that channel as grey"
        )
    first, *others = used or channels[:1]
    return first if all(np.array_equal(first, other) for other in others) else None


def _transparent(pixels: NDArray[Any]) -> NDArray[np.bool_]:
    """(H, W); nothing is, where everything would be."""
    alpha = _colour_and_alpha(pixels)[1]
    if not alpha.size or not alpha.any():
        return np.zeros(pixels.shape[:2], bool)
    return np.asarray(alpha[..., 0] == 0)


def _coded(pixels: NDArray[Any]) -> NDArray[np.uint64]:
    """(H, W, channels) to one number a pixel that is equal where the colours are, 0 for black."""
    colour = _colour_and_alpha(pixels)[0]
    if colour.dtype.kind not in "bu":
        colour, _ = _rounded(colour)
    value = np.zeros(pixels.shape[:2], np.uint64)
    for channel in range(colour.shape[-1]):
        value = value << np.uint64(16) | colour[..., channel].astype(np.uint64)
    value[_transparent(pixels)] = 0
    return value


def _colours_as_labels(pixels: NDArray[Any], notes: list[str]) -> NDArray[np.integer[Any]]:
    """Colours by number, 0 for black, or else for the darker of two or the most common of many."""
    codes = _coded(pixels)
    _, first, places, counts = np.unique(
        codes, return_index=True, return_inverse=True, return_counts=True
    )
    places = places.reshape(codes.shape)  # flat before numpy 2
    colour = _colour_and_alpha(pixels)[0].reshape(codes.size, -1)
    colours = np.where(codes.ravel()[first, None] == 0, 0, colour[first].astype(float))
    common = int(counts.argmax())
    other = int((counts * ((colours - colours[common]) ** 2).sum(axis=1)).argmax())
    background, bright = sorted((common, other), key=lambda number: colours[number] @ _LUMA)
    between = _between(colours[background], colours[bright], colours)
    at_ends, off = counts[between.round(1) % 1 == 0].sum(), counts[np.isnan(between)].sum()
    if at_ends > _TWO_COLOURS * codes.size and off < _OTHER_COLOURS * codes.size:
        found = (255 * np.nan_to_num(between)).round().astype(np.uint8)[places]
    elif codes.min() == 0:
        return codes
    else:
        background = common
        found = np.where(places == background, 0, places + 1)
    if colours[background].any():
        shown = tuple(colours[background].astype(int).tolist())
        notes.append(f"with the colour {shown} as background")
    return found


def _number_labels(indices: NDArray[Any], colours: NDArray[Any]) -> bool:
    """Whether indices into a colour table are labels, as programs that draw labels store them.

    They are not where black, which is background, has another index than 0.
    """
    black = np.asarray(~colours.any(axis=-1))
    return not black[indices != 0].any() or bool(black[indices == 0].any())


def _between(
    dark: NDArray[Any], bright: NDArray[Any], colours: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where from 0 (dark) to 1 (bright) each colour lies; NaN if it is none between them."""
    line = bright - dark
    place: NDArray[np.float64] = ((colours - dark) @ line / (line @ line)).clip(0, 1)
    off = np.abs(colours - dark - place[:, None] * line).max(axis=1)
    return np.where(off <= _OFF_LINE * np.abs(line).max(), place, np.nan)


# ------------------------------------------------------------------------------------------ numbers


def _rounded(pixels: NDArray[Any]) -> tuple[NDArray[np.uint16], bool]:
    """Grey values as uint16, and whether they had fractions."""
    pixels = _numbers(pixels)
    low, high = float(pixels.min()), float(pixels.max())
    whole = np.rint(pixels) if pixels.dtype.kind == "f" else pixels
    fractions = bool((whole != pixels).any())
    if fractions and high < _FEWEST_GREYS:
        raise DecodeError(
            f"fractions from {low:.9g} to {high:.9g}, whose scale is unknown; multiply them by "
            "what 1 stood for, 4095 for 12 bits, and save whole numbers"
        )
    if low < -0.5 or high >= _MAX_UINT16 + 0.5:  # noqa: PLR2004
        raise DecodeError(
            f"values from {low:.9g} to {high:.9g}, where 0 to {_MAX_UINT16} are expected; "
            "subtract the lowest, or clip them, in all images alike"
        )
    return whole.astype(np.uint16), fractions


def _numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.dtype.kind not in "iuf":
        raise DecodeError(f"of type {pixels.dtype}, where numbers are expected")
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float64)  # half precision does not reach the limits
        if not np.isfinite(pixels).all():
            raise DecodeError("values that are no numbers (NaN) or infinite; replace them by 0")
    return pixels


def _as_labels(pixels: NDArray[Any], notes: list[str]) -> NDArray[np.integer[Any]]:
    """Values to labels, 0 for background."""
    pixels = _numbers(pixels)
    low, high = pixels.min(), pixels.max()
    if low == high:  # empty or full: what lies around a nucleus does not tell
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
    """What is above half the maximum, if all other values are fringes and noise along edges.

    Fringes lie between two values that fill the places; labels fill places themselves. A few pixels
    of any other value are strays.
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
    if high in _WHITES:  # 254 for 255 is an error of rounding, not a label
        flat &= pixels < high - span / _WHITES[0]
    in_flat_places = np.count_nonzero(others & maximum_filter(flat, 3))
    return None if in_flat_places > _FLAT * count else np.asarray(cut)


def _with_background(values: NDArray[np.int64], notes: list[str]) -> NDArray[np.int64]:
    """Labels with another background than 0, and with 0 in its place."""
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
    """Whether 0 is not labelled, 1 background and 2 foreground, as Labkit's labels are.

    1 then surrounds 2, and reaches the borders of the image. Labels of nuclei that touch do not.
    """
    from scipy.ndimage import binary_dilation

    if values.min() < 0 or values.max() != 2:  # noqa: PLR2004
        return False
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    inside = values == 2  # noqa: PLR2004
    around = values[binary_dilation(inside, np.ones((3, 3))) & ~inside]
    return bool((border == 1).mean() >= 0.5 and (around == 1).mean() >= 0.75)  # noqa: PLR2004
