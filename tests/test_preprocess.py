"""The example examples/preprocess.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bmgd_data import Reader
from lsm import write_lsm

PATH = Path(__file__).parents[1] / "examples" / "preprocess.py"


@pytest.fixture(scope="module")
def preprocess():
    spec = importlib.util.spec_from_file_location("preprocess", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stacks(tmp_path):
    """Two stacks as ImageJ writes them: three slices, and three with two channels."""
    folder = tmp_path / "stacks"
    (folder / "b").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 4096, (3, 300, 320)).astype(np.uint16)
    told = {"imagej": True, "resolution": (4, 4)}
    tifffile.imwrite(folder / "one.tif", pixels, metadata={"axes": "ZYX", "unit": "um"}, **told)
    two = np.stack([pixels // 2, pixels], axis=1)
    tifffile.imwrite(folder / "b" / "two.tif", two, metadata={"axes": "ZCYX", "unit": "um"}, **told)
    return folder, pixels


def width_um(file) -> float:
    pixels, length = file.pages[0].tags["XResolution"].value
    assert file.imagej_metadata["unit"] == "um"
    return length / pixels


def run(preprocess, folder, out, *options: object) -> dict[str, np.ndarray]:
    arguments = [str(folder), str(out), "--stiffness", "950", *map(str, options)]
    assert preprocess.main(arguments) == 0
    found = (out / "950 Pa" / "image").glob("*.tif")
    return {path.stem: tifffile.imread(path) for path in found}


def test_every_step_is_off_unless_asked_for(preprocess, stacks, tmp_path, capsys):
    folder, pixels = stacks
    found = run(preprocess, folder, tmp_path / "out")
    assert sorted(found) == [f"{stem}_z{z:03d}" for stem in ("b_two", "one") for z in range(3)]
    for z, plane in enumerate(pixels):
        np.testing.assert_array_equal(found[f"one_z{z:03d}"], plane)
        np.testing.assert_array_equal(found[f"b_two_z{z:03d}"], plane // 2)
    assert "6 slices are in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--threshold", 1500), lambda p: np.where(p < 1500, 0, p)),
        (("--subtract", 500), lambda p: np.maximum(p.astype(int) - 500, 0)),
        (("--size", 256), lambda p: p[22:278, 32:288]),
    ],
)
def test_steps_do_what_they_say(options, expected, preprocess, stacks, tmp_path):
    folder, pixels = stacks
    found = run(preprocess, folder, tmp_path / "out", *options)
    np.testing.assert_array_equal(found["one_z001"], expected(pixels[1]))


@pytest.mark.parametrize(("radius", "members"), [(0.5, 5), (1, 9), (2, 21)])
def test_the_mean_filter_is_a_disc(radius, members, preprocess, stacks, tmp_path):
    folder, _ = stacks
    point = np.zeros((1, 300, 320), np.uint16)
    point[0, 150, 150] = 4000
    tifffile.imwrite(folder / "point.tif", point, imagej=True, metadata={"axes": "ZYX"})
    found = run(preprocess, folder, tmp_path / "out", "--mean", radius, "--pixel-size", 1)
    spread = found["point_z000"]
    assert np.count_nonzero(spread) == members
    assert spread.max() == round(4000 / members)


def test_blur_keeps_the_sum_and_normalising_fills_the_range(preprocess, stacks, tmp_path):
    folder, pixels = stacks
    blurred = run(preprocess, folder, tmp_path / "blurred", "--blur", 2)["one_z000"]
    assert blurred.mean() == pytest.approx(pixels[0].mean(), rel=0.01)
    assert blurred.std() < pixels[0].std() / 3
    stretched = run(preprocess, folder, tmp_path / "out", "--blur", 2, "--normalise")["one_z000"]
    assert (stretched.min(), stretched.max()) == (0, 4095)


@pytest.mark.parametrize(("fit", "pixel"), [("crop", 0.25), ("resize", 0.25 * 300 / 150)])
def test_the_pixel_size_is_kept_or_grows(fit, pixel, preprocess, stacks, tmp_path):
    folder, _ = stacks
    run(preprocess, folder, tmp_path / "out", "--size", 150, "--fit", fit)
    with tifffile.TiffFile(tmp_path / "out" / "950 Pa" / "image" / "one_z000.tif") as file:
        assert file.pages[0].shape == (150, 150)
        assert width_um(file) == pytest.approx(pixel, rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_lsm_with_its_pixel_size(channels, preprocess, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4096, (4, channels, 40, 50)).astype(np.uint16)
    (tmp_path / "stacks").mkdir()
    write_lsm(tmp_path / "stacks" / "one.lsm", pixels[None], (1.0, 0.2, 0.2))
    found = run(preprocess, tmp_path / "stacks", tmp_path / "out", "--channel", channels - 1)
    assert len(found) == 4
    for z in range(4):
        np.testing.assert_array_equal(found[f"one_z{z:03d}"], pixels[z, -1])
    with tifffile.TiffFile(tmp_path / "out" / "950 Pa" / "image" / "one_z000.tif") as file:
        assert width_um(file) == pytest.approx(0.2, rel=1e-4)


def test_another_channel(preprocess, stacks, tmp_path):
    folder, pixels = stacks
    (folder / "one.tif").unlink()
    found = run(preprocess, folder, tmp_path / "out", "--channel", 1)
    np.testing.assert_array_equal(found["b_two_z002"], pixels[2])


def test_the_package_reads_the_slices_once_there_are_masks(preprocess, stacks, tmp_path):
    folder, _ = stacks
    y, x = np.mgrid[:300, :320]
    bright = ((y - 150) ** 2 + (x - 160) ** 2 < 40**2) | ((y - 60) ** 2 + (x - 90) ** 2 < 20**2)
    for path in folder.rglob("*.tif"):
        path.unlink()
    stack = np.stack([np.roll(bright, 9 * z, axis=1) for z in range(12)])
    tifffile.imwrite(
        folder / "s.tif",
        (400 + 1500 * stack).astype(np.uint16),
        imagej=True,
        metadata={"axes": "ZYX"},
    )
    found = run(preprocess, folder, tmp_path / "out", "--size", 256, "--pixel-size", 0.25)
    for stem, image in found.items():
        mask = tmp_path / "out" / "950 Pa" / "mask" / f"{stem}.tif"
        mask.parent.mkdir(exist_ok=True)
        tifffile.imwrite(mask, (image > 1000).astype(np.uint8) * 255)
    with pytest.warns(UserWarning, match="12 image/mask pairs"):
        reader = Reader("all", 950, source=tmp_path / "out")
    assert len(reader) == 12
    assert reader.doubts == []
    assert reader.masks.shape == (12, 256, 256)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--channel", "5"), "channels; --channel counts from 0"),
        (("--size", "512"), "use --fit resize"),
    ],
)
def test_what_cannot_be_done_is_reported(  # noqa: PLR0917 - fixtures
    options, told, preprocess, stacks, tmp_path, capsys
):
    folder, _ = stacks
    arguments = [str(folder), str(tmp_path / "out"), "--stiffness", "950", *options]
    assert preprocess.main(arguments) == 1
    assert told in capsys.readouterr().err


def test_files_that_are_no_stacks(preprocess, tmp_path, capsys):
    arguments = [str(tmp_path), str(tmp_path / "out"), "--stiffness", "950"]
    assert preprocess.main(arguments) == 1
    assert "holds no .lsm" in capsys.readouterr().err
    (tmp_path / "broken.tif").write_bytes(b"no TIFF")
    assert preprocess.main(arguments) == 1
    assert "error:" in capsys.readouterr().err
    tifffile.imwrite(tmp_path / "broken.tif", np.zeros((5, 40, 40), np.float32))
    assert preprocess.main(arguments) == 1
    assert "are not a stack of grey values" in capsys.readouterr().err


def test_slices_are_never_written_over_others(preprocess, tmp_path, capsys):
    source = tmp_path / "s"
    for name in ("a/b.tif", "a_b.tif"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(source / name, np.ones((2, 8, 8), np.uint16), photometric="minisblack")
    arguments = ["--stiffness", "950", "--pixel-size", "0.25"]
    assert preprocess.main([str(source), str(tmp_path / "o"), *arguments]) == 1
    assert "would both be written as a_b_z000.tif" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    (source / "a_b.tif").unlink()
    assert preprocess.main([str(source), str(tmp_path / "o"), *arguments]) == 0
    assert preprocess.main([str(source), str(tmp_path / "o"), *arguments]) == 1
    assert "holds slices of a_b of an earlier run" in capsys.readouterr().err
