from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmgd_data import instances
from bmgd_data.errors import CorruptArchiveError

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


def discs(*centres, radius=9, shape=(48, 64)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centres], axis=0)


def is_numbered_without_gaps(labels):
    return np.array_equal(np.unique(labels[labels > 0]), np.arange(1, labels.max() + 1))


@pytest.mark.parametrize("method", instances.DERIVED.values())
def test_an_empty_mask_has_no_instances(method):
    labels = method(np.zeros((5, 7), bool))
    assert (labels.dtype, labels.shape, labels.max()) == (np.uint16, (5, 7), 0)


@pytest.mark.parametrize("method", instances.DERIVED.values())
@given(mask=MASKS)
@settings(max_examples=60, deadline=None)
def test_labels_cover_the_mask_and_are_numbered_1_to_n(method, mask):
    labels = method(mask)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels > 0, mask)
    assert is_numbered_without_gaps(labels)


def test_components_touch_by_corners_too():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], bool)
    expected = [[1, 0, 0, 2], [0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 0]]
    np.testing.assert_array_equal(instances.components(mask), expected)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.95])
def test_components_are_the_labels_of_scikit_image_in_its_order(share):
    """Stores that versions before 0.2.0 built hold those."""
    from skimage.measure import label

    for seed, shape in enumerate([(256, 256), (1, 40), (40, 1), (64, 100)]):
        mask = np.random.default_rng(seed).random(shape) < share
        np.testing.assert_array_equal(instances.components(mask), label(mask, connectivity=2))


def test_watershed_splits_touching_nuclei_and_no_others():
    touching = discs((14, 14), (14, 30), (34, 14))
    labels = instances.watershed(touching)
    assert instances.components(touching).max() == 2
    assert labels.max() == 3
    assert len({labels[14, 14], labels[14, 30], labels[34, 14]}) == 3


@pytest.mark.parametrize("radius", [1, 4, 12])
def test_watershed_leaves_a_disc_of_any_size_whole(radius):
    assert instances.watershed(discs((20, 20), radius=radius)).max() == 1


def test_watershed_splits_small_nuclei_beside_large_ones():
    """Depths are judged pair by pair, so that a large nucleus does not hide small ones."""
    small = discs((40, 90), (40, 96), (8, 8), radius=4, shape=(80, 120))
    large = discs((40, 40), radius=30, shape=(80, 120))
    assert instances.watershed(small).max() == 3
    assert instances.watershed(small | large).max() == 4


@given(
    labels=hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 2**40)
    )
)
@settings(max_examples=60, deadline=None)
def test_renumbered_keeps_regions_and_order(labels):
    numbered = instances.renumbered(labels)
    assert numbered.dtype == np.uint16
    assert is_numbered_without_gaps(numbered)
    np.testing.assert_array_equal(numbered > 0, labels > 0)
    pairs = sorted(set(zip(labels.ravel().tolist(), numbered.ravel().tolist(), strict=True)))
    assert len(pairs) == len({before for before, _ in pairs}) == len({after for _, after in pairs})
    assert [after for _, after in pairs] == sorted(after for _, after in pairs)


def test_more_labels_than_uint16_holds_are_refused():
    checkerboard = np.zeros((512, 520), bool)
    checkerboard[::2, ::2] = True
    with pytest.raises(CorruptArchiveError, match="66560 regions is noise"):
        instances.components(checkerboard)
    with pytest.raises(CorruptArchiveError, match="is noise"):
        instances.renumbered(np.arange(2**17).reshape(512, 256))


def test_parse_method():
    assert [instances.parse_method(method) for method in instances.METHODS] == [
        "components",
        "watershed",
        "provided",
    ]
    with pytest.raises(ValueError, match=r"'nuclei'.*'components', 'watershed', 'provided'"):
        instances.parse_method("nuclei")
