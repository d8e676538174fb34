"""From files to a store: building and intake. Every form of input is in test_matrix.py."""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import pytest

from bmgd_data import facts, instances
from bmgd_data._container.members import Member
from bmgd_data._ingest import build
from bmgd_data._store import store
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError, StorageError

CONDITION = next(c for c in facts.CONDITIONS if c.name == "950Pa")


class Files:
    """An archive in memory."""

    def __init__(self, files, path, lost=()):
        self.path, self.files, self.lost = path, files, lost
        self.unpacks = "" if path.is_dir() else "py7zr x"
        self.members = [Member(name, len(data)) for name, data in files.items()]

    def stream(self, sink):
        for name, data in self.files.items():
            if name not in self.lost:
                sink(name, data)


@pytest.fixture
def final(tmp_path):
    return tmp_path / "stores" / "950Pa-key-v2"


@pytest.fixture
def make(tmp_path, final):
    def make(files, lost=(), progress=None):
        build.build(Files(files, tmp_path / "950 Pa.7z", lost), CONDITION, "key", final, progress)
        return store.Store(final)

    return make


def test_index(make, nuclei, tiff):
    files = nuclei(count=3)
    opened = make(files)
    index = opened.index
    assert (index.format, index.condition, index.key) == (store.FORMAT, "950Pa", "key")
    assert index.names == ["950Pa/000", "950Pa/001", "950Pa/002"]
    assert (index.shape, index.full_scale) == ((3, 32, 32), 4095)
    images = opened.images.astype(np.int64)
    assert (index.minimum, index.maximum) == (images.min(), images.max())
    assert index.sums == images.sum((1, 2)).tolist()
    assert index.sums_of_squares == (images**2).sum((1, 2)).tolist()
    assert set(index.digests) == {"images.npy", "masks.npy"}
    for name, digest in index.digests.items():
        assert hashlib.sha256((opened.path / name).read_bytes()).hexdigest() == digest
    assert {"bmgd-data", "numpy", "tifffile"} <= set(index.versions)
    assert opened.instances("components").counts == [
        instances.components(mask).max() for mask in opened.masks
    ]
    assert opened.verify() == []


def test_the_order_of_files_does_not_matter(make, nuclei, final):
    files = list(nuclei(count=6).items())
    expected = make(dict(files)).index
    final.rename(final.with_name("first"))
    random.Random(1).shuffle(files)
    assert make(dict(files)).index == expected


def test_progress_counts_every_member_once(make, nuclei):
    steps = []
    make(nuclei(count=4) | {"950 Pa/Thumbs.db": b""}, progress=steps.append)
    assert steps == [1] * 9


def test_a_listed_file_that_is_missing_is_damage(make, nuclei, final):
    """Otherwise its row is silently black."""
    lost = "950 Pa/mask/001.tif"
    with pytest.raises(CorruptArchiveError, match=f"{lost}: listed, but missing in the archive"):
        make(nuclei(count=3), lost=[lost])
    assert not final.parent.exists()


def test_all_damage_is_reported_at_once(make, nuclei, final):
    files = {name: b"" if "/image/" in name else blob for name, blob in nuclei(count=14).items()}
    with pytest.raises(CorruptArchiveError, match=r"14 fault\(s\) found") as caught:
        make(files)
    assert "\n  14 files, e.g. 950 Pa/image/000.tif, " in str(caught.value)
    assert str(caught.value).count("an empty file") == 1
    assert not final.parent.exists()


def test_a_full_disk_is_reported_before_anything_is_written(make, nuclei, final, monkeypatch):
    def full(folder, need, what):
        assert need == 7 * 3 * 32 * 32
        raise StorageError("full")

    monkeypatch.setattr(disk, "require_space", full)
    with pytest.raises(StorageError, match=r"^full$"):
        make(nuclei(count=3))
    assert not final.parent.exists()


def test_an_error_after_reading_leaves_no_store(tmp_path, final, nuclei, monkeypatch):
    files = Files(nuclei(count=3), tmp_path / "950 Pa.7z")
    read = []
    stream = files.stream
    monkeypatch.setattr(files, "stream", lambda sink: (stream(sink), read.append(1)))

    def check():
        assert read
        raise CorruptArchiveError("changed")

    with pytest.raises(CorruptArchiveError, match=r"^changed$"):
        build.build(files, CONDITION, "key", final, check=check)
    assert not final.parent.exists()


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_damage_says_what_to_do(tmp_path, final, kind):
    path = tmp_path / "950 Pa.7z"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(CorruptArchiveError) as caught:
        build.build(Files({"image/a.tif": b""}, path), CONDITION, "key", final)
    assert (f'Unpack it with `python -m py7zr x "{path}" "950 Pa"`' in str(caught.value)) == (
        kind == "archive"
    )
    assert "fix or remove the files named" in str(caught.value).lower()
    assert "Fetch it again" not in str(caught.value)


def test_an_interrupt_leaves_nothing(make, nuclei, final):
    def interrupt(_steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(nuclei(count=3), progress=interrupt)
    assert not final.parent.exists()


@pytest.mark.parametrize(
    ("top", "dtype", "says"),
    [
        (255, np.uint16, "16-bit files with values 0..255 only: were they rescaled to 8 bits?"),
        (256, np.uint16, None),
        (4095, np.uint16, None),
        (5000, np.uint16, None),
        (200, np.uint8, "images with values 0..200, where the paper has 0..4095"),
    ],
)
def test_another_range_of_values_is_noted(make, tiff, top, dtype, says):
    image = np.zeros((256, 256), dtype)
    image[0, 0] = top
    mask = np.eye(256, dtype=np.uint8)
    notes = make({"image/a.tif": tiff(image), "mask/a.tif": tiff(mask)}).index.notes
    assert [line for line in notes if "values" in line] == ([says] if says else [])


def test_unusual_label_files_are_counted(make, tiff):
    grey = np.zeros((9, 9), np.uint16)
    grey[1:3, 1:3] = 1
    colour = np.dstack([grey.astype(np.uint8)] * 3)
    files = {f"{role}/{name}.tif": tiff(grey) for role in ("image", "mask") for name in "ab"}
    labels = {f"labels/{name}.tif": tiff(colour, photometric="rgb") for name in "ab"}
    assert "2 label files stored as colour" in make(files | labels).index.notes


@pytest.mark.parametrize("sides", [(8, 9), (9, 8), (8, 8)])
def test_label_files_of_another_shape_than_the_images_are_not_used(make, tiff, sides):
    square = np.eye(9, dtype=np.uint8)
    files = {f"{role}/{name}.tif": tiff(square) for role in ("image", "mask") for name in "ab"}
    labels = {
        f"labels/{name}.tif": tiff(np.eye(side, dtype=np.uint8))
        for name, side in zip("ab", sides, strict=True)
    }
    opened = make(files | labels)
    shapes = sorted({(side, side) for side in sides})
    assert f"label-files are not used as instances: their shapes are {shapes}" in opened.index.notes
    assert opened.methods() == ["components"]


@pytest.mark.parametrize(("broken", "are_labels"), [(1, True), (2, True), (3, False)])
def test_a_few_nuclei_in_two_pieces_are_still_labels(make, tiff, broken, are_labels):
    """1.1 regions per label are allowed; here are twenty labels."""
    labels = np.zeros((40, 40), np.uint8)
    for number in range(20):
        y, x = divmod(number, 5)
        labels[1 + 9 * y : 7 + 9 * y, 1 + 7 * x : 6 + 7 * x] = number + 1
        if number < broken:
            labels[3 + 9 * y, 1 + 7 * x : 6 + 7 * x] = 0
    files = {"image/a.tif": tiff(labels.astype(np.uint16)), "mask/a.tif": tiff(labels)}
    if are_labels:
        opened = make(files)
        assert opened.instances("provided").counts == [20]
        np.testing.assert_array_equal(opened.instances("provided").labels[0], labels)
    else:
        with pytest.raises(CorruptArchiveError, match=r"mask/a.tif: neither a binary mask nor"):
            make(files)


def test_labels_in_a_folder_are_preferred_to_those_in_the_masks(make, tiff):
    mask = np.zeros((9, 9), np.uint8)
    mask[1:3, 1:3], mask[5:7, 5:7] = 1, 2
    files = {"image/a.tif": tiff(mask.astype(np.uint16)), "mask/a.tif": tiff(mask)}
    opened = make(files | {"labels/a.tif": tiff(np.where(mask, 3 - mask, 0).astype(np.uint8))})
    assert opened.instances("provided").labels[0, 1, 1] == 2
    assert "many-valued-masks are not used as instances: superseded" in opened.index.notes


def test_digest_depends_on_pixels_names_and_scale_and_not_on_the_key(make, nuclei, final):
    files = nuclei(count=3)
    digest = make(files).index.digest
    for number, other in enumerate(
        (
            {name.replace("000", "999"): blob for name, blob in files.items()},
            files | {"950 Pa/image/000.tif": files["950 Pa/image/001.tif"]},
            files | {"950 Pa/mask/000.tif": files["950 Pa/mask/001.tif"]},
        )
    ):
        final.rename(final.with_name(str(number)))
        assert make(other).index.digest != digest
    index = json.loads((final / "index.json").read_text())
    index["key"] = "another"
    (final / "index.json").write_text(json.dumps(index))
    other_key = store.Store(final).index.digest
    index["full_scale"] = 65535
    (final / "index.json").write_text(json.dumps(index))
    assert store.Store(final).index.digest != other_key
