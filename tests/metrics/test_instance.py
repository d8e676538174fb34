from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmgd_data.metrics import (
    IOU_THRESHOLDS,
    InstanceCounts,
    InstanceQuality,
    InstanceScores,
    count_instances,
)
from bmgd_data.metrics.instance import score_instances
from labelled import image_pairs

unhurried = settings(deadline=None)  # a busy machine is no failure
EMPTY = np.zeros((1, 8), int)


def row(*runs: tuple[int, int]) -> np.ndarray:
    """One row of pixels from (label, length) runs."""
    return np.repeat([label for label, _ in runs], [length for _, length in runs])[None]


def instance_scores(truth, prediction) -> InstanceScores:
    pairs = zip(truth, prediction, strict=True)
    return score_instances([count_instances(*pair) for pair in pairs])


def instances(mask: np.ndarray) -> list[set[int]]:
    """Pixel sets, in ascending order of label."""
    flat = mask.ravel().tolist()
    return [{i for i, v in enumerate(flat) if v == label} for label in sorted(set(flat) - {0})]


def jaccard(a: set[int], b: set[int]) -> Fraction:
    return Fraction(len(a & b), len(a | b))


def kumar(truth: np.ndarray, prediction: np.ndarray) -> tuple[int, int]:
    """Algorithm 1 of Kumar et al. 2017, line by line."""
    true, predicted = instances(truth), instances(prediction)
    shared = joined = 0
    used = set()
    for nucleus in true:
        ious = [jaccard(nucleus, other) for other in predicted]
        if not any(ious):
            joined += len(nucleus)
            continue
        best = ious.index(max(ious))
        shared += len(nucleus & predicted[best])
        joined += len(nucleus | predicted[best])
        used.add(best)
    return shared, joined + sum(len(p) for i, p in enumerate(predicted) if i not in used)


def brute_force(truth: np.ndarray, prediction: np.ndarray) -> InstanceCounts:
    true, predicted = instances(truth), instances(prediction)
    ious = [jaccard(a, b) for a in true for b in predicted]
    # Whole percents: a float such as 0.55 is no 55/100.
    tp = tuple(sum(iou > Fraction(percent, 100) for iou in ious) for percent in range(50, 100, 5))
    matched = sum(iou for iou in ious if iou > Fraction(1, 2))
    return InstanceCounts(len(true), len(predicted), tp, float(matched), *kumar(truth, prediction))


@unhurried
@given(image_pairs())
def test_counts_agree_with_the_definition(pair):
    counts = count_instances(*pair)
    expected = brute_force(*pair)
    assert counts.matched_iou == pytest.approx(expected.matched_iou)
    assert counts._replace(matched_iou=0) == expected._replace(matched_iou=0)
    assert all(type(value) is int for value in (*counts[:2], *counts.tp, *counts[4:]))


@unhurried
@given(st.lists(image_pairs(), min_size=1, max_size=4))
def test_pooled_and_per_image(pairs):
    """Each score from the counts by its formula; pooled sums first, per image averages last."""

    def share(part: float, whole: float) -> float:
        return part / whole if whole else 0.0

    def formulas(counts: InstanceCounts) -> tuple[float, ...]:
        true, found, tps, matched, shared, joined = counts
        if not true + found:
            return (1.0,) * 10
        tp = tps[0]
        aps = [n / (true + found - n) for n in tps]
        return (
            *(2 * tp / (true + found), share(tp, found), share(tp, true)),
            *(aps[0], aps[5], np.mean(aps)),
            *(share(matched, tp), tp / (tp + (found - tp) / 2 + (true - tp) / 2)),
            *(matched / (tp + (found - tp) / 2 + (true - tp) / 2), shared / joined),
        )

    scores = instance_scores(*zip(*pairs, strict=True))
    counts = [brute_force(*pair) for pair in pairs]
    columns = [np.sum([np.array(image[k]) for image in counts], axis=0) for k in range(6)]
    assert scores.pooled == pytest.approx(formulas(InstanceCounts(*columns)))
    assert scores.image == pytest.approx(np.mean([formulas(image) for image in counts], axis=0))
    assert (scores.nuclei, scores.found) == (columns[0], columns[1])
    surplus = np.array([image.found - image.true for image in counts])
    assert scores.count_error == pytest.approx(np.abs(surplus).mean())
    assert scores.count_bias == pytest.approx(surplus.mean())
    assert scores.pooled.pq == pytest.approx(scores.pooled.sq * scores.pooled.rq)


def test_hand_counted():
    """IoU 3/4 and 1/2, one missed, one invented: two, one, or no match, by the threshold."""
    truth = row((1, 4), (2, 2), (0, 1), (3, 3), (0, 3))
    prediction = row((5, 3), (0, 1), (6, 1), (0, 5), (7, 2), (0, 1))
    scores = instance_scores([truth], [prediction])
    assert (scores.nuclei, scores.found) == (3, 3)
    assert scores.pooled == pytest.approx(
        InstanceQuality(
            f1=1 / 3,
            precision=1 / 3,
            recall=1 / 3,
            ap50=1 / 5,
            ap75=0,  # 3/4 does not exceed 0.75
            ap=(5 * 1 / 5 + 5 * 0) / 10,
            sq=3 / 4,
            rq=1 / 3,
            pq=1 / 4,
            aji=(3 + 1) / (4 + 2 + 3 + 2),
        )
    )
    assert scores.image == scores.pooled
    assert IOU_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert count_instances(truth, prediction).tp == (1,) * 5 + (0,) * 5
    assert scores.count_error == scores.count_bias == 0


def test_a_match_just_above_one_half_counts_in_full():
    scores = instance_scores([row((1, 13))], [row((1, 7), (0, 6))])
    assert scores.pooled.sq == scores.pooled.pq == scores.pooled.aji == 7 / 13
    assert (scores.pooled.ap50, scores.pooled.ap) == (1, 1 / 10)


def test_precision_and_recall_are_not_swapped():
    split, whole = row((1, 6), (2, 2)), row((1, 8))
    assert instance_scores([whole], [split]).pooled[:3] == pytest.approx((2 / 3, 1 / 2, 1))
    assert instance_scores([split], [whole]).pooled[:3] == pytest.approx((2 / 3, 1, 1 / 2))
    assert instance_scores([whole], [split]).count_bias == 1
    assert instance_scores([split], [whole]).count_bias == -1
    assert instance_scores([split], [whole]).count_error == 1


def test_pooled_weighs_instances_and_the_mean_images():
    many, one, none = np.arange(1, 10).reshape(3, 3), row((1, 9)), row((0, 9))
    scores = instance_scores([many, one, none], [many, none, none])
    assert scores.pooled.f1 == 18 / 19
    assert scores.pooled.ap == pytest.approx(9 / 10)
    assert scores.pooled.aji == 9 / 18
    assert scores.image.f1 == scores.image.ap == scores.image.pq == scores.image.aji == 2 / 3
    assert scores.count_error == pytest.approx(1 / 3)


def test_aji_takes_a_prediction_for_several_nuclei():
    """Merged nuclei: the prediction's area is counted once for each, as in the paper's algorithm."""
    merged = instance_scores([row((1, 4), (2, 4))], [row((5, 8))])
    assert merged.pooled.aji == (4 + 4) / (8 + 8)


def test_aji_of_equal_ious_takes_the_lower_label():
    truth = row((0, 2), (1, 2), (0, 4))
    lower = instance_scores([truth], [row((0, 2), (1, 1), (2, 1), (0, 4))])
    assert lower.pooled.aji == 1 / (2 + 1)
    wide = row((0, 2), (1, 2), (2, 2), (2, 2))  # the true one has 2/4 with 1, then 2/4 with 2
    assert instance_scores([row((0, 2), (1, 4), (0, 2))], [wide]).pooled.aji == 2 / (4 + 4)
    assert (
        instance_scores([row((0, 2), (1, 4), (0, 2))], [3 * (wide > 0) - wide]).pooled.aji == 2 / 8
    )


@pytest.mark.parametrize(
    ("truth", "prediction", "score"),
    [(EMPTY, EMPTY, 1), (EMPTY, EMPTY + 1, 0), (EMPTY + 1, EMPTY, 0)],
)
def test_the_rule_for_empty_images(truth, prediction, score):
    scores = instance_scores([truth], [prediction])
    assert scores.pooled == scores.image == (score,) * 10


def test_a_perfect_prediction_has_every_score():
    truth = row((4, 3), (0, 2), (2, 1), (9, 5))
    assert instance_scores([truth], [truth * 3]).pooled == (1,) * 10


def test_panoptic_quality_agrees_with_torchmetrics():
    torch = pytest.importorskip("torch")
    detection = pytest.importorskip("torchmetrics.functional.detection")
    rng = np.random.default_rng(0)
    for _ in range(5):
        truth = np.kron(rng.integers(0, 5, (4, 4)), np.ones((4, 4), int))
        prediction = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 6, truth.shape), truth)
        # Things of class 1 with their label, and background as stuff of class 0.
        sides = [
            torch.from_numpy(np.stack([mask > 0, mask], axis=-1).astype(np.int64))[None]
            for mask in (prediction, truth)
        ]
        theirs = detection.panoptic_quality(
            *sides, things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True
        )
        ours = instance_scores([truth], [prediction]).pooled
        assert theirs[0].tolist() == pytest.approx([ours.pq, ours.sq, ours.rq], abs=1e-6)
        assert 0 < ours.pq < 1


def made_up(seed: int = 2) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Four images in which no IoU equals a threshold: there public implementations differ."""
    rng = np.random.RandomState(seed)  # its numbers never change
    truth, prediction = [], []
    for _ in range(4):
        mask = np.kron(rng.randint(0, 9, (6, 6)), np.ones((5, 5), int))
        merged = np.where(mask == 8, 7, mask)
        truth.append(mask)
        prediction.append(
            np.where(rng.random_sample(mask.shape) < 0.25, rng.randint(0, 12, mask.shape), merged)
        )
    return truth, prediction


def test_agrees_with_other_projects():
    """What StarDist 0.9.2, Cellpose (849ca11) and HoVer-Net (67e2ce5) give for the same images."""
    scores = instance_scores(*made_up())
    stardist_pooled = {
        "precision": 0.4772727272727273,
        "recall": 0.6774193548387096,
        "ap50": 0.3888888888888889,
        "f1": 0.56,
        "sq": 0.6547989618210566,
        "pq": 0.36668741861979165,
    }
    assert (scores.nuclei, scores.found) == (31, 44)
    for name, value in stardist_pooled.items():
        assert getattr(scores.pooled, name) == pytest.approx(value, abs=1e-6), name
    hover_net_means = {
        "aji": 0.5290523072500175,
        "rq": 0.55701754,
        "sq": 0.66026792,
        "pq": 0.36492633,
    }
    for name, value in hover_net_means.items():
        assert getattr(scores.image, name) == pytest.approx(value, abs=1e-6), name
    cellpose_means = (0.39615384, 0.39615384, 0.27261904, 0.21041667, 0.07455065, 0, 0, 0, 0, 0)
    counts = [count_instances(*pair) for pair in zip(*made_up(), strict=True)]
    means = np.mean([[tp / (c.true + c.found - tp) for tp in c.tp] for c in counts], axis=0)
    assert means == pytest.approx(cellpose_means, abs=1e-6)
    assert scores.image.ap == pytest.approx(0.13498941, abs=1e-6)


@pytest.mark.slow
def test_agrees_with_hover_net_on_real_nuclei(standin, tmp_path):
    """Its get_fast_aji and get_fast_pq (67e2ce5), components against true instances, 819 images."""
    import py7zr
    import tifffile

    from bmgd_data import Reader

    with py7zr.SevenZipFile(standin / "instances.7z") as archive:
        archive.extractall(tmp_path)
    reader = Reader("all", source=standin)
    files = [name.replace("Pa/", " Pa/instance/") for name in reader.names]
    truth = (tifffile.imread(tmp_path / f"{name}.tif") for name in files)
    image = instance_scores(truth, reader.instances).image
    assert image.aji == pytest.approx(0.8030456059304686)
    assert image[6:9] == pytest.approx((0.9660354, 0.9090977, 0.8809422), abs=1e-6)
