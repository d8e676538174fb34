from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from bmgd_data.instances import hulls, touching

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))


def discs(*centres, radius=9, shape=(48, 64)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centres], axis=0)


def piece(side: int, left: int, *, peak: float) -> touching._Piece:
    """A square of pixels."""
    hull = [(0, left), (0, left + side), (side, left + side), (side, left)]
    return touching._Piece([left], side * side, peak, hull, {})


# ------------------------------------------------------------------------------------------ the whole


@given(mask=MASKS)
@settings(max_examples=80, deadline=None)
def test_no_label_covers_two_components(mask):
    labels = touching.split(mask)
    np.testing.assert_array_equal(labels > 0, mask)
    for label in range(1, labels.max() + 1):
        _, count = ndimage.label(labels == label, np.ones((3, 3)))
        assert count == 1


def test_the_border_between_two_discs_is_where_they_touch():
    labels = touching.split(discs((20, 20), (20, 36)))
    assert labels.max() == 2
    assert len(np.unique(labels[:, :28])) == len(np.unique(labels[:, 29:])) == 2


@pytest.mark.parametrize(
    "centres",
    [[(14, 14), (14, 30), (14, 46)], [(14, 14), (14, 30), (30, 14), (30, 30)]],
    ids=["chain", "square"],
)
def test_clusters_are_split_into_all_their_nuclei(centres):
    assert touching.split(discs(*centres)).max() == len(centres)


def test_an_uneven_outline_does_not_split():
    """A long nucleus with notches is cut into pieces, and all of them are merged again."""
    y, x = np.mgrid[:48, :64]
    mask = ((y - 24) / 9) ** 2 + ((x - 32) / 22) ** 2 <= 1
    mask[15:17, 14:50:6] = mask[31:33, 18:45:6] = False
    labels, _ = touching._cut(mask)
    assert labels.max() > 5
    assert touching.split(mask).max() == 1


# ------------------------------------------------------------------------------------------ the parts


def test_a_contact_is_measured_by_hand():
    """Two halves that meet along rows 1 to 3, and by the corners of row 0 and 4."""
    labels = np.array([[1, 0], [1, 2], [1, 2], [1, 2], [0, 2]], np.int32)
    depth = np.array([[1, 0], [3, 2], [5, 4], [3, 9], [0, 1]], np.float32)
    ((pair, contact),) = touching._contacts(labels, depth)
    assert pair == [1, 2]
    assert contact.saddle == 5, "by the corner between 5 and 9; straight across it is 4"
    assert contact == (5, -0.5, 3.5, -0.5, 0.5)
    assert contact.length == 4


@given(labels=hnp.arrays(np.int32, (7, 6), elements=st.integers(0, 4)))
@settings(max_examples=60, deadline=None)
def test_contacts_agree_with_a_plain_search(labels):
    depth = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    expected: dict[tuple[int, int], list] = {}
    for y, x in np.ndindex(labels.shape):
        for v, u in np.ndindex(labels.shape):
            one, two = int(labels[y, x]), int(labels[v, u])
            if 0 < one < two and max(abs(y - v), abs(x - u)) == 1:
                saddle = float(min(depth[y, x], depth[v, u]))
                expected.setdefault((one, two), []).append((saddle, (y + v) / 2, (x + u) / 2))
    found = {tuple(pair): contact for pair, contact in touching._contacts(labels, depth)}
    assert found.keys() == expected.keys()
    for pair, met in expected.items():
        saddle, y, x = (np.array(values) for values in zip(*met, strict=True))
        assert found[pair] == (saddle.max(), -y.min(), y.max(), -x.min(), x.max())


def test_log_odds_follow_the_formula():
    """Two squares of 4 and 2 px side by side: every feature by hand."""
    one, two = piece(4, 0, peak=2.0), piece(2, 4, peak=1.0)
    contact = touching._Contact(0.75, 0, 1, -3.5, 3.5)
    # The hull of both: a square of 16, and a trapezium with sides 4 and 2 of width 2.
    solidity_lost = 1 - 20 / 22
    features = [0.75, 2 / (2 * math.sqrt(4 / math.pi)), solidity_lost, math.log(4 / 8), 0.5, 1]
    expected = np.dot(features, [3.311, -0.671, -24.325, -1.184, 5.301, -6.852])
    assert touching._log_odds_of_one(one, two, contact, 8) == pytest.approx(expected)
    assert touching._log_odds_of_one(two, one, contact, 8) == pytest.approx(expected)


def test_the_best_pair_is_merged_first_and_its_neighbours_are_rated_again():
    """Rates: 3 for a pair that holds piece 1, else 1; a merged piece is rated 0 beside others."""
    contact = touching._Contact(1, 0, 0, 0, 0)
    pieces = {number: piece(2, 2 * number, peak=1.0) for number in (1, 2, 3, 4)}
    for one, two in ((1, 2), (2, 3), (3, 4)):
        pieces[one].contacts[two] = pieces[two].contacts[one] = contact

    def rate(one, two, _):
        return 0 if one.area + two.area > 8 else 3 if 2 in one.labels + two.labels else 1

    touching._merge(pieces, rate, above=0)
    assert sorted(sorted(found.labels) for found in pieces.values()) == [[2, 4], [6, 8]]
    merged = next(found for found in pieces.values() if 2 in found.labels)
    assert hulls.area(merged.hull) == 8
    assert list(merged.contacts.values()) == [contact]


def test_joined_contacts_are_the_larger_of_each():
    pieces = {number: piece(2, 2 * number, peak=float(number)) for number in (1, 2, 3)}
    for one, two, contact in (
        (1, 2, touching._Contact(1, 0, 0, 0, 0)),
        (1, 3, touching._Contact(1, -4, 6, -2, 2)),
        (2, 3, touching._Contact(2, -5, 5, -3, 3)),
    ):
        pieces[one].contacts[two] = pieces[two].contacts[one] = contact
    touching._join(pieces, 1, 2, 4)
    assert set(pieces) == {3, 4}
    assert pieces[4].contacts == {3: (2, -4, 6, -2, 3)}
    assert pieces[3].contacts == {4: (2, -4, 6, -2, 3)}
    assert (pieces[4].area, pieces[4].peak) == (8, 2)
