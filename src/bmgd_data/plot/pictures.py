"""Samples as pictures; the core installation is enough."""

from __future__ import annotations

import base64
import colorsys
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bmgd_data import facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bmgd_data.nuclei import Table
    from bmgd_data.reader import Reader, Sample

    Picture = NDArray[np.uint8]
    """(H, W, 3), RGB."""

_GROUND: Final = (13, 15, 20)
_TEXT: Final = (232, 234, 238)
_QUIET: Final = (146, 152, 164)
_OUTLINE: Final = (255, 178, 62)
_DAPI: Final = [(8, 9, 16), (18, 38, 84), (38, 96, 168), (112, 178, 222), (216, 238, 248)]
"""From the darkest to the brightest, evenly spaced: blue, as DAPI fluoresces."""
_STRETCH: Final = (2.0, 99.8)  # percentiles of an image that become the darkest and the brightest
_GAMMA: Final = 0.8
_DIMMED: Final = 0.7
_TINT: Final = 0.7
_GOLDEN: Final = 0.381966  # of the hue circle from label to label; no hue comes twice
_BAR_UM: Final = 10
_GAP, _MARGIN, _HEADER, _FOOTER = 10, 20, 46, 24
_SIDE: Final = 144
_LARGE, _SMALL = 17, 13
_LINE: Final = 20
_AROUND: Final = 12  # pixels shown around a nucleus


def show(what: Sample | Reader, *, count: int = 8) -> Image.Image:
    """Draw a sample, or some of a Reader. A notebook shows the picture at the end of a cell.

    In a script, ``show(reader).save("look.png")`` writes it, and ``.show()`` opens a viewer.

    Args:
        what: A sample, or a Reader, of which samples are taken at even steps.
        count: The largest number of samples.

    Returns:
        A `montage`, as a Pillow image.

    Raises:
        ValueError: No samples.
    """
    if isinstance(what, Mapping):
        return Image.fromarray(montage([what]))
    return Image.fromarray(montage(_spread(what, count), **captions(what)))


def _spread(reader: Reader, count: int) -> list[Sample]:
    """At most `count` samples, at even steps."""
    rows = np.linspace(0, len(reader) - 1, min(count, len(reader))).round().astype(int)
    return [reader[row] for row in rows.tolist()]


class Captions(TypedDict):
    """What a `montage` says about a Reader's samples."""

    note: str
    method: str
    pixel_size_um: float | None


def captions(reader: Reader) -> Captions:
    """Source, instance method and pixel size of a Reader, as arguments of `montage`."""
    notes = {"phantom": "generated, not BMGD", "upstream": f"BMGD, {facts.PAPER_URL}"}
    return {
        "note": notes.get(reader.source.kind, f"from {reader.source.label}"),
        "method": reader.instance_method,
        # The pixel size of a local folder is not known.
        "pixel_size_um": None if reader.source.kind == "folder" else facts.PIXEL_SIZE_UM,
    }


def montage(
    samples: Iterable[Sample],
    *,
    note: str = "",
    method: str = "",
    pixel_size_um: float | None = None,
    columns: int = 4,
) -> Picture:
    """Draw samples side by side: the image, the outline of its mask, its instances in colour.

    Each image is stretched between two percentiles of its own grey values, so brightness cannot be
    compared between images. The colours of instances have no meaning.

    Args:
        samples: What a `Reader` gives; shapes may differ.
        note: A line at the foot, such as the source of the samples.
        method: How the instances were found; it is named beside them.
        pixel_size_um: Side of a pixel in micrometres; if given, a bar shows 10 um.
        columns: Samples side by side; more go below.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: No samples, or no columns.
    """
    chosen = list(samples)
    if not chosen or columns < 1:
        raise ValueError(f"Nothing to draw: {len(chosen)} samples in {columns} columns.")
    tiles = [
        _strip(sample, method if place % columns == 0 else None, pixel_size_um)
        for place, sample in enumerate(chosen)
    ]
    return np.asarray(_sheet(tiles, min(columns, len(tiles)), note))


def outlined(sample: Sample, side: int = _SIDE) -> Picture:
    """Draw an image with the outline of each nucleus, small enough for a sheet of many.

    Args:
        sample: What a `Reader` gives.
        side: Length of the longer side in pixels.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    height, width = sample["image"].shape
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    whole = Image.fromarray((_stretched(sample["image"]) * 255).astype(np.uint8))
    picture = _glowing(np.asarray(whole.resize(size, Image.Resampling.BOX)) / 255)
    y, x = (((np.arange(length) + 0.5) / scale).astype(int) for length in size[::-1])
    return _with_outline(picture, sample["instances"][np.ix_(y, x)])


def as_html(picture: Picture, alt: str, *, quality: int = 80) -> str:
    """Make an ``<img>`` tag that contains its picture.

    Args:
        picture: (H, W, 3) uint8, RGB.
        alt: What it shows, for screen readers.
        quality: Of the JPEG, 1 to 95.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    height, width = picture.shape[:2]
    return (
        f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(alt)}" '
        f'width="{width}" height="{height}" loading="lazy" decoding="async">'
    )


def crop(sample: Sample, label: int, side: int = _SIDE) -> Picture:
    """Draw one nucleus with its outline and its surroundings.

    Args:
        sample: What a `Reader` gives.
        label: The nucleus in its instances.
        side: Side of the picture in pixels.

    Returns:
        (side, side, 3) uint8, RGB.

    Raises:
        ValueError: The sample has no such nucleus.
    """
    inside = sample["instances"] == label
    if not inside.any():
        raise ValueError(f"{sample['name']} has no nucleus {label}.")
    (top, bottom), (left, right) = (
        np.flatnonzero(inside.any(axis=axis))[[0, -1]].tolist() for axis in (1, 0)
    )
    reach = max(bottom - top, right - left) // 2 + _AROUND
    y, x = (top + bottom) // 2, (left + right) // 2
    picture = _with_outline(_glowing(_stretched(sample["image"])), inside)
    # Black beyond the border of the image.
    padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)))
    window = Image.fromarray(padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1])
    return np.asarray(window.resize((side, side), Image.Resampling.NEAREST))


def extremes(
    reader: Reader, table: Table, column: str = "area_um2", *, count: int = 8
) -> Image.Image:
    """Draw the nuclei with the smallest and the largest values, to find wrong annotations.

    Args:
        reader: What the table was measured on.
        table: What ``nuclei.nuclei`` gives.
        column: Its numbers.
        count: Nuclei at each end.

    Returns:
        A Pillow image with two rows, each nucleus with its value and its name.

    Raises:
        ValueError: The table has no values in the column.
    """
    values = table[column]
    ranked = np.argsort(values, kind="stable")
    ranked = ranked[~np.isnan(values[ranked])]
    if not len(ranked):
        raise ValueError(f"The table has no values in {column!r}.")
    ends = {"smallest": ranked[:count], "largest": ranked[::-1][:count]}
    tiles = []
    for title, chosen in ends.items():
        for place, row in enumerate(chosen.tolist()):
            name, label = str(table["name"][row]), int(table["label"][row])
            tile, draw = _blank(_SIDE, _LINE + _SIDE + 2 * _LINE)
            if place == 0:
                _write(draw, (0, 0), f"{title} {column}", size=_LARGE)
            tile.paste(Image.fromarray(crop(reader[name], label, _SIDE)), (0, _LINE + 6))
            _write(draw, (0, _LINE + _SIDE + 8), f"{values[row]:.4g}")
            text = _shortened(f"{name} no. {label}", _SIDE)
            _write(draw, (0, 2 * _LINE + _SIDE + 6), text, colour=_QUIET)
            tiles.append(tile)
    return _sheet(tiles, len(ends["smallest"]))


def _sheet(tiles: list[Image.Image], columns: int, note: str = "") -> Image.Image:
    """Tiles side by side, in rows of so many, and a line at the foot."""
    width = max(tile.width for tile in tiles) + _GAP
    height = max(tile.height for tile in tiles) + _GAP
    rows = -(-len(tiles) // columns)
    canvas, draw = _blank(
        2 * _MARGIN + columns * width - _GAP,
        2 * _MARGIN + rows * height - _GAP + (_FOOTER if note else 0),
    )
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        canvas.paste(tile, (_MARGIN + column * width, _MARGIN + row * height))
    foot = _shortened(note, canvas.width - 2 * _MARGIN)
    _write(draw, (_MARGIN, canvas.height - _MARGIN), foot, colour=_QUIET, anchor="ls")
    return canvas


def _strip(sample: Sample, method: str | None, pixel_size_um: float | None) -> Image.Image:
    """One sample: a header, and three panels, named unless `method` is None."""
    grey = _stretched(sample["image"])
    dimmed = _DIMMED * np.repeat(grey[..., None], 3, axis=-1)
    panels = {
        "image": _glowing(grey),
        "mask": _with_outline((dimmed * 255).astype(np.uint8), sample["mask"]),
        f"instances ({method})" if method else "instances": _tinted(grey, dimmed, sample),
    }
    height, width = grey.shape
    strip, draw = _blank(width, _HEADER + 3 * (height + _GAP) - _GAP)
    _write(draw, (0, 0), f"{sample['stiffness_pa']} Pa", size=_LARGE)
    _write(draw, (width, 4), f"{sample['n_nuclei']} nuclei", anchor="ra")
    _write(draw, (0, 23), _shortened(sample["name"], width), colour=_QUIET)
    for row, (title, panel) in enumerate(panels.items()):
        top = _HEADER + row * (height + _GAP)
        strip.paste(Image.fromarray(panel), (0, top))
        if method is not None:
            _write(draw, (7, top + 5), title)
    if pixel_size_um:
        right, bottom = width - 8, _HEADER + height - 8
        left = right - round(_BAR_UM / pixel_size_um)
        draw.rectangle((left, bottom - 2, right - 1, bottom), fill=_TEXT)
        _write(draw, ((left + right) // 2, bottom - 7), f"{_BAR_UM} um", anchor="ms")
    return strip


def _stretched(image: NDArray[np.uint16]) -> NDArray[np.float64]:
    """(H, W) in 0..1."""
    low, high = np.percentile(image, _STRETCH)
    values = np.arange(int(image.max()) + 1)  # far fewer than pixels
    share = (values - low) / max(high - low, 1.0)
    return np.asarray((share.clip(0, 1) ** _GAMMA)[image])


def _glowing(grey: NDArray[np.float64]) -> Picture:
    """Values in 0..1 in the colours of `_DAPI`."""
    steps = np.linspace(0, 1, len(_DAPI))
    bands = [np.interp(grey, steps, band) for band in zip(*_DAPI, strict=True)]
    return np.stack(bands, axis=-1).astype(np.uint8)


def _with_outline(picture: Picture, labels: NDArray[Any]) -> Picture:
    picture[_edges(labels)] = _OUTLINE
    return picture


def _tinted(grey: NDArray[np.float64], dimmed: NDArray[np.float64], sample: Sample) -> Picture:
    """Each nucleus in its own colour, with the brightness and texture of the image."""
    labels = sample["instances"]
    hues = np.arange(labels.max() + 1) * _GOLDEN % 1
    flat = np.array([colorsys.hls_to_rgb(hue, 0.62, 0.85) for hue in hues])[labels]
    shaded = flat * (0.3 + 0.7 * grey[..., None])
    tinted = (1 - _TINT) * dimmed + _TINT * shaded
    picture = np.where((labels > 0)[..., None], tinted, dimmed)
    edges = _edges(labels)
    picture[edges] = flat[edges]
    return (picture * 255).astype(np.uint8)


def _edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(H, W): the outermost pixels of each region."""
    around = np.pad(labels, 1, mode="edge")
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    found: NDArray[np.bool_] = np.any([side != labels for side in sides], axis=0)
    return found & (labels > 0)


def _blank(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (width, height), _GROUND)
    return canvas, ImageDraw.Draw(canvas)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    *,
    size: int = _SMALL,
    colour: tuple[int, int, int] = _TEXT,
    anchor: str = "la",
) -> None:
    draw.text(place, text, fill=colour, font=ImageFont.load_default(size), anchor=anchor)


def _shortened(text: str, width: int) -> str:
    """As much of the end of a name or path as fits: names differ at their ends."""
    font = ImageFont.load_default(_SMALL)
    tails = (text if cut == 0 else f"...{text[cut:]}" for cut in range(len(text)))
    return next((tail for tail in tails if font.getlength(tail) <= width), "")
