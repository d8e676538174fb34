from __future__ import annotations

import errno
import json
import os
import pickle
import shutil

import numpy as np
import pytest

from bmgd_data import _pipeline, facts
from bmgd_data._origin import sources
from bmgd_data._store import store
from bmgd_data._store.store import Store
from bmgd_data._system import disk, home
from bmgd_data.errors import CorruptArchiveError
from bmgd_data.facts import parse_stiffness

(CONDITION,) = parse_stiffness(950)


@pytest.fixture
def path(tmp_path, nuclei, write_7z):
    """A store's folder."""
    write_7z(tmp_path / "source" / "950 Pa.7z", nuclei(count=4, side=16))
    source = sources.resolve(tmp_path / "source")
    with pytest.warns(match="with notes"):
        return _pipeline.open_store(_pipeline.Wanted(tmp_path / "home", source, CONDITION)).path


def test_opening_maps_read_only_arrays(path):
    opened = Store(path)
    assert len(opened) == 4
    assert opened.condition == CONDITION
    assert (opened.images.dtype, opened.masks.dtype) == (np.uint16, np.bool_)
    labels, counts, digest = opened.instances("components")
    assert digest == disk.sha256(path / "components" / "labels.npy")
    assert (labels.dtype, len(counts)) == (np.uint16, 4)
    for array in (opened.images, opened.masks, labels):
        assert array.shape == (4, 16, 16)
        assert isinstance(array.base, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_mounts_without_shared_maps_get_private_ones(path, monkeypatch):
    real = np.lib.format.open_memmap

    def refused(name, mode):
        if mode == "r":
            raise OSError(errno.ENODEV, "No such device")
        return real(name, mode=mode)

    monkeypatch.setattr(np.lib.format, "open_memmap", refused)
    opened = Store(path)
    assert opened.images.any()
    with pytest.raises(ValueError, match="read-only"):
        opened.images[0] = 0


def test_opening_writes_and_locks_nothing(path, tmp_path):
    def times():
        return {p: p.stat().st_mtime_ns for p in (tmp_path / "home").rglob("*")}

    before = times()
    opened = Store(path)
    assert opened.images.any()
    assert opened.verify() == []
    assert times() == before


def test_methods(path):
    assert Store(path).methods() == ["components"]
    assert Store(path).has("components")
    assert not Store(path).has("watershed")


@pytest.mark.parametrize(
    "index",
    ["", "{", "[]", "null", "{}", '{"shape": 3}'],
    ids=["empty", "cut", "list", "null", "no fields", "shape"],
)
def test_an_unreadable_index_is_damage(path, index):
    (path / "index.json").write_text(index)
    with pytest.raises(
        CorruptArchiveError,
        match=r"index.json is not readable.*Remove that folder.* rebuilt from the archive\.$",
    ):
        Store(path)


def test_a_missing_index_is_damage(path):
    (path / "index.json").unlink()
    with pytest.raises(CorruptArchiveError, match=r"damaged: index.json is missing"):
        Store(path)


@pytest.mark.parametrize("name", ["index.json", "images.npy"])
def test_a_store_that_cannot_be_read_now_is_not_called_damaged(path, name):
    """It may be intact, and in use: no message advises to remove it."""
    (path / name).unlink()
    (path / name).mkdir()  # root cannot open it either; a missing permission has the same effect
    with pytest.raises(CorruptArchiveError, match=rf"{name} cannot be read .* Check ") as told:
        _ = Store(path).images
    assert "Remove" not in str(told.value)


def test_an_index_of_an_unknown_condition_is_damage(path):
    index = json.loads((path / "index.json").read_text())
    (path / "index.json").write_text(json.dumps(index | {"condition": "7Pa"}))
    with pytest.raises(CorruptArchiveError, match="7Pa"):
        Store(path)


@pytest.mark.parametrize("name", ["index.json", "components/index.json"])
def test_an_index_without_a_seal_is_damage(path, name):
    content = json.loads((path / name).read_text())
    del content["seal"]
    (path / name).write_text(json.dumps(content))
    with pytest.raises(CorruptArchiveError, match=rf"damaged: {name} is not readable .*'seal'"):
        Store(path).instances("components")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("index.json", {"names": ["950Pa/000", "950Pa/001", "950Pa/002", "950Pa/9"]}),
        ("index.json", {"full_scale": 65535}),
        ("index.json", {"seal": "0"}),
        ("components/index.json", {"counts": [9, 9, 9, 9]}),
    ],
)
def test_verify_finds_a_changed_index(path, name, change):
    content = json.loads((path / name).read_text())
    assert content | change != content
    (path / name).write_text(json.dumps(content | change))
    assert Store(path).verify() == [f"{path / name} has changed since it was built"]


def test_a_store_of_another_key_is_refused(path):
    key = Store(path).index.key
    assert Store(path, key).index.key == key
    with pytest.raises(CorruptArchiveError, match=rf"was built from {key}, not from {key[:16]}0"):
        Store(path, key[:16] + "0" * 48)


def _cut(file):
    os.truncate(file, file.stat().st_size - 1)


@pytest.mark.parametrize(
    "harm",
    [
        _cut,
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"PK\x03\x04 a zip"),
        lambda file: np.save(file, np.zeros((4, 16, 16), np.float32)),
        lambda file: np.save(file, np.zeros((4, 16, 15), np.uint16)),
        lambda file: np.save(file, np.array([{}])),
    ],
    ids=["cut", "missing", "empty", "zip", "type", "shape", "pickle"],
)
def test_an_array_that_is_not_what_the_index_says_is_damage(path, harm):
    harm(path / "images.npy")
    with pytest.raises(CorruptArchiveError, match=r"images.npy .*Remove that folder"):
        _ = Store(path).images


class _Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def test_no_array_is_ever_unpickled(path, tmp_path):
    """np.load reads a file without its magic bytes as a pickle, which can run any code."""
    trace = tmp_path / "trace"
    (path / "images.npy").write_bytes(pickle.dumps(_Evil(str(trace))))
    with pytest.raises(CorruptArchiveError, match=r"damaged: images.npy is not readable"):
        _ = Store(path).images
    assert not trace.exists()


def test_a_damaged_side_index_is_damage(path):
    (path / "components" / "index.json").write_text("{}")
    with pytest.raises(CorruptArchiveError, match=r"components/index.json is not readable"):
        Store(path).instances("components")


def test_verify_names_an_index_that_is_damaged_after_opening(path):
    opened = Store(path)
    (path / "index.json").write_text("{")
    with pytest.raises(CorruptArchiveError, match=r"damaged: index.json is not readable"):
        opened.verify()


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "components/labels.npy"])
def test_verify_finds_one_flipped_bit(path, name):
    blob = bytearray((path / name).read_bytes())
    blob[-1] ^= 1
    (path / name).write_bytes(blob)
    assert Store(path).verify() == [f"{path / name} has changed since it was built"]


def test_verify_finds_a_missing_file(path):
    (path / "masks.npy").unlink()
    assert Store(path).verify() == [f"{path / 'masks.npy'} is missing"]


@pytest.mark.parametrize("name", ["labels.npy", "index.json"])
def test_verify_reports_missing_files_of_computed_labels(path, name):
    labels = path / store.folder_of("watershed")
    shutil.copytree(path / "components", labels)
    assert Store(path).verify() == []
    (labels / name).unlink()
    try:
        told = " ".join(Store(path).verify())
    except CorruptArchiveError as error:
        told = str(error)
    assert f"{name} is missing" in told


def test_verify_ignores_other_folders(path):
    (path / "@eaDir").mkdir()
    assert Store(path).verify() == []


def test_verify_names_a_file_without_permission(path, monkeypatch):
    def refused(file):
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(disk, "sha256", refused)
    with pytest.raises(CorruptArchiveError, match=r"images.npy cannot be read \(Permission denied"):
        Store(path).verify()


def test_verify_reports_the_bytes_that_it_reads(path):
    read = []
    Store(path).verify(read.append)
    names = ("images.npy", "masks.npy", "components/labels.npy")
    assert sum(read) == sum((path / name).stat().st_size for name in names)


def test_location_differs_by_key_condition_and_format(tmp_path, monkeypatch):
    places = {
        home.store(tmp_path, condition, key, store.FORMAT)
        for condition in facts.CONDITIONS
        for key in ("a" * 64, "b" * 64)
    }
    assert len(places) == 8
    assert (
        home.store(tmp_path, CONDITION, "a" * 64, store.FORMAT).name == "950Pa-aaaaaaaaaaaaaaaa-v2"
    )
    monkeypatch.setattr(store, "FORMAT", 3)
    assert home.store(tmp_path, CONDITION, "a" * 64, store.FORMAT) not in places
