"""Tables of nuclei as files: text, workbooks, Parquet."""

from __future__ import annotations

import csv
import json
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._system import disk
from bmgd_data.errors import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[Any]]


class Column(NamedTuple):
    """What a column holds."""

    unit: str
    """Empty for what has none."""
    meaning: str


_GREY: Final = "grey values"
COLUMNS: Final[dict[str, Column]] = {
    "name": Column("", "Of the sample; of own images, the path of the image."),
    "stiffness_pa": Column("Pa", "Stiffness of the substrate."),
    "split": Column("", "Of the sample: train, val or test."),
    "group": Column("", "Images that show one colony have the same number."),
    "plane": Column("", "Own images only: number of the plane in its file, from 1."),
    "t": Column("", "Own images only: time of the plane, from 0."),
    "z": Column("", "Own images only: depth of the plane, from 0."),
    "label": Column("", "Number of the nucleus in the instance mask of its image."),
    "centroid_y_um": Column("µm", "Mean position of its pixels, from the upper border."),
    "centroid_x_um": Column("µm", "Mean position of its pixels, from the left border."),
    "area_um2": Column("µm²", "Area of its pixels."),
    "perimeter_um": Column(
        "µm",
        "By Crofton's formula: crossings of the outline with lines in four directions (Legland, "
        "Kieu and Devaux, Image Analysis & Stereology 26, 2007). The border of the image counts "
        "as outline.",
    ),
    "major_axis_um": Column(
        "µm", "Longer axis of the ellipse that has the same second moments as the pixels."
    ),
    "minor_axis_um": Column("µm", "Shorter axis of that ellipse."),
    "aspect_ratio": Column("", "Major axis / minor axis."),
    "eccentricity": Column("", "Of that ellipse: focal distance / major axis."),
    "solidity": Column("", "Area / area of the convex hull of its pixels, which are squares."),
    "form_factor": Column(
        "",
        "4 pi area / perimeter²: about 1 for a disc. The perimeter is an estimate, so some round "
        "or octagonal nuclei of any size have more than 1.",
    ),
    "feret_um": Column("µm", "Largest distance of two points of it (maximum Feret diameter)."),
    "mean_raw": Column(_GREY, "Mean of its pixels."),
    "std_raw": Column(_GREY, "Standard deviation of its pixels, divided by their number n."),
    "total_raw": Column(_GREY, "Sum of its pixels."),
    "mean_fraction": Column("of the full scale", "Mean of its pixels."),
    "std_fraction": Column("of the full scale", "Standard deviation of its pixels."),
    "total_fraction": Column("of the full scale", "Sum of its pixels."),
    "nearest_um": Column(
        "µm", "From its centroid to the nearest other one in the image; empty if there is none."
    ),
    "touches_border": Column(
        "", "Whether it has pixels at the border of the image, which may cut it."
    ),
    "touches_other": Column(
        "", "Whether one of its pixels has a pixel of another nucleus among its eight neighbours."
    ),
    "instances": Column("", "The method that separates nuclei."),
}
"""What each column of a table holds, in their order. A pixel is a square: n pixels have n times the
area of one. A column's name ends in its unit; um is a micrometre."""

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n]")
"""A cell that begins so may be run as a formula by a spreadsheet."""
_SHEET_ROWS: Final = 2**20
"""Of a sheet in Excel and LibreOffice, with the header."""


def ready(path: Path) -> None:
    """Check, before anything is measured, that a table can be written to a file of this name.

    Raises:
        ValueError: The file has another ending.
        MissingDependencyError: The library that writes such files is not installed.
    """
    _writer(path)


def write(path: Path, columns: Columns, notes: Sequence[str]) -> None:
    """Write a table, whole or not at all; the ending of the file says how."""
    _writer(path)(path, columns, notes)


def write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write cells that are text already to a .csv or .tsv."""
    with (
        disk.staged_file(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, delimiter=_SEPARATORS[path.suffix.lower()])
        writer.writerow(header)
        writer.writerows(rows)


def _writer(path: Path) -> Callable[[Path, Columns, Sequence[str]], None]:
    try:
        writer, module = _FORMATS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path} ends in none of: {', '.join(_FORMATS)}. Name it so.") from None
    if module:
        try:
            import_module(module)
        except ImportError as error:
            what = f"Writing {path.suffix}"
            raise missing(
                what, module, "tables", error, instead="A .csv or .tsv needs no other package."
            ) from error
    return writer


def _text(path: Path, columns: Columns, notes: Sequence[str]) -> None:
    del notes  # other programs read a line that is no row as one
    cells = [
        [_cell(value, values.dtype.kind) for value in values.tolist()]
        for values in columns.values()
    ]
    write_rows(path, columns, zip(*cells, strict=True))


def _cell(value: Any, kind: str) -> str:
    if kind == "f":
        return "" if np.isnan(value) else _decimals(value)
    if kind == "b":
        return str(value).upper()
    if kind == "U" and _FORMULA.match(value):
        return f"./{value}"  # the same path
    return str(value)


def _decimals(value: float) -> str:
    """Six digits, which are finer than any pixel, and never exactly three decimals."""
    return re.sub(r"(\.\d{3})(?!\d)", r"\g<1>0", f"{value:.6g}")


def _workbook(path: Path, columns: Columns, notes: Sequence[str]) -> None:
    from xlsxwriter import Workbook

    if (rows := len(next(iter(columns.values())))) >= _SHEET_ROWS:
        raise ValueError(
            f"A sheet holds {_SHEET_ROWS - 1:,} rows below its header, and there are {rows:,}. "
            "Write a .parquet or .csv instead."
        )
    cells: dict[str, Sequence[Any]] = {
        name: [None if value != value else value for value in values.tolist()]  # noqa: PLR0124
        for name, values in columns.items()
    }
    about = [(name, *COLUMNS.get(name, Column("", ""))) for name in columns]
    sheets: dict[str, Mapping[str, Sequence[Any]]] = {
        "nuclei": cells,
        "columns": dict(zip(("column", "unit", "meaning"), zip(*about, strict=True), strict=True)),
        "notes": {"note": notes},
    }
    plain = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with (
        disk.staged_file(path) as partial,
        partial.open("wb") as file,
        Workbook(file, plain) as book,
    ):
        bold = book.add_format({"bold": True})
        for title, content in sheets.items():
            sheet = book.add_worksheet(title)
            sheet.freeze_panes(1, 0)
            for number, (name, values) in enumerate(content.items()):
                sheet.set_column(number, number, max(12, len(name) + 2))
                sheet.write_string(0, number, name, bold)
                if sheet.write_column(1, number, values):  # a code, where it leaves cells out
                    raise ValueError(f"A cell of column {name!r} is longer than 32,767 characters.")


def _parquet(path: Path, columns: Columns, notes: Sequence[str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    # NaN become nulls: duckdb and polars leave those out of a mean, and NaN not.
    arrays = [pa.array(values, from_pandas=True) for values in columns.values()]
    fields = [
        pa.field(name, array.type, metadata=COLUMNS.get(name, Column("", ""))._asdict())
        for name, array in zip(columns, arrays, strict=True)
    ]
    schema = pa.schema(fields, metadata={"notes": json.dumps(notes)})
    with disk.staged_file(path) as partial, partial.open("wb") as file:
        parquet.write_table(pa.table(arrays, schema=schema), file)


_FORMATS: Final[dict[str, tuple[Callable[[Path, Columns, Sequence[str]], None], str]]] = {
    ".csv": (_text, ""),
    ".tsv": (_text, ""),
    ".xlsx": (_workbook, "xlsxwriter"),
    ".parquet": (_parquet, "pyarrow"),
}
"""By ending: what writes a table, and the package that it needs."""
ENDINGS: Final = tuple(_FORMATS)
"""Of the files that a table is written to."""
