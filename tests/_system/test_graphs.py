from __future__ import annotations

import numpy as np
import pytest

from bmgd_data._system import graphs


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32])
def test_components_of_a_graph(dtype):
    """With the lowest SciPy, other whole numbers than 32 bits gave one component, in silence."""
    found, numbers = graphs.components(np.array([[4, 1], [1, 3], [0, 5]], dtype), 7)
    assert found == 4
    groups = [set(np.flatnonzero(numbers == number).tolist()) for number in range(found)]
    assert sorted(map(sorted, groups)) == [[0, 5], [1, 3, 4], [2], [6]]
    assert graphs.components(np.empty((0, 2), dtype), 3)[0] == 3
