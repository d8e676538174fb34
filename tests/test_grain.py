"""Reader is a source for Grain as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from bmgd_data import Reader
from common import TINY

grain = pytest.importorskip("grain")

from absl import flags  # noqa: E402 - it comes with Grain

PAGE = Path(__file__).parents[1] / "docs" / "grain.md"


@pytest.fixture(autouse=True)
def _parsed_flags():
    """As the page says; a fresh process below does without."""
    flags.FLAGS.mark_as_parsed()


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root)


def loader(reader, workers, **options):
    sampler = grain.samplers.IndexSampler(
        len(reader), shuffle=True, seed=3, num_epochs=1, **options
    )
    return grain.DataLoader(
        data_source=reader,
        sampler=sampler,
        operations=[grain.transforms.Batch(5)],
        worker_count=workers,
    )


def check(batch, reader):
    """Every row of a batch is the sample of that name."""
    by_name = {name: number for number, name in enumerate(reader.names)}
    for row, name in enumerate(batch["name"]):
        sample = reader[by_name[name]]
        assert batch.keys() == sample.keys()
        for key, value in sample.items():
            np.testing.assert_array_equal(batch[key][row], value)
            if isinstance(value, np.ndarray):
                assert batch[key].dtype == value.dtype


def test_map_dataset(reader):
    dataset = grain.MapDataset.source(reader).shuffle(seed=1).batch(5)
    batches = [dataset[number] for number in range(len(dataset))]
    for batch in batches:
        check(batch, reader)
    names = [name for batch in batches for name in batch["name"]]
    assert names != reader.names
    assert sorted(names) == sorted(reader.names)


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader(reader, workers):
    batches = list(loader(reader, workers))
    for batch in batches:
        check(batch, reader)
    assert sorted(name for batch in batches for name in batch["name"]) == sorted(reader.names)


def test_a_checkpoint_goes_on_in_another_process(tiny_root):
    """Grain compares the repr of the source, so it must tell the data and not the object."""

    def batches(stiffness):
        return iter(loader(Reader("all", stiffness, source=TINY, root=tiny_root), 0))

    iterator = batches("950Pa")
    next(iterator)
    state = iterator.get_state()
    expected = [list(batch["name"]) for batch in iterator]
    again = batches("950Pa")
    again.set_state(state)
    assert [list(batch["name"]) for batch in again] == expected
    with pytest.raises(ValueError, match="source in checkpoint"):
        batches("1200Pa").set_state(state)


def in_a_fresh_process(code, tiny_root, folder):
    """As a script, in which nothing has parsed absl's flags."""
    script = folder / "page.py"
    lines = textwrap.indent(code, "    ")
    script.write_text(f"if __name__ == '__main__':\n{lines}", encoding="utf-8")
    own = {"BMGD_SOURCE": TINY, "BMGD_HOME": str(tiny_root)}
    return subprocess.run(
        [sys.executable, script],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


CODE = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
CHECKS = """
image = batches[0]["image"]
assert image.shape == (8, 256, 256, 1), image.shape
assert image.dtype == np.float32
assert 0.1 < image.max() <= 1
assert sorted(seen) == sorted(reader.names)
assert [len(batch["image"]) for batch in same_batches] == [8] * 5
"""


def test_how_to(tiny_root, tmp_path):
    done = in_a_fresh_process(CODE + CHECKS, tiny_root, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.slow
def test_beside_jax_workers_need_the_line_of_the_page(tiny_root, tmp_path):
    pytest.importorskip("jax")
    line = "flags.FLAGS.mark_as_parsed()\n"
    assert line in CODE
    done = in_a_fresh_process(CODE.replace(line, ""), tiny_root, tmp_path)
    assert "UnparsedFlagAccessError" in done.stderr


@pytest.mark.parametrize(
    ("workers", "drop", "sizes"),
    [
        (0, False, [8] * 8 + [7]),
        (2, False, [8] * 8 + [4, 3]),
        (0, True, [8] * 8),
        (2, True, [8] * 8),
    ],
)
def test_what_is_left_to_each_worker_is_a_batch(workers, drop, sizes):
    sampler = grain.samplers.IndexSampler(71, shuffle=True, seed=1, num_epochs=1)
    loader = grain.DataLoader(
        data_source=range(71),
        sampler=sampler,
        operations=[grain.transforms.Batch(8, drop_remainder=drop)],
        worker_count=workers,
    )
    assert [len(batch) for batch in loader] == sizes
