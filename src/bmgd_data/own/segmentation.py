"""Nuclei of a fluorescence image without a network: a threshold that follows the brightness.

The steps of `segment`; lengths are relative to the diameter d of a nucleus:

1. Smooth: Gaussian, sigma 1 px.
2. Subtract the background: the median of what Otsu's threshold leaves below it.
3. Foreground is above half of Otsu's threshold, above 4 times the noise of the background, and
   above 0.36 of the brightness nearby: the largest value within d/2, smoothed. So a dim nucleus is
   found beside bright ones, and a bright one does not grow by its halo.
4. Fill holes of up to a quarter of a nucleus. The lumen of a colony stays open.
5. Leave out components below 0.05 d^2 (a sixteenth of a nucleus) or 20 px.
6. Separate touching nuclei as `bmgd_data.instances.watershed`, each component alone.

If d is not given, it is that of the median component above Otsu's threshold. The constants are
fitted on real images with true labels (DSB2018 and BBBC039, not BMGD) and on generated ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data.instances import touching
from bmgd_data.own import _strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["METHODS", "segment", "separate"]

METHODS: Final = ("components", "watershed")
_SIGMA: Final = 1.0
_OF_OTSU: Final = 0.5
_OF_NOISE: Final = 4.0
_DARK: Final = 0.16
"""Share of the background's pixels that are darker by more than its standard deviation."""
_OF_NEARBY: Final = 0.36
_LARGEST_HOLE: Final = math.pi / 16
_LEAST_AREA: Final = 0.05
"""Both in squares of the diameter."""
_LEAST_PIXELS: Final = 20
_BINS: Final = 4096
_DIAMETERS: Final = (10.0, 60.0)
"""Limits of the estimated diameter, in pixels."""
_SPECK: Final = 30
"""Pixels of a component that is too small to estimate the diameter from."""
_UNKNOWN: Final = 25.0
"""Diameter in pixels if nothing is above the threshold."""


def segment(
    image: NDArray[Any], *, diameter: float | None = None, method: str = "watershed"
) -> NDArray[np.unsignedinteger[Any]]:
    """Find the nuclei of one plane of a fluorescence image, in which nuclei are bright.

    The page "Your own images" lists the steps. Pixels that are NaN or infinite are background.

    Args:
        image: (H, W) integers or floats; a memory map is read strip by strip.
        diameter: Usual diameter of a nucleus in pixels. None: estimated from the plane.
        method: "watershed" separates touching nuclei, "components" does not.

    Returns:
        (H, W) instance mask, numbered 1..n, 0 for background; uint16, or uint32 above 65535 nuclei.
        Peak memory is about 7 bytes a pixel, and what the largest group of touching nuclei takes.

    Raises:
        ValueError: The image is not (H, W) of real numbers, the diameter is not positive, or the
            method is unknown.
    """
    if image.ndim != 2 or image.dtype.kind not in "uif":  # noqa: PLR2004
        raise ValueError(f"An image of shape {image.shape}, {image.dtype}, is not (H, W) grey.")
    if diameter is not None and not 0 < diameter < math.inf:
        raise ValueError(f"diameter is {diameter}; it must be above 0.")
    _parse(method)
    levels = _levels(image)
    if levels is None:
        return np.zeros(image.shape, np.uint16)
    labels = np.zeros(image.shape, np.uint32)
    if diameter is None:
        diameter = _estimated(image, levels, labels)
    mask = np.empty(image.shape, np.bool_)
    for rows in _strips.strips(image.shape):
        mask[rows] = _foreground(image, rows, levels, diameter)
    _fill(mask, labels, _LARGEST_HOLE * diameter**2)
    return _separated(mask, labels, method, max(_LEAST_PIXELS, _LEAST_AREA * diameter**2))


def separate(
    mask: NDArray[np.bool_], method: str = "watershed"
) -> NDArray[np.unsignedinteger[Any]]:
    """Number the nuclei of a mask of any size; for planes too large for `bmgd_data.instances`.

    Each component (8-connected) is separated alone, so strips of the plane give what the whole
    gives, and memory is about 6 bytes a pixel.

    Args:
        mask: (H, W) bool.
        method: "watershed" separates touching nuclei, "components" does not.

    Returns:
        (H, W) instance mask, numbered 1..n, 0 for background; uint16, or uint32 above 65535 nuclei.

    Raises:
        ValueError: Unknown method.
    """
    _parse(method)
    return _separated(mask, np.zeros(mask.shape, np.uint32), method, 1)


def _parse(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"Unknown method {method!r}. Valid: {', '.join(map(repr, METHODS))}.")


class _Levels(NamedTuple):
    """Of the smoothed plane."""

    lowest: float  #: replaces pixels that are not finite
    background: float
    least: float  #: foreground is above the background by more
    otsu: float  #: above the background


def _levels(image: NDArray[Any]) -> _Levels | None:
    """Background and threshold from one histogram; None if all pixels are equal or not finite."""
    ends = [
        (float(part.min()), float(part.max()))
        for rows in _strips.strips(image.shape)
        if (part := (rough := image[rows])[np.isfinite(rough)]).size
    ]
    if not ends:
        return None
    lowest, highest = min(low for low, _ in ends), max(high for _, high in ends)
    if not lowest < highest:
        return None
    counts = np.zeros(_BINS, np.int64)
    for rows in _strips.strips(image.shape):
        smooth = _smooth(image, rows, lowest, 0)
        known = np.isfinite(image[rows])
        counts += np.histogram(smooth[known], _BINS, (lowest, highest))[0]
    step = (highest - lowest) / _BINS
    middles = lowest + step * (np.arange(_BINS) + 0.5)
    place = _otsu(counts)
    below = np.cumsum(counts[: place + 1])
    dark, background = middles[np.searchsorted(below, below[-1] * np.array([_DARK, 0.5]))]
    otsu = float(middles[place] - background)
    least = max(_OF_OTSU * otsu, _OF_NOISE * float(background - dark))
    return _Levels(lowest, float(background), least, otsu)


def _otsu(counts: NDArray[np.int64]) -> int:
    """The last bin of the lower class, where the variance between the classes is largest."""
    places = np.arange(len(counts))
    lower = np.cumsum(counts)[:-1].astype(float)
    upper = counts.sum() - lower
    moment = np.cumsum(counts * places)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = moment[:-1] / lower - (moment[-1] - moment[:-1]) / upper
        between = np.nan_to_num(lower * upper * apart**2)
    return int(between.argmax())


def _smooth(image: NDArray[Any], rows: slice, lowest: float, margin: int) -> NDArray[np.float32]:
    """The smoothed rows, and `margin` more on both sides where the plane has them."""
    from scipy import ndimage

    reach = margin + math.ceil(4 * _SIGMA)
    top, bottom = max(rows.start - reach, 0), min(rows.stop + reach, len(image))
    part = image[top:bottom].astype(np.float32)
    part[~np.isfinite(part)] = lowest
    smooth = ndimage.gaussian_filter(part, _SIGMA)
    inner = slice(max(rows.start - margin, 0) - top, min(rows.stop + margin, len(image)) - top)
    return np.asarray(smooth[inner])


def _foreground(
    image: NDArray[Any], rows: slice, levels: _Levels, diameter: float
) -> NDArray[np.bool_]:
    from scipy import ndimage

    reach = max(3, round(diameter / 2))
    margin = reach + math.ceil(2 * reach) + 1  # of the maximum, and of the Gaussian behind it
    smooth = _smooth(image, rows, levels.lowest, margin) - np.float32(levels.background)
    nearby = ndimage.gaussian_filter(ndimage.maximum_filter(smooth, 2 * reach + 1), reach / 2)
    found = (smooth > levels.least) & (smooth > _OF_NEARBY * nearby)
    top = rows.start - max(rows.start - margin, 0)
    inner = found[top : top + rows.stop - rows.start]
    return np.asarray(inner & np.isfinite(image[rows]))


def _estimated(image: NDArray[Any], levels: _Levels, labels: NDArray[np.uint32]) -> float:
    """Diameter of a disc with the median area of what is above Otsu's threshold."""
    threshold = levels.background + levels.otsu

    def above(rows: slice) -> NDArray[np.bool_]:
        return _smooth(image, rows, levels.lowest, 0) > threshold

    areas = _strips.components(above, labels, corners=True)
    areas = areas[areas >= _SPECK]
    if not areas.size:
        return _UNKNOWN
    return float(np.clip(2 * math.sqrt(np.median(areas) / math.pi), *_DIAMETERS))


def _fill(mask: NDArray[np.bool_], labels: NDArray[np.uint32], below: float) -> None:
    """Fill the holes of at most so many pixels, in place."""
    areas = _strips.components(lambda rows: ~mask[rows], labels, corners=False)
    small = np.concatenate([[False], areas <= below])
    for rows in _strips.strips(mask.shape):
        mask[rows] |= small[labels[rows]]


def _separated(
    mask: NDArray[np.bool_], labels: NDArray[np.uint32], method: str, least_area: float
) -> NDArray[np.unsignedinteger[Any]]:
    areas = _strips.components(lambda rows: mask[rows], labels, corners=True)
    kept = areas >= least_area
    _strips.renumber(labels, np.where(kept, np.cumsum(kept), 0))
    count = int(kept.sum())
    if method == "watershed" and count:
        count = _split(labels, count, float(np.median(areas[kept])))
    return labels if count > np.iinfo(np.uint16).max else _narrowed(labels)


def _narrowed(labels: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """As uint16, in the memory that `labels` had."""
    flat, narrow = labels.reshape(-1), labels.reshape(-1).view(np.uint16)[: labels.size]
    for start in range(0, labels.size, _strips.PIXELS):  # what is written was read before
        part = slice(start, start + _strips.PIXELS)
        narrow[part] = flat[part].copy()
    return narrow.reshape(labels.shape)


def _split(labels: NDArray[np.uint32], components: int, median_area: float) -> int:
    """Separate the nuclei of each component, in place; gives their number."""
    from scipy import ndimage

    count = 0
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        # One more pixel of background: depth is the distance to it.
        wider = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        inside = labels[wider] == number
        pieces = touching.split(inside, median_area)[inside]
        # Above the numbers of components that are still to come.
        labels[wider][inside] = components + count + pieces
        count += int(pieces.max())
    for rows in _strips.strips(labels.shape):
        part = labels[rows]
        part[part > 0] -= components
    return count
