"""How well predicted instances agree with the true ones."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

__all__ = ["instance_f1"]


def instance_f1(
    truth: Iterable[Labels], prediction: Iterable[Labels], *, iou: float = 0.5
) -> float:
    """Pooled instance F1 = 2TP / (2TP + FP + FN) over all images.

    A true and a predicted instance match if their intersection over union is greater than ``iou``.
    Above one half each instance can match at most one other, so the matching is unique and needs
    no assignment solver (Kirillov et al. 2019, Panoptic Segmentation, doi 10.1109/CVPR.2019.00963;
    the F1 is their recognition quality). Equality is no match. TP, FP and FN are summed over the
    images before the division, so an image weighs as much as it has instances, and an image that
    is empty in both weighs nothing.

    Args:
        truth: True instance masks, one (H, W) integer array an image: 0 is background, each other
            value one instance. Labels need not be consecutive. An (N, H, W) array does, or any
            iterable; images are drawn one at a time.
        prediction: Predicted instance masks, in the same order and of the same shapes. A label
            need not equal that of the true instance.
        iou: The intersection over union that a match must exceed, in [0.5, 1).

    Returns:
        The score, from 0 to 1. It is 1.0 where no image holds an instance in either: nothing was
        missed and nothing invented, which is perfect agreement, and NaN would spoil every mean
        that it enters.

    Raises:
        ValueError: ``iou`` is out of range; there is no image at all (an iterator that was used up
            before must not score 1.0); one side has fewer images; or an image, named by its index,
            is not two-dimensional, not of integers, has a negative label, or differs in shape.
    """
    counts = [
        match(true, predicted, iou, where=where)
        for where, true, predicted in _paired(truth, prediction)
    ]
    if not counts:
        raise ValueError("No images to score: truth and prediction are empty, or used up before.")
    tp, fp, fn = (sum(column) for column in zip(*counts, strict=True))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0


class Matches(NamedTuple):
    """Counts of matched and unmatched instances."""

    tp: int  #: pairs that match
    fp: int  #: predicted instances without a true one
    fn: int  #: true instances without a predicted one


def match(
    truth: Labels, prediction: Labels, iou: float = 0.5, *, where: str = "The image"
) -> Matches:
    """Match the instances of one image one-to-one at intersection over union > ``iou``.

    Args:
        truth: True instance mask, (H, W), integer, 0 is background.
        prediction: Predicted instance mask, likewise.
        iou: The intersection over union that a match must exceed, in [0.5, 1).
        where: What error messages call the image.

    Raises:
        ValueError: As for :func:`instance_f1`.
    """
    if not 0.5 <= iou < 1:  # noqa: PLR2004 - one half is what makes the matching unique
        raise ValueError(f"iou is {iou}; it must be at least 0.5 and below 1.")
    pairs = overlaps(truth, prediction, where=where)
    # A quotient, as 57 of 100 pixels must not exceed 0.57, and in floats 57 > 0.57 * 100.
    tp = int(np.count_nonzero(pairs.intersection / pairs.union > iou))
    return Matches(tp, fp=pairs.prediction_area.size - tp, fn=pairs.truth_area.size - tp)


class Overlaps(NamedTuple):
    """The joint histogram of two instance masks, without background and without its zeros.

    Instances are counted from 0 in ascending order of label; areas are in pixels, all int64.
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


def overlaps(truth: Labels, prediction: Labels, *, where: str = "The image") -> Overlaps:
    """Find the pairs of instances in one image that share pixels.

    Args:
        truth: True instance mask, (H, W), integer, 0 is background.
        prediction: Predicted instance mask, likewise.
        where: What error messages call the image.

    Raises:
        ValueError: As for :func:`instance_f1`.
    """
    truth = _checked(truth, f"{where}: truth")
    prediction = _checked(prediction, f"{where}: prediction")
    if truth.shape != prediction.shape:
        raise ValueError(
            f"{where}: truth has shape {truth.shape}, but prediction {prediction.shape}. "
            "Give masks of the same image, in the same order and at the same size."
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


def _paired(
    truth: Iterable[Labels], prediction: Iterable[Labels]
) -> Iterator[tuple[str, Labels, Labels]]:
    for index, (true, predicted) in enumerate(zip_longest(truth, prediction)):
        where = f"Image {index}"
        if true is None or predicted is None:
            raise ValueError(
                f"{where} is missing from {'truth' if true is None else 'prediction'}. "
                "Give both the same number of images."
            )
        yield where, true, predicted


def _checked(mask: Labels, what: str) -> Labels:
    labels = np.asarray(mask)
    if labels.ndim != 2:  # noqa: PLR2004 - H and W
        raise ValueError(
            f"{what} has shape {labels.shape}, not (H, W). Give one 2-D mask an image, "
            "or [mask] for a single one."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{what} has dtype {labels.dtype}, not integer labels. Label a binary mask first, "
            "for example by its connected components."
        )
    if labels.min(initial=0) < 0:
        raise ValueError(
            f"{what} has the negative label {labels.min()}. Set pixels without an instance to 0."
        )
    return labels
