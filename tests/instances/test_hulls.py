from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from bmgd_data.instances import hulls

_FEW = st.sampled_from([0, 0, 1, 2, 200])
_LABELS = st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]).flatmap(
    lambda kind: arrays(kind, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=_FEW)
)


def _corners(inside):
    """All corners of all pixels."""
    pixels = np.argwhere(inside).tolist()
    return [(y + down, x + right) for y, x in pixels for down in (0, 1) for right in (0, 1)]


@given(points=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=40))
def test_hulls_are_those_of_qhull(points):
    square = [(0, 0), (0, 1), (1, 0), (1, 1)]  # never flat, as pixels are not
    hull = hulls.hull(points + square)
    assert hulls.area(hull) == pytest.approx(ConvexHull(points + square).volume)
    assert len(hull) == len(ConvexHull(points + square).vertices)
    assert hulls.diameter(hull) == pytest.approx(pdist(points + square).max())


@given(labels=_LABELS)
def test_hulls_of_labels_are_those_of_all_corners_of_their_pixels(labels):
    numbers = [number for number in np.unique(labels).tolist() if number]
    found = hulls.hulls_of(labels)
    assert list(found) == numbers
    assert found == {number: hulls.hull(_corners(labels == number)) for number in numbers}


def test_no_label_has_no_hull():
    assert hulls.hulls_of(np.zeros((3, 4), np.int32)) == {}


def test_corners_are_of_pixels_not_of_their_centres():
    mask = np.zeros((9, 12), np.uint8)
    mask[5:7, 7:10] = [[0, 1, 0], [1, 1, 1]]
    hull = hulls.hulls_of(mask)[1]
    assert hulls.area(hull) == 5
    assert min(hull) == (5, 8)
    assert max(hull) == (7, 10)
    assert hulls.diameter(hull) == math.hypot(1, 3)
