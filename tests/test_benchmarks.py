"""The benchmarks run, check what they time, and say of each figure whether it meets its aim."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def streams(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return pytest.importorskip("streams")


@pytest.mark.parametrize(
    "parts", [["build"], pytest.param(["build", "start", "read"], marks=pytest.mark.slow)]
)
def test_quick_run(parts, tmp_path):
    command = [sys.executable, BENCHMARKS / "run.py", "--quick", "--parts", *parts]
    done = subprocess.run(
        [*command, "--json", tmp_path / "figures.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    expected = {
        "build",
        "build: anonymous memory",
        *(["Reader, single"] if "read" in parts else []),
    }
    assert expected <= {row["what"] for row in rows}
    assert {row["times"] for row in rows} == {1, 2}
    for row in rows:
        assert row["figure"]["low"] <= row["figure"]["median"] <= row["figure"]["high"]
        assert (row["aim"] is None) == (row["met"] is None)
        assert row["what"] in done.stdout


def test_checksum_tells_other_data_and_missing_rows_not_other_orders(streams):
    arrays = {
        key: np.arange(6 * 4, dtype=np.uint16).reshape(6, 2, 2) + number
        for number, key in enumerate(streams.KEYS)
    }
    single = streams.checksum(streams.copied_to_reused(arrays), 6)
    assert streams.checksum(streams.copied_batched(arrays), 6) == single
    assert single[1] == 6
    other = {**arrays, "mask": arrays["mask"][::-1]}
    assert streams.checksum(streams.copied_to_fresh(other), 6) != single
    with pytest.raises(RuntimeError, match="5 samples came, of 6"):
        streams.checksum(lambda order: streams.copied_to_fresh(arrays)(order[1:]), 6)


def test_multiplied_images_differ_and_stay_in_range(streams):
    import archives

    image = np.array([[1, 2], [3, 4095]], np.uint16)
    variants = [archives._variant(image, number, 4095) for number in range(10)]
    assert len({variant.tobytes() for variant in variants}) == 10
    assert max(variant.max() for variant in variants) == 4095
    np.testing.assert_array_equal(archives._variant(image > 2, 2, 4095), [[255, 255], [0, 0]])
