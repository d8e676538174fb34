"""Each format is read back by its own reader and compared with the Reader, pixel by pixel."""

from __future__ import annotations

import csv
import gc
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import warnings
import zipfile
from importlib.metadata import version
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from scipy import ndimage

from bmgd_data import Reader, facts, nuclei
from bmgd_data._card import provenance
from bmgd_data._system import disk
from bmgd_data.errors import MissingDependencyError, StorageError
from bmgd_data.export import FORMATS, export, geojson, roi_zip, yolo
from bmgd_data.export.outlines import along_pixels, inside_pixels, is_outer, outlines, pieces
from bmgd_data.metrics import files
from common import TINY
from redrawing import redrawn

pytestmark = pytest.mark.filterwarnings("ignore:.*where the paper counts")  # 12 images, not 54


def need(module):
    return pytest.mark.skipif(not importlib.util.find_spec(module), reason=f"{module} is missing")


INSTALLED = [
    name for name, form in FORMATS.items() if all(map(importlib.util.find_spec, form.needs))
]


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root, instances="watershed")


@pytest.fixture(scope="module")
def splits(tiny_root):
    return {
        name: Reader(name, source=TINY, root=tiny_root, instances="watershed")
        for name in ("train", "val", "test")
    }


@pytest.fixture(scope="module")
def exported(reader, tmp_path_factory):
    """Every format is written once and read by several tests."""
    base, done = tmp_path_factory.mktemp("exported"), {}

    def give(name):
        if name not in done:
            done[name] = export(reader, name, base / name)
        return done[name]

    return give


def index(folder):
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same(array, expected):
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


# ------------------------------------------------------------------------- each by its own reader


def read_tiff(folder, reader):
    """Through tifffile, and through Reader itself: it is upstream's layout."""
    for row, sample in zip(index(folder), reader, strict=True):
        with tifffile.TiffFile(folder / row["file"]) as file:
            same(file.asarray(), sample["image"])
            assert file.imagej_metadata["unit"] == "um"
            assert file.pages[0].resolution == (1 / facts.PIXEL_SIZE_UM,) * 2
            for told in (
                sample["name"],
                f"stiffness_pa: {sample['stiffness_pa']}",
                facts.PAPER_URL,
            ):
                assert told in file.imagej_metadata["Info"]
        mask = tifffile.imread(folder / row["file"].replace("/image/", "/mask/"))
        same(mask, sample["mask"].astype(np.uint8) * np.uint8(255))
        labels = tifffile.imread(folder / row["file"].replace("/image/", "/instances/"))
        same(labels, sample["instances"])
    again = Reader(reader.split, source=folder, instances="provided")
    assert again.names == reader.names
    same(np.asarray(again.images), np.asarray(reader.images))
    same(np.asarray(again.masks), np.asarray(reader.masks))
    same(np.asarray(again.instances), np.asarray(reader.instances))


def read_cellpose(folder, reader):
    """By Cellpose's documented rule (cellpose/io.py, get_image_files and get_label_files).

    Cellpose itself needs torch, OpenCV and more, so the rule is followed here with tifffile, by
    which Cellpose reads TIFF too.
    """
    images = sorted(folder.glob("*_img.tif"))
    labels = [folder / f"{image.stem.removesuffix('_img')}_masks.tif" for image in images]
    assert not [image for image in images if image.stem.endswith("_masks")]
    names = {row["file"]: row["name"] for row in index(folder)}
    samples = {sample["name"]: sample for sample in reader}
    assert len(images) == len(reader)
    for image, label in zip(images, labels, strict=True):
        sample = samples[names[image.name]]
        same(tifffile.imread(image), sample["image"])
        same(tifffile.imread(label), sample["instances"])


def read_folders(folder, reader):
    """As StarDist's notebook 1_data does: two sorted globs, equal names, tifffile."""
    images = sorted(folder.glob("images/*.tif"))
    labels = sorted(folder.glob("masks/*.tif"))
    masks = sorted(folder.glob("foreground/*.tif"))
    assert [p.name for p in images] == [p.name for p in labels] == [p.name for p in masks]
    names = {row["file"]: row["name"] for row in index(folder)}
    samples = {sample["name"]: sample for sample in reader}
    assert len(images) == len(reader)
    for image, label, mask in zip(images, labels, masks, strict=True):
        sample = samples[names[f"images/{image.name}"]]
        same(tifffile.imread(image), sample["image"])
        same(tifffile.imread(label), sample["instances"])
        same(tifffile.imread(mask) == 255, sample["mask"])


def read_rois(folder, reader):
    """ROIs by roifile, the table by csv; tests/clients has ImageJ itself."""
    with (folder / "nuclei.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    areas = {(row["name"], int(row["label"])): float(row["area_um2"]) for row in rows}
    assert len(areas) == len(rows) == reader.n_nuclei.sum()
    for row, sample in zip(index(folder), reader, strict=True):
        same(tifffile.imread(folder / row["file"]), sample["image"])
        rois = folder / "rois" / f"{Path(row['file']).stem}.zip"
        assert rois.exists() == (sample["n_nuclei"] > 0)
        if not rois.exists():
            continue
        labels = redrawn(rois, sample["instances"].shape)
        same(labels, sample["instances"])
        for label, pixels in enumerate(np.bincount(labels.ravel())[1:], 1):
            area = pytest.approx(pixels * facts.PIXEL_SIZE_UM**2, rel=1e-5)
            assert areas[sample["name"], label] == area


def in_8_bits(sample):
    return np.rint(sample["image"] / facts.FULL_SCALE * 255).astype(np.uint8)


def read_coco(folder, reader, outline="rle"):
    from PIL import Image
    from pycocotools.coco import COCO

    coco = COCO(folder / f"annotations_{outline}.json")
    assert coco.dataset["info"]["citation"] == facts.CITATION
    assert provenance(reader).items() <= coco.dataset["info"].items()
    assert coco.dataset["info"]["picture_white"] == facts.FULL_SCALE
    assert coco.dataset["licenses"][0]["name"] == facts.DATA_LICENSE
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["nucleus"]
    assert len(coco.getImgIds()) == len(reader)
    for number, sample in zip(coco.getImgIds(), reader, strict=True):
        (image,) = coco.loadImgs(number)
        assert image["name"] == sample["name"]
        assert image["stiffness_pa"] == sample["stiffness_pa"]
        assert image["pixel_size_um"] == facts.PIXEL_SIZE_UM
        with Image.open(folder / "images" / image["file_name"]) as picture:
            same(np.asarray(picture), in_8_bits(sample))
        with Image.open(folder / "images_16bit" / image["file_name"]) as picture:
            same(np.asarray(picture), sample["image"])
        objects = coco.loadAnns(coco.getAnnIds(number))
        assert len(objects) == sample["n_nuclei"]
        labels = np.zeros_like(sample["instances"])
        for label, nucleus in enumerate(objects, 1):
            where = coco.annToMask(nucleus) > 0
            labels[where] = label
            assert nucleus["area"] == where.sum()
            rows, columns = np.nonzero(where)
            assert nucleus["bbox"] == [
                *(columns.min(), rows.min()),
                *(np.ptp(columns) + 1, np.ptp(rows) + 1),
            ]
        same(labels, sample["instances"])


def read_yolo(folder, reader):
    """As ultralytics does; tests/clients has ultralytics itself."""
    from PIL import Image

    description = (folder / "data.yaml").read_text(encoding="utf-8")
    assert description == "train: images\nnames:\n  0: nucleus\n"
    assert len(list((folder / "labels").iterdir())) == len(reader)
    for row, sample in zip(index(folder), reader, strict=True):
        with Image.open(folder / row["file"]) as picture:
            same(np.asarray(picture), in_8_bits(sample))
        text = folder / row["file"].replace("images/", "labels/").replace(".png", ".txt")
        labels = np.zeros_like(sample["instances"])
        for number, line in enumerate(text.read_text(encoding="ascii").splitlines(), 1):
            kind, *shares = line.split()
            assert kind == "0"
            polygon = np.array(shares, float).reshape(-1, 2) * labels.shape[::-1]
            labels[filled_by_ultralytics(polygon, labels.shape) > 0] = number
        same(labels, sample["instances"])


def read_geojson(folder, reader):
    """By the package's own reader of predictions, and by shapely where it is installed."""
    for row, sample in zip(index(folder), reader, strict=True):
        same(tifffile.imread(folder / row["file"]), sample["image"])
        path = folder / row["file"].replace("images/", "geojson/").replace(".tif", ".geojson")
        labels = sample["instances"]
        same(files.read(path, labels.shape).astype(labels.dtype), labels)
        found = json.loads(path.read_text(encoding="utf-8"))["features"]
        measured = nuclei.measure(sample["image"], labels)
        assert [feature["properties"]["name"] for feature in found] == [
            str(number) for number in measured["label"]
        ]
        for key, name in (("area_um2", "Area µm^2"), ("mean_raw", "BMGD: mean_raw")):
            values = [feature["properties"]["measurements"][name] for feature in found]
            np.testing.assert_array_equal(values, measured[key])
        assert len({feature["id"] for feature in found}) == sample["n_nuclei"]
        for feature, area in zip(found, np.bincount(labels.ravel())[1:], strict=True):
            require_valid(feature["geometry"], area)


def require_valid(geometry, area):
    if importlib.util.find_spec("shapely"):
        import shapely.geometry

        shape = shapely.geometry.shape(geometry)
        assert shape.is_valid, shapely.is_valid_reason(shape)
        assert shape.area == area


def read_nnunet(folder, reader):
    """By scikit-image, as its NaturalImage2DIO reads; tests/clients has nnU-Net itself."""
    from skimage.io import imread

    raw = folder / "Dataset001_BMGD"
    cases = {split: [] for split in ("train", "val", "test")}
    for row, sample in zip(index(folder), reader, strict=True):
        image = folder / row["file"]
        end = "Ts" if row["split"] == "test" else "Tr"
        assert image.parent == raw / f"images{end}"
        same(imread(image), sample["image"])
        case = image.name.removesuffix("_0000.png")
        same(imread(raw / f"labels{end}" / f"{case}.png"), sample["mask"].astype(np.uint8))
        cases[row["split"]].append(case)
    known = json.loads((raw / "dataset.json").read_text(encoding="utf-8"))
    assert known["numTraining"] == len(list((raw / "imagesTr").iterdir()))
    assert known["numTraining"] == len(list((raw / "labelsTr").iterdir()))
    test = cases.pop("test")
    if all(cases.values()):
        assert json.loads((raw / "splits_final.json").read_text(encoding="utf-8")) == [cases]
    else:
        assert not (raw / "splits_final.json").exists()
    assert len(test) == len(list(raw.glob("imagesTs/*"))) == len(list(raw.glob("labelsTs/*")))


def read_webdataset(folder, reader):
    import webdataset

    shards = sorted(map(str, folder.glob("shard-*.tar")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the shards open
        rows = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode())
        gc.collect()
    files = [f"{Path(row['__url__']).name}#{row['__key__']}" for row in rows]
    assert files == [row["file"] for row in index(folder)]
    for row, sample in zip(rows, reader, strict=True):
        for key in ("image", "mask", "instances"):
            same(row[f"{key}.npy.gz"], sample[key])
        for key in ("name", "stiffness_pa", "n_nuclei"):
            assert row["json"][key] == sample[key]
        assert provenance(reader).items() <= row["json"].items()


def read_parquet(folder, reader):
    """By Hugging Face from the folder, and by polars and pyarrow from the file."""
    import datasets
    import polars as pl
    import pyarrow.parquet

    split = {"all": "train", "val": "validation"}.get(reader.split, reader.split)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))
    assert list(loaded) == [split]
    assert loaded[split].info.citation == facts.BIBTEX
    assert loaded[split].info.license == facts.DATA_LICENSE
    assert reader.digest in loaded[split].info.description
    for row, sample in zip(loaded[split].with_format("numpy"), reader, strict=True):
        assert row.keys() == sample.keys()
        for key in ("image", "mask", "instances"):
            same(row[key], sample[key])
    file = folder / split / "samples.parquet"
    table = pyarrow.parquet.read_table(file)
    assert json.loads(table.schema.metadata[b"bmgd"])["citation"] == facts.BIBTEX
    for rows in (pl.read_parquet(file).iter_rows(named=True), table.to_pylist()):
        for row, sample in zip(rows, reader, strict=True):
            for key in ("image", "mask", "instances"):
                same(iio.imread(row[key]["bytes"]).astype(sample[key].dtype), sample[key])
            assert {key: row[key] for key in SCALARS} == {key: sample[key] for key in SCALARS}


SCALARS = ("name", "stiffness_pa", "n_nuclei")
READ = {
    "tiff": read_tiff,
    "cellpose": read_cellpose,
    "folders": read_folders,
    "rois": read_rois,
    "coco": read_coco,
    "yolo": read_yolo,
    "geojson": read_geojson,
    "nnunet": read_nnunet,
    "webdataset": read_webdataset,
    "parquet": read_parquet,
}
# pycocotools and webdataset are behind numpy and Python here.
OLD_LIBRARIES = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
READERS = {"parquet": ("polars",), "yolo": ("cv2",)}
"""Modules that read a format, besides those that write it."""
EACH = [
    pytest.param(
        name,
        marks=[need(module) for module in (*form.needs, *READERS.get(name, ()))],
    )
    for name, form in FORMATS.items()
]


def test_every_format_is_read_back():
    assert READ.keys() == FORMATS.keys()


@OLD_LIBRARIES
@pytest.mark.parametrize("form", EACH)
def test_read_back(form, exported, reader):
    READ[form](exported(form), reader)


@OLD_LIBRARIES
@need("pycocotools")
def test_polygons_are_exact(exported, reader):
    """These nuclei have no holes, which polygons cannot describe."""
    read_coco(exported("coco"), reader, "polygons")


SHAPES = np.zeros((12, 16), np.uint16)
SHAPES[0:5, 0:5] = 1
SHAPES[2, 2] = 0
SHAPES[11, 15] = 2
SHAPES[7, 3] = SHAPES[8, 4] = 3
SHAPES[6:, 10:12] = 4
SHAPES[0, 9] = SHAPES[3, 9:12] = SHAPES[4, 12] = 300


def filled_by_pycocotools(polygon, shape):
    from pycocotools import mask

    return mask.decode(mask.frPyObjects([polygon.ravel().tolist()], *shape))[..., 0]


def filled_by_opencv(polygon, shape):
    """As most programs that use it do: coordinates are cut to whole numbers."""
    import cv2

    return cv2.fillPoly(np.zeros(shape, np.uint8), [polygon.astype(np.int32)], 1)


def filled_by_ultralytics(polygon, shape):
    """As its loader does: fractions of the image in float32, 1000 points along the line, OpenCV."""
    size = np.array(shape[::-1], np.float32)
    line = np.array([[f"{value:.6f}" for value in point] for point in polygon / size], np.float32)
    line = np.concatenate([line, line[:1]])
    places = np.linspace(0, len(line) - 1, max(1000, len(line) + 1))
    x, y = (np.interp(places, np.arange(len(line)), column) for column in line.T)
    return filled_by_opencv(np.stack([x, y], 1).astype(np.float32) * size, shape)


def filled_by_pillow(polygon, shape):
    """As labelme fills."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", shape[::-1])
    ImageDraw.Draw(picture).polygon([*map(tuple, polygon)], fill=1, outline=1)
    return np.asarray(picture)


def filled_by_skimage(polygon, shape):
    """By pixel centres, which `bmgd_data.metrics` takes outlines for."""
    from skimage.draw import polygon as fill

    mask = np.zeros(shape, np.uint8)
    mask[fill(polygon[:, 1] - 0.5, polygon[:, 0] - 0.5, shape)] = 1
    return mask


BLOBS = np.random.default_rng(0).normal(size=(64, 80))
BLOBS = ndimage.label(ndimage.gaussian_filter(BLOBS, 1.2) > 0.05, np.ones((3, 3)))[0].astype(
    np.uint16
)
"""Nuclei with holes, with pixels that meet at corners, and of one pixel."""
OLD_PILLOW = pytest.mark.skipif(
    int(version("pillow").split(".")[0]) < 13, reason="older ones fill a pixel more or less"
)
FILLINGS = [
    pytest.param(filled_by_pycocotools, marks=need("pycocotools")),
    pytest.param(filled_by_opencv, marks=need("cv2")),
    pytest.param(filled_by_ultralytics, marks=need("cv2")),
    pytest.param(filled_by_pillow, marks=OLD_PILLOW),
    filled_by_skimage,
]


@OLD_LIBRARIES
@pytest.mark.parametrize("labels", [SHAPES, BLOBS, SHAPES[:, ::-1].T], ids=["shapes", "blobs", "T"])
@pytest.mark.parametrize("fill", FILLINGS)
def test_programs_fill_polygons_to_the_same_pixels(fill, labels):
    """One polygon for all of them, each with its own filling; holes are filled."""
    for number, lines in outlines(labels):
        found = np.zeros(labels.shape, np.uint8)
        for line in filter(is_outer, lines):
            polygon = inside_pixels(line)
            assert len(polygon) >= 4
            found |= fill(polygon, labels.shape)
        np.testing.assert_array_equal(found, ndimage.binary_fill_holes(labels == number))


@need("cv2")
def test_pieces_of_one_nucleus_are_joined_by_lines_in_yolo():
    """And by no area between them."""
    labels = np.zeros((20, 20), np.uint16)
    labels[1:4, 1:4] = labels[1:4, 16:19] = labels[16:19, 1:4] = 1
    ((_, lines),) = outlines(labels)
    filled = filled_by_opencv(yolo._joined([inside_pixels(line) for line in lines]), labels.shape)
    assert filled[labels == 1].all()
    assert np.count_nonzero(filled) <= 3 * 9 + 2 * 20
    one = [np.array([[1.2, 1.2], [1.8, 1.2], [1.8, 1.8]])]
    assert yolo._joined(one) is not one
    np.testing.assert_array_equal(yolo._joined(one), one[0])


@pytest.mark.parametrize("labels", [SHAPES, BLOBS, SHAPES[:, ::-1].T], ids=["shapes", "blobs", "T"])
def test_geojson_is_valid_and_holds_every_pixel(labels, tmp_path):
    geometries = [geojson._geometry(found) for _, found in pieces(labels)]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps([{"geometry": geometry} for geometry in geometries]))
    numbers = np.unique(labels)
    np.testing.assert_array_equal(numbers[files.read(path, labels.shape)], labels)
    for geometry, number in zip(geometries, numbers[1:], strict=True):
        require_valid(geometry, np.count_nonzero(labels == number))
        several = geometry["type"] == "MultiPolygon"
        for rings in geometry["coordinates"] if several else [geometry["coordinates"]]:
            outer = [is_outer(np.array(ring)) for ring in rings]
            assert outer == [True] + [False] * (len(rings) - 1)
            for ring in rings:
                assert ring[0] == ring[-1]
                assert len({*map(tuple, ring)}) == len(ring) - 1  # it meets no corner twice


@need("cv2")
def test_opencv_takes_the_pixels_beyond_corners_too():
    """Why polygons run inside the border."""
    (_, (line,)), *_ = outlines(np.pad(np.ones((5, 5), np.uint8), 2))
    assert filled_by_opencv(along_pixels(line), (9, 9)).sum() == 36
    assert filled_by_opencv(inside_pixels(line), (9, 9)).sum() == 25


@need("roifile")
def test_rois_hold_holes_pieces_and_corners():
    """Nothing is lost; only the hole and the two pieces need composite ROIs."""
    from roifile import ImagejRoi

    written = roi_zip(SHAPES)
    same(redrawn(io.BytesIO(written), SHAPES.shape), SHAPES)
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        names = archive.namelist()
        rois = [ImagejRoi.frombytes(archive.read(name)) for name in names]
    assert names == [f"{label:04d}.roi" for label in (1, 2, 3, 4, 300)]
    assert [roi.composite for roi in rois] == [True, False, False, False, True]
    assert written == roi_zip(SHAPES)


@need("roifile")
def test_rois_of_a_stack_name_and_hold_their_plane():
    from roifile import ImagejRoi

    def rois(labels):
        with zipfile.ZipFile(io.BytesIO(roi_zip(labels))) as archive:
            return [ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()]

    stack = np.zeros((2, 1, 9, 9), np.uint32)
    stack[0, 0, 2:4, 2:4], stack[1, 0, 5:8, 5:8] = 1, 70_000
    found = [(roi.name, roi.position, roi.t_position) for roi in rois(stack)]
    assert found == [("0001-0001", 1, 0), ("0002-70000", 2, 0)]
    (roi,) = rois(np.stack([0 * stack[:, 0], stack[:, 0] > 1]).astype(np.uint8))
    assert (roi.name, roi.position) == ("0004-0001", 0)
    assert (roi.c_position, roi.z_position, roi.t_position) == (0, 2, 2)  # there are no channels


# ------------------------------------------------------------------------------ what all of it has


@pytest.mark.parametrize("form", INSTALLED)
def test_index_and_readme(form, exported, reader):
    folder = exported(form)
    rows = index(folder)
    assert [row["name"] for row in rows] == reader.names
    assert [row["split"] for row in rows] == reader.splits
    assert [int(row["stiffness_pa"]) for row in rows] == reader.stiffness_pa.tolist()
    assert [int(row["n_nuclei"]) for row in rows] == reader.n_nuclei.tolist()
    columns = list(rows[0])
    assert columns[columns.index("n_nuclei") + 1] == "instance_method"  # what it counts
    assert {float(row["pixel_size_um"]) for row in rows} == {facts.PIXEL_SIZE_UM}
    for key, value in provenance(reader).items():
        assert {row[key] for row in rows} == {str(value)}, key
    assert set(provenance(reader)) == {
        *("full_scale", "pixel_size_um", "units", "instance_method", "scheme", "source", "licence"),
        "digest",
    }
    for row in rows:
        assert (folder / row["file"].partition("#")[0]).is_file()
    text = (folder / "README.md").read_text(encoding="utf-8")
    for told in (facts.BIBTEX, facts.DATA_LICENSE, reader.digest[:12], "generated"):
        assert told in text


@pytest.mark.parametrize("form", INSTALLED)
def test_several_readers(form, splits, tmp_path):
    short = {name: reader[:3] for name, reader in splits.items()}
    folder = export(short, form, tmp_path / "new" / "all")
    rows = index(folder)
    val = "validation" if FORMATS[form].hugging_face else "val"
    assert {row["file"].split("/")[0] for row in rows} == {"train", val, "test"}
    assert (val in (folder / "README.md").read_text(encoding="utf-8")) or val == "val"
    assert [row["split"] for row in rows] == ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    assert [row["name"] for row in rows] == [n for reader in short.values() for n in reader.names]


def test_data_yaml_names_the_splits_that_are_there(splits, reader, tmp_path):
    named = {"train": splits["train"], "validation": splits["val"], "colony": splits["test"]}
    for readers, lines in (
        (named, ["train: train/images", "val: validation/images"]),  # it knows no other splits
        (splits["test"], ["test: images"]),
        (reader, ["train: images"]),
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        yolo.describe(readers if isinstance(readers, dict) else {"": readers}, folder)
        text = (folder / "data.yaml").read_text(encoding="utf-8")
        assert text.splitlines() == [*lines, "names:", "  0: nucleus"]


def test_nnunet_takes_the_fold(reader, tmp_path):
    """Test images of the fold are those of imagesTs, and the split is its split."""
    fold = reader.fold(1, 3)
    folder = export(fold, "nnunet", tmp_path / "out")
    read_nnunet(folder, fold)
    (split,) = json.loads((folder / "Dataset001_BMGD" / "splits_final.json").read_text())
    assert len(split["val"]) == fold.splits.count("val") > 0
    assert len(list(folder.glob("*/imagesTs/*.png"))) == fold.splits.count("test") > 0


@need("webdataset")
@pytest.mark.parametrize(
    ("samples", "sizes"),
    [
        (1, [1]),
        (3, [1] * 3),
        (12, [2] * 4 + [1] * 4),
        (82, [11] * 2 + [10] * 6),
        (655, [82] * 7 + [81]),
    ],
)
def test_sizes_of_shards(samples, sizes):
    from bmgd_data.export import shards

    assert shards._sizes(samples) == sizes
    assert sum(shards._sizes(8 * samples)) == 8 * samples
    assert max(shards._sizes(1000 * samples)) <= shards.LARGEST


@OLD_LIBRARIES
@need("webdataset")
@need("torch")
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on fewer cores than that
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_shards(workers, exported, reader):
    """Each sample comes once, and no worker is left without a shard, which is an error."""
    import webdataset
    from torch.utils.data import DataLoader

    shards = sorted(map(str, exported("webdataset").glob("*.tar")))
    data = webdataset.WebDataset(shards, shardshuffle=False).decode()
    loader = DataLoader(data, batch_size=None, num_workers=workers)
    assert sorted(row["json"]["name"] for row in loader) == sorted(reader.names)


@pytest.mark.parametrize("form", INSTALLED)
def test_same_bytes_again(form, reader, tmp_path):
    one, two = (export(reader[:4], form, tmp_path / name) for name in ("one", "two"))
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


# ---------------------------------------------------------------------------------- awkward names


AWKWARD = [
    "MCF10A 1.2 kPa.lsm - z=3",
    "MCF10A 1.2 kPa.lsm - z=4",
    "MCF10A 1_2 kPa_lsm - z=4",
    "colony/a",
    "colony_a",
    "Colony/A",
    "CON",
    "nul.old",
    "trailing.",
    "x" * 150 + "1",
    "x" * 150 + "2",
    "{braces} %d",
    "Zelle µ é",
]


@pytest.fixture
def awkward(tmp_path, tiff):
    """A source whose file names hold dots, spaces, devices of Windows and more."""
    rng = np.random.default_rng(0)
    for name in AWKWARD:
        mask = np.zeros((32, 32), np.uint8)
        down, right = rng.integers(2, 20, 2)
        mask[down : down + 5, right : right + 9] = 255
        image = (rng.integers(500, 600, (32, 32)) + 4 * mask.astype(int)).astype(np.uint16)
        for role, array in (("image", image), ("mask", mask)):
            path = tmp_path / "awkward" / "250 Pa" / role / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tiff(array))
    return Reader("all", "250Pa", source=tmp_path / "awkward")


@OLD_LIBRARIES
@pytest.mark.parametrize("form", EACH)
def test_awkward_names(form, awkward, tmp_path):
    assert sorted(awkward.names) == sorted(f"250Pa/{name}" for name in AWKWARD)
    folder = export(awkward, form, tmp_path / "out %d")
    rows = index(folder)
    assert [row["name"] for row in rows] == awkward.names
    assert len({row["file"].casefold() for row in rows}) == len(AWKWARD)
    for path in folder.rglob("*"):
        assert not set('<>:"\\|?*') & set(path.name)
        assert path.name.split(".")[0].upper() not in {"CON", "NUL"}
        assert not path.name.endswith((" ", "."))
    if form != "tiff":  # its Reader would give the changed names
        READ[form](folder, awkward)
    assert str(tmp_path) not in "".join(map(str, rows))


# ----------------------------------------------------------------------------------------- errors


def test_unknown_format(reader, tmp_path):
    with pytest.raises(ValueError, match=f"Unknown format 'zarr'.*{', '.join(map(repr, FORMATS))}"):
        export(reader, "zarr", tmp_path / "out")


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_existing_destination(kind, reader, tmp_path):
    dest = tmp_path / "out"
    {"folder": dest.mkdir, "file": dest.touch, "link": lambda: dest.symlink_to("nowhere")}[kind]()
    with pytest.raises(StorageError, match=r"out exists already.*another"):
        export(reader, "tiff", dest)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_destination_created_meanwhile(reader, tmp_path, monkeypatch):
    write = FORMATS["tiff"].write

    def late(*args):
        (tmp_path / "out").mkdir()
        return write(*args)

    monkeypatch.setitem(FORMATS, "tiff", FORMATS["tiff"]._replace(write=late))
    with pytest.raises(StorageError, match="exists already"):
        export(reader[:2], "tiff", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("names", [["a/b"], [".."], ["nul"], ["train", "Train"]])
def test_names_that_are_no_folders(names, reader, tmp_path):
    with pytest.raises(ValueError, match="cannot name a folder"):
        export(dict.fromkeys(names, reader), "tiff", tmp_path / "out")


@need("datasets")
def test_two_names_of_one_split(reader, tmp_path):
    with pytest.raises(ValueError, match=r"'validation' cannot name a folder.*same split"):
        export({"val": reader, "validation": reader}, "parquet", tmp_path / "out")


def test_nothing_to_export(reader, tmp_path):
    with pytest.raises(ValueError, match="Nothing to export: no images in val"):
        export({"train": reader, "val": reader[:0]}, "tiff", tmp_path / "out")
    with pytest.raises(ValueError, match="Nothing to export"):
        export({}, "tiff", tmp_path / "out")


@pytest.mark.parametrize(
    ("form", "module"), [(name, module) for name, f in FORMATS.items() for module in f.needs]
)
def test_missing_library(form, module, reader, tmp_path, monkeypatch):
    extra = FORMATS[form].extra
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else find(name)
    )
    with pytest.raises(
        MissingDependencyError, match=rf'needs {module}.*pip install "bmgd-data\[{extra}\]"'
    ):
        export(reader, form, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_nothing(tiny_root, tmp_path):
    """A limit on file size stands in for a full disk: the system refuses to write on."""
    pytest.importorskip("resource")
    code = f"""
import resource
from bmgd_data import Reader
from bmgd_data.export import export
reader = Reader("val", source={TINY!r}, root={str(tiny_root)!r}, instances="watershed")
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
for form in {INSTALLED}:
    try:
        export(reader, form, {str(tmp_path)!r} + "/" + form)
    except Exception as error:
        print(form, type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    for form, line in zip(INSTALLED, lines, strict=True):
        assert line.startswith(f"{form} StorageError Cannot write below {tmp_path}")
        assert "another destination" in line
    assert not list(tmp_path.iterdir())


def test_interrupted_leaves_nothing(reader, tmp_path, monkeypatch):
    def interrupted(part, folder):
        next(iter(part))
        (folder / "half").touch()
        raise KeyboardInterrupt

    monkeypatch.setitem(FORMATS, "tiff", FORMATS["tiff"]._replace(write=interrupted))
    with pytest.raises(KeyboardInterrupt):
        export(reader, "tiff", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.release
@OLD_LIBRARIES
@pytest.mark.parametrize("form", EACH)
def test_standin(form, standin, tmp_path):
    reader = Reader("all", source=standin, root=tmp_path / "root", instances="watershed")
    folder = export(reader, form, tmp_path / "out")
    READ[form](folder, reader)
    print(f"\n{form}: {disk.size_of(folder) / 1e6:.1f} MB")
    if form == "webdataset":
        with tarfile.open(folder / "shard-000000.tar") as shard:
            assert len(shard.getnames()) == 4 * 91  # 819 samples in 9 shards


def test_rle_of_many_nuclei_is_that_of_a_mask_for_each():
    coco = pytest.importorskip("pycocotools.mask")
    from bmgd_data.export.coco import _runs

    rng = np.random.default_rng(0)
    for shape in ((7, 5), (40, 64)):
        labels = rng.integers(0, 5, shape).astype(np.uint16)
        planes = labels[..., None] == np.arange(1, 5)
        expected = coco.encode(np.asfortranarray(planes, np.uint8))
        sizes = [{"size": list(shape), "counts": counts} for counts in _runs(labels)]
        assert coco.frPyObjects(sizes, *shape) == expected
    assert _runs(np.zeros((3, 3), np.uint16)) == []
