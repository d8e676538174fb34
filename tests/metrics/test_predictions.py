"""Which file is the prediction for which sample, and what the evaluator says of other files."""

from __future__ import annotations

import json

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from scipy import ndimage

from bmgd_data import Reader
from bmgd_data.errors import BMGDWarning
from bmgd_data.export.outlines import along_pixels, outlines
from bmgd_data.export.rois import roi_zip
from bmgd_data.metrics import Evaluator, files, predictions
from common import TINY

NAMES = ["950Pa/025", "950Pa/colony 3.1/a", "1200Pa/025"]


def touch(base, *files):
    for file in files:
        path = base / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return base


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("950Pa/025.tif", NAMES[0]),
        ("950Pa_025.png", NAMES[0]),
        ("950Pa_025_img.tif", NAMES[0]),
        ("950Pa_025_masks.tif", NAMES[0]),
        ("950Pa_025_img_cp_masks.tif", NAMES[0]),
        ("950Pa_025_img_cp_masks.png", NAMES[0]),
        ("950Pa_025.stardist.tif", NAMES[0]),
        ("950Pa_025_Simple Segmentation.tif", NAMES[0]),
        ("950Pa_025_Object Identities.tif", NAMES[0]),
        ("test/images/950Pa_025.tiff", NAMES[0]),
        ("950 Pa/025.tif", NAMES[0]),
        ("950 Pa/mask/025.tif", NAMES[0]),
        ("test/950 Pa/instances/025.tif", NAMES[0]),
        ("950 Pa/image/025_cp_masks.tif", NAMES[0]),
        ("950 Pa/mask/colony 3.1/a.tif", NAMES[1]),
        ("950Pa_colony_3_1_a_cp_masks.tif", NAMES[1]),
        ("1200Pa_025.tif", NAMES[2]),
    ],
)
def test_names_that_tools_give(file, name, tmp_path):
    touch(tmp_path, file)
    paths, problems, _ = predictions.find(tmp_path, NAMES)
    assert paths == {name: tmp_path / file}
    (missing,) = problems
    assert missing.startswith("2 of 3 predictions are missing")


@pytest.mark.parametrize("file", ["025.tif", "950Pa_0250.tif", "x/a.tif"])
def test_names_of_no_sample(file, tmp_path):
    paths, problems, _ = predictions.find(touch(tmp_path, file), NAMES)
    assert not paths
    assert f"1 files are of no sample that is scored: {file}." in problems[1]


def test_a_sample_named_like_an_output_keeps_its_file(tmp_path):
    names = ["950Pa/025", "950Pa/025_masks"]
    files = ("950Pa/025.tif", "950Pa/025_masks.tif")
    paths, problems, _ = predictions.find(touch(tmp_path, *files), names)
    assert list(paths.values()) == [tmp_path / file for file in files]
    assert not problems


def test_several_files_of_a_sample(tmp_path):
    """Cellpose writes beside its images, unless --savedir names another folder."""
    touch(tmp_path, "950Pa_025_img.tif", "950Pa_025_masks.tif", "950Pa_025_img_cp_masks.tif")
    (problem,) = predictions.find(tmp_path, NAMES[:1])[1]
    for file in ("950Pa_025_img.tif", "950Pa_025_masks.tif", "950Pa_025_img_cp_masks.tif"):
        assert file in problem
    assert problem.startswith("1 samples have several files")


def test_a_file_of_several_samples(tmp_path):
    names = ["950Pa/a b", "950Pa/a_b"]
    paths, problems, _ = predictions.find(touch(tmp_path, "950Pa_a_b_cp_masks.tif"), names)
    assert not paths
    assert (
        "1 files may be of several samples: 950Pa_a_b_cp_masks.tif (950Pa/a b or 950Pa/a_b)"
        in (problems[1])
    )


def test_other_stiffnesses_are_left_out(tmp_path):
    touch(tmp_path, "950Pa_025.tif", "250Pa_1.tif", "250 Pa/mask/1.tif", "t/250Pa/1.tif")
    _, problems, _ = predictions.find(tmp_path, NAMES[:1], elsewhere={"250Pa"})
    assert not problems
    assert len(predictions.find(tmp_path, NAMES[:1], elsewhere={"1800Pa"})[1]) == 1


# ---------------------------------------------------------------- integers that are not labels


@pytest.fixture(scope="module")
def samples(tiny_root):
    return list(Reader("all", source=TINY, root=tiny_root, instances="watershed"))


def test_evaluator_refuses_them_and_says_what_to_save(tiny_root, tmp_path):
    evaluator = Evaluator("test", source=TINY, root=tiny_root)
    name = evaluator.reader.names[0]
    for sample in evaluator.reader:
        path = tmp_path / f"{sample['name']}.png"
        path.parent.mkdir(exist_ok=True)
        iio.imwrite(path, ndimage.gaussian_filter(sample["mask"] * 255.0, 2).astype(np.uint8))
    with pytest.raises(
        ValueError, match=rf"(?s){name}: integers are read as.*TIFF of floats"
    ) as told:
        evaluator.add_folder(tmp_path)
    assert f"{len(evaluator.reader)} do not fit their samples" in str(told.value)
    # Do what the message says.
    for path in [*tmp_path.rglob("*.png")]:
        tifffile.imwrite(path.with_suffix(".tif"), iio.imread(path).astype(np.float32) / 255)
        path.unlink()
    evaluator.add_folder(tmp_path)
    assert evaluator.table().part("all").pixels.pooled.f1 > 0.95


def test_pictures_in_colours(samples, tmp_path):
    """label2rgb and palettes give no numbers; red on blue is a mask, and grey is grey."""
    labels = samples[0]["instances"].astype(np.uint8)
    colours = np.random.default_rng(0).integers(1, 256, (256, 3)).astype(np.uint8)
    colours[0] = 0
    iio.imwrite(tmp_path / "colours.png", colours[labels])
    with pytest.raises(ValueError, match=r"colours\.png: a picture in colours.*one channel"):
        files.read(tmp_path / "colours.png", labels.shape)
    iio.imwrite(tmp_path / "two.png", colours[(labels > 0).astype(int)])
    np.testing.assert_array_equal(files.read(tmp_path / "two.png", labels.shape) > 0, labels > 0)
    iio.imwrite(tmp_path / "grey.png", np.stack([labels] * 3, -1))
    np.testing.assert_array_equal(files.read(tmp_path / "grey.png", labels.shape), labels)


# ------------------------------------------------------------------- what other programs write


def scored(tiny_root, tmp_path, save, name="{}.tif"):
    """Scores of the true instances, saved by another program."""
    evaluator = Evaluator("val", source=TINY, root=tiny_root)
    for sample in evaluator.reader:
        path = tmp_path / "out" / name.format(sample["name"].replace("/", "_"))
        path.parent.mkdir(exist_ok=True)
        save(path, sample["instances"])
    evaluator.add_folder(tmp_path / "out")
    return evaluator.table().part("all")


def indexed(path, labels):
    from PIL import Image

    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette([(37 * i + 11 * c) % 256 for i in range(256) for c in range(3)])
    picture.save(path)


def short_palette(path, labels):
    """Pillow leaves out the colours of the palette that are all 0."""
    from PIL import Image

    picture = Image.fromarray(labels.astype(np.uint8), "L").convert("P")
    picture.putpalette([0, 0, 0])
    picture.save(path)


def cellpose(path, labels):
    np.save(path, {"masks": labels, "flows": [labels], "est_diam": np.float64(9), "filename": "x"})


def rois(path, labels):
    pytest.importorskip("roifile")
    path.write_bytes(roi_zip(labels))


def qupath(path, labels):
    """Objects as QuPath exports them, along the sides of pixels, one of them a cell."""
    found = []
    for number, lines in outlines(labels):
        rings = [[*line.tolist(), line[0].tolist()] for line in map(along_pixels, lines)]
        shape = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
        if len(rings) == 1:
            shape = {"type": "Polygon", "coordinates": rings}
        cell = {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9]]]}}
        object_ = {**cell, "nucleusGeometry": shape} if number == 1 else {"geometry": shape}
        found.append({"type": "Feature", **object_})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": found}))


def beside_helpers(path, labels):
    """What Cellpose writes beside its masks."""
    iio.imwrite(path, labels)
    stem = path.name.removesuffix("_cp_masks.png")
    helper = path.with_name(f"{stem}_outlines_cp_masks.png")
    iio.imwrite(helper, np.zeros((*labels.shape, 3), np.uint8))
    cellpose(path.with_name(f"{stem}_seg.npy"), labels * 0)
    rois(path.with_name(f"{stem}_rois.zip"), labels)


FILES = {
    "bool by tifffile": (lambda p, n: tifffile.imwrite(p, n > 0), "{}.tif"),
    "bool by imageio": (lambda p, n: iio.imwrite(p, n > 0), "{}.tif"),
    "float labels": (lambda p, n: tifffile.imwrite(p, n.astype(np.float32)), "{}.tif"),
    "npy": (np.save, "{}.npy"),
    "indexed PNG": (indexed, "{}.png"),
    "ome": (tifffile.imwrite, "{}.ome.tif"),
    "instanseg": (tifffile.imwrite, "{}_instanseg_prediction.tiff"),
    "nnU-Net": (tifffile.imwrite, "{}_0000.tif"),
    "cellpose and its outlines": (beside_helpers, "{}_cp_masks.png"),
    "indexed TIFF": (indexed, "{}.tif"),
    "indexed, of a short palette": (short_palette, "{}.png"),
    "Cellpose": (cellpose, "{}_seg.npy"),
    "ImageJ": (rois, "{}_rois.zip"),
    "QuPath": (qupath, "{}.geojson"),
    "int64": (lambda p, n: np.save(p, n.astype(np.int64)[None]), "{}.npy"),
}


@pytest.mark.parametrize("kind", FILES)
def test_true_labels_of_every_kind_score_one(kind, tiny_root, tmp_path):
    part = scored(tiny_root, tmp_path, *FILES[kind])
    assert part.pixels.pooled.f1 == 1
    assert part.instances.pooled.f1 == 1


@pytest.mark.parametrize("scale", [255, 65535])
def test_divided_labels_are_refused(scale, tiny_root, tmp_path):
    with pytest.raises(ValueError, match=rf"divided by {scale}"):
        scored(tiny_root, tmp_path, lambda p, n: tifffile.imwrite(p, np.float32(n / scale)))


class Harm:
    ran = False

    def __reduce__(self):
        return setattr, (Harm, "ran", True)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"masks": np.ones((2, 2)), "x": Harm()}, "builtins.setattr"),
        ({"flows": np.ones((2, 2))}, "without 'masks'"),
        ({"masks": np.array([Harm()], object)}, "builtins.setattr"),
        ([1], "without 'masks'"),
    ],
)
def test_python_objects_run_no_code(found, said, tmp_path):
    np.save(tmp_path / "a_seg.npy", np.array(found, object), allow_pickle=True)
    with pytest.raises(ValueError, match=said):
        files.read(tmp_path / "a_seg.npy", (2, 2))
    assert not Harm.ran


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.zip", b"PK\3\4", "it is damaged"),
        ("a.geojson", b"{", "Expecting"),
        ("a.geojson", b'[{"geometry": {"type": "Point"}}]', "no GeoJSON of polygons"),
        ("a.npy", b"", ""),
        ("a.roi", b"Iout", ""),
    ],
)
def test_damaged_files_are_named(name, data, said, tmp_path):
    if name.endswith((".zip", ".roi")):
        pytest.importorskip("roifile")
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name}: .*{said}"):
        files.read(tmp_path / name, (2, 2))


def test_large_files_are_not_read(tmp_path):
    with (tmp_path / "a.tif").open("wb") as file:
        file.truncate(20 * 10**9)
    with pytest.raises(ValueError, match="it has 20000000000 bytes"):
        files.read(tmp_path / "a.tif", (2, 2))


def test_other_files_are_left_out_with_a_word(tiny_root, tmp_path):
    evaluator = Evaluator("val", source=TINY, root=tiny_root)
    for sample in evaluator.reader:
        path = tmp_path / f"{sample['name'].replace('/', '_')}_cp_masks.png"
        beside_helpers(path, sample["instances"])
    evaluator.add_folder(tmp_path)
    (note,) = [note for note in evaluator.table().notes if "are left out" in note]
    assert note.startswith(f"{3 * len(evaluator.reader)} other files")
    assert evaluator.table().part("all").instances.pooled.f1 == 1


def test_kinds_that_are_not_read_are_named(tmp_path):
    problems = predictions.find(touch(tmp_path, "950Pa_025.npz"), NAMES[:1]).problems
    assert "1 files are of kinds that are not read: 950Pa_025.npz" in problems[1]


DOUBTED = {
    "background is 1": (lambda n: n + 1, "no pixel is 0"),
    "background is the largest": (
        lambda n: np.where(n == 0, n.max() + 1, np.where(n == 1, 0, n)),
        "more than half of it and touches all four sides",
    ),
    "1 everywhere": (np.ones_like, "no pixel is 0"),
    "divided by their largest": (
        lambda n: np.float32(np.where(n == n.max(), 16, n) / 16),
        "divided by their largest",
    ),
    "inverted": (lambda n: np.uint8(n == 0), "Are they inverted"),
    "silent": (lambda n: np.float32(n > 0) * 0.004, "No probability of any image is above"),
}


@pytest.mark.parametrize("kind", DOUBTED)
def test_what_may_be_meant_otherwise_is_doubted(kind, tiny_root):
    change, said = DOUBTED[kind]
    evaluator = Evaluator("val", source=TINY, root=tiny_root)
    for sample in evaluator.reader:
        evaluator.add(sample["name"].encode(), change(sample["instances"].astype(np.int32)))
    with pytest.warns(BMGDWarning, match=said):
        table = evaluator.table()
    assert any(said in note for note in table.notes[:2])
    assert evaluator.table().notes == table.notes  # and says it once


def test_bfloat16_is_read(tiny_root):
    torch = pytest.importorskip("torch")
    evaluator = Evaluator("val", source=TINY, root=tiny_root)
    for sample in evaluator.reader:
        chance = torch.from_numpy(np.float32(sample["mask"])) * 0.75
        evaluator.add(sample["name"], chance.to(torch.bfloat16)[None])
    assert evaluator.table().part("all").pixels.pooled.f1 == 1


VOTES = np.pad([[1, 1, 1, 0, 2], [1, 3, 1, 0, 2], [1, 1, 1, 0, 2]], 1) / 3


@pytest.mark.parametrize(
    "votes", [VOTES, np.where(VOTES == 1, 1, VOTES > 0), np.float32(VOTES > 0)]
)
def test_votes_are_no_divided_labels(votes):
    assert predictions.divided_by_largest(votes) is None


READ_AS = {
    "mask": lambda n: n * 0.004,
    "labels": lambda n: n.astype(float),
    "probability": lambda n: (
        np.uint8(255 * ndimage.gaussian_filter((n > 0) * 1.0, 2)) // 3 + np.uint8(170) * (n > 0)
    ),
}


@pytest.mark.parametrize("reading", READ_AS)
def test_what_is_said_to_be_is_taken_as_said(reading, tiny_root):
    evaluator = Evaluator("val", source=TINY, root=tiny_root, reading=reading)
    for sample in evaluator.reader:
        evaluator.add(sample["name"], READ_AS[reading](sample["instances"]))
    table = evaluator.table()
    assert table.part("all").pixels.pooled.f1 == 1
    assert f"Read as {reading}, as asked." in table.notes
    assert not evaluator.doubts


def test_a_reading_that_there_is_not(tiny_root):
    with pytest.raises(ValueError, match="'mask', 'labels', 'probability'"):
        Evaluator("val", source=TINY, root=tiny_root, reading="masks")
