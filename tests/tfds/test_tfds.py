"""The TFDS adapter; TensorFlow is imported here and nowhere else in the tests."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
import pytest

from bmgd_data import (
    ChecksumError,
    CorruptArchiveError,
    DatasetNotFoundError,
    Reader,
    StorageError,
    facts,
    splits,
)
from common import TINY
from roots import tmpfs

# torch's Triton and TensorFlow both bring LLVM; Triton loaded second ends the process.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

tfds = pytest.importorskip("tensorflow_datasets")
if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

import bmgd_data.tfds as adapter  # noqa: E402

CONFIGS = ["all", *(condition.name for condition in facts.CONDITIONS)]
SPLITS = ("train", "validation", "test")
DAMAGES = {
    "nothing but the folder": lambda folder: [path.unlink() for path in folder.iterdir()],
    "no metadata": lambda folder: (folder / "metadata.json").unlink(),
    "no info": lambda folder: (folder / "dataset_info.json").unlink(),
    "cut-off features": lambda folder: (folder / "features.json").write_text("{"),
    "cut-off info": lambda folder: (folder / "dataset_info.json").write_text(""),
    "a record file is gone": lambda folder: next(folder.glob("*test.tfrecord*")).unlink(),
}


@pytest.fixture(scope="module")
def prepared(tiny_root, tmp_path_factory):
    """Records of `TINY` in a folder that tests share, and do not change."""
    data_dir = tmp_path_factory.mktemp("records")
    for config in ("all", "1200Pa"):
        assert adapter.prepare(config, source=TINY, root=tiny_root, data_dir=data_dir) == data_dir
    return data_dir


@pytest.fixture
def tiny(tiny_root, monkeypatch):
    """The environment names `TINY` as the source."""
    monkeypatch.setenv("BMGD_SOURCE", TINY)
    monkeypatch.setenv("BMGD_HOME", str(tiny_root))


@pytest.fixture
def all_train(monkeypatch):
    """A scheme besides "random"."""
    scheme = lambda names, groups, condition: ["train"] * len(names)  # noqa: E731
    monkeypatch.setitem(splits.SCHEMES, "all train", scheme)


def python(code, environment=None):
    """Run code in another process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def by_name(samples):
    return {sample["name"].decode(): sample for sample in samples}


def assert_same(samples, reader):
    """The same samples by name, and the same pixels, instances and numbers."""
    found = by_name(samples)
    assert sorted(found) == sorted(reader.names)
    for expected in reader:
        sample = found[expected["name"]]
        for key, dtype in (("image", np.uint16), ("mask", np.uint8), ("instances", np.uint16)):
            assert sample[key].dtype == dtype
            assert sample[key].shape == (*expected[key].shape, 1)
            np.testing.assert_array_equal(sample[key][..., 0], expected[key])
        assert sample["stiffness_pa"] == expected["stiffness_pa"]
        assert CONFIGS[1 + sample["stiffness"]] == f"{expected['stiffness_pa']}Pa"
        assert sample["n_nuclei"] == expected["n_nuclei"]


@pytest.mark.parametrize("config", ["all", "1200Pa"])
def test_samples_equal_those_of_the_reader(config, prepared, tiny):
    stiffness = None if config == "all" else config
    for split in SPLITS:
        data = tfds.load(f"bmgd/{config}", split=split, data_dir=prepared)
        assert_same(tfds.as_numpy(data), Reader(split, stiffness))


def test_data_source_has_its_own_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("BMGD_SOURCE", "phantom:size=0.01")
    monkeypatch.setenv("BMGD_HOME", str(tmp_path / "own"))
    for split, samples in tfds.data_source("bmgd/950Pa").items():
        assert_same(samples, Reader(split, "950Pa"))
    tfds.load("bmgd/950Pa")
    assert len(list((tmp_path / "own" / "tfds").iterdir())) == 2


def test_data_source_into_a_named_folder_names_the_format(tiny, tmp_path):
    """TFDS chooses it only where neither a folder nor builder_kwargs is given."""
    named = {"split": "test", "builder_kwargs": {"file_format": "array_record"}}
    source = tfds.data_source("bmgd/950Pa", data_dir=tmp_path / "apart", **named)
    assert_same(source, Reader("test", "950Pa"))
    assert len(tfds.data_source("bmgd/950Pa", split="test", data_dir=tmp_path / "apart")) == 1
    with pytest.raises(NotImplementedError, match="array_record"):
        tfds.data_source("bmgd/950Pa", split="test", data_dir=tmp_path / "together")
    with pytest.raises(ValueError, match=r"already set to .*TFRECORD"):
        tfds.data_source("bmgd/950Pa", data_dir=tmp_path / "together", **named)


def test_other_instances_have_their_own_folder(tiny):
    builder = adapter.Builder(config="1800Pa", instances="watershed")
    builder.download_and_prepare()
    reader = Reader("test", "1800Pa", instances="watershed")
    assert_same(tfds.as_numpy(builder.as_dataset(split="test")), reader)
    assert builder.data_dir_root != adapter.Builder(config="1800Pa").data_dir_root


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"source": "phantom:size=0.02,seed=1"}, "data version"),
        ({"instances": "watershed"}, "inst"),
        ({"scheme": "all train"}, "scheme"),
    ],
)
def test_other_data_in_the_same_folder_is_refused(changed, what, prepared, tiny, all_train):
    with pytest.raises(ChecksumError, match=f"another {what}.*another data_dir") as caught:
        tfds.load("bmgd", data_dir=prepared, builder_kwargs=changed)
    assert str(prepared) in str(caught.value)


def test_records_of_another_scheme(tiny, all_train):
    builder = adapter.Builder(config="950Pa", scheme="all train")
    builder.download_and_prepare()
    assert set(builder.info.splits) == {"train"}
    assert builder.info.metadata["scheme"] == "all train"
    assert builder.data_dir_root != adapter.Builder(config="950Pa").data_dir_root


def test_records_that_name_no_scheme_are_random(prepared, tiny, tmp_path):
    """As version 0.1.0 wrote them."""
    shutil.copytree(prepared / "bmgd" / "1200Pa", tmp_path / "bmgd" / "1200Pa")
    (metadata,) = tmp_path.glob("bmgd/*/*/metadata.json")
    kept = json.loads(metadata.read_text())
    assert kept.pop("scheme") == "random"
    metadata.write_text(json.dumps(kept))
    assert len(tfds.load("bmgd/1200Pa", data_dir=tmp_path, split="test")) > 0


def test_records_of_another_version_of_a_method_are_refused(prepared, tiny, tmp_path):
    shutil.copytree(prepared / "bmgd" / "1200Pa", tmp_path / "bmgd" / "1200Pa")
    (kept,) = tmp_path.rglob("metadata.json")
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"instance_version": 0}))
    with pytest.raises(ChecksumError, match="another version of the instance method"):
        tfds.load("bmgd/1200Pa", data_dir=tmp_path)


def test_phantom_is_not_served_as_upstream(prepared, monkeypatch):
    """Prepared while BMGD_SOURCE named the phantom, loaded once it is unset."""
    monkeypatch.delenv("BMGD_SOURCE", raising=False)
    with pytest.raises(ChecksumError, match=r"generated.*asked for is upstream.*another source"):
        tfds.load("bmgd", data_dir=prepared)


def test_the_default_folder_holds_only_data_from_upstream(tiny_root, tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "default"))
    assert adapter.Builder().data_dir_root == tmp_path / "default"
    for apart in ({"source": TINY}, {"instances": "watershed"}, {"file_format": "array_record"}):
        builder = adapter.Builder(root=tiny_root, **apart)
        assert builder.data_dir_root.is_relative_to(tiny_root / "tfds")


def test_environment_is_read_at_construction(tiny, monkeypatch, tmp_path):
    builder = tfds.builder("bmgd")
    monkeypatch.setenv("BMGD_SOURCE", "phantom")
    monkeypatch.setenv("BMGD_HOME", str(tmp_path))
    copy = pickle.loads(pickle.dumps(builder))  # noqa: S301
    assert builder.source.location == copy.source.location == TINY
    assert builder.data_dir == copy.data_dir != tfds.builder("bmgd").data_dir


def test_metadata_describe_the_data(prepared, tiny):
    info = tfds.builder("bmgd", data_dir=prepared).info
    kept = json.loads((Path(info.data_dir) / "metadata.json").read_text())
    assert kept["digest"] == info.metadata["digest"] == Reader("all").digest
    assert (kept["source"], kept["instance_method"]) == (f"{TINY} (generated)", "components")
    assert info.description.startswith(f"Read from {TINY} (generated), not from upstream")
    assert info.supervised_keys == ("image", "mask")
    assert info.citation.split() == facts.BIBTEX.split()
    for fact in (*facts.SPLIT_SIZES.values(), f"{facts.NUCLEI:,}", f"{facts.IMAGES} confocal"):
        assert str(fact) in info.description


def test_parts_of_splits_pairs_and_shuffling(prepared, tiny):
    def load(**options):
        return tfds.load("bmgd", data_dir=prepared, **options)

    total = len(Reader("train"))
    assert len(load(split="train[:10%]")) == round(total / 10)
    assert len(load(split="train+test")) == total + len(Reader("test"))
    image, mask = next(iter(load(split="test", as_supervised=True)))
    assert (image.dtype.name, mask.dtype.name) == ("uint16", "uint8")
    shuffled = load(split="train", shuffle_files=True)
    assert sorted(by_name(tfds.as_numpy(shuffled))) == sorted(Reader("train").names)


def test_pictures(prepared, tiny, monkeypatch):
    """The thumbnail uses the whole range from black to white, and is not clipped."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    from PIL import Image

    data, info = tfds.load("bmgd", split="test", data_dir=prepared, with_info=True)
    html = tfds.as_dataframe(data, info).current_style.to_html()
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))
        for text in re.findall(r'base64,([^"]+)"', html)
    ]
    assert len(shown) == 3 * len(data)
    image, mask = shown[:2]
    assert image.min() < 20
    assert image.max() > 150
    assert (image == 255).mean() < 0.05
    assert len(np.unique(mask.reshape(-1, 3), axis=0)) > 1
    for key in ("image", "mask", "instances"):
        figure = tfds.show_examples(data, info, rows=1, cols=2, image_key=key)
        assert len(figure.axes) == 2


@pytest.mark.parametrize("config", ["300Pa", "al", "", 5])
def test_unknown_config(config):
    with pytest.raises(ValueError, match=f"Valid: {', '.join(map(repr, CONFIGS))}"):
        adapter.Builder(config=config)


def test_unknown_config_by_name():
    with pytest.raises(ValueError, match=r"Unknown config '300Pa'\. Valid: 'all', '250Pa'"):
        tfds.load("bmgd/300Pa")


def test_configs_are_read_like_stiffnesses(tiny):
    names = [adapter.Builder(config=config).builder_config.name for config in (1200, "250 Pa")]
    assert names == ["1200Pa", "250Pa"]
    assert adapter.Builder().builder_config.name == "all"
    assert list(adapter.Builder.builder_configs) == CONFIGS


def test_val_is_validation(prepared, tiny):
    def names(split):
        loaded = tfds.load("bmgd", split=split, data_dir=prepared)
        parts = loaded if isinstance(loaded, list) else [loaded]
        return [sorted(by_name(tfds.as_numpy(part))) for part in parts]

    assert names("val") == [sorted(Reader("val").names)]
    assert names(["val[:2]", "test"]) == names(["validation[:2]", "test"])
    assert names("train+val") == [sorted(Reader("train").names + Reader("val").names)]


def test_unknown_split_lists_the_valid_ones(prepared, tiny):
    with pytest.raises(ValueError) as caught:
        tfds.load("bmgd", split="vall", data_dir=prepared)
    assert all(split in str(caught.value) for split in SPLITS)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_records_that_are_not_whole(damage, prepared, tiny, tmp_path):
    shutil.copytree(prepared / "bmgd" / "1200Pa", tmp_path / "bmgd" / "1200Pa")
    (folder,) = (tmp_path / "bmgd" / "1200Pa").iterdir()
    damage(folder)
    with pytest.raises(CorruptArchiveError, match=r"not whole: .* missing.*Remove that folder"):
        tfds.load("bmgd/1200Pa", data_dir=tmp_path)
    shutil.rmtree(folder)
    assert len(tfds.load("bmgd/1200Pa", data_dir=tmp_path, split="test")) > 0


def test_a_kill_while_writing_leaves_nothing_that_is_served(tiny, tmp_path, monkeypatch):
    def killed(self, reader):
        yield from list(original(self, reader))[:1]
        raise KeyboardInterrupt

    original = adapter.Builder._generate_examples
    monkeypatch.setattr(adapter.Builder, "_generate_examples", killed)
    with pytest.raises(KeyboardInterrupt):
        tfds.load("bmgd/250Pa", data_dir=tmp_path)
    monkeypatch.setattr(adapter.Builder, "_generate_examples", original)
    data = tfds.load("bmgd/250Pa", data_dir=tmp_path, split="train")
    assert_same(tfds.as_numpy(data), Reader("train", "250Pa"))


@pytest.mark.filterwarnings("ignore:.*with notes:bmgd_data.BMGDWarning")  # what is tested here
def test_other_shapes(nuclei, write_7z, tmp_path):
    """Uniform shapes are static; shapes that differ between stiffnesses are left open."""
    for condition, side in (("250 Pa", 48), ("950 Pa", 32), ("1200 Pa", 32), ("1800 Pa", 32)):
        write_7z(tmp_path / "in" / f"{condition}.7z", nuclei(condition, side=side))
    for config, shape in (("950Pa", (32, 32, 1)), ("all", (None, None, 1))):
        for file_format in ("tfrecord", "array_record"):
            options = {"source": str(tmp_path / "in"), "file_format": file_format}
            adapter.prepare(config, **options)
            builder = adapter.Builder(config=config, **options)
            assert builder.info.features["image"].shape == shape
            stiffness = None if config == "all" else config
            reader = Reader("train", stiffness, source=tmp_path / "in")
            if file_format == "tfrecord":
                assert_same(tfds.as_numpy(builder.as_dataset(split="train")), reader)
            else:
                assert_same(builder.as_data_source(split="train"), reader)


@pytest.mark.filterwarnings("ignore:.*with notes:bmgd_data.BMGDWarning")
def test_a_split_may_be_empty(nuclei, write_7z, tmp_path):
    write_7z(tmp_path / "in" / "950 Pa.7z", nuclei(count=4))
    builder = adapter.Builder(config="950Pa", source=tmp_path / "in")
    builder.download_and_prepare()
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 4}


def test_no_bucket_is_used(tiny, tmp_path, monkeypatch):
    """Older versions of TFDS look into their bucket by default; BMGD is not there."""

    def asked(path):
        raise AssertionError(f"{path} was looked for")

    monkeypatch.setattr("tensorflow_datasets.core.utils.gcs_utils._is_gcs_disabled", False)
    monkeypatch.setattr("tensorflow_datasets.core.utils.gcs_utils.exists", asked)
    monkeypatch.setattr("socket.socket.connect", lambda self, address: asked(address))
    assert len(tfds.load("bmgd/950Pa", split="train", data_dir=tmp_path))


def test_offline_without_data_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("BMGD_OFFLINE", "1")
    with pytest.raises(DatasetNotFoundError, match="bmgd download"):
        tfds.load("bmgd", data_dir=tmp_path)
    assert not list(tmp_path.glob("bmgd/all/*"))


# ------------------------------------------------------------------ records that stand on their own


WITHOUT_PACKAGE = """
import io, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "bmgd_data":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
import tensorflow_datasets as tfds
base = sys.argv[1]
for folder in sys.argv[2:]:
    for split in ("train", "test"):
        load = tfds.data_source if folder.startswith("array") else tfds.load
        data = load("bmgd/950Pa", split=split, data_dir=f"{base}/{folder}")
        samples = list(tfds.as_numpy(data) if load is tfds.load else data)
        total = sum(int(s["image"].sum()) + int(s["instances"].sum()) for s in samples)
        print(folder, split, len(samples), total)
data, info = tfds.load("bmgd/950Pa", split="test", data_dir=f"{base}/{folder}", with_info=True)
assert tfds.as_dataframe(data, info).current_style.to_html().count("base64") == 3 * len(data)
tfds.show_examples(data, info, image_key="image", rows=1, cols=1)
print(sorted(info.metadata))
assert "bmgd_data" not in sys.modules
"""


# It holds fewer images than the paper counts.
OWN_FOLDER = pytest.mark.filterwarnings("ignore::bmgd_data.BMGDWarning")


@pytest.fixture(scope="module")
def own_folder(tiny_root, tmp_path_factory):
    """Unpacked folders as a source, with their own labels."""
    from bmgd_data.export import export

    reader = Reader("all", "950Pa", source=TINY, root=tiny_root, instances="watershed")
    return export(reader, "tiff", tmp_path_factory.mktemp("own") / "unpacked")


WAYS = [
    *((TINY, instances, "tfrecord") for instances in ("components", "watershed")),
    *(("folder", instances, "tfrecord") for instances in ("components", "watershed", "provided")),
    ("folder", "provided", "array_record"),
]


@pytest.fixture(scope="module")
def everywhere(tiny_root, own_folder, tmp_path_factory):
    """Records of each source and instance method, moved from where they were written."""
    written, moved = (tmp_path_factory.mktemp(name) for name in ("written", "moved"))
    readers = {}
    for source, instances, form in WAYS:
        name = f"{form}-{source.partition(':')[0]}-{instances}"
        options = {
            "source": own_folder if source == "folder" else source,
            "root": tiny_root,
            "instances": instances,
        }
        for _ in range(2):  # the second time they are there, and compared with what is asked for
            adapter.prepare("950Pa", data_dir=written / name, file_format=form, **options)
        readers[name] = [Reader(split, "950Pa", **options) for split in ("train", "test")]
    for folder in written.iterdir():
        folder.rename(moved / folder.name)
    return moved, readers


@OWN_FOLDER
@pytest.mark.slow
def test_records_are_read_without_this_package(everywhere):
    """In a process that cannot import this package, twice from each folder."""
    moved, readers = everywhere
    command = [sys.executable, "-c", WITHOUT_PACKAGE, str(moved), *sorted(readers)]
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    *lines, noted = done.stdout.splitlines()
    assert lines == [
        f"{name} {reader.split} {len(reader)} "
        f"{sum(int(s['image'].sum()) + int(s['instances'].sum()) for s in reader)}"
        for name in sorted(readers)
        for reader in readers[name]
    ]
    for key in (
        "digest",
        "full_scale",
        "instance_method",
        "licence",
        "pixel_size_um",
        "scheme",
        "units",
    ):
        assert repr(key) in noted


@OWN_FOLDER
def test_records_contain_no_path_of_the_machine(everywhere, tiny_root, own_folder):
    for path in everywhere[0].rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for place in (tiny_root, own_folder, Path.home()):
                assert str(place).encode() not in content, path
            assert b"bmgd_data.tfds.info" not in content, path


@OWN_FOLDER
def test_two_loads_in_one_process(tiny_root, own_folder, tmp_path):
    for source, instances, form in WAYS:
        options = {"root": tiny_root, "instances": instances}
        options["source"] = own_folder if source == "folder" else source
        kind = {"file_format": form}  # tfds.data_source names it only where nothing else is named
        load = tfds.load if form == "tfrecord" else tfds.data_source
        for split in ("train", "test"):
            data = load(
                "bmgd/950Pa",
                split=split,
                data_dir=tmp_path / f"{source[:7]}-{instances}-{form}",
                builder_kwargs=options | kind,
            )
            samples = tfds.as_numpy(data) if form == "tfrecord" else data
            assert_same(samples, Reader(split, "950Pa", **options))


def test_tfds_features_are_not_changed(prepared, tiny):
    """TFDS's registry of features holds no class of this package."""
    known = tfds.features.FeatureConnector._registered_features
    assert not [name for name, kind in known.items() if "bmgd" in f"{name} {kind.__module__}"]
    kept = (Path(tfds.builder("bmgd", data_dir=prepared).data_dir) / "features.json").read_text()
    assert "bmgd_data" not in kept


def test_records_of_a_part_are_never_served_as_all(tiny, tmp_path):
    few = {"download_config": tfds.download.DownloadConfig(max_examples_per_split=2)}
    for _ in range(2):
        part = tfds.load(
            "bmgd/950Pa", split="train", data_dir=tmp_path, download_and_prepare_kwargs=few
        )
        assert len(part) == 2
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        tfds.core.read_only_builder.builder_from_files("bmgd", config="950Pa", data_dir=tmp_path)
    whole, info = tfds.load("bmgd/950Pa", split="train", data_dir=tmp_path, with_info=True)
    assert len(whole) == len(Reader("train", "950Pa")) == len(list(whole))
    assert info.metadata["max_examples_per_split"] is None
    builder = tfds.builder("bmgd/950Pa", data_dir=tmp_path)
    builder.download_and_prepare(**few)
    assert builder.info.metadata["max_examples_per_split"] == 2
    assert len(builder.as_dataset(split="train")) == builder.info.splits["train"].num_examples == 2
    builder.download_and_prepare()
    assert len(builder.as_dataset(split="train")) == len(Reader("train", "950Pa"))


def test_a_folder_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "small").mkdir()
    with tmpfs(tmp_path / "small") as mount:
        mount("size=1m,ro")
        with pytest.raises(StorageError, match=r"small.*Read-only.*data_dir=.*--data-dir"):
            tfds.load("bmgd/950Pa", data_dir=tmp_path / "small")


@pytest.mark.slow
def test_standin(standin, tmp_path):
    """All 819, in both formats."""
    options = {"source": str(standin), "root": tmp_path, "instances": "watershed"}
    for file_format in ("tfrecord", "array_record"):
        builder = adapter.Builder(**options, file_format=file_format)
        builder.download_and_prepare()
        assert builder.info.splits.total_num_examples == facts.IMAGES
        for split in SPLITS:
            if file_format == "tfrecord":
                samples = tfds.as_numpy(builder.as_dataset(split=split))
            else:
                samples = builder.as_data_source(split=split)
            assert_same(samples, Reader(split, **options))


BARE = """
import os, sys
import tensorflow_datasets as tfds
data, info = tfds.load("bmgd/950Pa", split="test", with_info=True)
names = sorted(sample["name"].decode() for sample in tfds.as_numpy(data))
print(*names, info.metadata["source"], type(info.features["image"]).__name__, sep="|")
source = tfds.data_source("bmgd/950Pa", split="test", data_dir=os.environ["RECORDS"])
assert sorted(sample["name"].decode() for sample in source) == names
"""


@pytest.mark.slow
def test_bare_load_in_a_fresh_process(tiny_root, serve, tmp_path, monkeypatch):
    """Upstream's data, here from a server on this machine, prepared once and loaded by its name."""
    archives = Reader("test", "950Pa", root=tiny_root, source=TINY)
    folder = tiny_root / "sources" / archives.source.slug
    monkeypatch.setattr(facts, "UPSTREAM", serve(folder))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "default"))
    with pytest.warns(UserWarning, match="with notes"):  # fewer images than the paper counts
        assert adapter.prepare("950Pa") == tmp_path / "default"
    apart = adapter.prepare("950Pa", file_format="array_record")
    environment = {"TFDS_DATA_DIR": str(tmp_path / "default"), "RECORDS": str(apart)}
    done = python(BARE, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().split("|") == [*sorted(archives.names), "upstream", "Image"]


@pytest.mark.parametrize("missing", ["tensorflow", "tensorflow_datasets", "importlib_resources"])
def test_missing_framework(missing):
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from bmgd_data import MissingDependencyError\n"
        "try: import bmgd_data.tfds\n"
        "except MissingDependencyError as error: print(error)"
    )
    assert f"need {missing}" in done.stdout
    assert 'pip install "bmgd-data[tfds]"' in done.stdout, done.stderr


def test_as_tfds_tests_it(tiny, tmp_path):
    """Its own suite for data sets. Made here, so that collecting tests loads no TensorFlow."""

    class Case(tfds.testing.DatasetBuilderTestCase):
        DATASET_CLASS = adapter.Builder
        BUILDER_CONFIG_NAMES_TO_TEST = ("950Pa",)
        SPLITS = {"train": 10, "validation": 1, "test": 1}  # noqa: RUF012 - as TFDS declares it
        EXAMPLE_DIR = str(tmp_path)
        MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False  # arrays are mapped, which a bucket cannot do

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert result.testsRun >= 5
    assert not [text for _, text in result.errors + result.failures]


def test_first_use_warns_of_nothing(tiny, tmp_path):
    """TFDS checks this before it writes records, and logs a missing folder as a defect."""
    builder = adapter.Builder(config="1200Pa", data_dir=tmp_path)
    with unittest.TestCase().assertNoLogs("absl", "WARNING"):
        assert not builder.is_prepared()


def test_existing_records_are_seen(prepared, tiny):
    assert adapter.Builder(config="1200Pa", data_dir=prepared).is_prepared()


def test_val_is_a_split_in_what_tfds_makes_of_names(prepared, tiny):
    builder = adapter.Builder(config="1200Pa", data_dir=prepared)

    def names(split):
        found = builder.as_dataset(split=split)
        return [row["name"] for row in tfds.as_numpy(found)]

    for of in (
        lambda split: tfds.even_splits(split, 1)[0],
        lambda split: tfds.core.ReadInstruction(split, to=1, unit="abs"),
        lambda split: tfds.core.ReadInstruction(split) + tfds.core.ReadInstruction("test"),
    ):
        assert names(of("val")) == names(of("validation"))
    with pytest.raises(ValueError, match="Unknown split 'vale'"):
        names(tfds.core.ReadInstruction("vale"))


WRITE = """
import sys
import tensorflow_datasets as tfds
import bmgd_data.tfds
given = {"source": sys.argv[1], "root": sys.argv[2]}
rows = tfds.load("bmgd/250Pa", split="train", data_dir=sys.argv[3], builder_kwargs=given)
print(len(rows))
"""


@pytest.mark.slow
def test_processes_that_start_at_once_all_get_the_records(tiny_root, tmp_path):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, TINY, tiny_root, tmp_path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ended = [process.communicate() for process in started]
    assert [out.split()[-1:] for out, _ in ended] == [["10"]] * 3, ended
