"""Functions of other libraries and ours on the same pairs; docs/scores.md says where they differ."""

from __future__ import annotations

import numpy as np
import pytest
from libraries import EMPTY, HALF, INSTANCES, ONE, PAIRS, PIXELS, installed, quiet

from bmgd_data.metrics import count_instances, count_pixels
from bmgd_data.metrics.instance import score_instances
from bmgd_data.metrics.pixel import score_pixels

SCORES = PIXELS | INSTANCES


def ours(which, truth, prediction):
    if which in ("f1", "iou"):
        return getattr(score_pixels([count_pixels(truth, prediction > 0)], 1).pooled, which)
    return getattr(score_instances([count_instances(truth, prediction)]).pooled, which)


def pair(seed):
    """Nuclei that are found, found in part, lost and invented; no IoU is exactly 0.5."""
    rng = np.random.default_rng(seed)
    truth, prediction = np.zeros((2, 64, 64), np.uint16)
    for number, (row, column) in enumerate(np.ndindex(4, 4), 1):
        top, left, height, width = 16 * row, 16 * column, *rng.integers(7, 13, 2)
        truth[top : top + height, left : left + width] = number * (rng.random() < 0.8)
        shift = rng.integers(0, 3)
        found = (slice(top + shift, top + shift + height), slice(left, left + width))
        prediction[found] = number * (rng.random() < 0.8)
    return truth, prediction


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORES)
def test_it_agrees_where_there_are_nuclei(name):
    distribution, which, score = SCORES[name]
    if not installed(distribution):
        pytest.skip(f"{distribution} is not installed")
    for seed in range(4):
        truth, prediction = pair(seed)
        assert float(quiet(score, truth, prediction)) == pytest.approx(
            ours(which, truth, prediction), abs=1e-3
        )


def test_ours_on_the_pairs_of_the_table():
    assert [ours("f1", *sides) for sides in PAIRS.values()] == [1, 0, pytest.approx(2 / 3)]
    assert [ours("pq", *sides) for sides in PAIRS.values()] == [1, 0, 0]
    assert ours("ap50", ONE, HALF) == ours("f1", EMPTY, ONE) == 0
