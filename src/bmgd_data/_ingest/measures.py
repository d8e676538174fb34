"""Figures of one image and its mask, and of single masks; `agreement` judges by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.uint16]
    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float32]
    Compact = NDArray[np.int16]

_BLOCKS: Final = 64
"""Images are compared at about this many blocks a side."""

_LOCAL: Final = 17  # blocks: the mean that is subtracted is over a quarter of the image's side
_ONE: Final = np.float32(32767)  # the value for 1 in compact arrays
_SEVERAL: Final = 3  # unmarked regions; one or two may be debris
_REGION: Final = 4  # blocks; smaller ones may be specks


class Pair(NamedTuple):
    """The figures that are kept of an image and its mask."""

    auc: float
    """Chance that a marked pixel is brighter than an unmarked one, ties halved; NaN if uniform."""
    untied: float
    """The same without ties; NaN if every pair of pixels is tied."""
    own: float
    """Correlation of mask and local brightness, -1..1; below 0 if unmarked pixels are brighter;
    0 if image or mask is uniform."""
    turned: float
    """The largest absolute correlation of the mask's flips and turns with the image."""
    inside: float
    """Mean grey value of marked pixels; NaN if there are none."""
    outside: float
    """Mean grey value of unmarked pixels."""
    share: float
    """Marked pixels, as a share of all."""
    left_out: float
    """How much of what is as bright as the marked nuclei is unmarked, see `left_out`."""
    bright: Compact
    """Local brightness of about 64 x 64 blocks; mean 0, length 1, in units of 1/32767."""
    marked: Compact
    """The mask at the same blocks, likewise; all 0 if the mask is uniform."""

    def inverted(self) -> Pair:
        return self._replace(
            auc=1 - self.auc,
            untied=1 - self.untied,
            own=-self.own,
            inside=self.outside,
            outside=self.inside,
            share=1 - self.share,
            left_out=float("nan"),  # what is marked now was not looked at
            marked=-self.marked,
        )


def measure_pair(image: NDArray[np.integer[Any]], mask: Mask, counts: NDArray[np.intp]) -> Pair:
    """Compare an image, (H, W) whole numbers from 0 on (intp is fastest), with its mask, (H, W).

    `counts` is ``np.bincount(image.ravel())``. Correlations and AUC depend on the order of grey
    values only, not on their scale.
    """
    from scipy import ndimage

    grey = counts.astype(float)
    inside = np.bincount(image[mask], minlength=len(grey)).astype(float)
    outside = grey - inside
    marked, unmarked = inside.sum(), outside.sum()
    ties = inside @ outside
    wins = inside @ (outside.cumsum() - outside)

    block = block_side(image.shape)
    ranks = ((grey.cumsum() - grey / 2) / image.size).astype(np.float32)
    bright = _block_sums(ranks.take(image), block)
    bright = _unit(bright - ndimage.uniform_filter(bright, _LOCAL, mode="nearest"))
    marked_sums = _block_sums(mask.view(np.uint8), block)
    mask_blocks = _unit(marked_sums)
    values = np.arange(len(grey), dtype=float)
    return Pair(
        auc=_ratio(wins + ties / 2, marked * unmarked),
        untied=_ratio(wins, marked * unmarked - ties),
        own=float(np.vdot(bright, mask_blocks)),
        turned=max(abs(float(np.vdot(bright, turn))) for turn in _turns(mask_blocks)),
        inside=_ratio(inside @ values, marked),
        outside=_ratio(outside @ values, unmarked),
        share=float(marked / image.size),
        left_out=left_out(_block_sums(image, block), marked_sums / np.float32(block**2)),
        bright=(bright * _ONE).astype(np.int16),
        marked=(mask_blocks * _ONE).astype(np.int16),
    )


def stacked(compact: Sequence[Compact]) -> Floats:
    """Compact arrays, (H, W), as (N, H, W) of length 1 each."""
    floats: Floats = np.stack(compact).astype(np.float32)
    floats /= _ONE
    return floats


def block_side(shape: tuple[int, ...]) -> int:
    """Pixels along a side of the blocks at which images of this (H, W) are compared."""
    return max(1, min(shape) // _BLOCKS)


def left_out(bright: Floats, marked: Floats) -> float:
    """How much of what looks like the marked nuclei is unmarked, as a share of its area.

    The limit is half way from the median of unmarked blocks to that of marked ones. Regions above
    it, away from the mask, count if they have 2 x 2 blocks, and one as bright as the marked median.

    Args:
        bright: (H, W) brightness of blocks, in any unit.
        marked: (H, W) the marked share of each block.

    Returns:
        0 if fewer than three regions count; NaN if no block is wholly marked, or none is unmarked.
    """
    from scipy import ndimage

    inside, near = marked == 1, _grown(marked > 0)
    if not inside.any() or near.all():
        return float("nan")
    level = np.median(bright[inside])
    high = ~near & (bright > (level + np.median(bright[~near])) / 2)
    if not (high & (bright > level)).any():
        return 0.0
    regions, count = ndimage.label(high)
    solid = high[1:, 1:] & high[1:, :-1] & high[:-1, 1:] & high[:-1, :-1]
    numbers = range(1, count + 1)
    sizes = np.bincount(regions.ravel())[1:]
    counted = (
        (sizes >= _REGION)
        & (ndimage.maximum(bright, regions, numbers) > level)
        & (ndimage.maximum(solid, regions[:-1, :-1], numbers) > 0)
    )
    area = float(sizes[counted].sum())
    return area / (area + float(marked.sum())) if counted.sum() >= _SEVERAL else 0.0


def _grown(mask: Mask) -> Mask:
    """The mask and all neighbours of its pixels, also those across corners."""
    padded = np.pad(mask, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    grown: Mask = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return grown


def edge_contrast(image: Image, mask: Mask) -> float:
    """Share of pixel pairs across the mask's edge that are brighter inside, without ties.

    The two pixels are 8 apart, or a quarter of a smaller image; NaN if no pair differs.
    """
    apart = max(1, min(8, min(image.shape) // 4))
    brighter = darker = 0
    for grey, marked in ((image, mask), (image.T, mask.T)):
        crossing = marked[apart:] != marked[:-apart]
        difference = grey[apart:][crossing].astype(np.int32) - grey[:-apart][crossing]
        difference *= np.where(marked[apart:][crossing], 1, -1)
        brighter += int((difference > 0).sum())
        darker += int((difference < 0).sum())
    return _ratio(brighter, brighter + darker)


def has_nuclei(image: Image, contrast: float, share: float) -> bool:
    """Whether an image seems to show nuclei, by their usual contrast and share of an image."""
    block = block_side(image.shape)
    means = _block_sums(image, block) / block**2
    bright = means > np.median(means) + contrast / 2
    return bool(bright.mean() > share / 4)


def inner_share(mask: Mask) -> float:
    """Share of marked pixels with marked ones 2 px away on all four sides: near 0 for outlines."""
    core = mask.copy()
    core[2:] &= mask[:-2]
    core[:-2] &= mask[2:]
    core[:, 2:] &= mask[:, :-2]
    core[:, :-2] &= mask[:, 2:]
    return float(core.sum() / max(1, mask.sum()))


def enclosed(mask: Mask) -> float:
    """Area of the mask's holes relative to its own: large for outlines, near 0 for nuclei."""
    from scipy import ndimage

    return float((ndimage.binary_fill_holes(mask) & ~mask).sum() / max(1, mask.sum()))


def is_sheet(mask: Mask) -> bool:
    """Whether a mask looks like background: one sheet with holes, which covers the border."""
    from skimage.measure import euler_number

    here, there = euler_number(mask, connectivity=2), euler_number(~mask, connectivity=2)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return bool(here < there or (here == there and border.mean() > 0.5))  # noqa: PLR2004


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")


def _unit(array: Floats) -> Floats:
    centred = array - array.mean()
    length = np.float32(np.sqrt(np.vdot(centred, centred)))
    if length <= 1e-6 * array.size:  # rounding, where all is equal
        return np.zeros_like(centred)
    unit: Floats = centred / length
    return unit


def _block_sums(array: NDArray[Any], block: int) -> Floats:
    """Sums of block x block pixels, without what is left over at the right and bottom."""
    return _sums_of_rows(_sums_of_rows(array, block).T, block).T


def _sums_of_rows(array: NDArray[Any], block: int) -> Floats:
    """Sums of each `block` rows; fastest along whole rows in memory."""
    count = len(array) // block
    rows = np.ascontiguousarray(array)[: count * block].reshape(count, block, -1)
    sums: Floats = rows.sum(axis=1, dtype=np.float32)
    return sums


def _turns(marked: Floats) -> list[Floats]:
    """Flips and half turns; for squares also quarter turns."""
    upright = [marked, marked.T] if marked.shape[0] == marked.shape[1] else [marked]
    turns = [one[::down, ::right] for one in upright for down in (1, -1) for right in (1, -1)]
    return turns[1:]
