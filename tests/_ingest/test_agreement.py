"""Judgements on the pairs of a stiffness; the figures of one pair are in test_measures.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bmgd_data import Reader, facts
from bmgd_data._ingest import agreement
from bmgd_data.phantom import Phantom, generate
from common import look

ROUND = np.ones((3, 3))


class Pairs(list):
    """(image, mask) pairs as `judge` takes them."""

    def judge(self, fixed=()):
        pairs = [look(image, mask) for image, mask in self]
        return agreement.judge(pairs, list(map(str, range(len(self)))), self.__getitem__, fixed)

    def masks(self, change):
        return Pairs((i, np.ascontiguousarray(change(m, row))) for row, (i, m) in enumerate(self))

    def images(self, change):
        return Pairs(
            (np.clip(change(i.astype(float), row), 0, 65535).astype(np.uint16), m)
            for row, (i, m) in enumerate(self)
        )


def codes(lines):
    return [line.split(":")[0] for line in lines]


@pytest.fixture(scope="session")
def slices():
    """Thirty slices of six colonies: neighbours look alike."""
    condition = next(c for c in facts.CONDITIONS if c.name == "1800Pa")
    found = Pairs((s.image, s.mask) for s in generate(Phantom(0.15), condition))
    assert len(found) == 30
    return found


@pytest.fixture(scope="session")
def discs(noisy_discs):
    """Bright discs on noise, as `judge` takes them."""
    return lambda *count, **options: Pairs(noisy_discs(*count, **options))


@pytest.mark.parametrize("what", ["mask empty", "mask full", "image"])
def test_uniform_masks_and_images_are_not_judged(discs, what):
    ((image, mask),) = discs(1)
    image = np.full_like(image, 7) if what == "image" else image
    mask = mask if what == "image" else np.full_like(mask, what == "mask full")
    assert codes(Pairs([(image, mask)]).judge().doubts) == ["agreement"]
    more = Pairs([*discs(3), (image, mask)]).judge()
    assert more == agreement.Verdict()


@pytest.mark.parametrize(("down", "right"), [(0, 0), (4, 0), (0, -6), (5, 3)])
def test_shift(discs, down, right):
    moved = discs(12, side=256).masks(lambda m, _: np.roll(m, (down, right), (0, 1)))
    found = agreement.shift([look(*pair) for pair in moved])
    np.testing.assert_allclose(np.multiply(found, 4), (down, right), atol=0.7)


# ---------------------------------------------------------------------------------- right pairs

RIGHT = {
    "as is": lambda p: p,
    "thresholded at 1500": lambda p: p.images(lambda i, _: np.where(i >= 1500, i, 0)),
    "filtered": lambda p: p.images(lambda i, _: ndimage.uniform_filter(i, 5)),
    "blurred": lambda p: p.images(lambda i, _: ndimage.gaussian_filter(i, 2)),
    "background subtracted": lambda p: p.images(
        lambda i, _: i - ndimage.minimum_filter(ndimage.gaussian_filter(i, 3), 51)
    ),
    "uneven light": lambda p: p.images(lambda i, _: i * np.linspace(0.3, 1.7, 256)),
    "debris": lambda p: p.images(lambda i, row: np.where(blots(row), 4095, i)),
    "30 % marked": lambda p: p.masks(some),
    "dilated": lambda p: p.masks(lambda m, _: ndimage.binary_dilation(m, ROUND, 3)),
    "dense": lambda p: Pairs(crop(i, m) for i, m in p),
    "three": lambda p: Pairs(p[:3]),
    "one": lambda p: Pairs(p[:1]),
    "some empty": lambda p: p.masks(lambda m, row: m & (row % 4 > 0)),
}


def blots(seed):
    where = np.zeros((256, 256), bool)
    where[tuple(np.random.default_rng(seed).integers(0, 256, (2, 6)))] = True
    return ndimage.binary_dilation(where, ROUND, 4)


def some(mask, seed):
    pieces, count = ndimage.label(mask, ROUND)
    kept = np.random.default_rng(seed).random(count + 1) < 0.3
    kept[0], kept[1] = False, kept[1] or not kept[2:].any()
    return kept[pieces]


def crop(image, mask):
    """The 96 x 96 pixels with most marked ones."""
    covered = ndimage.uniform_filter(mask * 1.0, 96)[48:-48, 48:-48]
    y, x = np.unravel_index(covered.argmax(), covered.shape)
    inside = np.s_[y : y + 96, x : x + 96]
    return np.ascontiguousarray(image[inside]), np.ascontiguousarray(mask[inside])


@pytest.mark.parametrize("change", RIGHT)
def test_right_pairs_raise_no_doubt(slices, change):
    changed = RIGHT[change](slices)
    found = changed.judge()
    assert found.doubts == found.refusals == found.inverted == []
    assert len(found.notes) == (change == "30 % marked")
    upside_down = changed.masks(lambda m, _: ~m).judge()
    assert upside_down.doubts == upside_down.refusals == []
    assert upside_down.inverted == list(range(len(changed))), "whatever the images look like"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 10, 12])
@pytest.mark.parametrize("seed", [1, 2])
def test_few_right_pairs_raise_no_doubt(discs, count, seed):
    few = discs(count, seed=seed)
    assert few.judge() == agreement.Verdict()
    assert few.masks(lambda m, _: ~m).judge().inverted == list(range(count))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*was read, with notes")
@pytest.mark.parametrize("pa", [250, 950, 1200, 1800])
def test_real_nuclei_raise_no_doubt_and_inverted_masks_are_found(standin, pa):
    reader = Reader("all", pa, source=standin)
    real = Pairs((np.array(s["image"]), np.array(s["mask"])) for s in reader)
    assert real.judge() == agreement.Verdict()
    assert real.masks(lambda m, _: ~m).judge().inverted == list(range(len(real)))
    assert codes(real.masks(lambda m, _: m[::-1]).judge().refusals) == ["mismatch"]
    next_ones = Pairs((i, real[row - 1][1]) for row, (i, _) in enumerate(real))
    assert codes(next_ones.judge().refusals) == ["mismatch"]


# ---------------------------------------------------------------------------------- wrong pairs

WRONG = {
    "mirrored": (lambda m: m[:, ::-1], "mismatch"),
    "turned": (lambda m: m[::-1, ::-1], "mismatch"),
    "transposed": (lambda m: m.T, "mismatch"),
    "moved": (lambda m: np.roll(m, 4, 1), "shifted"),
    "outlines": (lambda m: m ^ ndimage.binary_erosion(m, iterations=2), "outlines"),
}


@pytest.mark.parametrize("change", WRONG)
def test_changed_masks_are_refused(slices, change):
    how, code = WRONG[change]
    found = slices.masks(lambda m, _: how(m)).judge()
    assert codes(found.refusals) == [code]
    assert found.inverted == []


def test_masks_of_the_next_slice_are_refused(slices):
    """Most of them overlap with the right ones: only the best pairing shows it."""
    found = Pairs((i, slices[row - 1][1]) for row, (i, _) in enumerate(slices)).judge()
    assert codes(found.refusals) == ["pairing"]
    assert "the same number of places away" in found.refusals[0]


def test_masks_of_other_images_are_refused(slices, discs):
    order = np.random.default_rng(0).permutation(30)
    shuffled = Pairs((i, slices[order[row]][1]) for row, (i, _) in enumerate(slices))
    assert codes(shuffled.judge().refusals) == ["mismatch"]
    foreign = discs(30, side=256)
    other = Pairs((i, foreign[row][1]) for row, (i, _) in enumerate(slices)).judge()
    assert codes(other.refusals) == ["mismatch"]
    assert other.inverted == []


def test_inverted_images_are_refused_and_their_masks_kept(slices):
    found = slices.images(lambda i, _: 4095 - i).judge()
    assert codes(found.refusals) == ["images-inverted"]
    assert found.inverted == []


@pytest.mark.parametrize("share", [1, 2, 3, 7])
def test_masks_are_inverted_file_by_file(slices, share):
    inverted = [row for row in range(30) if row % share == 0]
    found = slices.masks(lambda m, row: m ^ (row in inverted)).judge()
    assert found.inverted == inverted
    assert found.doubts == found.refusals == []
    assert f"{len(inverted)} of 30 masks marked the background" in found.notes[0]


def test_uniform_masks_follow_the_others(slices):
    changed = slices.masks(lambda m, row: ~(m & (row not in {4, 9})))
    found = changed.judge()
    assert found.inverted == list(range(30))
    assert "2 uniform ones" in found.notes[0]
    right = slices.masks(lambda m, row: m & (row not in {4, 9}))
    assert right.judge() == agreement.Verdict()


def test_single_inverted_images_are_doubted_and_their_masks_kept(slices):
    found = slices.images(lambda i, row: 4095 - i if row in {3, 8} else i).judge()
    assert found.inverted == []
    assert codes(found.doubts) == ["polarity"]
    assert "Look at 3, 8" in found.doubts[0]


def test_masks_with_several_values_are_not_inverted(slices):
    found = slices.masks(lambda m, row: m ^ (row == 3)).judge(fixed=[3])
    assert found.inverted == []
    assert "1 masks with several values" in found.doubts[0]


def test_exchanged_masks_are_named(slices):
    order = list(range(30))
    order[0], order[12] = 12, 0
    found = Pairs((i, slices[order[row]][1]) for row, (i, _) in enumerate(slices)).judge()
    assert codes(found.doubts) == ["swapped"]
    assert "among 0, 12" in found.doubts[0]
    assert not found.refusals


def test_a_single_foreign_mask_is_named(slices, discs):
    ((_, foreign),) = discs(1, side=256, seed=3)
    found = slices.masks(lambda m, row: foreign if row == 17 else m).judge()
    assert codes(found.doubts) == ["stray"]
    assert "Look at 17" in found.doubts[0]


def part(mask, seed, share):
    """The mask with this share of its nuclei, at least one."""
    labels, count = ndimage.label(mask, ROUND)
    chosen = np.random.default_rng(seed).permutation(count)[: max(1, round(share * count))] + 1
    return np.isin(labels, chosen)


@pytest.mark.parametrize("few", [2, 8, 15])
def test_masks_that_leave_out_most_nuclei_are_named(slices, few):
    found = slices.masks(lambda m, row: part(m, row, 0.2) if row < few else m).judge()
    assert codes(found.doubts) == ["unmarked"]
    assert "Look at 0, 1" in found.doubts[0]
    named = int(found.doubts[0].split()[1])
    assert few / 2 <= named <= few, "none of the complete ones"


def test_masks_that_mark_some_nuclei_throughout_pass_with_a_note(slices):
    found = slices.masks(lambda m, row: part(m, row, 0.2)).judge()
    assert (found.doubts, found.refusals) == ([], [])
    (note,) = found.notes
    assert note.endswith("as most do here: not every nucleus is marked")


def test_dim_nuclei_may_be_left_out(slices):
    def change(pair, row):
        image, mask = pair
        bright = part(mask, row, 0.2)
        dim = ndimage.binary_dilation(mask & ~bright, iterations=3) & ~bright
        low = np.percentile(image, 10)
        return np.where(dim, low + 0.5 * (image - low), image).clip(0).astype(np.uint16), bright

    dimmed = Pairs(change(each, row) if row < 8 else each for row, each in enumerate(slices))
    assert dimmed.judge().doubts == []


@pytest.mark.parametrize(("count", "kind"), [(1, "doubts"), (2, "doubts"), (5, "refusals")])
def test_few_wrong_pairs_are_doubted_or_refused(slices, count, kind):
    few = Pairs(slices[:count]).masks(lambda m, _: m[::-1, ::-1])
    assert codes(getattr(few.judge(), kind)) == ["mismatch"]


def test_many_images_are_compared_in_parts(discs, monkeypatch):
    monkeypatch.setattr(agreement, "_CHUNK", 16)
    assert discs(40).judge() == agreement.Verdict()
