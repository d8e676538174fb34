"""The nuclei of one image, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import facts
from bmgd_data.instances import hulls

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]
    """Arrays of equal length by name."""

_HALF: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Steps to half of the eight neighbours: each pair of pixels occurs once."""


def measure(
    image: NDArray[np.integer[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    full_scale: int = facts.FULL_SCALE,
    pixel_size_um: float = facts.PIXEL_SIZE_UM,
) -> Columns:
    """Measure the nuclei of one image; the module's docstring defines the columns.

    Args:
        image: (H, W) grey values.
        labels: (H, W), 0 is background; numbers may be left out.
        full_scale: Largest grey value of the bit depth.
        pixel_size_um: Width and height of a pixel in micrometres.

    Returns:
        Columns "label" to "touches_other", one row per label, ascending.

    Raises:
        ValueError: The shapes differ, are not (H, W) or have no pixel, or the labels are not whole
            numbers from 0.
    """
    from scipy.spatial import KDTree

    if image.shape != labels.shape or labels.ndim != 2:  # noqa: PLR2004
        raise ValueError(f"An image {image.shape} and labels {labels.shape} are not both (H, W).")
    if not labels.size:
        raise ValueError(f"An image {image.shape} has no pixel to measure.")
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"Labels are whole numbers, and not {labels.dtype}. Number the nuclei of a mask first, "
            "as with scipy.ndimage.label."
        )
    if labels.min() < 0:
        raise ValueError(f"Labels are numbers from 0, and not {labels.min()}. Set others to 0.")
    if labels.max() > labels.size:  # memory grows with the largest number
        numbers, places = np.unique(labels, return_inverse=True)
        dense = places.reshape(labels.shape) + int(numbers[0] > 0)
        measured = measure(image, dense, full_scale=full_scale, pixel_size_um=pixel_size_um)
        return measured | {"label": numbers[numbers > 0]}
    y, x = np.nonzero(labels)
    at = labels[y, x].astype(np.intp)
    areas = np.bincount(at, minlength=1)
    found = np.flatnonzero(areas)
    area = areas[found]

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(at, values, minlength=1)[found] / area

    cy, cx = mean(y), mean(x)
    place = np.zeros(len(areas), np.intp)
    place[found] = np.arange(len(found))
    dy, dx = y - cy[place[at]], x - cx[place[at]]
    yy, xx = mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12  # a pixel is a square and not a point
    middle, apart = (yy + xx) / 2, np.hypot((yy - xx) / 2, mean(dy * dx))
    major, minor = 4 * np.sqrt(middle + apart), 4 * np.sqrt(np.maximum(middle - apart, 1 / 12))
    crossings, touches_other = _neighbours(labels, len(areas))
    perimeter = np.pi / 8 * (crossings @ [1, 1, 0.5**0.5, 0.5**0.5])[found]
    hull, feret = _extent(labels)
    grey = image[y, x].astype(np.float64)
    brightness = mean(grey)
    spread = np.sqrt(mean((grey - brightness[place[at]]) ** 2))
    border = np.zeros(len(areas), bool)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        border[side] = True
    nearest = np.full(len(found), np.nan)
    if len(found) > 1:
        points = np.stack([cy, cx], axis=1)
        nearest = KDTree(points).query(points, k=2)[0][:, 1]  # the first is the point itself
    pixel = pixel_size_um
    return {
        "label": found,
        "centroid_y_um": (cy + 0.5) * pixel,
        "centroid_x_um": (cx + 0.5) * pixel,
        "area_um2": area * pixel**2,
        "perimeter_um": perimeter * pixel,
        "major_axis_um": major * pixel,
        "minor_axis_um": minor * pixel,
        "aspect_ratio": major / minor,
        "eccentricity": np.sqrt(1 - (minor / major) ** 2),
        "solidity": area / hull,
        "form_factor": 4 * np.pi * area / perimeter**2,
        "feret_um": feret * pixel,
        "mean_raw": brightness,
        "std_raw": spread,
        "total_raw": brightness * area,
        "mean_fraction": brightness / full_scale,
        "std_fraction": spread / full_scale,
        "total_fraction": brightness * area / full_scale,
        "nearest_um": nearest * pixel,
        "touches_border": border[found],
        "touches_other": touches_other[found],
    }


def _neighbours(
    labels: NDArray[np.integer[Any]], count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """By label: (count, 4) pairs of neighbours with one pixel inside; whether others touch."""
    padded = np.pad(labels, 1)
    crossings = np.zeros((count, len(_HALF)), np.int64)
    touches = np.zeros(count, bool)
    for number, (down, right) in enumerate(_HALF):
        here = padded[: len(padded) - down, max(-right, 0) : padded.shape[1] - max(right, 0)]
        there = padded[down:, max(right, 0) : padded.shape[1] - max(-right, 0)]
        differ = here != there
        one, other = here[differ], there[differ]
        for end in (one, other):
            crossings[:, number] += np.bincount(end, minlength=count)
        both = (one > 0) & (other > 0)
        touches[one[both]] = touches[other[both]] = True
    return crossings, touches


def _extent(labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Area of the convex hull and largest diameter of each label, (2, n), in pixels."""
    polygons = hulls.hulls_of(labels).values()
    return np.array([[*map(hulls.area, polygons)], [*map(hulls.diameter, polygons)]], float)
