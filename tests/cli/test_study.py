"""The commands `bmgd nuclei` and `bmgd report`."""

from __future__ import annotations

import csv

import pytest
from test_cli import bmgd

from bmgd_data import Reader
from bmgd_data.nuclei import nuclei
from common import TINY


def test_nuclei_writes_a_row_each_and_shows_a_summary(tiny_root, tmp_path):
    out = tmp_path / "nuclei.csv"
    data = ("--source", TINY, "--root", tiny_root, "--stiffness", "950,1200")
    shown = bmgd("nuclei", "--out", out, *data, COLUMNS="200").output
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    reader = Reader("all", [950, 1200], source=TINY, root=tiny_root, instances="watershed")
    assert len(rows) == reader.n_nuclei.sum()
    assert "1200 Pa" in shown
    assert "separated by watershed" in shown
    assert f"{len(rows)} rows" in shown


def test_nuclei_of_a_split_with_another_pixel(tiny_root, tmp_path):
    areas = []
    for size in ("0.25", "0.5"):
        out = tmp_path / f"{size}.csv"
        data = ("--source", TINY, "--root", tiny_root, "--split", "test", "--pixel-size", size)
        assert f"{size.rstrip('0')} um wide" in bmgd("nuclei", "--out", out, *data).output
        with out.open(newline="", encoding="utf-8") as file:
            areas.append([float(row["area_um2"]) for row in csv.DictReader(file)])
    assert [4 * area for area in areas[0]] == areas[1]


def test_nuclei_that_cannot_be_written(tiny_root, tmp_path):
    (folder := tmp_path / "nuclei.csv").mkdir()
    for out, why in ((folder, "is a folder"), (tmp_path / "a.xls", "none of: .csv, .tsv")):
        data = ("--source", TINY, "--root", tiny_root)
        shown = bmgd("nuclei", "--out", out, *data, code=2, COLUMNS="300").stderr
        assert why in " ".join(shown.split())


def test_nuclei_as_parquet_without_those_at_the_border(tiny_root, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    data = ("--source", TINY, "--root", tiny_root, "--exclude-border")
    out = tmp_path / "nuclei.parquet"
    shown = bmgd("nuclei", "--out", out, *data, COLUMNS="300").output
    reader = Reader("all", source=TINY, root=tiny_root, instances="watershed")
    cut = nuclei(reader)["touches_border"]
    assert f"{cut.sum()} nuclei at the border of their image are left out" in shown
    assert parquet.read_table(out).num_rows == (~cut).sum()


def test_report_writes_one_page(tiny_root, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    out = tmp_path / "report.html"
    data = ("--source", TINY, "--root", tiny_root, "--stiffness", "950")
    assert f"Written to {out}" in bmgd("report", "--out", out, *data, COLUMNS="300").output
    assert "12 images" in out.read_text(encoding="utf-8")
