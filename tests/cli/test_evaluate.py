"""The command `bmgd evaluate`, as its users meet it."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import tifffile
from test_cli import bmgd, process

from bmgd_data import Reader
from bmgd_data.errors import STEERING
from bmgd_data.metrics import Evaluator
from common import TINY


@pytest.fixture
def data(tiny_root) -> tuple[str, ...]:
    return ("--source", TINY, "--root", str(tiny_root))


@pytest.fixture(scope="module")
def folder(tiny_root, tmp_path_factory):
    """Binary predictions for the test split, off by some pixels."""
    base = tmp_path_factory.mktemp("predictions")
    for sample in Reader("test", source=TINY, root=tiny_root):
        path = base / f"{sample['name']}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, np.roll(sample["mask"], 4, axis=1).astype(np.uint8) * np.uint8(255))
    return base


def shown(output: str) -> dict[str, list[str]]:
    """The scores' lines, by label."""
    lines = (line.split("  ") for line in output.splitlines() if "  " in line)
    return {label: [cell.strip() for cell in cells if cell.strip()] for label, *cells in lines}


def test_it_shows_the_scores_of_the_evaluator(folder, data, tiny_root):
    result = bmgd("evaluate", folder, *data)
    evaluator = Evaluator("test", source=TINY, root=tiny_root)
    evaluator.add_folder(folder)
    table = evaluator.table()
    lines = shown(result.stdout)
    assert lines["score, ratios in %"] == [row.part for row in table.rows]
    assert lines["pixel F1, pooled"] == [f"{100 * r.pixels.pooled.f1:.2f}" for r in table.rows]
    assert lines["AJI, per image"] == [f"{100 * r.instances.image.aji:.2f}" for r in table.rows]
    assert "pixel F1, soft, batches of 8" in lines
    assert 0 < table.part("all").pixels.pooled.f1 < 1
    for note in table.notes:
        assert note in result.stdout
    assert "a soft score of all may lie outside those of its parts" in result.stdout
    assert "generated" in result.stdout
    assert not result.stderr


def test_stiffness_and_instances(folder, data):
    args = ("evaluate", folder, *data, "--stiffness", "950,1200", "--instances", "watershed")
    result = bmgd(*args)
    assert shown(result.stdout)["score, ratios in %"] == ["950Pa", "1200Pa", "all"]
    assert "2 binary, instances by watershed" in result.stdout
    assert "true instances: watershed" in result.stdout


def test_as(tiny_root, data, tmp_path):
    """Doubts make the exit code 1; saying what the predictions are ends them."""
    for sample in Reader("test", source=TINY, root=tiny_root):
        path = tmp_path / f"{sample['name']}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, sample["mask"] * np.float32(0.004))
    assert "No probability" in bmgd("evaluate", tmp_path, *data, code=1).stdout
    result = bmgd("evaluate", tmp_path, *data, "--as", "mask")
    assert shown(result.stdout)["pixel F1, pooled"][-1] == "100.00"


def test_a_folder_of_another_split(folder, data):
    result = bmgd("evaluate", folder, *data, "--split", "val", code=2)
    assert result.stderr.startswith(f"error: {folder} cannot be scored:")
    assert "4 of 4 predictions are missing" in result.stderr
    assert "4 files are of no sample that is scored" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--split", "tset"), "'train'"),
        (("--instances", "magic"), "'watershed'"),
    ],
)
def test_wrong_arguments_list_the_valid_ones(args, message, folder, data):
    assert message in bmgd("evaluate", folder, *data, *args, code=2).stderr


def test_no_folder(data, tmp_path):
    """The folder is checked before the network is used."""
    shown = bmgd("evaluate", tmp_path / "nowhere", code=2, BMGD_OFFLINE="1").stderr
    assert "does not exist" in shown
    assert "Invalid value for 'FOLDER'" in shown
    assert "folder" in bmgd("evaluate", code=2).stderr.lower()


@pytest.mark.parametrize("width", [30, 80])
def test_cells_are_not_cut_at_any_width(width, folder, data):
    output = bmgd("evaluate", folder, *data, COLUMNS=str(width)).stdout
    assert "…" not in output
    assert "PQ, pooled" in output
    if width >= 80:
        table = output.split("\n\n")[0].splitlines()
        assert len(table) > 20
        assert max(map(len, table)) <= width


def test_into_a_pipe(folder, data):
    done = process("evaluate", folder, *data)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert len(shown(done.stdout)["pixel IoU, pooled"]) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_control_characters_in_the_name_of_a_prediction_are_escaped(tiny_root, tmp_path):
    """On a real terminal without styles, so that all output is text."""
    import pty

    names = ["\x1b]0;owned\x07", "\x1b[2J\r", "back\b\b\b\b", "c1\x9b31m", "\u202egnp"]
    for name in names:
        path = tmp_path / "predictions" / "950Pa" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    leader, follower = pty.openpty()
    given = ("evaluate", tmp_path / "predictions", "--source", TINY, "--root", tiny_root)
    command = [sys.executable, "-m", "bmgd_data", *map(str, given), "--stiffness", "950"]
    environment = {**os.environ, "TERM": "dumb", "BMGD_QUIET": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b"".join(iter(partial(_read, leader), b"")).decode()
    os.close(leader)
    assert process.returncode == 2, shown
    assert not STEERING.search(shown.replace("\r\n", "")), repr(shown)
    for name in names:
        assert name.encode("unicode_escape").decode() in shown.replace("\r\n", "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the end on Linux
        return b""
