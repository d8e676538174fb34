"""How well predicted foreground agrees with the true one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]

THRESHOLD: Final = 0.5
BATCH_SIZE: Final = 8
"""Chosen here: the paper does not state its own."""


class PixelCounts(NamedTuple):
    """What the pixels of one image add to the scores."""

    hard: Counts  #: after the threshold
    shared: float  #: sum over the pixels of truth times probability
    predicted: float  #: sum of the probability
    true: float  #: foreground pixels of the truth


def count_pixels(
    truth: Array, prediction: Array, threshold: float = THRESHOLD, *, where: str = "The image"
) -> PixelCounts:
    """Count what one image adds to the scores of pixels.

    Args:
        truth: True mask, (H, W), bool, or integers of which all but 0 are foreground.
        prediction: Predicted mask, likewise, or floats, which are probabilities from 0 to 1.
        threshold: Probabilities greater than this are foreground.
        where: What error messages call the image.

    Raises:
        ValueError: One is not two-dimensional, is of another type, differs in shape from the
            other, or holds values outside 0 to 1.
    """
    masked, chance = sides(truth, prediction, where)
    for side, mask, kinds in (("truth", masked, "bui"), ("prediction", chance, "buif")):
        if mask.dtype.kind not in kinds:
            raise ValueError(f"{where}: {side} has dtype {mask.dtype}, not bool or integer.")
    true = masked != 0
    if chance.dtype.kind == "f":
        within = (chance >= 0) & (chance <= 1)  # False for NaN
        if not within.all():
            raise ValueError(
                f"{where}: prediction has the value {chance[~within][0]}, and floats must be "
                "probabilities from 0 to 1. Apply the sigmoid first; give labels as integers."
            )
        found = chance > threshold
    else:
        chance = found = chance != 0
    tp, positive, relevant = (int(np.count_nonzero(each)) for each in (true & found, found, true))
    return PixelCounts(
        Counts(tp, positive - tp, relevant - tp),
        shared=float(chance[true].sum(dtype=np.float64)),
        predicted=float(chance.sum(dtype=np.float64)),
        true=float(relevant),
    )


class PixelQuality(NamedTuple):
    """Scores of the foreground, each from 0 to 1."""

    f1: float  #: 2TP / (2TP + FP + FN)
    iou: float  #: TP / (TP + FP + FN)
    precision: float  #: TP / (TP + FP)
    recall: float  #: TP / (TP + FN)

    @classmethod
    def of(cls, counts: Counts) -> PixelQuality:
        """Turn counts into scores."""
        return cls(counts.f1, counts.jaccard, counts.precision, counts.recall)


class SoftQuality(NamedTuple):
    """Scores with probabilities in place of a threshold."""

    f1: float
    iou: float


class PixelScores(NamedTuple):
    """Scores of the foreground in three readings.

    In each row of the paper's table IoU = F1 / (2 - F1) to rounding. That holds if counts are
    pooled before they are divided, and not for means over images. It nearly holds for soft scores,
    since batches are similar.
    """

    pooled: PixelQuality
    """Counts summed over all pixels of all images, then divided: compare these with the paper's."""
    image: PixelQuality
    """Means of the images' own scores. An image that is empty on both sides counts as 1.0."""
    soft: SoftQuality
    """What the Keras package segmentation_models computes by default (f_score and iou_score of its
    base/functional.py): with g the truth, p the probability and sums over a batch, F1 =
    (2 Σgp + e) / (Σp + Σg + e) and IoU = (Σgp + e) / (Σp + Σg - Σgp + e), e = 1e-5; then the mean
    over the batches, each of the same weight. A batch that is empty on both sides scores 1.0. For
    binary predictions it is the mean of the batches' pooled scores."""


def score_pixels(counts: Sequence[PixelCounts], batch_size: int) -> PixelScores:
    """Turn the counts of at least one image into scores.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1.")
    soft = []
    for start in range(0, len(counts), batch_size):
        _, shared, predicted, true = zip(*counts[start : start + batch_size], strict=True)
        both, either, smooth = sum(shared), sum(predicted) + sum(true), 1e-5
        f1 = (2 * both + smooth) / (either + smooth)
        soft.append((f1, (both + smooth) / (either - both + smooth)))
    return PixelScores(
        pooled=PixelQuality.of(Counts.pooled(image.hard for image in counts)),
        image=PixelQuality(*mean(PixelQuality.of(image.hard) for image in counts)),
        soft=SoftQuality(*mean(soft)),
    )


class Counts(NamedTuple):
    """True positives, false positives and false negatives, of pixels or of instances.

    The scores are those of van Rijsbergen, Information Retrieval, 1979, chapter 7, and of Jaccard
    1912 (doi 10.1111/j.1469-8137.1912.tb05611.x). All are 1.0 if every count is 0, and 0.0 if
    nothing is right.
    """

    tp: int  #: pixels that are foreground in both, or pairs of instances that match
    fp: int  #: predicted, without a true one
    fn: int  #: true, without a predicted one

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return ratio(self.tp, self.tp + self.fp, empty=not any(self))

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return ratio(self.tp, self.tp + self.fn, empty=not any(self))

    @property
    def f1(self) -> float:
        """2TP / (2TP + FP + FN): the harmonic mean of precision and recall, or Dice."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn, empty=not any(self))

    @property
    def jaccard(self) -> float:
        """TP / (TP + FP + FN): of pixels the IoU, of instances the AP."""
        return ratio(self.tp, sum(self), empty=not any(self))

    @classmethod
    def pooled(cls, counts: Iterable[Counts]) -> Counts:
        """Sum the counts of several images."""
        return cls(*map(sum, zip(*counts, strict=True)))


def ratio(part: float, whole: float, *, empty: bool) -> float:
    """Divide; the package's docstring has the rule for 0 / 0."""
    if empty:
        return 1.0
    return part / whole if whole else 0.0


def mean(qualities: Iterable[tuple[float, ...]]) -> list[float]:
    """Average tuples of scores field by field, with equal weights."""
    averages: list[float] = np.mean(list(qualities), axis=0).tolist()
    return averages


def sides(truth: Array, prediction: Array, where: str) -> tuple[Array, Array]:
    """The true and the predicted mask of one image as arrays; raise if they are not both (H, W)."""
    arrays = np.asarray(truth), np.asarray(prediction)
    for side, array in zip(("truth", "prediction"), arrays, strict=True):
        if array.ndim != 2:  # noqa: PLR2004 - H and W
            raise ValueError(
                f"{where}: {side} has shape {array.shape}, not (H, W). Give one 2-D mask per image "
                "or [mask] for a single one."
            )
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(
            f"{where}: truth has shape {arrays[0].shape}, but prediction {arrays[1].shape}. "
            "Give masks of the same image, in the same order and at the same size."
        )
    return arrays
