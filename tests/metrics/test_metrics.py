from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmgd_data.metrics import Counts, count_instances, count_pixels, instance_f1
from bmgd_data.metrics.instance import match, overlaps
from labelled import image_pairs


def row(*runs: tuple[int, int]) -> np.ndarray:
    """One row of pixels from (label, length) runs."""
    return np.repeat([label for label, _ in runs], [length for _, length in runs])[None]


def brute_force(truth: np.ndarray, prediction: np.ndarray, iou: float) -> Counts:
    """The definition, over every pair of pixel sets, checking that the matching is unique."""

    def instances(mask: np.ndarray) -> list[set[int]]:
        flat = mask.ravel().tolist()
        return [{i for i, v in enumerate(flat) if v == label} for label in set(flat) - {0}]

    true, predicted = instances(truth), instances(prediction)
    hits = [
        (t, p)
        for (t, a), (p, b) in product(enumerate(true), enumerate(predicted))
        if len(a & b) / len(a | b) > iou
    ]
    assert len({t for t, _ in hits}) == len({p for _, p in hits}) == len(hits)
    return Counts(len(hits), len(predicted) - len(hits), len(true) - len(hits))


unhurried = settings(deadline=None)  # a busy machine is no failure
THRESHOLDS = st.sampled_from([0.5, 0.6, 2 / 3, 0.75, 0.9])


@unhurried
@given(image_pairs(), THRESHOLDS)
def test_match_agrees_with_the_definition(pair, iou):
    assert match(*pair, iou) == brute_force(*pair, iou)


@unhurried
@given(st.lists(image_pairs(), min_size=1, max_size=4), THRESHOLDS)
def test_f1_divides_the_pooled_counts(pairs, iou):
    tp, fp, fn = np.sum([brute_force(*pair, iou) for pair in pairs], axis=0)
    truth, prediction = zip(*pairs, strict=True)
    expected = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0
    assert instance_f1(truth, prediction, iou=iou) == expected


@unhurried
@given(image_pairs())
def test_swapping_the_sides_swaps_fp_and_fn(pair):
    tp, fp, fn = match(*pair)
    assert match(*pair[::-1]) == (tp, fn, fp)


@pytest.mark.parametrize(
    ("truth", "prediction", "counts"),
    [
        (row((1, 4), (0, 4)), row((1, 4), (0, 4)), (1, 0, 0)),
        (row((1, 4), (0, 4)), row((0, 8)), (0, 0, 1)),
        (row((0, 8)), row((1, 3), (2, 3), (0, 2)), (0, 2, 0)),
        (row((1, 4), (2, 4)), row((5, 8)), (0, 1, 2)),  # two merged: each IoU is exactly 1/2
        (row((1, 5), (2, 3)), row((5, 8)), (1, 0, 1)),  # merged, but one is most of it
        (row((1, 5), (2, 3)), row((1, 3), (2, 5)), (2, 0, 0)),  # 3/5 and 3/5
        (row((1, 3), (0, 1)), row((1, 2), (2, 1), (0, 1)), (1, 1, 0)),  # split
        (row((0, 2), (1, 2)), row((1, 2), (0, 2)), (0, 1, 1)),  # apart, though labels agree
        (row((1, 3), (0, 3)), row((1, 3), (1, 3)), (0, 1, 1)),  # background counts in the union
    ],
)
def test_hand_counted(truth, prediction, counts):
    assert match(truth, prediction) == counts


@pytest.mark.parametrize(("shared", "total"), [(5, 10), (6, 10), (7, 10), (57, 100), (58, 100)])
def test_an_iou_that_equals_the_threshold_is_no_match(shared, total):
    """Nor where floats round: 57 of 100 pixels do not exceed 0.57, though 57 > 0.57 * 100."""
    truth = row((1, total))
    exactly, above = (row((1, n), (0, total - n)) for n in (shared, shared + 1))
    assert match(truth, exactly, shared / total) == (0, 1, 1)
    assert match(truth, above, shared / total) == (1, 0, 0)


def test_pooled_not_averaged():
    many, one, none = np.arange(1, 10).reshape(3, 3), row((1, 9)), row((0, 9))
    assert instance_f1([many, one], [many, none]) == 18 / 19
    assert instance_f1([none, one], [none, one]) == 1.0
    assert instance_f1([none, one], [none, none]) == 0.0


def test_nothing_on_either_side_is_perfect_agreement():
    none = np.zeros((4, 4), np.uint16)
    assert instance_f1([none, none], [none, none]) == 1.0
    assert match(none, none) == (0, 0, 0)
    assert instance_f1([np.zeros((0, 4), int)], [np.zeros((0, 4), int)]) == 1.0


def test_a_used_up_iterator_is_not_perfect_agreement():
    masks = iter([row((1, 2))])
    list(masks)
    with pytest.raises(ValueError, match=r"^No images"):
        instance_f1(masks, [])


def test_any_integer_type_and_any_label():
    top = np.iinfo(np.uint64).max
    truth = np.array([[0, top, top], [top - 1, top - 1, top - 1]], np.uint64)
    prediction = np.array([[0, 2**62, 2**62], [1, 1, 1]], ">i8")
    assert match(truth, prediction) == (2, 0, 0)
    assert match(truth.astype(np.uint8), np.asfortranarray(prediction)) == (2, 0, 0)


def test_every_pixel_an_instance_needs_no_dense_histogram():
    """Dense, this pair would take 65,536 x 65,536 counts: 32 GiB."""
    truth = np.arange(1, 2**16 + 1).reshape(256, 256)
    assert match(truth, truth[::-1]) == (2**16, 0, 0)


def test_inputs_are_not_changed():
    truth, prediction = row((3, 2), (0, 2)), row((0, 1), (9, 3))
    before = truth.copy(), prediction.copy()
    for mask in (truth, prediction):
        mask.flags.writeable = False
    instance_f1([truth], [prediction])
    assert np.array_equal(truth, before[0])
    assert np.array_equal(prediction, before[1])


def test_images_are_read_one_at_a_time():
    """Also from objects that have `__getitem__` alone, as lazy arrays do."""
    drawn = []

    class Lazy:
        def __init__(self, side: str) -> None:
            self.side = side

        def __getitem__(self, index: int) -> np.ndarray:
            if index == 3:
                raise IndexError
            drawn.append((self.side, index))
            return row((index, 2), (0, 2))

    assert instance_f1(Lazy("truth"), Lazy("prediction")) == 1.0
    assert drawn == [(side, index) for index in range(3) for side in ("truth", "prediction")]
    stack = np.stack([row((1, 2)), row((0, 1), (1, 1))])
    assert instance_f1(stack, iter(stack)) == 1.0


def test_overlaps_are_the_joint_histogram():
    found = overlaps(row((2, 3), (5, 3), (0, 2)), row((0, 1), (9, 3), (4, 4)))
    assert [part.tolist() for part in found] == [[3, 3], [4, 3], [0, 1, 1], [1, 0, 1], [2, 2, 1]]
    assert found.union.tolist() == [4, 5, 5]


GOOD = np.ones((2, 3), int)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((3, 2), int), r"(\(2, 3\).*\(3, 2\)|\(3, 2\).*\(2, 3\)).* at the same size\.$"),
        (np.ones(6, int), r"has shape \(6,\), not \(H, W\).* or \[mask\] for a single one\.$"),
        (np.ones((1, 2, 3), int), r"has shape \(1, 2, 3\), not \(H, W\)"),
        (GOOD - 2, "negative label -1"),
        (np.ones((2, 3)), r"dtype float64.* for example by its connected components\.$"),
        (np.ones((2, 3), bool), "dtype bool"),
    ],
)
@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_a_bad_image_is_named(side, bad, message):
    sides = {"truth": [GOOD] * 3, "prediction": [GOOD] * 3, side: [GOOD, GOOD, bad]}
    with pytest.raises(ValueError, match=message) as caught:
        instance_f1(**sides)
    assert str(caught.value).startswith("Image 2: ")
    assert side in str(caught.value)


@pytest.mark.parametrize("count", [overlaps, match, count_instances, count_pixels])
@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_a_single_image_is_called_the_image(count, side):
    sides = {"truth": GOOD, "prediction": GOOD, side: GOOD[None]}
    with pytest.raises(ValueError, match=rf"^The image: {side} has shape \(1, 2, 3\)"):
        count(**sides)


@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_the_first_missing_image_is_named(side):
    sides = {"truth": [GOOD] * 3, "prediction": [GOOD] * 3, side: [GOOD]}
    with pytest.raises(ValueError, match=f"^Image 1 is missing from {side}. Give both"):
        instance_f1(**sides)


@pytest.mark.parametrize("iou", [0.49, 0, 1, 1.5, -1, float("nan")])
def test_iou_out_of_range(iou):
    with pytest.raises(ValueError, match=r"at least 0\.5 and below 1"):
        instance_f1([GOOD], [GOOD], iou=iou)
