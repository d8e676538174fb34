"""How well predicted instances agree with the true ones."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data.metrics.pixel import Counts, mean, ratio, sides

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

IOU_THRESHOLDS: Final = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.5 to 0.95 in steps of 0.05, as in the Data Science Bowl 2018 and in COCO."""


def instance_f1(
    truth: Iterable[Labels], prediction: Iterable[Labels], *, iou: float = 0.5
) -> float:
    """Pooled instance F1 = 2TP / (2TP + FP + FN) over all images.

    A true and a predicted instance match if their intersection over union is greater than ``iou``.
    Above one half each instance can match at most one other, so the matching is unique and needs
    no assignment solver (Kirillov et al. 2019, Panoptic Segmentation, doi 10.1109/CVPR.2019.00963;
    the F1 is their recognition quality). Equality is no match. TP, FP and FN are summed over the
    images before the division: an image counts in proportion to its instances, and an image that is
    empty on both sides does not count.

    Args:
        truth: True instance masks, one (H, W) integer array per image: 0 is background, each other
            value is one instance. Labels need not be consecutive. An (N, H, W) array or any other
            iterable; one image is read at a time.
        prediction: Predicted instance masks, in the same order and of the same shapes. A label
            need not equal that of the true instance.
        iou: The intersection over union that a match must exceed, in [0.5, 1).

    Returns:
        The score, from 0 to 1; 1.0 if no image holds an instance on either side.

    Raises:
        ValueError: ``iou`` is out of range; there is no image at all; one side has fewer images; or
            an image, named by its index, is not two-dimensional, not of integers, has a negative
            label, or differs in shape.
    """
    if not 0.5 <= iou < 1:  # noqa: PLR2004 - one half is what makes the matching unique
        raise ValueError(f"iou is {iou}; it must be at least 0.5 and below 1.")
    counts = []
    for index, (true, predicted) in enumerate(zip_longest(truth, prediction)):
        where = f"Image {index}"
        if true is None or predicted is None:
            raise ValueError(
                f"{where} is missing from {'truth' if true is None else 'prediction'}. "
                "Give both the same number of images."
            )
        counts.append(match(true, predicted, iou, where=where))
    if not counts:  # an iterator that is used up must not score 1.0
        raise ValueError("No images to score: truth and prediction are empty, or used up before.")
    return Counts.pooled(counts).f1


def match(
    truth: Labels, prediction: Labels, iou: float = 0.5, *, where: str = "The image"
) -> Counts:
    """Match the instances of one image one-to-one at intersection over union > ``iou``."""
    pairs = overlaps(truth, prediction, where=where)
    tp = int(np.count_nonzero(pairs.iou > iou))
    return Counts(tp, fp=pairs.prediction_area.size - tp, fn=pairs.truth_area.size - tp)


class InstanceCounts(NamedTuple):
    """What the instances of one image, or of several together, add to the scores."""

    true: int  #: true instances
    found: int  #: predicted instances
    tp: tuple[int, ...]  #: pairs whose IoU is greater than each of `IOU_THRESHOLDS`
    matched_iou: float  #: sum of the IoU of the pairs above 0.5
    aji_intersection: int  #: pixels; see `InstanceQuality.aji`
    aji_union: int  #: pixels

    @classmethod
    def pooled(cls, counts: Iterable[InstanceCounts]) -> InstanceCounts:
        """Sum the counts of several images."""
        true, found, tp, *areas = zip(*counts, strict=True)
        return cls(sum(true), sum(found), tuple(map(sum, zip(*tp, strict=True))), *map(sum, areas))


def count_instances(
    truth: Labels, prediction: Labels, *, where: str = "The image"
) -> InstanceCounts:
    """Count what one image adds to the scores of instances.

    Args:
        truth: True instance mask, (H, W), integer, 0 is background.
        prediction: Predicted instance mask, likewise.
        where: What error messages call the image.

    Raises:
        ValueError: A mask is not two-dimensional, not of integers, has a negative label, or
            differs in shape from the other.
    """
    pairs = overlaps(truth, prediction, where=where)
    iou = pairs.iou
    # For the AJI, the pair of highest IoU of each true instance; the sort is stable, so the lower
    # label is taken of two equal ones.
    order = np.lexsort((-iou, pairs.truth_index))
    chosen, first = np.unique(pairs.truth_index[order], return_index=True)
    best = order[first]
    missed = np.delete(pairs.truth_area, chosen)
    unused = np.delete(pairs.prediction_area, pairs.prediction_index[best])
    return InstanceCounts(
        true=pairs.truth_area.size,
        found=pairs.prediction_area.size,
        tp=tuple(int(np.count_nonzero(iou > threshold)) for threshold in IOU_THRESHOLDS),
        matched_iou=float(iou[iou > IOU_THRESHOLDS[0]].sum()),
        aji_intersection=int(pairs.intersection[best].sum()),
        aji_union=int(pairs.union[best].sum() + missed.sum() + unused.sum()),
    )


class InstanceQuality(NamedTuple):
    """Scores of instances, each from 0 to 1. Unless noted, matches have an IoU greater than 0.5.

    Public implementations differ if the IoU equals the threshold: StarDist counts a match, Cellpose
    at some thresholds, Kirillov et al. and this package do not.
    """

    f1: float
    """2TP / (2TP + FP + FN)."""
    precision: float
    """TP / (TP + FP)."""
    recall: float
    """TP / (TP + FN)."""
    ap50: float
    """TP / (TP + FP + FN): the average precision of the Data Science Bowl 2018 (Caicedo et al.
    2019, doi 10.1038/s41592-019-0612-7) and of StarDist and Cellpose; no area under a curve."""
    ap75: float
    """The same for matches with an IoU greater than 0.75."""
    ap: float
    """The same, averaged over `IOU_THRESHOLDS`."""
    sq: float
    """Segmentation quality, the mean IoU of the matches (Kirillov et al. 2019, doi
    10.1109/CVPR.2019.00963)."""
    rq: float
    """Recognition quality, TP / (TP + FP/2 + FN/2), which is the F1 (the same source)."""
    pq: float
    """Panoptic quality, SQ times RQ, of the one class "nucleus" (the same source)."""
    aji: float
    """Aggregated Jaccard index (Kumar et al. 2017, doi 10.1109/TMI.2017.2677499, algorithm 1):
    each true instance takes the predicted one of highest IoU, which may serve several; their
    intersections are divided by their unions plus the areas of all instances left over. Of two
    equal IoU the lower label is used. A true instance that overlaps none is left over. HoVer-Net's
    get_fast_aji is this score; Cellpose's aggregated_jaccard_index differs and is mostly higher."""

    @classmethod
    def of(cls, counts: InstanceCounts) -> InstanceQuality:
        """Turn counts into scores."""
        by_iou = [Counts(tp, counts.found - tp, counts.true - tp) for tp in counts.tp]
        half, empty = by_iou[0], counts.true + counts.found == 0
        sq = ratio(counts.matched_iou, half.tp, empty=empty)
        return cls(
            f1=half.f1,
            precision=half.precision,
            recall=half.recall,
            ap50=half.jaccard,
            ap75=by_iou[IOU_THRESHOLDS.index(0.75)].jaccard,
            ap=float(np.mean([each.jaccard for each in by_iou])),
            sq=sq,
            rq=half.f1,
            pq=sq * half.f1,
            aji=ratio(counts.aji_intersection, counts.aji_union, empty=empty),
        )


class InstanceScores(NamedTuple):
    """Scores of instances, and their numbers."""

    nuclei: int
    """True instances."""
    found: int
    """Predicted instances."""
    pooled: InstanceQuality
    """Counts summed over the images before they are divided."""
    image: InstanceQuality
    """Means of the images' own scores. An image that is empty on both sides counts as 1.0."""
    count_error: float
    """Mean over the images of abs(predicted - true instances)."""
    count_bias: float
    """Mean over the images of predicted - true instances."""


def score_instances(counts: Sequence[InstanceCounts]) -> InstanceScores:
    """Turn the counts of at least one image into scores."""
    total = InstanceCounts.pooled(counts)
    surplus = [image.found - image.true for image in counts]
    return InstanceScores(
        nuclei=total.true,
        found=total.found,
        pooled=InstanceQuality.of(total),
        image=InstanceQuality(*mean(map(InstanceQuality.of, counts))),
        count_error=float(np.mean(np.abs(surplus))),
        count_bias=float(np.mean(surplus)),
    )


class Overlaps(NamedTuple):
    """The joint histogram of two instance masks, without background and without its zeros.

    Instances are counted from 0 in ascending order of label; areas are in pixels, all int64. Pairs
    are ordered by true, then by predicted instance.
    """

    truth_area: NDArray[np.int64]  #: (T,) of each true instance
    prediction_area: NDArray[np.int64]  #: (P,) of each predicted instance
    truth_index: NDArray[np.int64]  #: (K,) the true instance of each pair that overlaps
    prediction_index: NDArray[np.int64]  #: (K,) the predicted instance of the pair
    intersection: NDArray[np.int64]  #: (K,) pixels that the pair shares

    @property
    def union(self) -> NDArray[np.int64]:
        """(K,) pixels that at least one instance of the pair covers."""
        areas = self.truth_area[self.truth_index] + self.prediction_area[self.prediction_index]
        return areas - self.intersection

    @property
    def iou(self) -> NDArray[np.float64]:
        """(K,) intersection over union of the pair.

        A quotient to compare with a threshold, never the union times the threshold: 57 of 100
        pixels must not exceed 0.57, and in floats 57 > 0.57 * 100.
        """
        quotient: NDArray[np.float64] = self.intersection / self.union
        return quotient


def overlaps(truth: Labels, prediction: Labels, *, where: str = "The image") -> Overlaps:
    """Find the pairs of instances in one image that share pixels; see `count_instances`."""
    truth, prediction = sides(truth, prediction, where)
    for side, labels in (("truth", truth), ("prediction", prediction)):
        if labels.dtype.kind not in "iu":
            raise ValueError(
                f"{where}: {side} has dtype {labels.dtype}, not integer labels. Label a binary "
                "mask first, for example by its connected components."
            )
        if labels.min(initial=0) < 0:
            raise ValueError(
                f"{where}: {side} has the negative label {labels.min()}. Set pixels without an "
                "instance to 0; after OpenCV's watershed, whose borders are -1 and whose "
                "background is 1, give np.where(markers > 1, markers - 1, 0)."
            )
    truth_labels, truth_area = np.unique(truth[truth > 0], return_counts=True)
    prediction_labels, prediction_area = np.unique(prediction[prediction > 0], return_counts=True)
    both = (truth > 0) & (prediction > 0)
    # Ranks instead of labels: a pair's number then fits int64 however large the labels are.
    # Counting only the pairs that occur bounds memory by the pixels, not by instances squared.
    truth_rank = np.searchsorted(truth_labels, truth[both])
    prediction_rank = np.searchsorted(prediction_labels, prediction[both])
    pairs, intersection = np.unique(
        truth_rank * prediction_labels.size + prediction_rank, return_counts=True
    )
    truth_index, prediction_index = np.divmod(pairs, prediction_labels.size)
    return Overlaps(truth_area, prediction_area, truth_index, prediction_index, intersection)
