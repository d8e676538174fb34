from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from bmgd_data.instances import hulls


@given(points=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=40))
def test_hulls_are_those_of_qhull(points):
    square = [(0, 0), (0, 1), (1, 0), (1, 1)]  # never flat, as pixels are not
    hull = hulls.hull(points + square)
    assert hulls.area(hull) == pytest.approx(ConvexHull(points + square).volume)
    assert len(hull) == len(ConvexHull(points + square).vertices)
    assert hulls.diameter(hull) == pytest.approx(pdist(points + square).max())


def test_corners_are_of_pixels_not_of_their_centres():
    mask = np.array([[0, 1, 0], [1, 1, 1]], bool)
    corners = hulls.corners(mask, 5, 7)
    assert hulls.area(hulls.hull(corners)) == 5
    assert min(corners) == (5, 8)
    assert max(corners) == (7, 10)
    assert hulls.diameter(corners) == math.hypot(1, 3)
