"""Do the masks belong to their images, and which way round are they?

DAPI: nuclei are brighter than what surrounds them. A plain AUC (the chance that a marked pixel is
brighter than an unmarked one) is kept for people to read, but decides nothing: debris, thresholds
and uneven light lower it for right masks, and the mask of the next slice comes close to the right
one. What decides is the correlation of a mask with the local brightness of its image, compared with
that of the mask's own flips and turns: a pair is *aligned* where its own correlation is the largest
in absolute value. The share of aligned pairs tells right from wrong for a whole stiffness. The
limits below were measured on 816 right and 150 mismatched variants of three real and generated
sets: at least 0.65 where right, at most 0.59 where wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.uint16]
    Mask = NDArray[np.bool_]
    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]

BLOCKS: Final = 64
"""Images are compared at about this many blocks a side."""

_LOCAL: Final = 17  # blocks: the mean that is subtracted is over a quarter of the image's side
_MISMATCH, _WEAK = 0.5, 0.65  # aligned shares
_SOME: Final = 16  # pairs that are looked at in full where a typical one is asked for
_FEW: Final = 10  # pairs below which a mismatch must be clear to be refused
_FITS: Final = 0.35  # distance of a median AUC from 0.5 that speaks for masks which belong here
_CHUNK: Final = 128  # images and masks that are compared with one another at once
_GAIN: Final = 0.02  # of the correlation, by which exchanged masks fit clearly better
_ROUNDS: Final = 32
_SHIFT_PX: Final = 2.0  # right masks were at most 1.5 px off
_SHOWN: Final = 3


class Pair(NamedTuple):
    """What is kept of an image and its mask."""

    auc: float
    """Chance that a marked pixel is brighter than an unmarked one, ties halved; NaN if uniform."""
    untied: float
    """The same without ties; NaN where every pair of pixels is tied."""
    own: float
    """Correlation of mask and local brightness, -1..1; below 0 where unmarked pixels are brighter;
    0 where image or mask is uniform."""
    turned: float
    """The largest absolute correlation of the mask's flips and turns with the image."""
    inside: float
    """Mean grey value of marked pixels, NaN without any."""
    outside: float
    """The same of unmarked ones."""
    share: float
    """Marked pixels, as a share of all."""
    bright: Halves
    """Local brightness of about 64 x 64 blocks; mean 0, length 1."""
    marked: Halves
    """The mask at the same blocks, likewise; all 0 where the mask is uniform."""


@dataclass
class Verdict:
    """What the pairs of one stiffness say together; lines begin with a short code and a colon."""

    inverted: list[int] = field(default_factory=list)
    """Rows whose masks mark the background, and are to be inverted."""
    notes: list[str] = field(default_factory=list)
    """Settled by the pixels."""
    doubts: list[str] = field(default_factory=list)
    """Left open by the pixels."""
    refusals: list[str] = field(default_factory=list)
    """Masks that seem not to belong to their images: not served until accepted."""


def look(image: Image, mask: Mask) -> Pair:
    """Compare an image with its mask.

    Args:
        image: (H, W) uint16.
        mask: (H, W) bool.

    Returns:
        Figures that do not depend on how grey values are scaled, only on their order.
    """
    flat = image.ravel().astype(np.intp)
    grey = np.bincount(flat).astype(float)
    inside = np.bincount(flat[mask.ravel()], minlength=len(grey)).astype(float)
    outside = grey - inside
    pairs = inside.sum() * outside.sum()
    ties = inside @ outside
    wins = inside @ (outside.cumsum() - outside)

    block = max(1, min(image.shape) // BLOCKS)
    ranks = ((grey.cumsum() - grey / 2) / image.size).astype(np.float32)
    bright = _unit(_less_local_mean(_block_sums(ranks.take(flat).reshape(image.shape), block)))
    marked = _unit(_block_sums(mask.view(np.uint8), block))
    values = np.arange(len(grey))
    return Pair(
        auc=_ratio(wins + ties / 2, pairs),
        untied=_ratio(wins, pairs - ties),
        own=float(np.vdot(bright, marked)),
        turned=float(np.abs(_turns(marked) @ bright.ravel()).max()),
        inside=_ratio(inside @ values, inside.sum()),
        outside=_ratio(outside @ values, outside.sum()),
        share=float(inside.sum() / image.size),
        bright=bright.astype(np.float16),
        marked=marked.astype(np.float16),
    )


def inverted(pair: Pair) -> Pair:
    """What `look` would give for the inverted mask."""
    return pair._replace(
        auc=1 - pair.auc,
        untied=1 - pair.untied,
        own=-pair.own,
        inside=pair.outside,
        outside=pair.inside,
        share=1 - pair.share,
        marked=-pair.marked,
    )


def judge(
    pairs: Sequence[Pair],
    names: Sequence[str],
    read: Callable[[int], tuple[Image, Mask]],
    fixed: Iterable[int] = (),
) -> Verdict:
    """Judge the pairs of one stiffness together.

    Args:
        pairs: What `look` found of each.
        names: What to call them.
        read: Gives image and mask of a row; asked for few rows, unless much is wrong.
        fixed: Rows whose masks have several values and a background, and cannot be inverted.

    Returns:
        Which masks to invert, and what there is to say. Uniform masks and images are not judged;
        where most masks are inverted, uniform ones are as well.
    """
    verdict = Verdict()
    case = _Case(pairs, names, read)
    fixed = set(fixed)
    if not len(case.judged):
        verdict.doubts.append(
            "agreement: no image with marked and unmarked pixels, so nothing shows whether masks "
            "belong to images. Look at some samples."
        )
        return verdict
    if case.share < _MISMATCH:
        _say_mismatch(case, verdict)
        return verdict
    if case.share < _WEAK:
        verdict.doubts.append(
            f"agreement: only {case.share:.0%} of {len(case.judged)} masks fit their images better "
            f"than when flipped or turned, where at least {_WEAK:.0%} are usual. Look at "
            f"{case.some(case.judged[~case.aligned[case.judged]])}."
        )
    if _images_are_inverted(case, verdict):
        return verdict
    _judge_polarity(case, fixed, verdict)
    if verdict.inverted:
        flip = set(verdict.inverted)
        case = _Case(
            [inverted(pair) if row in flip else pair for row, pair in enumerate(pairs)],
            names,
            lambda row: _flipped(read(row)) if row in flip else read(row),
        )
    _judge_outlines(case, verdict)
    _judge_shift(case, verdict)
    _judge_pairing(case, verdict)
    return verdict


class _Case:
    """The pairs of one stiffness, and which of them can be judged."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        names: Sequence[str],
        read: Callable[[int], tuple[Image, Mask]],
    ) -> None:
        self.pairs, self.names, self.read = pairs, names, read
        self.own = np.array([pair.own for pair in pairs])
        usable = (self.own != 0) & ~np.isnan([pair.untied for pair in pairs])
        self.judged: NDArray[np.intp] = np.flatnonzero(usable)
        self.aligned = usable & (abs(self.own) > [pair.turned for pair in pairs])
        self.share = float(self.aligned[self.judged].mean()) if len(self.judged) else 0.0

    def sample(self, rows: NDArray[np.intp] | None = None, most: int = _SOME) -> NDArray[np.intp]:
        """Some of the rows, or of all that can be judged, evenly spread."""
        rows = self.judged if rows is None else rows
        return rows[:: max(1, -(-len(rows) // most))]

    def some(self, rows: Iterable[int]) -> str:
        """Names of a few rows."""
        named = [self.names[row] for row in rows]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        return ", ".join(named[:_SHOWN]) + more


# -------------------------------------------------------------------------------- the judgements


def _say_mismatch(case: _Case, verdict: Verdict) -> None:
    count = len(case.judged)
    auc = float(np.median([case.pairs[row].untied for row in case.judged]))
    line = (
        f"mismatch: only {case.share:.0%} of {count} masks fit their images better than when "
        f"flipped or turned (right ones: {_WEAK:.0%} or more; wrong ones: 59% or less); median AUC "
        f"{auc:.2f}. The masks seem to belong to other images, or to be flipped, turned or moved. "
        f"Look at {case.some(case.judged[~case.aligned[case.judged]])}."
    )
    fits_somewhat = abs(auc - 0.5) >= _FITS
    refuse = count >= _FEW or (count > 2 and not fits_somewhat)  # noqa: PLR2004 - two may be chance
    (verdict.refusals if refuse else verdict.doubts).append(line)


def _images_are_inverted(case: _Case, verdict: Verdict) -> bool:
    negative = _negative(case)
    some = case.sample(negative)
    if 2 * len(negative) <= case.aligned.sum() or _mostly(is_sheet(case.read(r)[1]) for r in some):
        return False
    verdict.refusals.append(
        f"images-inverted: marked pixels are darker than unmarked ones in {len(negative)} of "
        f"{len(case.judged)} images, though the masks look like nuclei: the images seem to be "
        f"inverted. Look at {case.some(negative)}."
    )
    return True


def _judge_polarity(case: _Case, fixed: set[int], verdict: Verdict) -> None:
    negative = _negative(case).tolist()
    if 2 * len(negative) > case.aligned.sum():
        # What cannot be judged goes with the others: an empty mask was inverted as they were.
        right = set(np.flatnonzero(case.aligned & (case.own > 0)).tolist())
        found = [row for row in range(len(case.pairs)) if row not in right]
    else:
        found = [row for row in negative if _marks_background(case, row)]
        if unclear := [row for row in negative if row not in set(found)]:
            verdict.doubts.append(
                f"polarity: marked pixels are darker than unmarked ones in {len(unclear)} images, "
                "unlike in the others: image or mask may be inverted. Look at "
                f"{case.some(unclear)}."
            )
    if stuck := [row for row in found if row in fixed and case.own[row]]:
        verdict.doubts.append(
            f"polarity: {len(stuck)} masks with several values mark what is darker than the rest. "
            f"Look at {case.some(stuck)}."
        )
    verdict.inverted = [row for row in found if row not in fixed]
    if verdict.inverted:
        uniform = sum(1 for row in verdict.inverted if not case.pairs[row].marked.any())
        follow = f", {uniform} uniform ones, which follow the rest, among them" if uniform else ""
        verdict.notes.append(
            f"{len(verdict.inverted)} of {len(case.pairs)} masks marked the background, as the "
            f"pixels show, and were inverted{follow}, e.g. {case.some(verdict.inverted)}"
        )


def _negative(case: _Case) -> NDArray[np.intp]:
    return np.flatnonzero(case.aligned & (case.own < 0))


def _marks_background(case: _Case, row: int) -> bool:
    """Whether a single mask is inverted beyond doubt, where most others are not."""
    image, mask = case.read(row)
    pair = case.pairs[row]
    return pair.untied < 0.5 and edge_contrast(image, mask) < 0.5 and is_sheet(mask)  # noqa: PLR2004


def _judge_outlines(case: _Case, verdict: Verdict) -> None:
    masks = [case.read(row)[1] for row in case.sample()]
    filled = float(np.median([inner_share(mask) for mask in masks]))
    if filled >= 0.33 or np.median([enclosed(mask) for mask in masks]) < 0.3:  # noqa: PLR2004
        return
    line = (
        f"outlines: only {filled:.0%} of marked pixels have marked ones around them: the masks "
        f"seem to be outlines, not areas. Look at {case.some(case.sample())}."
    )
    refuse = filled < 0.15 and len(case.judged) > 2  # noqa: PLR2004
    (verdict.refusals if refuse else verdict.doubts).append(line)


def _judge_shift(case: _Case, verdict: Verdict) -> None:
    if len(case.judged) < _FEW / 2:
        return
    rows = case.sample(most=_CHUNK)
    block = max(1, min(case.read(int(rows[0]))[0].shape) // BLOCKS)
    down, right = (offset * block for offset in shift([case.pairs[row] for row in rows]))
    if np.hypot(down, right) < _SHIFT_PX:
        return
    line = (
        f"shifted: the masks fit best when moved by {-down:.1f} pixels down and {-right:.1f} to "
        f"the right; right ones are within 1.5. Look at {case.some(case.sample())}."
    )
    (verdict.refusals if len(case.judged) >= _FEW else verdict.doubts).append(line)


def _judge_pairing(case: _Case, verdict: Verdict) -> None:
    count = len(case.judged)
    found = [_match(case, case.judged[start : start + _CHUNK]) for start in range(0, count, _CHUNK)]
    kept = sum(part.kept for part in found) / count
    step = sum(part.step for part in found) / count
    swapped: list[list[int]] = []
    if count >= _FEW and kept < 0.5:  # noqa: PLR2004
        line = (
            f"pairing: with only {kept:.0%} of {count} images does their own mask go best; right "
            f"ones: 99%. "
            + (
                f"{step:.0%} would go better with the mask that is one same step away, as if names "
                "were off by one. "
                if step >= 0.5  # noqa: PLR2004
                else ""
            )
            + f"Look at {case.some(case.sample())}."
        )
        refuse = count >= 25 and kept < 0.1 and step >= 0.5  # noqa: PLR2004
        (verdict.refusals if refuse else verdict.doubts).append(line)
    elif count >= _FEW / 2 and (1 - kept) * count <= max(2, 0.1 * count):
        swapped = [ring for part in found for ring in part.swapped]
    if swapped:
        rings = "; ".join(case.some(ring) for ring in swapped[:_SHOWN])
        verdict.doubts.append(f"swapped: masks that seem to be exchanged among {rings}.")
    if strays := _strays(case, {row for ring in swapped for row in ring}):
        verdict.doubts.append(
            f"stray: {len(strays)} masks do not fit their images, unlike the others. Look at "
            f"{case.some(strays)}."
        )


def _strays(case: _Case, known: set[int]) -> list[int]:
    """Single pairs whose mask fits neither as a whole nor along its edges."""
    typical = np.nanmedian([abs(edge_contrast(*case.read(row)) - 0.5) for row in case.sample()])
    return [
        row
        for row in case.judged[~case.aligned[case.judged]].tolist()
        if row not in known and edge_contrast(*case.read(row)) - 0.5 < 0.6 * typical
    ]


# ----------------------------------------------------------------------------------- the measures


def edge_contrast(image: Image, mask: Mask) -> float:
    """Share of pixel pairs across the mask's edge that are brighter inside; ties left out.

    The two pixels are 8 apart, or a quarter of a smaller image; NaN where no pair differs.
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
    """Whether an image shows something like nuclei, judged by what others of its kind show.

    Args:
        image: (H, W) uint16.
        contrast: How much brighter nuclei are than the rest, typically; in grey values.
        share: Which share of an image nuclei cover, typically.
    """
    block = max(1, min(image.shape) // BLOCKS)
    means = _block_sums(image, block) / block**2
    bright = means > np.median(means) + contrast / 2
    return bool(bright.mean() > share / 4)


def inner_share(mask: Mask) -> float:
    """Share of marked pixels with marked ones 2 away on all four sides: near 0 for outlines."""
    core = mask.copy()
    core[2:] &= mask[:-2]
    core[:-2] &= mask[2:]
    core[:, 2:] &= mask[:, :-2]
    core[:, :-2] &= mask[:, 2:]
    return float(core.sum() / max(1, mask.sum()))


def enclosed(mask: Mask) -> float:
    """Area of the mask's holes, by its own area: large for outlines, near 0 for small nuclei."""
    from scipy import ndimage

    return float((ndimage.binary_fill_holes(mask) & ~mask).sum() / max(1, mask.sum()))


def euler_number(mask: Mask) -> float:
    """Components (8-connected) less holes: above 0 for nuclei, below 0 for the sheet around them.

    Counted from 2 x 2 windows (Gray, IEEE Transactions on Computers C-20, 1971, 551-561).
    """
    padded = np.pad(mask, 1).astype(np.uint8)
    windows = padded[:-1, :-1] + 2 * padded[1:, :-1] + 4 * padded[:-1, 1:] + 8 * padded[1:, 1:]
    seen = np.bincount(windows.ravel(), minlength=16)
    return (
        float(seen[[1, 2, 4, 8]].sum() - seen[[7, 11, 13, 14]].sum() - 2 * seen[[6, 9]].sum()) / 4
    )


def is_sheet(mask: Mask) -> bool:
    """Whether a mask looks like the background: one sheet with holes, which holds the border."""
    here, there = euler_number(mask), euler_number(~mask)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return here < there or (here == there and border.mean() > 0.5)  # noqa: PLR2004


def shift(pairs: Sequence[Pair]) -> tuple[float, float]:
    """How far masks lie from where they fit best, in blocks down and to the right.

    The peak of the pooled cross-correlation, between blocks by a parabola.
    """
    shape = pairs[0].bright.shape
    spectrum = np.zeros((shape[0], shape[1] // 2 + 1), np.complex128)
    for pair in pairs:
        bright, marked = (one.astype(np.float32) for one in (pair.bright, pair.marked))
        spectrum += np.fft.rfft2(marked) * np.fft.rfft2(bright).conj()
    pooled = np.fft.irfft2(spectrum, shape)
    peak = np.unravel_index(int(pooled.argmax()), shape)
    found = []
    for axis, size in enumerate(shape):
        low, top, high = (
            pooled[tuple((at + step * (a == axis)) % shape[a] for a, at in enumerate(peak))]
            for step in (-1, 0, 1)
        )
        curve = 2 * (low - 2 * top + high)
        offset = float(peak[axis]) + (float((low - high) / curve) if curve else 0.0)
        found.append((offset + size / 2) % size - size / 2)
    return found[0], found[1]


class _Match(NamedTuple):
    """The one-to-one pairing of some images and masks that fits best."""

    kept: int
    """Images that keep their mask."""
    step: int
    """Images that get the mask which is the same number of places away."""
    swapped: list[list[int]]
    """Rows that gain clearly by exchanging their masks among each other."""


def _match(case: _Case, rows: NDArray[np.intp]) -> _Match:
    bright, marked = (
        np.stack([getattr(case.pairs[row], side).ravel() for row in rows]).astype(np.float32)
        for side in ("bright", "marked")
    )
    fit = bright @ marked.T
    if _none_gains(fit):
        return _Match(len(rows), len(rows), [])
    from scipy.optimize import linear_sum_assignment  # slow to import, and rarely needed

    _, best = linear_sum_assignment(-fit)
    places, own, gained = np.arange(len(rows)), fit.diagonal(), fit[np.arange(len(rows)), best]
    swapped, seen = [], set()
    for start in np.flatnonzero(best != places).tolist():
        if start in seen:
            continue
        ring = [start]
        while best[ring[-1]] != start:
            ring.append(int(best[ring[-1]]))
        seen |= set(ring)
        if gained[ring].mean() > max(own[ring].mean() + _GAIN, float(np.median(own)) / 2):
            swapped.append(rows[ring].tolist())
    steps = np.bincount((best - places) % len(rows))
    return _Match(int((best == places).sum()), int(steps.max()), swapped)


def _none_gains(fit: Floats) -> bool:
    """Whether no images gain clearly by exchanging their masks in a ring.

    In a graph whose edges weigh what an image gains by another one's mask, less what is not
    clearly a gain, longest paths are then finite and are found in few rounds (Bellman and Ford).
    """
    own = fit.diagonal()
    gain = fit - np.maximum(own + np.float32(_GAIN), np.median(own) / 2)[:, None]
    longest = np.zeros(len(fit), np.float32)
    for _ in range(_ROUNDS):
        longer = np.maximum(longest, (longest[:, None] + gain).max(axis=0))
        if (longer == longest).all():
            return True
        longest = longer
    return False


# ------------------------------------------------------------------------------------- arithmetic


def _mostly(flags: Iterable[bool]) -> bool:
    return bool(np.median([*flags]) >= 0.5)  # noqa: PLR2004


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")


def _unit(array: Floats) -> Floats:
    centred = array - array.mean()
    length = float(np.sqrt(np.vdot(centred, centred)))
    if length <= 1e-6 * array.size:  # rounding, where all is equal
        return np.zeros_like(centred)
    unit: Floats = centred / np.float32(length)
    return unit


def _block_sums(array: NDArray[Any], block: int) -> Floats:
    """Sums of block x block pixels; what is left over at the right and below is not used."""
    height, width = (side // block * block for side in array.shape)
    rows = array[0:height:block].astype(np.float32)
    for start in range(1, block):
        rows += array[start:height:block]
    sums: Floats = rows[:, 0:width:block].copy()
    for start in range(1, block):
        sums += rows[:, start:width:block]
    return sums


def _less_local_mean(array: Floats) -> Floats:
    from scipy import ndimage

    less: Floats = array - ndimage.uniform_filter(array, _LOCAL, mode="nearest")
    return less


def _turns(marked: Floats) -> Floats:
    """Flips and turns by half, one flattened in each row; of squares, also those by a quarter."""
    upright = [marked, marked.T] if marked.shape[0] == marked.shape[1] else [marked]
    turns = [one[::down, ::right] for one in upright for down in (1, -1) for right in (1, -1)]
    return np.stack([turn.ravel() for turn in turns[1:]])


def _flipped(both: tuple[Image, Mask]) -> tuple[Image, Mask]:
    return both[0], ~both[1]
