"""Whether images with several values are instance labels, and whether these fit the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from bmgd_data._ingest.remarks import some
from bmgd_data.instances import components
from bmgd_data.instances.labels import TRUE_PIECES, Regions, regions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_LINE_PX: Final = 2  # labels may be separated by lines, which the mask covers
_SPECK_PX: Final = 20  # smaller regions of a mask need no label
_UNCOVERED: Final = 0.01  # share of the masks' pixels
_GAP_PX: Final = 2  # between the pieces of one nucleus


class Labels:
    """Collects the label images of a stiffness, of one kind.

    They are judged together, as `instances.why_no_labels` judges one. Grey fringes, class maps, and
    binary masks in a folder for labels are no labels.
    """

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        """Distinct values of each file that has several, background included."""
        self.binary: set[int] = set()
        """Rows of masks in which every nucleus has the same value."""
        self._rows: dict[int, Regions] = {}

    def add(self, row: int, path: str, labels: NDArray[np.uint16]) -> None:
        """Add a label image that is numbered 1..n."""
        self._rows[row] = found = regions(labels)
        self.files[path] = found.labels + 1

    def add_binary(self, row: int, count: int) -> None:
        """Add a mask of one value and so many regions: a label image as well, if it has one."""
        self.binary.add(row)
        self._rows[row] = Regions(min(count, 1), count, 0)

    @property
    def counts(self) -> list[int]:
        """Labels of each row that was added."""
        return [self._rows[row].labels for row in sorted(self._rows)]

    @property
    def consistent(self) -> bool:
        several = any(values > 2 for values in self.files.values())  # noqa: PLR2004
        if not several:
            return False
        found = Regions(*map(sum, zip(*self._rows.values(), strict=True)))
        return found.why_no_labels(TRUE_PIECES) is None


class Fit(NamedTuple):
    """How the labels of one image fit its mask."""

    marked: int
    """Pixels that the mask marks."""
    uncovered: int
    """Pixels that only one of them marks, farther than a line's width from the other."""
    lost: int
    """Regions of the mask without any label."""
    alike: int
    """Labels with pieces that lie apart."""


def fit(labels: NDArray[np.uint16], mask: NDArray[np.bool_]) -> Fit:
    """Compare the labels of an image, (H, W), with its mask."""
    from scipy import ndimage

    labelled, square = labels > 0, np.ones((3, 3))
    uncovered = 0
    if (labelled != mask).any():
        for one, other in ((mask, labelled), (labelled, mask)):
            near = ndimage.binary_dilation(other, square, _LINE_PX)
            uncovered += int((one & ~near).sum())
    regions = components(mask)
    sizes = np.bincount(regions.ravel())
    has_label = np.bincount(regions.ravel(), weights=labelled.ravel()) > 0
    lost = int((~has_label & (sizes >= _SPECK_PX))[1:].sum())
    return Fit(int(mask.sum()), uncovered, lost, _alike(labels))


def _alike(labels: NDArray[np.uint16]) -> int:
    """Labels whose pieces have bounding boxes with a gap between them."""
    from scipy import ndimage
    from skimage.measure import label

    pieces, count = label(labels, connectivity=2, return_num=True)
    if count == int(labels.max()):
        return 0
    first: dict[int, tuple[slice, ...]] = {}  # by label, the box of its first piece
    apart = set()
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        value = int(labels[box][pieces[box] == number][0])
        if _gap(first.setdefault(value, box), box) > _GAP_PX:
            apart.add(value)
    return len(apart)


def _gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Pixels between two boxes, along the axis where there are most."""
    gaps = [max(a.start, b.start) - min(a.stop, b.stop) for a, b in zip(one, other, strict=True)]
    return int(max(gaps))


def doubts(
    names: Sequence[str],
    read: Callable[[int], tuple[NDArray[np.uint16], NDArray[np.bool_]]],
) -> list[str]:
    """What makes provided labels doubtful; `read` gives labels and mask of a row."""
    fits = [fit(*read(row)) for row in range(len(names))]
    marked, uncovered, lost, alike = zip(*fits, strict=True)
    share = sum(uncovered) / max(1, sum(marked))
    found = [
        (f"{sum(lost)} regions of masks hold no label", lost),
        (f"{sum(alike)} labels number regions alike that lie apart", alike),
    ]
    if share > _UNCOVERED:
        found.append((f"labels and masks differ in {share:.1%} of what is marked", uncovered))
    lines = []
    for what, numbers in found:
        if affected := [name for name, number in zip(names, numbers, strict=True) if number]:
            lines.append(
                f"labels: {what}, so that instances='provided' may be wrong. Look at "
                f"{some(affected)}."
            )
    return lines
