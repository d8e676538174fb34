"""One row per nucleus: its place, size, shape and brightness.

    from bmgd_data import Reader
    from bmgd_data.nuclei import nuclei

    table = nuclei(Reader("all", instances="watershed"))
    table.to_csv("nuclei.csv")

A pixel is a square, so n pixels have n times the area of one. A column's name ends in its unit; um
is a micrometre.

name, stiffness_pa, split, group
    Of the sample; images that show one colony have the same group, see
    ``bmgd_data.splits.groups``.
label
    Number of the nucleus in the sample's `instances`.
centroid_y_um, centroid_x_um
    Mean position of its pixels, from the upper left corner of the image.
area_um2
    Area of its pixels.
perimeter_um
    By Crofton's formula: crossings of the outline with lines in four directions (Legland, Kieu and
    Devaux, Image Analysis & Stereology 26, 2007). The border of the image counts as outline.
major_axis_um, minor_axis_um
    Axes of the ellipse that has the same second moments as the pixels.
aspect_ratio, eccentricity
    Of that ellipse: major / minor axis, and focal distance / major axis.
solidity
    Area / area of the convex hull.
form_factor
    4 pi area / perimeter**2: about 1 for a disc. The perimeter is an estimate, so some round or
    octagonal nuclei of any size have more than 1.
feret_um
    Largest distance of two points of the nucleus (maximum Feret diameter).
mean_raw, std_raw, total_raw
    Grey values of its pixels: mean, standard deviation (of the population), sum.
mean_fraction, std_fraction, total_fraction
    The same, of fractions of the full scale.
nearest_um
    From its centroid to the nearest other one in the image; NaN if there is no other.
touches_border
    Whether it has pixels at the border of the image, which may cut it.
touches_other
    Whether one of its pixels has a pixel of another nucleus among its eight neighbours.
instances
    The method that separates nuclei.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._system import disk
from bmgd_data.errors import MissingDependencyError
from bmgd_data.instances import hulls

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

    Columns = dict[str, NDArray[Any]]
    """Arrays of equal length by name."""

__all__ = ["SEPARATORS", "Summary", "Table", "measure", "nuclei"]

SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
"""Of the columns, by the ending of the file."""
_HALF: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Steps to half of the eight neighbours: each pair of pixels occurs once."""
_NOTES: Final = (
    "Areas and diameters are of sections: one slice cuts most nuclei above or below their middle.",
    "total_raw is the light of one slice. It is no measure of DNA content.",
    "Nuclei of one colony are alike: a test that treats them as independent finds too much.",
)


def nuclei(reader: Reader, *, pixel_size_um: float = facts.PIXEL_SIZE_UM) -> Table:
    """Measure every nucleus of a Reader, image by image.

    Args:
        reader: Its samples and its instance method are used.
        pixel_size_um: Width and height of a pixel in micrometres.

    Returns:
        A table in the order of the samples, then of the labels.
    """
    scales = reader.full_scales
    nothing = np.zeros((1, 1), np.uint16)
    parts = [measure(nothing, nothing)]  # names the columns if there is no sample
    for sample in reader:
        scale = scales[sample["stiffness_pa"]]
        pair = sample["image"], sample["instances"]
        parts.append(measure(*pair, full_scale=scale, pixel_size_um=pixel_size_um))
    counts = [len(part["label"]) for part in parts[1:]]
    columns = {
        "name": np.repeat(np.array(reader.names, str), counts),
        "stiffness_pa": np.repeat(reader.stiffness_pa, counts),
        "split": np.repeat(np.array(reader.splits, str), counts),
        "group": np.repeat(reader.groups.astype(np.int64), counts),
    }
    for column in list(parts[0]):  # pop: memory holds each value once
        columns[column] = np.concatenate([part.pop(column) for part in parts])
    columns["instances"] = np.full(sum(counts), reader.instance_method)
    return Table(columns, reader.instance_method, pixel_size_um)


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
    hull, feret = _extent(labels, found)
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


def _extent(
    labels: NDArray[np.integer[Any]], found: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area of the convex hull and largest diameter of each label, in pixels."""
    from scipy import ndimage

    boxes = ndimage.find_objects(labels.astype(np.int32, copy=False))
    values = np.empty((len(found), 2))
    for row, label in enumerate(found.tolist()):
        polygon = hulls.hull(hulls.corners(labels[boxes[label - 1]] == label))
        values[row] = hulls.area(polygon), hulls.diameter(polygon)
    return values[:, 0], values[:, 1]


class Summary(NamedTuple):
    """Quartiles of one column in one stiffness."""

    stiffness_pa: int
    groups: int
    images: int
    """Groups and images with at least one nucleus."""
    nuclei: int
    """With a value in the column."""
    lower_quartile: float
    median: float
    upper_quartile: float


@dataclass(frozen=True)
class Table:
    """Nuclei as columns: numpy arrays of equal length.

    ``table["area_um2"]`` is a column, ``len(table)`` the number of nuclei.
    """

    FEW_GROUPS: ClassVar = 5
    """Fewer groups are too few to draw samples with replacement from."""

    columns: Columns
    instance_method: str
    pixel_size_um: float

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getitem__(self, column: str) -> NDArray[Any]:
        try:
            return self.columns[column]
        except KeyError:
            valid = ", ".join(self.columns)
            raise ValueError(f"There is no column {column!r}. Valid: {valid}.") from None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, as dicts."""
        for row in zip(*(values.tolist() for values in self.columns.values()), strict=True):
            yield dict(zip(self.columns, row, strict=True))

    @property
    def notes(self) -> list[str]:
        """What users of the table must know."""
        method = f"Nuclei are separated by {self.instance_method}; another method gives other rows."
        return [f"{method} A pixel is {self.pixel_size_um:g} um wide.", *_NOTES]

    def summary(self, column: str = "area_um2") -> list[Summary]:
        """Median and quartiles of a column by stiffness, without NaN.

        There is no test and no p-value: see `bootstrap`.

        Raises:
            ValueError: No such column, or one that holds no numbers.
        """
        values = self._numbers(column)
        rows = []
        for pa in np.unique(self["stiffness_pa"]).tolist():
            chosen = (self["stiffness_pa"] == pa) & ~np.isnan(values)
            groups, images = (len(np.unique(self[unit][chosen])) for unit in ("group", "name"))
            quartiles = np.quantile(values[chosen], [0.25, 0.5, 0.75]) if images else [np.nan] * 3
            rows.append(Summary(pa, groups, images, int(chosen.sum()), *map(float, quartiles)))
        return rows

    def bootstrap(
        self, column: str = "area_um2", unit: str = "group", *, draws: int = 1000, seed: int = 0
    ) -> dict[int, NDArray[np.float64]]:
        """Medians of a column in samples drawn with replacement: how far chance moves them.

        A sample consists of whole units. Nuclei of one colony are alike, so drawing nuclei or
        images gives intervals that are far too narrow; draw groups to compare stiffnesses.

        Args:
            column: A column of numbers; NaN are left out.
            unit: "group" (images that show one colony), "image" or "nucleus".
            draws: Number of samples.
            seed: Seed of the random numbers. Each stiffness has its own, so that its samples are
                the same whichever others are in the table.

        Returns:
            (draws,) medians by stiffness in pascal; NaN if a stiffness has no values.

        Raises:
            ValueError: No such unit or column.
        """
        if unit not in (units := {"group": "group", "image": "name", "nucleus": ""}):
            raise ValueError(f"Unknown unit {unit!r}. Valid: {', '.join(map(repr, units))}.")
        values = self._numbers(column)
        medians = {}
        for pa in np.unique(self["stiffness_pa"]).tolist():
            rng = np.random.default_rng([seed, pa])
            chosen = np.flatnonzero((self["stiffness_pa"] == pa) & ~np.isnan(values))
            ordered = chosen[np.argsort(values[chosen], kind="stable")]
            members = self[units[unit]][ordered] if units[unit] else np.arange(len(ordered))
            kinds, codes = np.unique(members, return_inverse=True)
            found = np.full(draws, np.nan)
            for draw in range(draws if kinds.size else 0):
                # A value is in the sample as often as its unit was drawn.
                times = np.bincount(rng.integers(len(kinds), size=len(kinds)), minlength=len(kinds))
                reached = np.cumsum(times[codes])
                found[draw] = values[ordered[np.searchsorted(reached, reached[-1] / 2)]]
            medians[pa] = found
        return medians

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "to_pandas needs pandas. Install it with: pip install pandas"
            ) from error
        return pd.DataFrame(self.columns)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table with a header line.

        NaN becomes an empty field, and booleans become TRUE and FALSE, as R and spreadsheets have
        them. No number has exactly three decimals: where a point separates thousands, a
        spreadsheet reads 13.005 as 13005, but 13.0050 as text.

        Args:
            path: The file; .csv has commas and .tsv has tabs between the columns.

        Raises:
            ValueError: The file has another ending.
            StorageError: The file cannot be written.
        """
        separator = SEPARATORS.get(Path(path).suffix.lower())
        if separator is None:
            raise ValueError(f"{path} ends in none of: {', '.join(SEPARATORS)}. Name it so.")
        fields: list[list[Any]] = []
        for values in self.columns.values():
            plain = values.tolist()
            if values.dtype.kind == "f":  # six digits are finer than any pixel
                plain = ["" if np.isnan(value) else _decimals(value) for value in plain]
            elif values.dtype.kind == "b":
                plain = [str(value).upper() for value in plain]
            fields.append(plain)
        with (
            disk.staged_file(Path(path)) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, delimiter=separator)
            writer.writerow(self.columns)
            writer.writerows(zip(*fields, strict=True))

    def _numbers(self, column: str) -> NDArray[np.float64]:
        values = self[column]
        if values.dtype.kind not in "iuf":
            raise ValueError(f"The column {column!r} holds no numbers.")
        return values.astype(np.float64)

    def __repr__(self) -> str:
        lines = [f"Table: {len(self)} nuclei, {len(self.columns)} columns"]
        lines += [
            f"  {row.stiffness_pa} Pa: {row.nuclei} nuclei of {row.images} images, area "
            f"{row.median:.1f} um2 (quartiles {row.lower_quartile:.1f} to {row.upper_quartile:.1f})"
            for row in self.summary()
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def _decimals(value: float) -> str:
    """Six digits, and never exactly three decimals."""
    return re.sub(r"(\.\d{3})(?!\d)", r"\g<1>0", f"{value:.6g}")
