"""Whether label images fit their masks."""

from __future__ import annotations

import numpy as np
import pytest

from bmgd_data._ingest import provided


@pytest.fixture
def labels():
    """Nine nuclei of 10 x 10 pixels; two of them touch."""
    found = np.zeros((60, 60), np.uint16)
    for number in range(9):
        y, x = divmod(number, 3)
        found[4 + 18 * y : 14 + 18 * y, 4 + 18 * x : 14 + 18 * x] = number + 1
    found[4:14, 14:22] = 2
    return found


def test_labels_that_fit(labels):
    assert provided.fit(labels, labels > 0) == (980, 0, 0, 0)
    assert provided.doubts(["a"], lambda _: (labels, labels > 0)) == []


def test_lines_between_touching_nuclei_are_no_gap(labels):
    mask = labels > 0
    labels[4:14, 13] = 0
    assert provided.fit(labels, mask)[1:] == (0, 0, 0)


def test_a_nucleus_in_two_pieces_is_one(labels):
    labels[22:32, 26] = 0
    assert provided.fit(labels, labels > 0).alike == 0


def test_lost_regions_are_reported(labels):
    mask = labels > 0
    mask[50, 55:58] = True  # a speck
    labels[labels == 5] = 0
    found = provided.fit(labels, mask)
    assert (found.lost, found.uncovered) == (1, 103)
    lines = provided.doubts(
        ["a", "b"], lambda row: [(mask * np.uint16(1), mask), (labels, mask)][row]
    )
    assert len(lines) == 3, lines
    assert lines[0].startswith("labels: 1 regions of masks hold no label")
    assert lines[0].endswith("Look at b.")


def test_two_nuclei_of_one_number_are_reported(labels):
    labels[labels == 9] = 1
    assert provided.fit(labels, labels > 0).alike == 1
    (line,) = provided.doubts(["a"], lambda _: (labels, labels > 0))
    assert "1 labels number regions alike" in line


@pytest.mark.parametrize("side", ["labels", "mask"])
def test_pixels_that_only_one_side_marks_are_measured(labels, side):
    mask = labels > 0
    small = np.zeros_like(mask)
    small[6:12, 6:12] = True
    one, other = (labels * small, mask) if side == "labels" else (labels, mask & small)
    lines = provided.doubts(["a"], lambda _: (one.astype(np.uint16), other))
    assert any("labels and masks differ in" in line for line in lines)
