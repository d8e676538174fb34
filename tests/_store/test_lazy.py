from __future__ import annotations

import pickle

import numpy as np
import pytest

from bmgd_data._store import store
from bmgd_data._store.arrays import LazyArray

PARTS = [np.arange(60, dtype=np.uint16).reshape(3, 4, 5), np.arange(100, 140).reshape(2, 4, 5)]
PARTS[1] = PARTS[1].astype(np.uint16)
for part in PARTS:
    part.flags.writeable = False
ROWS = np.array([[1, 1], [0, 2], [0, 0], [1, 0]], np.int32)
WHOLE = np.stack([PARTS[part][row] for part, row in ROWS])


@pytest.fixture
def lazy():
    return LazyArray(PARTS, ROWS, ["250Pa", "950Pa"])


def test_it_looks_like_the_stacked_array(lazy):
    assert (lazy.shape, lazy.dtype, lazy.ndim) == (WHOLE.shape, WHOLE.dtype, 3)
    assert (lazy.size, lazy.nbytes, len(lazy)) == (WHOLE.size, WHOLE.nbytes, 4)
    assert repr(lazy) == "LazyArray(shape=(4, 4, 5), dtype=uint16)"


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int64(2),
        slice(None),
        slice(None, None, -1),
        slice(3, 1),
        [2, 0, 0],
        np.array([3, -4]),
        np.array([True, False, False, True]),
        [],
        (1, 2),
        (1, slice(2), -1),
        (1, ..., 0),
        (slice(1, 3), 2),
        (slice(None), slice(1, 3), slice(None, None, 2)),
        ([0, 3], ..., 1),
        ([0, 3], slice(1, 3), 1),
        ([0, 3], 1, slice(None, None, -1)),
        ([0, 3], None, 1),
        ([True, False, False, True], -1, -1),
        ([0, 3], [1, 2]),
        ([0, 3], slice(None), [1, 2]),
        ([True, False, False, True], [1, 2], 0),
        ([], 1, slice(2)),
        (slice(None), 2, 3),
        (slice(3, 1), 2, 3),
        (slice(None), np.int64(2), None, 3),
        (slice(None, None, 2), ..., -1),
        (slice(None), None, ..., 1, 2),
        (slice(None), [1, 2], [3, 4]),
        (slice(None), np.eye(4, 5, dtype=bool)),
        (slice(None), True),
        ...,
        (..., 0),
        (..., 1, 2),
        (..., 3, 1, 2),
        (..., slice(2), None),
        (..., np.eye(4, 5, dtype=bool)),
        (..., 0, [1, 2]),
        None,
        (),
    ],
    ids=str,
)
def test_indexing_is_as_in_numpy(lazy, index):
    found, expected = lazy[index], WHOLE[index]
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("index", [4, -5, "a", 1.0, [[0, 1]], (0, 4), (slice(1), 4), [True, False]])
def test_wrong_indices(lazy, index):
    with pytest.raises(IndexError):
        lazy[index]


def test_one_image_is_a_read_only_view_and_several_are_a_copy(lazy):
    assert np.shares_memory(lazy[1], PARTS[0])
    assert not lazy[1].flags.writeable
    several = lazy[:2]
    several[:] = 0
    np.testing.assert_array_equal(lazy[:2], WHOLE[:2])


class Counted(np.ndarray):
    """Counts the elements that are read."""

    read = 0

    def __getitem__(self, index):
        found = np.asarray(self)[index]
        Counted.read += found.size
        return found


@pytest.mark.parametrize(
    ("index", "read"),
    [((slice(None), 2, 2), 4), ((..., 2, 2), 4), ((slice(2), 1), 10), (([0, 3], ..., 1), 8)],
    ids=str,
)
def test_only_what_is_asked_for_is_copied(index, read, monkeypatch):
    monkeypatch.setattr(Counted, "read", 0)
    parts = [part.view(Counted) for part in PARTS]
    found = LazyArray(parts, ROWS, ["250Pa", "950Pa"])[index]
    np.testing.assert_array_equal(found, WHOLE[index])
    assert Counted.read == read


def test_numpy_reads_it_as_an_array(lazy):
    np.testing.assert_array_equal(np.asarray(lazy), WHOLE)
    assert np.asarray(lazy, np.float32).dtype == np.float32
    assert np.mean(lazy) == WHOLE.mean()
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":  # before, False meant "if needed"
        with pytest.raises(ValueError, match="without copying"):
            np.array(lazy, copy=False)


def test_iteration(lazy):
    np.testing.assert_array_equal(np.stack(list(lazy)), WHOLE)


def test_no_rows():
    empty = LazyArray(PARTS, ROWS[:0], ["250Pa", "950Pa"])
    assert np.asarray(empty).shape == (0, 4, 5)


def test_parts_of_different_shapes_do_not_stack():
    other = np.zeros((1, 4, 6), np.uint16)
    with pytest.raises(ValueError, match=r"250Pa \(4, 5\), 950Pa \(4, 6\).*stiffness="):
        LazyArray([PARTS[0], other], ROWS, ["250Pa", "950Pa"])


def test_operators_and_functions_compute_as_with_an_array(lazy):
    for ours, theirs in (
        (lazy == 101, WHOLE == 101),
        (lazy != 101, WHOLE != 101),
        (lazy[:, 0] + lazy[:, 1], WHOLE[:, 0] + WHOLE[:, 1]),
        (lazy[::-1] < lazy, WHOLE[::-1] < WHOLE),
        (np.sqrt(lazy), np.sqrt(WHOLE)),
        (np.add.reduce(lazy), WHOLE.sum(0)),
        (np.mean(lazy, axis=(1, 2)), WHOLE.mean((1, 2))),
    ):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    with pytest.raises(TypeError):
        lazy += 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(lazy)


def test_a_pickle_holds_paths_where_there_are_files(lazy, tmp_path):
    large = np.arange(2 * 64 * 64, dtype=np.uint16).reshape(2, 64, 64)
    np.save(tmp_path / "labels.npy", large)
    mapped = LazyArray([store.mapped(tmp_path / "labels.npy")], np.array([[0, 1]]), ["250Pa"])
    pickled = pickle.dumps(mapped)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled), large[1:])  # noqa: S301
    assert not pickle.loads(pickled)[0].flags.writeable  # noqa: S301
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy)), WHOLE)  # noqa: S301
