from __future__ import annotations

import functools
import io
import itertools
import multiprocessing
import pickle
import shutil
from collections.abc import Sequence

import numpy as np
import py7zr
import pytest
import tifffile
from scipy import ndimage

from bmgd_data import Reader, facts
from bmgd_data._store import derived
from bmgd_data.errors import DatasetNotFoundError
from bmgd_data.metrics import instance_f1
from common import TINY

KEYS = ["image", "mask", "instances", "stiffness_pa", "n_nuclei", "name"]


@pytest.fixture
def reader(tiny_root):
    return Reader("all", root=tiny_root, source=TINY)


@pytest.fixture
def few(tmp_path, nuclei, write_7z):
    """Read ten images of 950 Pa, twenty of 250 Pa."""
    write_7z(tmp_path / "source" / "950 Pa.7z", nuclei(count=10))
    write_7z(tmp_path / "source" / "250 Pa.7z", nuclei("250 Pa", count=20))

    def read(split="all", stiffness=(250, 950), **options):
        return Reader(split, stiffness, source=tmp_path / "source", **options)

    with pytest.warns(match="with notes"):
        read()
    return read


def equal(one, other):
    return list(one) == list(other) == KEYS and all(
        np.array_equal(one[key], other[key]) for key in KEYS
    )


# ------------------------------------------------------------------------------------------- samples


def test_a_sample(reader):
    sample = reader[0]
    assert list(sample) == KEYS
    assert [sample[key].dtype for key in KEYS[:3]] == [np.uint16, np.bool_, np.uint16]
    assert {sample[key].shape for key in KEYS[:3]} == {(256, 256)}
    assert type(sample["stiffness_pa"]) is type(sample["n_nuclei"]) is int
    assert sample["stiffness_pa"] == 250
    assert sample["n_nuclei"] == sample["instances"].max() > 0
    assert sample["name"].startswith("250Pa/")
    np.testing.assert_array_equal(sample["instances"] > 0, sample["mask"])


def test_samples_cannot_be_written_to(reader):
    for key in KEYS[:3]:
        with pytest.raises(ValueError, match="read-only"):
            reader[0][key][0, 0] = 1


def test_samples_are_not_copied(reader):
    assert np.shares_memory(reader[3]["image"], reader[3]["image"])


def test_order_is_stiffness_then_name(reader):
    assert reader.stiffness_pa.tolist() == sorted(reader.stiffness_pa)
    expected = sorted(reader.names, key=lambda name: (int(name.split("Pa/")[0]), name))
    assert reader.names == expected


# ---------------------------------------------------------------------------------------- as sequence


def test_indices_behave_like_those_of_a_list(reader):
    count = len(reader)
    assert isinstance(reader, Sequence)
    assert count == 48
    assert equal(reader[-1], reader[count - 1])
    assert equal(reader[np.int64(5)], reader[5])
    assert not equal(reader[0], reader[1])
    for outside in (count, -count - 1):
        with pytest.raises(IndexError):
            reader[outside]
    for wrong in (1.0, None):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            reader[wrong]


def test_samples_are_found_by_name(reader):
    sample, name = reader[3], reader.names[3]
    assert sample in reader
    assert name in reader
    assert name not in reader[4:]
    assert reader.index(sample) == reader.index(name) == reader.index(name, -48, 4) == 3
    assert (reader.count(sample), reader[4:].count(name)) == (1, 0)
    with pytest.raises(ValueError, match=f"'{name}' is not in this Reader, or not in this part"):
        reader.index(name, 4)
    for wrong in (3, None, sample["image"], {"image": sample["image"]}, {}):
        assert wrong not in reader
        assert reader.count(wrong) == 0
        with pytest.raises(ValueError, match="not in this Reader"):
            reader.index(wrong)


def test_a_name_is_an_index(few):
    train, test = few("train"), few("test")
    for part in (train, train[::-2]):
        for place, name in enumerate(part.names):
            assert part[name]["name"] == name
            assert part.index(name) == place
    np.testing.assert_array_equal(train[train.names[5]]["image"], train[5]["image"])
    with pytest.raises(KeyError, match=f"No sample '{test.names[0]}'.*has it in split 'test'"):
        train[test.names[0]]
    with pytest.raises(KeyError, match=r"No sample '300Pa/1'.*names look like '250Pa/0"):
        train["300Pa/1"]
    with pytest.raises(KeyError, match="it holds no sample"):
        train[:0]["300Pa/1"]


def test_names_are_listed_once_for_searches(reader, monkeypatch):
    whole = pickle.loads(pickle.dumps(reader))  # noqa: S301
    names = whole.names
    assert names[3] in whole
    monkeypatch.setattr(Reader, "names", property(lambda self: pytest.fail("listed again")))
    assert [whole.index(name) for name in names] == list(range(len(names)))
    assert len(pickle.dumps(whole)) < 3000, "the list stays here"
    monkeypatch.undo()
    assert names[3] not in whole[4:]


def test_iteration(reader):
    assert [sample["name"] for sample in reader] == reader.names
    assert [sample["name"] for sample in reversed(reader)] == reader.names[::-1]
    part = reader._parts[-1]
    reader._parts[-1] = part._replace(instances=part.instances._replace(counts=[]))
    with pytest.raises(IndexError):
        list(reader)  # it must not look as if the samples ended there


@pytest.mark.parametrize(
    "index", [slice(3, 9), slice(None, None, -5), slice(-2, None), slice(9, 3), slice(0, 10**6)]
)
def test_a_slice_is_a_reader(reader, index):
    part = reader[index]
    assert type(part) is Reader
    assert part.names == reader.names[index]
    assert len(part) == len(part.names)
    np.testing.assert_array_equal(part.n_nuclei, reader.n_nuclei[index])
    np.testing.assert_array_equal(part.images, np.asarray(reader.images)[index])
    assert (part.digest, part.stats()) == (reader.digest, reader.stats())
    assert part[::-1].names == reader.names[index][::-1]


def test_the_whole_split_as_arrays(reader):
    for key, array in {
        "image": reader.images,
        "mask": reader.masks,
        "instances": reader.instances,
    }.items():
        assert array.shape == (48, 256, 256)
        assert array.dtype == reader[0][key].dtype
        np.testing.assert_array_equal(array, [sample[key] for sample in reader])
    for key, values in {
        "stiffness_pa": reader.stiffness_pa,
        "n_nuclei": reader.n_nuclei,
        "name": reader.names,
    }.items():
        assert list(values) == [sample[key] for sample in reader]


# ------------------------------------------------------------------------------- splits and stiffness


def test_splits_divide_the_whole(few):
    parts = {split: set(few(split).names) for split in ("train", "val", "test")}
    assert {split: len(names) for split, names in parts.items()} == {
        "train": 24,
        "val": 3,
        "test": 3,
    }
    assert set.union(*parts.values()) == set(few().names)
    assert few("validation").names == few("val").names
    assert Reader.__init__.__defaults__ == ("train", None)


def test_membership_does_not_depend_on_other_stiffnesses(few):
    together = [name for name in few("test").names if name.startswith("950Pa")]
    assert few("test", "950 Pa").names == together


def test_only_the_requested_stiffness_is_needed(few, tmp_path):
    (tmp_path / "source" / "250 Pa.7z").unlink()
    assert len(few("all", 950)) == 10
    with pytest.raises(DatasetNotFoundError, match=r"250 Pa.7z.*stiffness="):
        few("all")


def test_a_split_may_be_empty(few, tmp_path, nuclei, write_7z):
    write_7z(tmp_path / "one" / "950 Pa.7z", nuclei(count=1))
    with pytest.warns(match="with notes"):
        empty = Reader("val", 950, source=tmp_path / "one")
    assert len(empty) == 0
    assert list(empty) == empty.names == []
    assert np.asarray(empty.images).shape == (0, 32, 32)
    assert empty.n_nuclei.shape == empty.stiffness_pa.shape == (0,)
    assert "950Pa: 0 images, 0 nuclei" in repr(empty)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"split": "dev"}, "'validation'"),
        ({"stiffness": "soft"}, "'1200Pa'"),
        ({"scheme": "best"}, "'random'"),
        ({"instances": "nuclei"}, "'watershed'"),
        ({"source": "ftp://host/"}, "'phantom'"),
        ({"source": "phantom:huge"}, "phantom:full"),
    ],
)
def test_wrong_arguments_list_the_valid_ones_and_fetch_nothing(wrong, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        Reader(**wrong)
    assert not (tmp_path / "home").exists()


# ------------------------------------------------------------------------------------------ instances


def test_watershed_is_computed_once(few, monkeypatch):
    first = few(instances="watershed")
    monkeypatch.setitem(
        derived.instances.DERIVED, "watershed", lambda _: pytest.fail("computed again")
    )
    again = few(instances="watershed")
    np.testing.assert_array_equal(first.instances, again.instances)
    assert (again.n_nuclei >= few().n_nuclei).all()
    assert again.digest == few().digest, "the data is the same"


def test_provided_labels_that_the_archive_lacks(few):
    with pytest.raises(DatasetNotFoundError, match=r"250Pa has no .*'components'.*'watershed'"):
        few(instances="provided")


# ------------------------------------------------------------------------------------- about the data


def test_stats_are_those_of_the_train_split_in_every_split(few):
    pixels = np.asarray(few("train").images) / 4095
    for split in ("train", "val", "all"):
        mean, std = few(split).stats()
        assert mean == pytest.approx(pixels.mean(), rel=1e-12)
        assert std == pytest.approx(pixels.std(), rel=1e-9)


def test_stats_scale_each_stiffness_by_its_own_full_scale(tmp_path, nuclei, write_7z):
    files = nuclei(count=10, bits=8)
    write_7z(tmp_path / "source" / "950 Pa.7z", files)
    write_7z(tmp_path / "source" / "250 Pa.7z", nuclei("250 Pa", count=10))
    with (
        pytest.warns(match="with notes"),
        pytest.warns(match=r"scales: images are on a scale of 0..4095 in one and of 0..255"),
    ):
        reader = Reader("train", [250, 950], source=tmp_path / "source")
    assert reader.full_scales == {250: 4095, 950: 255}
    pixels = [sample["image"] / reader.full_scales[sample["stiffness_pa"]] for sample in reader]
    assert reader.stats() == pytest.approx((np.mean(pixels), np.std(pixels)), rel=1e-9)


def test_repr(few, reader, tmp_path):
    text = repr(few("train"))
    for part in (
        "Reader: 24 images, split 'train' (random)",
        f"250Pa: 16 images, {few('train', 250).n_nuclei.sum()} nuclei",
        f"950Pa: 8 images, {few('train', 950).n_nuclei.sum()} nuclei",
        "Instances: components",
        f"Source: {tmp_path / 'source'}",
        f"Data version: {few().digest[:12]}",
        f"Licence of BMGD: {facts.DATA_LICENSE}",
        facts.PAPER_URL,
    ):
        assert part in text
    assert "generated" in repr(reader)
    assert "Licence" not in repr(reader), "generated data is not BMGD"


def test_the_digest_depends_on_the_data_and_not_on_its_packing(few, tmp_path, write_7z, nuclei):
    digest = few("all", 950).digest
    assert few("train", 950).digest == digest != few("all").digest != few("all", 250).digest
    unpacked = tmp_path / "unpacked"
    for path, blob in nuclei(count=10).items():
        (unpacked / path).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / path).write_bytes(blob)
    with pytest.warns(match="with notes"):
        assert Reader("all", 950, source=unpacked).digest == digest


def test_corrected_masks_in_a_folder_are_read_again(tmp_path, nuclei, tiff):
    for path, blob in nuclei(count=2).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(blob)
    with pytest.warns(match="with notes"):
        before = Reader("all", 950, source=tmp_path)
    edited = np.where(ndimage.binary_dilation(before[0]["mask"]), 255, 0).astype(np.uint8)
    (tmp_path / "950 Pa/mask/000.tif").write_bytes(tiff(edited))
    with pytest.warns(match="with notes"):
        after = Reader("all", 950, source=tmp_path)
    np.testing.assert_array_equal(after[0]["mask"], edited > 0)
    assert not np.array_equal(before[0]["mask"], edited > 0)
    assert before.digest != after.digest


# ------------------------------------------------------------------------------------------- pickling


def summed(reader):
    return int(reader[-1]["image"].sum()), reader.names[-1], reader.digest


def test_pickles_carry_no_pixels_and_work_in_another_process(reader):
    for part in (reader, reader[10:20]):
        pickled = pickle.dumps(part)
        assert len(pickled) < 3000
        assert summed(pickle.loads(pickled)) == summed(part)  # noqa: S301
        assert repr(pickle.loads(pickled)) == repr(part)  # noqa: S301
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(summed, [reader]) == summed(reader)


# ------------------------------------------------------------------------------------- stand-in data


@pytest.fixture(scope="module")
def truth(standin):
    """Every member of every archive, decoded with py7zr and tifffile alone."""
    pixels = {}

    class Kept(py7zr.io.WriterFactory):
        def create(self, filename):
            class Blob(py7zr.io.Py7zBytesIO):
                def close(self):
                    pixels[filename] = tifffile.imread(io.BytesIO(self._buffer.getvalue()))

            return Blob(filename, 2**30)

    for archive in sorted(standin.glob("*.7z")):
        with py7zr.SevenZipFile(archive) as seven:
            seven.extractall(factory=Kept())
    return pixels


@pytest.fixture(scope="module")
def read_standin(standin, tmp_path_factory):
    root = tmp_path_factory.mktemp("standin-root")
    return functools.partial(Reader, source=standin, root=root)


def _path(name, role):
    pa, stem = name.split("Pa/", 1)
    return f"{pa} Pa/{role}/{stem}.tif"


def check_standin(reader, truth):
    assert len(reader) == facts.IMAGES == 819
    counts = {c.pa: (reader.stiffness_pa == c.pa).sum() for c in facts.CONDITIONS}
    assert counts == {c.pa: c.images for c in facts.CONDITIONS}
    assert {_path(name, "image") for name in reader.names} == {
        path for path in truth if "/image/" in path
    }
    for sample in reader:
        image, mask = (truth[_path(sample["name"], role)] for role in ("image", "mask"))
        assert sample["image"].dtype == image.dtype == np.uint16
        assert sample["image"].tobytes() == image.tobytes()
        assert (sample["mask"] * np.uint8(255)).tobytes() == mask.tobytes()
        assert sample["stiffness_pa"] == int(sample["name"].split("Pa")[0])


@pytest.mark.slow
def test_standin_as_archives_as_folders_and_over_http(
    standin, read_standin, truth, tmp_path, serve
):
    unpacked = tmp_path / "unpacked"
    for condition in facts.CONDITIONS:
        with py7zr.SevenZipFile(standin / condition.archive) as seven:
            seven.extractall(unpacked)
    digests = set()
    for read in (
        read_standin,
        functools.partial(Reader, source=unpacked, root=tmp_path / "folders"),
        functools.partial(Reader, source=serve(standin), root=tmp_path / "http"),
    ):
        reader = read("all")
        check_standin(reader, truth)
        sizes = {split: len(read(split)) for split in facts.SPLIT_SIZES}
        assert sizes == {"train": 655, "val": 82, "test": 82}
        assert all(store.verify() == [] for store in reader._division.stores)
        assert len(pickle.dumps(reader)) < 20_000
        digests.add(reader.digest)
    assert len(digests) == 1
    shutil.rmtree(unpacked)


@pytest.mark.slow
def test_standin_statistics_agree_with_numpy(read_standin):
    reader = read_standin("train")
    scales = np.array([reader.full_scales[pa] for pa in reader.stiffness_pa])
    pixels = np.asarray(reader.images) / scales[:, None, None]
    mean, std = reader.stats()
    assert mean == pytest.approx(pixels.mean(), rel=1e-9)
    assert std == pytest.approx(pixels.std(), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "at_least"), [("components", 0.87), ("watershed", 0.96)])
def test_standin_instances_agree_with_the_true_ones(method, at_least, read_standin, truth, capsys):
    """Pooled over all 819 images, at an intersection over union above one half."""
    reader = read_standin("all", instances=method)
    true = [truth[_path(name, "instance")] for name in reader.names]
    score = instance_f1(true, reader.instances)
    with capsys.disabled():
        print(f"\npooled instance F1 of {method} on the stand-in data: {score:.4f}")
    assert score >= at_least


@pytest.mark.slow
def test_standin_nuclei_are_split_where_they_touch_and_seldom_elsewhere(
    read_standin, truth, capsys
):
    """On images that were not used in the fit: the validation and test images."""
    true, found, lone, cut = [], [], 0, 0
    for sample in itertools.chain(
        *(read_standin(s, instances="watershed") for s in ("val", "test"))
    ):
        true.append(truth[_path(sample["name"], "instance")])
        found.append(sample["instances"])
        regions, _ = ndimage.label(sample["mask"], np.ones((3, 3)))
        # A lone nucleus is one region of the mask, and has it to itself.
        met = np.unique([true[-1][sample["mask"]], regions[sample["mask"]]], axis=1)
        nuclei, in_regions = (np.bincount(labels) for labels in met)
        alone = met[:, (nuclei[met[0]] == 1) & (in_regions[met[1]] == 1)][0]
        lone += len(alone)
        cut += sum(len(np.unique(found[-1][true[-1] == nucleus])) > 1 for nucleus in alone)
    score = instance_f1(true, found)
    with capsys.disabled():
        print(f"\nwatershed, val and test: F1 {score:.4f}, {cut} of {lone} lone nuclei split")
    assert score >= 0.965
    assert cut <= 0.008 * lone


@pytest.mark.parametrize(
    ("split", "says"),
    [("./data", "root= for where data is kept"), (["train", "val"], "One at a time")],
)
def test_first_guesses_of_a_split_lead_on(split, says):
    with pytest.raises(ValueError, match=f"Unknown split .*{says}"):
        Reader(split, source="phantom")


@pytest.mark.parametrize("name", ["mean", "max", "astype"])
def test_methods_of_arrays_lead_to_a_copy(few, name):
    reader = few()
    with pytest.raises(AttributeError, match=rf"np\.asarray\(reader\.images\)\.{name}"):
        getattr(reader.images, name)
    assert np.mean(reader.images) == np.asarray(reader.images).mean()
    assert not hasattr(reader.images, "no_such_thing")
