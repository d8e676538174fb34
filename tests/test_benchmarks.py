"""The benchmarks run, check what they time, and say of each figure whether it meets its aim."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common import TINY

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = {path.stem for path in BENCHMARKS.glob("*.py")}


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """As in a run; their short names are removed afterwards."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not beside these tests")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in MODULES & sys.modules.keys():
        if Path(sys.modules[name].__file__ or "").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.mark.release
def test_a_run_shows_every_part_and_that_the_peer_is_absent(tmp_path):
    absent = ["--peer", tmp_path / "bin" / "python"]
    options = ["--source", TINY, "--repetitions", "1", "--json", tmp_path / "figures.json"]
    command = [sys.executable, BENCHMARKS / "run.py", *options, *absent]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "figures.json").read_text())
    for row in found["rows"]:
        assert row["figure"]["low"] <= row["figure"]["median"] <= row["figure"]["high"]
        assert (row["aim"] is None) == (row["met"] is None)
        assert row["what"] in done.stdout
    assert {row["what"] for row in found["rows"]} >= {
        *("build", "build: anonymous memory", "Reader, single", "BMGD, single"),
        *("DataLoader, 0 workers", "DataLoader, 2 workers", "DataLoader with protocol, 2 workers"),
        *("protocol, single", "to_tf in memory, batches of 32", "to_tf mapped, batches of 32"),
        *("4 workers (spawn): memory gained", "4 workers (spawn): all memory"),
    }
    assert "torch-em 0.10.9 is not here: its rows are left out" in done.stdout
    assert any("torch-em" in note for note in found["notes"])
    assert not any("torch-em" in row["against"] for row in found["rows"])


def test_an_environment_that_was_not_made_to_the_end_is_no_peer(tmp_path):
    import peer

    python = tmp_path / "bin" / "python"
    assert peer.find(python) is None
    python.parent.mkdir()
    python.touch()
    assert peer.find(python) is None
    (tmp_path / ".ready").touch()
    assert peer.find(python).python == python


# --------------------------------------------------------------------------------- what is compared


def arrays_of(count, streams):
    return {
        key: np.arange(count * 4, dtype=np.uint16).reshape(count, 2, 2) + number
        for number, key in enumerate(streams.KEYS)
    }


def test_checksum_tells_other_data_and_missing_rows_not_other_orders():
    import streams

    arrays = arrays_of(6, streams)
    single = streams.checksum(streams.copied_to_reused(arrays), 6, streams.exact)
    assert streams.checksum(streams.copied_to_fresh(arrays), 6, streams.exact) == single
    assert single[1] == 6
    other = {**arrays, "mask": arrays["mask"][::-1]}
    assert streams.checksum(streams.copied_to_fresh(other), 6, streams.exact) != single
    with pytest.raises(RuntimeError, match="5 samples came, of 6"):
        streams.checksum(lambda order: streams.copied_to_fresh(arrays)(order[1:]), 6, streams.exact)


def samples(count=5, side=3):
    rng = np.random.default_rng(0)
    for row in range(count):
        mask = rng.random((side, side)) > 0.5
        yield {
            "image": rng.integers(0, 4096, (side, side)).astype(np.uint16),
            "mask": mask,
            "instances": (mask * (row + 1)).astype(np.uint16),
            "stiffness_pa": (250, 1800)[row % 2],
        }


SCALES = {250: 4095, 1800: 65535}
ADAPTERS = {
    "torch": lambda s: {
        "image": (s["image"].astype(np.float32) / np.float32(SCALES[s["stiffness_pa"]]))[None],
        "mask": s["mask"].view(np.uint8),
        "instances": s["instances"].astype(np.int32),
        "stiffness_pa": s["stiffness_pa"],
    },
    "tf": lambda s: {
        "image": s["image"][..., None],
        "mask": s["mask"].astype(np.uint8)[..., None],
        "instances": s["instances"][..., None],
    },
}


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_values_are_the_same_in_every_adapter_single_and_in_batches(adapter):
    import streams

    plain = list(samples())
    theirs = [ADAPTERS[adapter](sample) for sample in plain]
    form = streams.Values(SCALES)
    expected = streams.checksum(lambda order: (plain[row] for row in order), 5, form)
    assert streams.checksum(lambda order: (theirs[row] for row in order), 5, form) == expected

    def batched(order):
        for rows in (order[:3], order[3:]):
            chosen = [theirs[row] for row in rows]
            yield {key: np.stack([sample[key] for sample in chosen]) for key in chosen[0]}

    assert streams.checksum(batched, 5, form) == expected
    theirs[0] = {**theirs[0], "instances": theirs[0]["instances"] + 1}
    assert streams.checksum(batched, 5, form) != expected


def test_foreground_bears_other_numbers_and_types_but_no_other_pixels():
    import streams

    plain = list(samples())
    theirs = [
        {
            "image": sample["image"].astype(np.float32)[None],
            "instances": (sample["instances"] * 7).astype(np.float32)[None],
        }
        for sample in plain
    ]
    expected = streams.checksum(
        lambda order: (plain[row] for row in order), 5, streams.Foreground(SCALES)
    )
    stream = lambda order: (theirs[row] for row in order)  # noqa: E731
    assert streams.checksum(stream, 5, streams.Foreground({})) == expected
    theirs[2]["instances"][0, 0, 0] = 1 - np.sign(theirs[2]["instances"][0, 0, 0])
    assert streams.checksum(stream, 5, streams.Foreground({})) != expected


def test_sides_that_deliver_other_data_are_a_failure():
    import reading
    import streams
    from streams import local

    arrays = arrays_of(4, streams)
    other = {**arrays, "image": arrays["image"] + 1}
    contest = {
        reading.OURS: local(streams.copied_to_fresh(arrays), 4, {}),
        "other": local(streams.copied_to_fresh(other), 4, {}),
    }
    with pytest.raises(RuntimeError, match="other delivered other data"):
        reading.measured("what", contest, 4, 1, lambda _: None)


# ----------------------------------------------------------------------------- other processes

SHARED_BYTES = 128 << 20
SHARER = """
import mmap, os, sys
sys.path.insert(0, {benchmarks!r})
from remote import serve
size = {size}
def start(shared):
    global block
    block = mmap.mmap(-1, size, flags=mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
    print("this is no answer")
    for _ in range(3):
        if os.fork() == 0:
            touch()
            while True:
                __import__("time").sleep(9)
def touch():
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
serve({{"start": start, "touch": touch, "fail": lambda: 1 / 0}})
"""


@pytest.fixture
def sharer(tmp_path):
    import psutil
    from remote import Remote

    script = tmp_path / "sharer.py"
    script.write_text(SHARER.format(benchmarks=str(BENCHMARKS), size=SHARED_BYTES))
    with Remote(sys.executable, script) as process:
        yield process
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children():
                child.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("shared", "copies"), [(True, 1), (False, 4)])
def test_pss_counts_shared_memory_once_and_copies_each_time(sharer, shared, copies):
    import time

    import memory

    if not memory.is_told():
        pytest.skip("this system does not tell PSS")
    before = memory.pss(sharer.pid)
    assert sharer.ask("start", shared=shared) is None  # what is printed is no answer
    sharer.ask("touch")
    gained = 0.0
    for _ in range(200):
        gained = (memory.pss(sharer.pid) - before) / SHARED_BYTES
        if gained > copies - 0.1:
            break
        time.sleep(0.05)
    assert gained == pytest.approx(copies, abs=0.4)
    assert memory.ONE_COPY.met_by(gained) == shared


def test_a_job_that_fails_is_an_error(sharer):
    with pytest.raises(RuntimeError, match="'fail' ended with 1"):
        sharer.ask("fail")


def test_every_worker_delivers_every_row_in_turn():
    from remote import _Batches

    batches = _Batches(4)
    batches.rows = 40
    dealt = list(batches)
    assert len(dealt) == len(batches) == 8
    for worker in range(4):
        assert sorted(itertools.chain(*dealt[worker::4])) == list(range(40))
