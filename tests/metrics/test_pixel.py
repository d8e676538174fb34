from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bmgd_data.metrics import Counts, PixelScores, count_pixels
from bmgd_data.metrics.pixel import score_pixels

unhurried = settings(deadline=None)  # a busy machine is no failure
NONE, ONE, FULL = (np.array([[n > 0, n > 1]]) for n in (0, 1, 2))


def pixel_scores(truth, prediction, *, threshold: float = 0.5, batch_size: int = 8) -> PixelScores:
    pairs = zip(truth, prediction, strict=True)
    return score_pixels([count_pixels(*pair, threshold) for pair in pairs], batch_size)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Masks, and probabilities for them, many of which lie on the threshold or at the ends."""
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5))
    truth = draw(hnp.arrays(bool, shape))
    chances = st.sampled_from([0.0, 0.5, np.nextafter(0.5, 1), 1.0]) | st.floats(0, 1)
    return truth, draw(hnp.arrays(np.float64, shape, elements=chances, fill=chances))


def share(part: float, whole: float, *, nothing: bool) -> float:
    return 1.0 if nothing else part / whole if whole else 0.0


def by_definition(truth: np.ndarray, found: np.ndarray) -> tuple[float, float, float, float]:
    """F1, IoU, precision and recall, over sets of pixels."""
    true, hits = ({*map(tuple, np.argwhere(mask).tolist())} for mask in (truth, found))
    both, nothing = len(true & hits), not true | hits
    return (
        share(2 * both, len(true) + len(hits), nothing=nothing),
        share(both, len(true | hits), nothing=nothing),
        share(both, len(hits), nothing=nothing),
        share(both, len(true), nothing=nothing),
    )


@unhurried
@given(stacks())
def test_pooled_and_per_image_agree_with_the_definition(stack):
    truth, chance = stack
    scores = pixel_scores(truth, chance)
    assert scores.pooled == pytest.approx(by_definition(truth, chance > 0.5))
    each = [by_definition(*pair) for pair in zip(truth, chance > 0.5, strict=True)]
    assert scores.image == pytest.approx(np.mean(each, axis=0))
    assert scores.pooled.iou == pytest.approx(scores.pooled.f1 / (2 - scores.pooled.f1))


@unhurried
@given(stacks(), st.integers(1, 6))
def test_soft_is_the_formula_of_segmentation_models(stack, batch_size):
    """As its f_score and iou_score read: sums over batch, rows and columns; the mean of batches."""
    truth, chance = stack
    expected = []
    for start in range(0, len(truth), batch_size):
        gt, pr = (side[start : start + batch_size].astype(float) for side in stack)
        tp = np.sum(gt * pr)
        fp, fn = np.sum(pr) - tp, np.sum(gt) - tp
        union = np.sum(gt + pr) - tp
        expected.append(((2 * tp + 1e-5) / (2 * tp + fn + fp + 1e-5), (tp + 1e-5) / (union + 1e-5)))
    scores = pixel_scores(iter(truth), iter(chance), batch_size=batch_size)
    assert scores.soft == pytest.approx(np.mean(expected, axis=0))


@unhurried
@given(stacks())
def test_agrees_with_torchmetrics(stack):
    pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.functional.classification")
    from torch import from_numpy

    truth, chance = stack
    scores = pixel_scores(truth, chance)
    if not (truth | (chance > 0.5)).any():
        assert scores.pooled == (1, 1, 1, 1)  # where torchmetrics has 0
        return
    theirs = [
        getattr(classification, f"binary_{name}")(from_numpy(chance), from_numpy(truth).long())
        for name in ("f1_score", "jaccard_index", "precision", "recall")
    ]
    assert scores.pooled == pytest.approx([float(each) for each in theirs])


def test_hand_counted():
    """Three of four, one of one too many, and an image that is empty in both."""
    truth = np.array([[[1, 1, 1, 1]], [[1, 0, 0, 0]], [[0, 0, 0, 0]]])
    found = np.array([[[1, 1, 1, 0]], [[1, 1, 0, 0]], [[0, 0, 0, 0]]])
    scores = pixel_scores(truth, found, batch_size=1)
    assert scores.pooled == pytest.approx((2 * 4 / 10, 4 / 6, 4 / 5, 4 / 5))
    assert scores.image == pytest.approx(
        np.mean([(6 / 7, 3 / 4, 1, 3 / 4), (2 / 3, 1 / 2, 1 / 2, 1), (1, 1, 1, 1)], axis=0)
    )
    assert scores.soft == pytest.approx(
        (np.mean([6 / 7, 2 / 3, 1]), np.mean([3 / 4, 1 / 2, 1])), abs=1e-5
    )
    both = pixel_scores(truth, found, batch_size=2).soft
    assert both == pytest.approx((np.mean([8 / 10, 1]), np.mean([4 / 6, 1])), abs=1e-5)


def test_soft_uses_the_probabilities_and_the_others_the_threshold():
    truth, chance = [FULL], [np.array([[0.75, 0.25]])]
    scores = pixel_scores(truth, chance)
    assert scores.pooled == pytest.approx((2 / 3, 1 / 2, 1, 1 / 2))
    assert scores.soft == pytest.approx((2 / 3, 1 / 2), abs=1e-5)
    assert pixel_scores(truth, [np.array([[0.9, 0.9]])]).soft.iou == pytest.approx(0.9, abs=1e-5)
    assert pixel_scores(truth, chance, threshold=0.2).pooled.f1 == 1


@pytest.mark.parametrize(
    ("truth", "found", "scores"),
    [
        (NONE, NONE, (1, 1, 1, 1)),
        (ONE, NONE, (0, 0, 0, 0)),
        (NONE, ONE, (0, 0, 0, 0)),
        (FULL, ONE, (2 / 3, 1 / 2, 1, 1 / 2)),
    ],
)
def test_the_rule_for_empty_images(truth, found, scores):
    got = pixel_scores([truth], [found])
    assert got.pooled == got.image == pytest.approx(scores)
    assert got.soft == pytest.approx(scores[:2], abs=2e-5)


def test_the_threshold_itself_is_background():
    chance = np.array([[0.5, np.nextafter(0.5, 1)]])
    assert count_pixels(FULL, chance).hard == Counts(1, 0, 1)


def test_types_do_not_matter():
    truth, found = np.array([[0, 1, 1]]), np.array([[1, 1, 0]])
    expected = pixel_scores([truth > 0], [found > 0])
    for dtype, factor in ((np.uint8, 255), (np.uint16, 65535), (np.int64, 7), (np.float16, 1)):
        assert (
            pixel_scores([truth.astype(np.uint8)], [found.astype(dtype) * dtype(factor)])
            == expected
        )
    for mask in (truth, found):
        mask.flags.writeable = False
    assert pixel_scores([truth], [np.asfortranarray(found)]) == expected


def test_many_pixels_do_not_overflow():
    truth = np.ones((2048, 2048), np.uint8)
    counts = count_pixels(truth, truth.astype(np.float16))
    assert counts == (Counts(2048**2, 0, 0), 2048**2, 2048**2, 2048**2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((1, 3)), r"truth has shape \(1, 2\), but prediction \(1, 3\)"),
        (np.ones((1, 1, 2)), r"has shape \(1, 1, 2\), not \(H, W\)"),
        (np.array([[0.0, 1.5]]), "value 1.5, and floats must be probabilities from 0 to 1. Apply"),
        (np.array([[0.0, -2.5]]), "value -2.5, and floats"),
        (np.array([[np.nan, 0.5]]), "value nan, and floats"),
        (np.array([[1j, 0]]), "dtype complex128"),
    ],
)
def test_a_bad_prediction_is_named(bad, message):
    with pytest.raises(ValueError, match=f"^Image 2: .*{message}"):
        count_pixels(ONE, bad, where="Image 2")


def test_floats_are_no_true_mask():
    with pytest.raises(ValueError, match="The image: truth has dtype float64"):
        count_pixels(ONE * 1.0, ONE)


def test_batches_hold_an_image_or_more():
    with pytest.raises(ValueError, match="batch_size is 0"):
        pixel_scores([ONE], [ONE], batch_size=0)
