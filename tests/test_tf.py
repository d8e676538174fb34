"""tf.data on the stored arrays."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numpy.lib.format import open_memmap

from bmgd_data import Reader, facts
from bmgd_data._system import locks
from bmgd_data.errors import BMGDWarning, StorageError
from common import TINY

# torch's Triton and TensorFlow both bring LLVM; Triton loaded second ends the process.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

import tensorflow as tf

import bmgd_data.tf as adapter
from bmgd_data.tf import protocol, to_tf

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own
HELD = pytest.mark.parametrize("in_memory", [True, False])


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root)


@pytest.fixture
def uneven(tmp_path, nuclei, write_7z):
    """Images of two stiffnesses that differ in size."""
    for condition, side in (("950 Pa", 32), ("1200 Pa", 48)):
        write_7z(tmp_path / f"{condition}.7z", nuclei(condition, side=side))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few and small images
        return Reader("all", [950, 1200], source=tmp_path)


def names(data):
    return [name.decode() for batch in data for name in np.atleast_1d(batch["name"].numpy())]


@HELD
@pytest.mark.parametrize("batch_size", [None, 5])
def test_features_are_those_of_the_records(reader, in_memory, batch_size):
    features = pytest.importorskip("bmgd_data.tfds.info").features(reader.images.shape[1:])
    records = tf.data.Dataset.from_generator(
        lambda: iter(()), output_signature=features.get_tensor_spec()
    )
    records = records.batch(batch_size) if batch_size else records
    ours = to_tf(reader, batch_size, in_memory=in_memory).element_spec
    assert {key: ours[key] for key in records.element_spec} == records.element_spec
    assert set(ours) == set(records.element_spec)


@HELD
@pytest.mark.parametrize("batch_size", [None, 5])
def test_elements_equal_the_samples_of_the_reader(reader, in_memory, batch_size):
    data = to_tf(reader, batch_size, in_memory=in_memory)
    assert data.cardinality() == (len(reader) if batch_size is None else -(-len(reader) // 5))
    rows = (data if batch_size is None else data.unbatch()).as_numpy_iterator()
    order = [condition.pa for condition in facts.CONDITIONS]
    for sample, row in zip(reader, rows, strict=True):
        assert row["name"].decode() == sample["name"]
        for key in ("image", "mask", "instances"):
            np.testing.assert_array_equal(row[key][..., 0], sample[key])
        assert row["stiffness_pa"] == sample["stiffness_pa"] == order[row["stiffness"]]
        assert row["n_nuclei"] == sample["n_nuclei"]


@HELD
def test_each_pass_has_another_order_and_the_seed_repeats_all_of_them(reader, in_memory):
    def passes(seed):
        data = to_tf(reader, 5, shuffle=True, seed=seed, in_memory=in_memory)
        return [names(data) for _ in range(3)]

    first, again, other = passes(7), passes(7), passes(8)
    assert first == again
    assert first != other
    orders = [reader.names, *first]
    assert len(set(map(tuple, orders))) == len(orders)
    assert all(sorted(order) == sorted(reader.names) for order in orders)
    places = [reader.names.index(name) for name in first[0][:5]]
    assert max(places) > 2 * len(places)  # as of all samples, not of the next few


@HELD
def test_shards_and_slices_divide_the_samples(reader, in_memory):
    shards = [names(to_tf(reader, 5, in_memory=in_memory).shard(2, i)) for i in range(2)]
    slices = [names(to_tf(reader[i::2], 5, in_memory=in_memory)) for i in range(2)]
    for parts in (shards, slices):
        assert all(parts)
        assert sorted(name for part in parts for name in part) == sorted(reader.names)


@HELD
def test_a_left_out_remainder_makes_all_shapes_known(reader, in_memory):
    data = to_tf(reader, 5, in_memory=in_memory, drop_remainder=True)
    assert data.element_spec["image"].shape == (5, *reader.images.shape[1:], 1)
    assert len(names(data)) == len(reader) // 5 * 5


@pytest.mark.parametrize("in_memory", [True, False, None])
def test_an_empty_split_is_an_empty_data_set(reader, in_memory):
    assert names(to_tf(reader[:0], 5, shuffle=True, in_memory=in_memory)) == []


@pytest.mark.parametrize(("limit", "held"), [(1, False), (2**30, True)])
def test_pictures_are_held_below_a_limit(reader, monkeypatch, limit, held):
    monkeypatch.setattr(adapter, "_HELD_BELOW", limit)
    at_once = []
    several = adapter._several

    def watched(*args):
        at_once.append(tf.executing_eagerly())
        return several(*args)

    monkeypatch.setattr(adapter, "_several", watched)
    to_tf(reader, 5)
    assert any(at_once) == held


def test_images_of_several_sizes_come_singly(uneven):
    data = to_tf(uneven, shuffle=True, seed=0)
    assert data.element_spec["image"].shape.as_list() == [None, None, 1]
    found = {row["name"].decode(): row["image"][..., 0] for row in data.as_numpy_iterator()}
    assert {image.shape for image in found.values()} == {(32, 32), (48, 48)}
    for sample in uneven:
        np.testing.assert_array_equal(found[sample["name"]], sample["image"])
    for options in ({"batch_size": 2}, {"in_memory": True}):
        with pytest.raises(ValueError, match="stiffness="):
            to_tf(uneven, **options)


def test_a_batch_size_below_one_is_refused(reader):
    with pytest.raises(ValueError, match="batch_size=0"):
        to_tf(reader, 0)


def test_mapped_files_are_not_copied_and_cannot_be_written(reader, monkeypatch):
    mapped = []
    monkeypatch.setattr(
        adapter,
        "open_memmap",
        lambda *args, **options: mapped.append(open_memmap(*args, **options)) or mapped[-1],
    )
    images = reader.of(facts.CONDITIONS[0]).images
    before = images[0].copy()
    tensor = adapter._shared(reader._parts[0].images)
    assert mapped[0].ctypes.data % 64 == 0
    mapped[0][0, 0, 0] = 4321
    assert int(tensor[0, 0, 0, 0]) == 4321
    np.testing.assert_array_equal(images[0], before)
    np.testing.assert_array_equal(np.load(mapped[0].filename)[0], before)


def test_what_is_done_with_mapped_batches_changes_no_file(reader):
    data = to_tf(reader, 5, in_memory=False)
    before = np.array(reader.images)
    for batch in data.map(lambda batch: batch["image"] + tf.constant(1, tf.uint16)):
        assert int(tf.reduce_min(batch)) > 0
    np.testing.assert_array_equal(reader.images, before)


def test_labels_that_a_read_only_root_keeps_in_memory_are_served(tmp_path, monkeypatch):
    Reader("all", "1200Pa", source=TINY, root=tmp_path)

    def refused(root, name):
        raise StorageError(f"Cannot write to {root}")

    monkeypatch.setattr(locks, "lock", refused)
    with pytest.warns(BMGDWarning, match="in memory"):
        split = Reader("all", "1200Pa", source=TINY, root=tmp_path, instances="watershed")
    (batch,) = to_tf(split, len(split), in_memory=False)
    np.testing.assert_array_equal(batch["instances"][..., 0], np.asarray(split.instances))


def test_a_store_that_was_removed_is_reported(tmp_path):
    removed = Reader("all", "1200Pa", source=TINY, root=tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(StorageError, match="make the Reader again"):
        to_tf(removed, 5)


def test_data_sets_come_and_go_while_their_threads_run(reader):
    for _ in range(15):
        for _batch in to_tf(reader, 5, shuffle=True, in_memory=False).repeat().take(2):
            pass
        iterator = iter(to_tf(reader, in_memory=False).prefetch(10))
        last = next(iterator)
        del iterator
    np.testing.assert_array_equal(last["image"][..., 0], reader[0]["image"])


def test_keras_fits_on_it(reader):
    import keras

    keras.utils.set_random_seed(0)
    side = reader.images.shape[1]
    net = keras.Sequential(
        [keras.Input((side, side, 1)), keras.layers.Conv2D(1, 3, padding="same")]
    )
    net.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    data = to_tf(reader[:16], 8, shuffle=True, seed=0).map(
        lambda batch: (tf.cast(batch["image"], tf.float32) / 4095.0, batch["mask"])
    )
    losses = net.fit(data, validation_data=data, epochs=2, shuffle=False, verbose=0).history
    assert losses["loss"][1] < losses["loss"][0]
    assert len(losses["val_loss"]) == 2


def test_without_tensorflow_the_error_holds_the_pip_line():
    code = "import sys; sys.modules['tensorflow'] = None; import bmgd_data.tf"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependencyError" in done.stderr
    assert 'pip install "bmgd-data[tf]"' in done.stderr


# ------------------------------------------------------------------------------- augmentation

STILL = {"flip": 0.0, "displacement": 0.0, "brightness": 0.0, "contrast": 0.0}


def places(count=8, height=256, width=256, *, rows=False):
    """Each picture holds the column (or row) of each of its pixels; the image as a share of 255."""
    axis = np.arange(height)[:, None] if rows else np.arange(width)[None]
    place = np.broadcast_to(axis, (height, width))[..., None].astype(np.uint16)
    row = {"image": np.float32(place / 255), "mask": np.uint8(place % 2), "instances": place}
    return tf.data.Dataset.from_tensors(row).repeat(count).batch(count, drop_remainder=True)


def drawn(data, **options):
    return next(data.apply(protocol(seed=0, **options)).as_numpy_iterator())


@pytest.mark.parametrize("rows", [False, True])
def test_the_augmentation_moves_image_mask_and_instances_together(rows):
    moved = drawn(places(rows=rows), brightness=0, contrast=0)
    assert moved["image"].shape == moved["instances"].shape == (8, 224, 224, 1)
    assert (moved["mask"].dtype, moved["instances"].dtype) == (np.uint8, np.uint16)
    instances = moved["instances"].astype(np.float32)
    assert np.abs(moved["image"] * 255 - instances).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(moved["mask"], instances % 2)
    for a in range(8):
        assert all(np.any(moved["instances"][a] != moved["instances"][b]) for b in range(a))


def test_its_field_has_the_documented_spread_and_smoothness():
    moved = drawn(places(64), crop=256, **STILL | {"displacement": 2.0})["image"][..., 0] * 255
    field = (moved - np.arange(256))[:, 16:-16, 16:-16]
    assert abs(field.mean()) < 0.1
    assert field.std() == pytest.approx(2, abs=0.08)
    for distance in (10, 20):
        for shifted, kept in (
            (field[:, distance:], field[:, :-distance]),
            (field[:, :, distance:], field[:, :, :-distance]),
        ):
            expected = np.exp(-((distance / 10) ** 2) / 4)
            assert np.mean(shifted * kept) / 4 == pytest.approx(expected, abs=0.06)


def test_rows_and_columns_are_drawn_independently():
    """The same seed draws the same numbers for both kinds of picture."""
    corners = [
        drawn(places(200, 12, 10, rows=rows), crop=8, **STILL)["instances"][:, 0, 0, 0].tolist()
        for rows in (True, False)
    ]
    assert len(set(zip(*corners, strict=True))) == 5 * 3
    still = np.mgrid[:64, :64]
    down, across = (
        drawn(places(64, 64, 64, rows=rows), crop=64, **STILL | {"displacement": 1.0})["image"]
        for rows in (True, False)
    )
    down, across = (255 * down[..., 0] - still[0], 255 * across[..., 0] - still[1])
    inside = (slice(None), slice(8, -8), slice(8, -8))
    assert abs(np.corrcoef(down[inside].ravel(), across[inside].ravel())[0, 1]) < 0.1


def test_grey_values_stay_in_0_to_1():
    bright = places(20, 8, 8).map(lambda row: row | {"image": row["image"] * 0 + 0.95})
    assert drawn(bright, crop=8, brightness=1.0)["image"].max() == 1.0


@pytest.mark.parametrize("rows", [False, True])
def test_its_parts_are_windows_flips_and_factors(rows):
    crops = drawn(places(200, 12, 10, rows=rows), crop=8, **STILL)["instances"][..., 0]
    first = crops[:, 0, 0].astype(int)
    assert set(first) == set(range(5 if rows else 3))
    np.testing.assert_array_equal(
        crops[:, :, 0] if rows else crops[:, 0], first[:, None] + np.arange(8)
    )
    flipped = drawn(places(500, 8, 8), crop=8, **STILL | {"flip": 0.3})["instances"]
    assert 0.2 < np.mean(flipped[:, 0, 0, 0] == 7) < 0.4
    small = drawn(places(20, 6, 6), crop=9, **STILL)["instances"][:, 0, :, 0]
    windows = [np.pad(np.arange(6), 3, "reflect")[start : start + 9] for start in range(4)]
    assert {tuple(line) for line in small} <= {tuple(window) for window in windows}
    shares = np.linspace(0.5, 1, 300, dtype=np.float32)[:, None, None, None]
    grey = places(300, 8, 8).map(lambda row: row | {"image": (row["image"] * 20 + 0.2) * shares})
    before = next(grey.as_numpy_iterator())["image"]
    factors = drawn(grey, crop=8, **STILL | {"brightness": 0.3})["image"] / before
    assert 0.7 <= factors.min() < 0.73
    assert 1.27 < factors.max() <= 1.3 + 1e-4
    starker = drawn(grey, crop=8, **STILL | {"contrast": 0.3})["image"]
    np.testing.assert_allclose(starker.mean((1, 2, 3)), before.mean((1, 2, 3)), atol=1e-4)
    ratio = starker.std((1, 2, 3)) / before.std((1, 2, 3))
    assert 0.7 <= ratio.min() < 0.73
    assert 1.27 < ratio.max() <= 1.3 + 1e-3


def test_its_seed_repeats_it_pass_by_pass():
    def passes():
        data = places(2).apply(protocol(seed=5))
        return [next(data.as_numpy_iterator())["image"] for _ in range(2)]

    first, again = passes(), passes()
    np.testing.assert_array_equal(first, again)
    assert np.any(first[0] != first[1])


def test_it_refuses_what_it_cannot_do(reader):
    with pytest.raises(TypeError, match="4095"):
        to_tf(reader, 4).apply(protocol())
    with pytest.raises(ValueError, match="batch_size="):
        to_tf(reader).apply(protocol())
    with pytest.raises(ValueError, match=r"crop, flip outside the valid range. crop is a whole"):
        protocol(crop=0, flip=1.5)


def test_it_takes_pairs_and_says_how_it_is_applied():
    pairs = places(4).map(lambda row: (row["image"], row["mask"]))
    image, mask = drawn(pairs, crop=(200, 100), brightness=0, contrast=0)
    assert image.shape == mask.shape == (4, 200, 100, 1)
    np.testing.assert_array_equal(np.rint(image * 255) % 2 == mask, True)  # noqa: FBT003
    with pytest.raises(TypeError, match=r"data\.apply\(protocol\(\)\)"):
        places(2).map(protocol())


def test_tensorflows_global_seed_does_not_matter_where_a_seed_is_given(reader):
    def made(given, seed):
        tf.random.set_seed(given)
        names = [n for b in to_tf(reader, 5, shuffle=True, seed=seed) for n in b["name"].numpy()]
        image = next(places(2).apply(protocol(crop=32, seed=seed)).as_numpy_iterator())["image"]
        return names, image.tobytes()

    assert made(1, 7) == made(2, 7)
    assert made(1, None) == made(1, None)
    assert all(one != other for one, other in zip(made(1, None), made(2, None), strict=True))


def test_pairs_are_those_of_the_dicts(reader):
    pairs = to_tf(reader, 2, as_supervised=True)
    for (image, mask), whole in zip(pairs, to_tf(reader, 2), strict=True):
        np.testing.assert_array_equal(image, whole["image"])
        np.testing.assert_array_equal(mask, whole["mask"])


def test_a_split_is_no_reader():
    with pytest.raises(TypeError, match=r"takes a Reader, and not 'train'.*Reader\('train'"):
        to_tf("train")
