from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage


@pytest.fixture(scope="session")
def noisy_discs():
    """Makes (image, mask) pairs: bright discs on noise, of any number and size."""

    def make(count, side=128, seed=0, nuclei=8):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:side, :side]
        found = []
        for _ in range(count):
            centres = rng.uniform((0, 0, side / 26), (side, side, side / 13), (nuclei, 3))
            mask = np.zeros((side, side), bool)
            for down, right, radius in centres:
                mask |= (y - down) ** 2 + (x - right) ** 2 < radius**2
            image = 500 + 400 * ndimage.gaussian_filter(mask * 1.0, 1)
            image += rng.normal(0, 150, mask.shape)
            found.append((np.clip(image, 0, 4095).astype(np.uint16), mask))
        return found

    return make
