"""Own files to masks, tables and pictures: `bmgd segment`, and what others build on it."""

from __future__ import annotations

import csv
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from bmgd_data import nuclei, own
from bmgd_data.cli import app
from bmgd_data.own import _strips, _workers, tables
from image_readers import FORMS

if TYPE_CHECKING:
    from pathlib import Path


def dots(count, side=128):
    image = np.random.default_rng(0).integers(290, 310, (side, side)).astype(np.uint16)
    for k in range(count):
        y, x = 10 + 28 * (k // 4), 10 + 28 * (k % 4)
        image[y : y + 12, x : x + 12] = 2000
    return image


def run(*arguments):
    return CliRunner().invoke(app, ["segment", *map(str, arguments)])


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def days(tmp_path):
    """Two folders with files of one name."""
    for day, count in (("day1", 3), ("day2", 12)):
        (tmp_path / day).mkdir()
        tifffile.imwrite(
            tmp_path / day / "a.tif", dots(count), imagej=True, resolution=(4, 4),
            metadata={"unit": "um"},
        )  # fmt: skip
    return tmp_path / "day1", tmp_path / "day2"


def test_the_command_writes_masks_tables_and_pictures(days, tmp_path):
    out = tmp_path / "out"
    done = run(*days, "--out", out, "--jobs", 2)
    assert done.exit_code == 0, done.output
    for day, count in (("day1", 3), ("day2", 12)):
        labels = tifffile.imread(out / day / "a.tif.instances.tif")
        assert labels.max() == count
        np.testing.assert_array_equal(
            tifffile.imread(out / day / "a.tif.mask.tif"), (labels > 0) * 255
        )
        assert (out / day / "a.tif.overview.png").is_file()
    found = rows(out / "nuclei.csv")
    assert [row["name"] for row in found] == ["day1/a.tif"] * 3 + ["day2/a.tif"] * 12
    assert all(7 < float(row["area_um2"]) < 11 for row in found)
    page = (out / "overview.html").read_text(encoding="utf-8")
    assert 'src="day2/a.tif.overview.png"' in page
    # Only what has not been done in the same way is done again.
    tifffile.imwrite(days[0] / "a.tif", dots(5))
    assert "day1/a.tif: 5 nuclei" in (again := run(*days, "--out", out, "--resume").output)
    assert "1 images are left to do" in again
    assert "2 images are left" in run(*days, "--out", out, "--resume", "--diameter", 3).output
    assert len(rows(out / "nuclei.csv")) == 5 + 12
    # Rows of files that are no longer asked for do not stay.
    run(days[0], "--out", out, "--resume")
    assert {row["name"] for row in rows(out / "nuclei.csv")} == {"a.tif"}


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_done(days, tmp_path):
    out = tmp_path / "out"
    assert run(days[1], "--out", out).exit_code == 0
    (days[1] / "a.tif").write_bytes(b"II*")
    tifffile.imwrite(days[1] / "two.tif", np.stack([dots(1), dots(4)]), imagej=True,
                     metadata={"axes": "CYX"})  # fmt: skip
    tifffile.imwrite(days[1] / "<b> = 1.tif", dots(2))
    done = run(days[1], "--out", out)
    assert done.exit_code == 1
    assert "a.tif: left out: damaged, or not a TIFF" in done.output
    assert "Choose the one with nuclei: --channel 0 to 1" in done.output
    assert len(rows(out / "nuclei.csv")) == 2  # none of the former a.tif
    assert "&lt;b&gt; = 1.tif" in (out / "overview.html").read_text(encoding="utf-8")
    assert run(days[1] / "two.tif", "--out", out, "--channel", 1).exit_code == 0
    assert len(rows(out / "nuclei.csv")) == 4


def test_outlines_without_roifile_are_refused_before_anything_is_written(
    days, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "roifile", None)
    done = run(*days, "--out", tmp_path / "out", "--rois")
    assert done.exit_code == 1
    assert "bmgd-data[export]" in done.output
    assert not (tmp_path / "out").exists()


def test_missing_files_of_a_set_are_told(tmp_path):
    (tmp_path / "set").mkdir()
    FORMS["OME, 3 files, one missing"].write(tmp_path / "set")
    done = run(tmp_path / "set", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert done.output.count("planes that it names and no file holds: 1") == 2


def test_names_that_differ_in_case_only_are_refused_before_anything_is_written(tmp_path):
    for name in ("a.tif", "A.tif"):
        tifffile.imwrite(tmp_path / name, dots(1))
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("the file system ignores case")
    done = run(tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "differ in case only" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["--part", "3/2"], ["--part", "x"]])
def test_wrong_parts_are_refused(days, tmp_path, arguments):
    done = run(*days, "--out", tmp_path / "out", *arguments)
    assert done.exit_code == 2
    assert "such as 1/8" in done.output


def test_planes_of_a_stack_are_in_the_order_of_time_and_depth(tmp_path):
    planes = np.stack([dots(k) for k in range(1, 7)]).reshape(3, 2, 128, 128)  # Z, T
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack",
                     metadata={"axes": "ZTYX"})  # fmt: skip
    assert run(tmp_path / "a.tif", "--out", tmp_path / "out").exit_code == 0
    with tifffile.TiffFile(tmp_path / "out" / "a.tif.instances.tif") as file:
        assert file.series[0].axes == "TZYX"
        labels = file.asarray()
    counts = [len(np.unique(plane)) - 1 for plane in labels.reshape(6, 128, 128)]
    assert counts == [1, 3, 5, 2, 4, 6]
    assert labels.max() == 21  # numbers go on
    found = rows(tmp_path / "out" / "nuclei.csv")
    assert [(row["t"], row["z"]) for row in found[:4]] == [("0", "0"), *[("0", "1")] * 3]


@pytest.mark.parametrize("size", [0.5, None])
def test_strips_measure_what_the_whole_measures(monkeypatch, size):
    image = dots(12)
    labels = own.separate(image > 1000)
    labels[30:34, 30:60] = 200  # wide and low
    labels[34:90, 44:46] = 201  # crosses strips, touches the former
    whole = nuclei.measure(image, labels, full_scale=4095, pixel_size_um=size or 1)
    monkeypatch.setattr(_strips, "PIXELS", 128 * 11)
    parts = tables.measured(image, labels, 4095, size)
    assert list(parts) == [name if size else name.replace("_um", "_px") for name in whole]
    for one, other in zip(whole.values(), parts.values(), strict=True):
        np.testing.assert_allclose(one, other)


@dataclass(frozen=True)
class Killing:
    """Work whose third item kills its process; the fifth only the first time."""

    folder: Path

    def __call__(self, item):
        once = self.folder / f"{item}"
        if item == 2 or (item == 4 and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        return item, "", ""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise")
def test_a_killed_process_loses_nothing(tmp_path):
    results = list(_workers.in_order(Killing(tmp_path), range(9), processes=2))
    assert [number for number, _, problem in results if not problem] == [0, 1, 3, 4, 5, 6, 7, 8]
    assert "killed" in results[2][2]
