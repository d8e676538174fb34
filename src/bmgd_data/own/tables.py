"""One row per nucleus of own images, with the columns of `bmgd_data.nuclei`."""

from __future__ import annotations

import csv
import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import nuclei
from bmgd_data.nuclei.files import write_rows
from bmgd_data.own import _strips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]

_UNIT: Final = re.compile(r"_um(2?)$")


def square_size(pixel_size_um: tuple[float, float] | None) -> float | None:
    """Side of a pixel in micrometres; None if it is not known, or pixels are not square."""
    if pixel_size_um is None or not math.isclose(*pixel_size_um, rel_tol=1e-3):
        return None
    return pixel_size_um[0]


def measured(
    image: NDArray[Any], labels: NDArray[Any], full_scale: float, pixel_size_um: float | None
) -> Columns:
    """Measure the nuclei of a plane as `bmgd_data.nuclei.measure`, in strips: little memory.

    Args:
        image: (H, W) grey values.
        labels: (H, W), numbered 1..n in any order, 0 is background.
        full_scale: Largest grey value of the bit depth.
        pixel_size_um: None: lengths are in pixels, and names end in "_px" and "_px2".
    """
    from scipy import ndimage
    from scipy.spatial import KDTree

    size = pixel_size_um or 1.0
    boxes = [(number, box[0]) for number, box in _boxes(ndimage.find_objects(labels))]
    nothing = np.zeros((1, 1), np.uint16)
    parts = [nuclei.measure(nothing, nothing)]  # names the columns if there is no nucleus
    for rows in _strips.strips(labels.shape):
        ours = {number: box for number, box in boxes if rows.start <= box.start < rows.stop}
        if not ours:
            continue
        # One more row on both sides: neighbours, and no nucleus of ours at a false border.
        top = max(rows.start - 1, 0)
        bottom = max(box.stop for box in ours.values()) + 1
        part = nuclei.measure(
            image[top:bottom],
            labels[top:bottom],
            full_scale=full_scale,  # type: ignore[arg-type]
            pixel_size_um=size,
        )
        kept = np.isin(part["label"], list(ours))
        part = {name: values[kept] for name, values in part.items()}
        part["centroid_y_um"] += top * size
        parts.append(part)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(columns["label"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    if len(order) > 1:
        points = np.stack([columns["centroid_y_um"], columns["centroid_x_um"]], axis=1)
        columns["nearest_um"] = KDTree(points).query(points, k=2)[0][:, 1]
    if pixel_size_um is None:
        columns = {_UNIT.sub(r"_px\1", name): values for name, values in columns.items()}
    return columns


def _boxes(found: list[Any]) -> Iterable[tuple[int, Any]]:
    return ((number, box) for number, box in enumerate(found, 1) if box is not None)


def gathered(tables: Iterable[Path], whole: Path) -> tuple[int, bool]:
    """Join the tables of several images to one file; columns that an image lacks stay empty.

    Returns:
        The number of rows, and whether some lengths are in pixels.
    """
    columns: dict[str, None] = {}
    there = [path for path in tables if path.is_file()]
    for path in there:
        with path.open(encoding="utf-8", newline="") as file:
            columns |= dict.fromkeys(next(csv.reader(file)))
    count = 0

    def rows() -> Iterator[list[str]]:
        nonlocal count
        for path in there:
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    count += 1
                    yield [row.get(column, "") for column in columns]

    write_rows(whole, columns, rows())
    return count, "area_px2" in columns
