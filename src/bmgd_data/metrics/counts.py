"""What scores are made of: counts of right and wrong, of pixels or of instances alike."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

Quality = TypeVar("Quality", bound=tuple[float, ...])


class Counts(NamedTuple):
    """Right, invented and missed; of pixels, or of instances.

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
        """Sum up the counts of several images, so that each weighs as much as it holds."""
        return cls(*(sum(column) for column in zip(*counts, strict=True)))


def ratio(part: float, whole: float, *, empty: bool) -> float:
    """The one rule for what is empty; see the package's docstring."""
    if empty:
        return 1.0
    return part / whole if whole else 0.0


def mean(qualities: Iterable[Quality]) -> list[float]:
    """Average tuples of scores, field by field; every image weighs the same."""
    averages: list[float] = np.mean(list(qualities), axis=0).tolist()
    return averages


def paired(
    truth: Iterable[NDArray[Any]], prediction: Iterable[NDArray[Any]]
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Draw images from both sides, one at a time, with the name that error messages call them by.

    Raises:
        ValueError: One side has fewer images, or both have none (an iterator that was used up
            before must not score 1.0).
    """
    where = ""
    for index, (true, predicted) in enumerate(zip_longest(truth, prediction)):
        where = f"Image {index}"
        if true is None or predicted is None:
            raise ValueError(
                f"{where} is missing from {'truth' if true is None else 'prediction'}. "
                "Give both the same number of images."
            )
        yield where, true, predicted
    if not where:
        raise ValueError("No images to score: truth and prediction are empty, or used up before.")


def plane(mask: NDArray[Any], what: str) -> NDArray[Any]:
    """One image of a side.

    Raises:
        ValueError: It is not (H, W).
    """
    array = np.asarray(mask)
    if array.ndim != 2:  # noqa: PLR2004 - H and W
        raise ValueError(
            f"{what} has shape {array.shape}, not (H, W). Give one 2-D mask an image, "
            "or [mask] for a single one."
        )
    return array


def same_shape(truth: NDArray[Any], prediction: NDArray[Any], where: str) -> None:
    """Refuse an image whose sides differ in shape.

    Raises:
        ValueError: They do.
    """
    if truth.shape != prediction.shape:
        raise ValueError(
            f"{where}: truth has shape {truth.shape}, but prediction {prediction.shape}. "
            "Give masks of the same image, in the same order and at the same size."
        )
