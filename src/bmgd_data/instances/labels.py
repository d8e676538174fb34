"""Is this a label image? One rule for labels that an archive brings and for predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data.errors import CorruptArchiveError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUE_PIECES: Final = 1.1
"""Regions per label: annotators leave some nuclei in two pieces."""
PREDICTED_PIECES: Final = 2.0
"""Regions per label of a model, which may be a poor one."""
_SMALL: Final = 4
"""Pixels: labels up to this size that touch others are steps of a gradient, not nuclei."""


class Regions(NamedTuple):
    """What tells label images from others; sums of several images are judged alike."""

    labels: int
    """Distinct values besides 0."""
    regions: int
    """8-connected regions of one value."""
    steps: int
    """Values of at most 4 pixels, beside other values."""

    def why_no_labels(self, pieces: float) -> str | None:
        """Say why these cannot be labels with so many `pieces` each; None if they can."""
        if self.labels <= 1:
            return None
        if self.regions > pieces * self.labels:
            return f"its {self.labels} values besides 0 are in {self.regions} separate regions"
        if self.steps > max(self.labels / 2, 2):
            return f"{self.steps} of its {self.labels} values are edges of at most {_SMALL} pixels"
        return None


def why_no_labels(labels: NDArray[Any], pieces: float = PREDICTED_PIECES) -> str | None:
    """Say why an image cannot hold instance labels; None if it can.

    A nucleus is one region, so a label image has about as many regions as values. Images of classes
    or probabilities have many more regions than values. In gradients (probabilities in 16 bits,
    grey edges of a resampled mask) most values cover a few pixels beside other values.

    Args:
        labels: (H, W), of any number type; an image with one value besides 0 is a mask and passes.
        pieces: Regions per label that are allowed.
    """
    return _why_no_numbers(labels) or regions(_numbered(labels)).why_no_labels(pieces)


def _why_no_numbers(labels: NDArray[Any]) -> str | None:
    if labels.dtype.kind not in "biuf":
        return f"it is of type {labels.dtype}"
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.rint(labels))).all():
        return "it has values that are no whole numbers"
    if labels.size and labels.min() < 0:
        return f"it has values below 0, such as {labels.min():g}"
    return None


def regions(labels: NDArray[np.integer[Any]]) -> Regions:
    """Count the regions of an (H, W) image whose labels are 1..n without gaps."""
    from skimage.measure import label

    if labels.size == 0:
        return Regions(0, 0, 0)
    sizes = np.bincount(labels.ravel())
    touching = np.zeros(len(sizes), np.bool_)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meet = (one != other) & (one > 0) & (other > 0)
        touching[one[meet]] = touching[other[meet]] = True
    count = int(label(labels, background=0, connectivity=2).max())
    return Regions(len(sizes) - 1, count, int((touching & (sizes <= _SMALL)).sum()))


def renumbered(labels: NDArray[Any]) -> NDArray[np.uint16]:
    """Number the labels of an (H, W) instance mask 1..n in their own order, without gaps.

    Memory and time do not depend on how large the numbers are.

    Args:
        labels: Of any integer type, bool, or floats that are whole numbers; 0 is background.

    Raises:
        CorruptArchiveError: More than 65535 labels.
        ValueError: Fractions, infinite values or NaN, or values below 0.
    """
    if why := _why_no_numbers(labels):
        raise ValueError(f"This is no label image: {why}. Number nuclei 1, 2, ..., background 0.")
    return as_uint16(_numbered(labels))


def as_uint16(labels: NDArray[np.integer[Any]]) -> NDArray[np.uint16]:
    """Labels 1..n in the type in which they are kept.

    Raises:
        CorruptArchiveError: They do not fit.
    """
    if (count := int(labels.max(initial=0))) > np.iinfo(np.uint16).max:
        raise CorruptArchiveError(f"A mask with {count} regions is noise, not nuclei.")
    return labels.astype(np.uint16)


def _numbered(labels: NDArray[Any]) -> NDArray[np.intp]:
    values, inverse = np.unique(labels, return_inverse=True)
    first = int(values.size and values[0] != 0)
    return inverse.reshape(labels.shape) + first  # flat before numpy 2
