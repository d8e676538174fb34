"""Which true and predicted instances share pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bmgd_data.metrics.counts import plane, same_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]


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
    """Find the pairs of instances in one image that share pixels.

    Args:
        truth: True instance mask, (H, W), integer, 0 is background.
        prediction: Predicted instance mask, likewise.
        where: What error messages call the image.

    Raises:
        ValueError: A mask is not two-dimensional, not of integers, has a negative label, or
            differs in shape from the other.
    """
    truth = _checked(truth, f"{where}: truth")
    prediction = _checked(prediction, f"{where}: prediction")
    same_shape(truth, prediction, where)
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


def _checked(mask: Labels, what: str) -> Labels:
    labels = plane(mask, what)
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
