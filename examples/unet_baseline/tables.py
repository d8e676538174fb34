"""One row per nucleus of the user's images, with the columns of `bmgd nuclei`."""

from __future__ import annotations

import csv
import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import nuclei
from bmgd_data._system import disk

if TYPE_CHECKING:
    from pathlib import Path

    from images import Stack
    from numpy.typing import NDArray

NUCLEI: Final = ".nuclei.csv"
"""Added to the image's name, as for masks."""


def measured(stack: Stack, labels: NDArray[Any], name: str, method: str) -> nuclei.Table:
    """Measure each nucleus of each plane.

    Args:
        stack: The image.
        labels: Its instances, of the same shape.
        name: Value of the column "name".
        method: How nuclei were separated.

    Returns:
        The columns of `bmgd_data.nuclei` from "label" on, after "name" and "plane" (from 1, in the
        order of the file). If the file does not have the size of a pixel, or pixels are not square,
        lengths are in pixels and the columns end in "_px" and "_px2".
    """
    square = stack.pixel_um is not None and math.isclose(*stack.pixel_um, rel_tol=1e-3)
    size = stack.pixel_um[0] if square and stack.pixel_um else 1.0
    shape = (-1, *labels.shape[-2:])
    planes = []
    for number, (grey, below) in enumerate(
        zip(stack.pixels.reshape(shape), labels.reshape(shape), strict=True), 1
    ):
        found = nuclei.measure(grey, below, full_scale=stack.full_scale, pixel_size_um=size)
        count = len(found["label"])
        of_plane = {"name": np.full(count, name), "plane": np.full(count, number)}
        planes.append(of_plane | found | {"instances": np.full(count, method)})
    columns = {column: np.concatenate([each[column] for each in planes]) for column in planes[0]}
    if not square:
        columns = {re.sub(r"_um(2?)$", r"_px\1", name): each for name, each in columns.items()}
    return nuclei.Table(columns, method, size)


def gathered(folder: Path) -> str:
    """Join the tables of all images below a folder to ``nuclei.csv``, and describe it."""
    columns: dict[str, None] = {}
    rows: list[dict[str, str]] = []
    for path in sorted(folder.rglob(f"*{NUCLEI}")):
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            columns |= dict.fromkeys(table.fieldnames or ())
            rows += table
    whole = folder / "nuclei.csv"
    with (
        disk.staged_file(whole) as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    said = f"{whole}: {len(rows)} rows, one per nucleus of every image there."
    if "area_px2" in columns:
        said += (
            " Some images do not have the size of a pixel: their lengths are in pixels, in columns "
            "that end in _px and _px2. Give the size with --pixel-size."
        )
    return said
