"""Label images for hypothesis to try."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@st.composite
def image_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A label image, and one that differs from it by some pixels and by the names of labels."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7))
    labels = st.sampled_from([0, 1, 2, 7])
    truth = draw(hnp.arrays(np.uint16, shape, elements=labels, fill=labels))
    changed = draw(hnp.arrays(bool, shape, elements=st.booleans(), fill=st.just(value=False)))
    noise = draw(hnp.arrays(np.uint16, shape, elements=labels, fill=labels))
    names = np.array([0, *draw(st.permutations([1, 3, 300, 4, 9, 5, 65_535]))], np.int32)
    return truth, names[np.where(changed, noise, truth)]
