"""What is written from arrays is read back unchanged, without doubts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bmgd_data import Reader, StorageError
from bmgd_data.export import write_canonical
from common import TINY

pytestmark = pytest.mark.filterwarnings("ignore:.*where the paper counts")

IMAGE = np.full((64, 64), 700, np.uint16)
MASK = np.zeros((64, 64), bool)
IMAGE[20:40, 10:30], MASK[20:40, 10:30] = 1500, True


@pytest.fixture(scope="module")
def tiny(tiny_root):
    return Reader("all", "950Pa", source=TINY, root=tiny_root)


def test_a_reader_is_read_back_unchanged(tiny, tmp_path):
    samples = ((s["name"], s["image"], s["mask"]) for s in tiny)
    folder = write_canonical(tmp_path / "out", 950, samples)
    back = Reader("all", "950 Pa", source=folder)
    assert folder == tmp_path / "out"
    assert back.names == tiny.names
    np.testing.assert_array_equal(back.images, tiny.images)
    np.testing.assert_array_equal(back.masks, tiny.masks)
    assert (back.doubts, back.full_scales) == ([], {950: 4095})


def test_names_with_folders_and_several_stiffnesses(tmp_path):
    names = ["colony 1/z01", "colony 1/z02", "colony 2/z01.b", "größe"]
    for first, stiffness in ((0, 250), (4, 1800)):
        moved = enumerate(names, first)  # no image occurs twice
        samples = [(name, np.roll(IMAGE, k, 1), 255 * np.roll(MASK, k, 1)) for k, name in moved]
        write_canonical(tmp_path, stiffness, samples)
    assert {path.name for path in tmp_path.iterdir()} == {"250 Pa", "1800 Pa"}
    back = Reader("all", [250, 1800], source=tmp_path)
    assert back.names == [f"{pa}Pa/{name}" for pa in (250, 1800) for name in names]
    assert np.asarray(back.masks[3]).sum() == MASK.sum()


REFUSED = {
    "no samples": ([], "No samples"),
    "floats": ([("a", IMAGE / 4095, MASK)], "image of 'a' is float64, not uint16.*rint"),
    "8 bits": ([("a", IMAGE.astype(np.uint8), MASK)], "is uint8, not uint16"),
    "a mask of floats": ([("a", IMAGE, MASK * 1.0)], "mask of 'a' has dtype float64.* mask > 0.5"),
    "a negative mask": (
        [("a", IMAGE, MASK.astype(int) - 1)],
        "mask of 'a' has negative values. Give bool, or integers from 0",
    ),
    "a stack": ([("a", IMAGE[None], MASK)], r"shape \(1, 64, 64\); all must have one shape"),
    "another mask": ([("a", IMAGE, MASK[1:])], r"mask of 'a' has the shape \(63, 64\)"),
    "another shape": ([("a", IMAGE, MASK), ("b", IMAGE[1:], MASK[1:])], "image of 'b' has the sh"),
    "twins": ([("a", IMAGE, MASK), ("A", IMAGE, MASK)], "'A' and 'a' are one name"),
    "the same name": ([("a", IMAGE, MASK)] * 2, "'a' and 'a' are one name"),
    "a path upwards": ([("../a", IMAGE, MASK)], "'../a' cannot name a file .*'_/a' can"),
    "an absolute path": ([("/a", IMAGE, MASK)], "'/a' cannot name a file"),
    "no name": ([("", IMAGE, MASK)], "'' cannot name a file"),
    "a folder of masks": ([("mask/a", IMAGE, MASK)], "would be read as something else"),
    "another stiffness": ([("1200 Pa z1", IMAGE, MASK)], "stiffness: 2 .* name another one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_not_be_read_back_is_refused_and_nothing_is_left(case, tmp_path):
    samples, says = REFUSED[case]
    with pytest.raises(ValueError, match=says):
        write_canonical(tmp_path / "out", "950Pa", samples)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_nothing_is_overwritten_or_shadowed(tmp_path):
    write_canonical(tmp_path, 950, [("a", IMAGE, MASK)])
    (tmp_path / "1200.Pa.7z").touch()
    for stiffness in (950, 1200):
        with pytest.raises(StorageError, match="exists already, and was not changed"):
            write_canonical(tmp_path, stiffness, [("b", IMAGE, MASK)])
    with pytest.raises(ValueError, match="one stiffness"):
        write_canonical(tmp_path, ["250Pa", "1800Pa"], [])


def test_the_documented_ten_lines_give_the_same_samples(tiny, tiny_root, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "different.md").read_text(encoding="utf-8")
    before, conversion = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len([line for line in conversion.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BMGD_SOURCE", TINY)
    monkeypatch.setenv("BMGD_HOME", str(tiny_root))
    exec(before, given := {})
    exec(conversion, found := {})
    np.testing.assert_array_equal(found["converted"].images, given["reader"].images)
    np.testing.assert_array_equal(found["converted"].masks, tiny.masks)
