"""Each output through its client's documented commands: the samples are the Reader's."""

from __future__ import annotations

import importlib.util
import json
import shutil

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from bmgd_data import Reader, facts
from bmgd_data.export import FORMATS, export
from bmgd_data.metrics import Evaluator
from common import TINY
from redrawing import redrawn

# pycocotools and webdataset are behind numpy and Python here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
METHOD = "watershed"


def need(*modules):
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


@pytest.fixture(scope="module")
def test_split(tiny_root):
    return Reader("test", source=TINY, root=tiny_root, instances=METHOD)


@pytest.fixture(scope="module")
def exported(test_split, tmp_path_factory):
    """Every format is written once, in a folder of its name."""
    base = tmp_path_factory.mktemp("exported")

    def give(form):
        folder = base / form
        return folder if folder.exists() else export(test_split, form, folder)

    return give


# ------------------------------------------------------------------------- pictures through RGB


def correlations(pictures, reader):
    return [
        np.corrcoef(picture.astype(float).ravel(), sample["image"].ravel())[0, 1]
        for picture, sample in zip(pictures, reader, strict=True)
    ]


def coco_detection(folder):
    from torchvision.datasets import CocoDetection

    data = CocoDetection(str(folder / "images"), str(folder / "annotations_rle.json"))
    return [np.asarray(image) for image, _ in data]


def pillow(folder):
    from PIL import Image

    return [np.asarray(Image.open(file).convert("RGB")) for file in pictures_of(folder)]


def cv2_default(folder):
    import cv2

    return [cv2.imread(str(file)) for file in pictures_of(folder)]


def pictures_of(folder):
    files = [line.split(",")[0] for line in (folder / "index.csv").read_text().splitlines()[1:]]
    return [folder / file for file in files]


@pytest.mark.parametrize(
    ("form", "client"),
    [
        pytest.param("coco", coco_detection, marks=need("torchvision", "pycocotools")),
        pytest.param("coco", pillow, marks=need("pycocotools")),
        pytest.param("coco", cv2_default, marks=need("cv2", "pycocotools")),
    ],
)
def test_brightness_survives_rgb(form, client, exported, test_split):
    seen = client(exported(form))
    assert seen[0].shape == (256, 256, 3)
    assert seen[0].dtype == np.uint8
    first = [picture[..., 0] for picture in seen]
    for picture in seen:
        assert (picture == picture[..., :1]).all()
    assert min(correlations(first, test_split)) > 0.99
    # One scale for all: the same raw value is the same grey in every picture.
    raw = np.concatenate([sample["image"].ravel() for sample in test_split])
    np.testing.assert_array_equal(np.rint(raw * (255 / facts.FULL_SCALE)), np.ravel(first))


def test_the_scale_does_not_depend_on_the_image():
    from bmgd_data.export.pictures import in_8_bits

    values = np.array([[0, 1, 2000, 4095, 4385, 65535]], np.uint16)
    assert in_8_bits(values, 4095).tolist() == [[0, 0, 125, 255, 255, 255]]
    assert in_8_bits(np.arange(256, dtype=np.uint16)[None], 255).tolist() == [[*range(256)]]


@pytest.mark.parametrize("form", [pytest.param("coco", marks=need("pycocotools"))])
def test_the_card_says_what_clients_see(form, exported):
    text = (exported(form) / "README.md").read_text(encoding="utf-8")
    for told in (
        'convert("RGB")',
        "cv2.imread",
        "CocoDetection",
        "images_16bit",
        "IMREAD_UNCHANGED",
    ):
        assert told in text


# ----------------------------------------------- export, a client that is perfect, bmgd evaluate


def as_it_lies(folder, _out):
    """The label images of the export itself."""
    return folder


def cellpose_beside(folder, out):
    """Cellpose with --savedir."""
    for file in folder.glob("*_masks.tif"):
        shutil.copy(file, out / file.name.replace("_masks.tif", "_img_cp_masks.tif"))
    return out


def stardist_predict(folder, out):
    """`stardist-predict2d -i images/*.tif -o out`."""
    for file in folder.glob("masks/*.tif"):
        shutil.copy(file, out / f"{file.stem}.stardist.tif")
    return out


def ilastik_objects(folder, out):
    """ilastik's Object Identities, exported as TIFF with its default file names."""
    for file in folder.glob("masks/*.tif"):
        labels = tifffile.imread(file).astype(np.uint32)
        tifffile.imwrite(out / f"{file.stem}_Object Identities.tif", labels)
    return out


def upstream_layout(folder, out):
    for file in folder.glob("*/instances/*.tif"):
        target = out / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return out


def from_coco(folder, out):
    from pycocotools.coco import COCO

    coco = COCO(folder / "annotations_rle.json")
    for image in coco.loadImgs(coco.getImgIds()):
        labels = np.zeros((image["height"], image["width"]), np.uint16)
        for number, nucleus in enumerate(coco.loadAnns(coco.getAnnIds(image["id"])), 1):
            labels[coco.annToMask(nucleus) > 0] = number
        iio.imwrite(out / image["file_name"], labels)
    return out


def from_yolo(folder, out):
    """Polygons filled by OpenCV, as ultralytics fills them."""
    import cv2

    for file in folder.glob("labels/*.txt"):
        shape = iio.imread(folder / "images" / f"{file.stem}.png").shape
        labels = np.zeros(shape, np.uint16)
        for number, line in enumerate(file.read_text().splitlines(), 1):
            polygon = np.array(line.split()[1:], float).reshape(-1, 2) * shape[::-1]
            cv2.fillPoly(labels, [polygon.astype(np.int32)], number)
        iio.imwrite(out / f"{file.stem}.png", labels)
    return out


def collections_of_qupath(folder, _out):
    return folder / "geojson"


def masks_of_nnunet(folder, _out):
    return folder / "Dataset001_BMGD" / "labelsTs"


def from_shards(folder, out):
    import webdataset

    shards = sorted(map(str, folder.glob("*.tar")))
    for row in webdataset.WebDataset(shards, shardshuffle=False).decode():
        tifffile.imwrite(out / f"{row['__key__']}.tif", row["instances.npy.gz"])
    return out


def from_parquet(folder, out):
    import polars as pl

    for row in pl.read_parquet(folder / "*/*.parquet").iter_rows(named=True):
        path = out / f"{row['name']}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(row["instances"]["bytes"])
    return out


def rois_of_imagej(folder, out):
    for file in folder.glob("images/*.tif"):
        shape = tifffile.imread(file).shape
        rois = folder / "rois" / f"{file.stem}.zip"
        labels = redrawn(rois, shape) if rois.exists() else np.zeros(shape, np.uint16)
        tifffile.imwrite(out / file.name, labels)
    return out


def masks_of_folders(folder, _out):
    return folder / "masks"


ROUND_TRIPS = [
    ("tiff", upstream_layout, ()),
    ("cellpose", cellpose_beside, ()),
    ("folders", masks_of_folders, ()),
    ("folders", stardist_predict, ()),
    ("folders", ilastik_objects, ()),
    ("rois", rois_of_imagej, ("roifile",)),
    ("coco", from_coco, ("pycocotools",)),
    ("yolo", from_yolo, ("cv2",)),
    ("geojson", collections_of_qupath, ()),
    ("nnunet", masks_of_nnunet, ()),
    ("webdataset", from_shards, ("webdataset",)),
    ("parquet", from_parquet, ("datasets", "polars")),
]


def test_every_format_has_a_round_trip():
    assert {form for form, _, _ in ROUND_TRIPS} == set(FORMATS)


@pytest.mark.parametrize(
    ("form", "client"),
    [pytest.param(form, way, marks=need(*modules)) for form, way, modules in ROUND_TRIPS],
)
def test_perfect_labels_score_100(form, client, exported, tiny_root, tmp_path):
    evaluator = Evaluator("test", source=TINY, root=tiny_root, instances=METHOD)
    evaluator.add_folder(client(exported(form), tmp_path))
    for row in evaluator.table().rows:
        assert row.pixels.pooled.f1 == row.instances.pooled.f1 == row.instances.pooled.pq == 1
    read = "4 binary" if form == "nnunet" else "4 given as labels"  # its masks have two classes
    assert read in " ".join(evaluator.table().notes)


# --------------------------------------------------------------------------------- Croissant


@need("mlcroissant", "datasets")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:mlcroissant", "ignore::DeprecationWarning:rdflib"
)
def test_croissant(tiny_root, tmp_path, caplog):
    import mlcroissant

    readers = {
        split: Reader(split, source=TINY, root=tiny_root, instances=METHOD)
        for split in ("train", "val", "test")
    }
    folder = export(readers, "parquet", tmp_path / "out")
    with caplog.at_level("WARNING"):
        dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert {warning.split('"')[1].rsplit("/")[-1] for warning in issues.warnings} == {
        *("datePublished", "license"),  # not known
    }
    assert "context" not in caplog.text
    for split, reader in readers.items():
        named = {"val": "validation"}.get(split, split)
        for record, sample in zip(dataset.records(named), reader, strict=True):
            for key in ("image", "mask", "instances"):
                found = np.asarray(record[f"{named}/{key}"])
                assert found.dtype == sample[key].dtype
                np.testing.assert_array_equal(found, sample[key])
            assert record[f"{named}/name"].decode() == sample["name"]
            for key in ("stiffness_pa", "n_nuclei"):
                assert record[f"{named}/{key}"] == sample[key]
    splits = {
        record["splits/name"]: record["splits/images"] for record in dataset.records("splits")
    }
    assert splits == {"train": 40, "validation": 4, "test": 4}


@need("mlcroissant", "datasets", "tensorflow_datasets")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_croissant_opens_in_tfds(exported, tmp_path):
    """It takes versions of three numbers only."""
    from tensorflow_datasets.core.dataset_builders.croissant_builder import CroissantBuilder

    description = exported("parquet") / "croissant.json"
    builder = CroissantBuilder(jsonld=description, data_dir=tmp_path, file_format="array_record")
    assert {"image", "mask", "instances", "name"} <= {
        key.rsplit("/")[-1] for key in builder.info.features
    }


@need("datasets")
def test_croissant_says_what_is_known_and_no_more(exported, test_split):
    text = (exported("parquet") / "croissant.json").read_text(encoding="utf-8")
    content = json.loads(text)
    ids = [value for key, value in walk(content) if key == "@id"]
    assert ids
    assert not [name for name in ids if " " in name]
    for unknown in ("license", "datePublished", "creator", "publisher"):
        assert unknown not in content
    for key in (
        *("dataCollection", "dataAnnotationProtocol", "dataLimitations", "dataUseCases"),
        *("dataBiases", "dataPreprocessingProtocol", "personalSensitiveInformation"),
    ):
        assert content[f"rai:{key}"]
    assert any("straddle" in limit for limit in content["rai:dataLimitations"])
    assert "generated" in content["rai:dataCollection"]
    assert test_split.digest in content["description"]
    assert facts.DATA_LICENSE in content["description"]
    assert content["citeAs"] == facts.BIBTEX


def walk(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)
