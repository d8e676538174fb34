"""The commands `bmgd export` and `bmgd tfds`: whether the library gets their arguments."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys

import pytest
import tifffile
from typer.testing import CliRunner

from bmgd_data import Reader, export
from bmgd_data.cli import app
from common import TINY


@pytest.fixture
def bmgd(tiny_root):
    def run(*args: object, code: int = 0) -> str:
        given = [*map(str, args), "--source", TINY, "--root", str(tiny_root)]
        result = CliRunner().invoke(app, given, env={"COLUMNS": "200"})
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_export_of_one_split(bmgd, tiny_root, tmp_path):
    options = ("--split", "test", "--stiffness", "950", "--instances", "watershed")
    said = bmgd("export", "cellpose", tmp_path / "out", *options)
    reader = Reader("test", 950, source=TINY, root=tiny_root, instances="watershed")
    with (tmp_path / "out" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == reader.names
    masks = sorted((tmp_path / "out").glob("*_masks.tif"))
    assert (tifffile.imread(masks[0]) == reader[0]["instances"]).all()
    assert str(tmp_path / "out") in said


def test_export_of_all_splits_gives_each_a_folder(bmgd, tmp_path):
    bmgd("export", "folders", tmp_path / "out", "--stiffness", "950")
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {
        "train",
        "val",
        "test",
    }


def test_export_of_all_splits_as_one_folder(bmgd, tiny_root, tmp_path):
    said = bmgd("export", "tiff", tmp_path / "out", "--stiffness", "950")
    assert "components: --instances watershed" in said
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["950 Pa"]
    with (tmp_path / "out" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == Reader("all", 950, source=TINY, root=tiny_root).names
    assert {row["split"] for row in rows} == {"train", "val", "test"}


def test_unknown_formats_list_the_valid_ones(bmgd, tmp_path):
    shown = " ".join(bmgd("export", "csv", tmp_path / "out", code=2).split())
    assert f"'csv' is not valid. Valid: {', '.join(export.FORMATS)}." in shown
    shown = " ".join(bmgd("tfds", "--format", "csv", code=2).split())
    assert "'csv' is not valid. Valid: tfrecord, array_record." in shown
    assert not (tmp_path / "out").exists()


def test_export_refuses_an_existing_folder(bmgd, tmp_path):
    assert "exists already" in bmgd("export", "tiff", tmp_path, code=2)


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_datasets") is None,
    reason="tensorflow_datasets not installed",
)
@pytest.mark.slow
def test_the_line_that_tfds_prints_works(tiny_root, tmp_path):
    """In separate processes, since TensorFlow depends on earlier imports."""
    given = ["--source", TINY, "--root", str(tiny_root), "--stiffness", "950"]
    records = tmp_path / "records"
    command = [sys.executable, "-m", "bmgd_data", "tfds", *given, "--data-dir", str(records)]
    environment = {**os.environ, "COLUMNS": "200"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert f"Written to the new folder {records}." in said.stdout
    lines = [line.strip() for line in said.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == 2
    code = f"{lines[0]}\nimport json\nprint(json.dumps(len({lines[1]})))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    expected = len(Reader("train", 950, source=TINY, root=tiny_root))
    assert json.loads(loaded.stdout.splitlines()[-1]) == expected
