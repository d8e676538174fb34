"""Other programs read in our files the values of the table, each in its own type."""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest

from bmgd_data.errors import MissingDependencyError, StorageError
from bmgd_data.nuclei import COLUMNS, ENDINGS, Table

NAMES = ("=1+1.tif", "+1.tif", "-1", "@SUM(A1)", "\t=1+1.tif", 'a,"b";c.tif', "ä µ.tif")
HARMLESS = ("./=1+1.tif", "./+1.tif", "./-1", "./@SUM(A1)", "./\t=1+1.tif", *NAMES[5:])
AREAS = (13.005, 1.005, 12.5, 1234.5678901, 1e6 / 3, 1e-5 / 3, 100.0)
TEXT, SHEET = (".csv", ".tsv"), (".xlsx",)


@pytest.fixture(scope="module")
def table():
    count = len(NAMES)
    return Table(
        {
            "name": np.array(NAMES),
            "stiffness_pa": np.full(count, 250),
            "label": np.arange(count) + 2**40,
            "area_um2": np.array(AREAS),
            "nearest_um": np.where(np.arange(count) % 2, np.nan, AREAS),
            "touches_border": np.arange(count) % 3 == 0,
        },
        "components",
        0.25,
    )


def by_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=separator(path)))
    types = {"touches_border": {"TRUE": True, "FALSE": False}.get, "name": str}
    return {
        name: [
            types.get(name, lambda text: float(text) if text else None)(row[name]) for row in rows
        ]
        for name in rows[0]
    }


def separator(path):
    return {".csv": ",", ".tsv": "\t"}[path.suffix]


def by_pandas(path):
    pd = pytest.importorskip("pandas")
    if path.suffix in TEXT:
        frame = pd.read_csv(path, sep=separator(path))
    elif path.suffix in SHEET:
        frame = pd.read_excel(path, sheet_name="nuclei")
    else:
        frame = pd.read_parquet(path)
    assert frame["touches_border"].dtype == bool
    frame = frame.astype(object).where(frame.notna(), None)
    return {name: frame[name].tolist() for name in frame}


def by_polars(path):
    pl = pytest.importorskip("polars")
    if path.suffix in TEXT:
        frame = pl.read_csv(path, separator=separator(path))
    else:
        frame = pl.read_parquet(path)
    return frame.to_dict(as_series=False)


def by_duckdb(path):
    found = pytest.importorskip("duckdb").sql(f"select * from '{path}'")  # noqa: S608
    return dict(zip(found.columns, zip(*found.fetchall(), strict=True), strict=True))


def by_openpyxl(path):
    rows = pytest.importorskip("openpyxl").load_workbook(path)["nuclei"].iter_rows()
    header, *cells = ([(cell.value, cell.data_type) for cell in row] for row in rows)
    assert "f" not in {kind for row in cells for _, kind in row}
    values = zip(*([value for value, _ in row] for row in cells), strict=True)
    return {name: list(each) for (name, _), each in zip(header, values, strict=True)}


R = """
d <- (if (grepl("csv$", f)) read.csv else read.delim)(f, fileEncoding = "UTF-8")
for (n in names(d)) {
  v <- if (is.numeric(d[[n]])) sprintf("%.17g", d[[n]]) else as.character(d[[n]])
  cat(n, class(d[[n]]), ifelse(is.na(d[[n]]), "None", v), sep = "\\x1f"); cat("\\x1e")
}
"""
CLASSES = {"character": str, "integer": int, "numeric": float, "logical": "TRUE".__eq__}


def by_r(path):
    command = [program("Rscript"), "-e", f"f <- '{path}'{R}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    columns = [line.split("\x1f") for line in done.stdout.split("\x1e")[:-1]]
    return {
        name: [None if text == "None" else CLASSES[kind](text) for text in texts]
        for name, kind, *texts in columns
    }


def by_libreoffice(language):
    def read(path):
        out = path.parent / f"{path.suffix[1:]}-{language}"
        settings = f"-env:UserInstallation={(path.parent / 'settings').as_uri()}"
        # Separator, quotes, UTF-8, from line 1, language, special numbers as in the dialog.
        text = f"--infilter=CSV:{ord(separator(path))},34,76,1,,{language},false,true"
        command = [program("soffice"), settings, "--headless", text, "--convert-to", "xlsx"]
        subprocess.run([*command, "--outdir", out, path], capture_output=True, check=True)
        (sheet,) = pytest.importorskip("openpyxl").load_workbook(next(out.iterdir()))
        header, *rows = sheet.iter_rows(values_only=True)
        return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))

    return read


def program(name):
    return shutil.which(name) or pytest.skip(f"{name} is not installed")


ENGLISH, GERMAN = 1033, 1031
"""Microsoft's numbers of languages."""
READERS = [
    *((by_csv, ending) for ending in TEXT),
    *((by_pandas, ending) for ending in ENDINGS),
    *((by_polars, ending) for ending in ENDINGS if ending not in SHEET),
    *((by_duckdb, ending) for ending in ENDINGS if ending not in SHEET),
    (by_openpyxl, ".xlsx"),
    *(pytest.param(by_r, ending, marks=pytest.mark.slow) for ending in TEXT),
    *(
        pytest.param(
            by_libreoffice(ENGLISH), ending, id=f"libreoffice{ending}", marks=pytest.mark.slow
        )
        for ending in TEXT
    ),
]


def save(table, path):
    try:
        table.save(path)
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("read", "ending"), READERS)
def test_programs_read_the_values_of_the_table(read, ending, table, tmp_path):
    save(table, path := tmp_path / f"nuclei{ending}")
    found = read(path)
    expected = {name: values.tolist() for name, values in table.columns.items()}
    assert list(found) == list(expected)
    assert list(found.pop("name")) == list(HARMLESS if ending in TEXT else NAMES)
    border = list(found.pop("touches_border"))
    assert border == expected["touches_border"]
    assert set(map(type, border)) == {bool}
    accuracy = 1e-5 if ending in TEXT else 1e-15
    for name, values in found.items():
        for value, true in zip(values, expected[name], strict=True):
            if math.isnan(true):
                assert value is None, name
            else:
                assert not isinstance(value, str), name
                assert value == pytest.approx(true, rel=accuracy, abs=0), name


@pytest.mark.slow
@pytest.mark.parametrize("ending", TEXT)
def test_where_decimals_have_a_comma_numbers_are_right_or_text(ending, table, tmp_path):
    table.save(path := tmp_path / f"nuclei{ending}")
    found = by_libreoffice(GERMAN)(path)
    assert found["name"] == list(HARMLESS)
    for name in ("area_um2", "nearest_um"):
        for value, true in zip(found[name], table[name].tolist(), strict=True):
            if isinstance(value, str):
                assert float(value) == pytest.approx(true, rel=1e-5)
            elif value is not None:
                assert value == pytest.approx(true, rel=1e-5)


def test_a_workbook_says_what_its_columns_are(table, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    save(table, path := tmp_path / "nuclei.xlsx")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["nuclei", "columns", "notes"]
    rows = list(book["columns"].values)
    assert rows[0] == ("column", "unit", "meaning")
    assert rows[4] == ("area_um2", *COLUMNS["area_um2"])
    assert [row[0] for row in rows[1:]] == list(table.columns)
    assert [note for (note,) in book["notes"].values][1:] == table.notes


def test_parquet_says_what_its_columns_are(table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    save(table, path := tmp_path / "nuclei.parquet")
    schema = parquet.read_schema(path)
    assert schema.field("area_um2").metadata[b"unit"].decode() == "µm²"
    assert b"section" in schema.metadata[b"notes"]


def test_every_column_has_a_meaning_and_the_unit_of_its_name():
    units = {"_um2": "µm²", "_um": "µm", "_pa": "Pa", "_raw": "grey values"}
    for name, (unit, meaning) in COLUMNS.items():
        assert meaning.endswith(".")
        for ending, expected in units.items():
            assert name.endswith(ending) == (unit == expected), name


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_table_is_a_header(ending, table, tmp_path):
    empty = {name: values[:0] for name, values in table.columns.items()}
    save(Table(empty, "components", 0.25), path := tmp_path / f"nuclei{ending}")
    if ending in TEXT:
        assert path.read_text().split(separator(path))[0] == "name"
    elif ending in SHEET:
        assert pytest.importorskip("openpyxl").load_workbook(path)["nuclei"].max_row == 1
    else:
        assert pytest.importorskip("pyarrow.parquet").read_table(path).num_rows == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_cannot_be_written_leaves_nothing(ending, table, tmp_path):
    if ending not in TEXT:
        pytest.importorskip({".xlsx": "xlsxwriter", ".parquet": "pyarrow"}[ending])
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="in the way of what is written"):
        table.save(tmp_path / "file" / f"nuclei{ending}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_no_sheet_holds_is_refused(table, tmp_path):
    pytest.importorskip("xlsxwriter")
    long = {**table.columns, "name": np.array(["a" * 40_000] * len(table))}
    many = {name: np.resize(values, 2**20) for name, values in table.columns.items()}
    for columns, why in ((long, "column 'name' is longer than"), (many, "1,048,575 rows")):
        with pytest.raises(ValueError, match=why):
            Table(columns, "components", 0.25).save(tmp_path / "nuclei.xlsx")
    assert not list(tmp_path.iterdir())


def test_other_endings_list_the_valid_ones(table, tmp_path):
    with pytest.raises(ValueError, match=r"none of: \.csv, \.tsv, \.xlsx, \.parquet"):
        table.save(tmp_path / "nuclei.xls")


@pytest.mark.parametrize(("ending", "module"), [(".xlsx", "xlsxwriter"), (".parquet", "pyarrow")])
def test_a_missing_package_is_named_with_its_extra(ending, module, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"{module}.*bmgd-data\[tables\].*\.csv"):
        table.save(tmp_path / f"nuclei{ending}")
