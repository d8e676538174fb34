"""Copies made of images whose truth is known: which are found, with the kind, and which falsely."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from bmgd_data.splits import _copies, _overlaps, groups
from colonies import cartoon


def hashed(count):
    """Names that give no series."""
    return ["250Pa/" + hashlib.sha256(str(i).encode()).hexdigest()[:12] for i in range(count)]


def pairs_of(found):
    """Each pair with its kind in words."""
    linked = found.linked
    kinds = [groups.KINDS[kind] for kind in linked.kind]
    return list(zip(linked.one.tolist(), linked.other.tolist(), kinds, strict=True))


def noisy(images, seed, strength=40):
    """Other light, contrast and noise."""
    rng = np.random.default_rng(seed)
    lit = 0.8 * images + 100 + rng.normal(0, strength, images.shape)
    return np.clip(lit, 0, 4095).astype(np.uint16)


def field(seed, height=256, width=480):
    """A wide field of nuclei with texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = ndimage.gaussian_filter(rng.normal(300, 60, (height, width)), 1)
    for _ in range(height * width // 1500):
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        a, b = rng.uniform(6, 13, 2)
        inside = ((y - row) / a) ** 2 + ((x - column) / b) ** 2 < 1
        image[inside] = 300 + rng.uniform(400, 1500) * rng.uniform(0.8, 1.2, inside.sum())
    return ndimage.gaussian_filter(image, 1.2)


def resized(image, share):
    """The middle of an image, as large as the whole."""
    size = round(256 * share)
    start = (256 - size) // 2
    part = image[start : start + size, start : start + size]
    return ndimage.zoom(part, 256 / size, order=1)[:256, :256]


def fields_of(seeds, height=256, width=256):
    return np.array([field(seed, height, width) for seed in seeds])


@pytest.mark.parametrize("kind", _copies.TURNS)
@pytest.mark.parametrize("side", [64, 83, 200])
def test_mirrored_and_turned_copies_are_found_and_told(kind, side):
    small = side < 128  # too few nuclei of a field
    images = cartoon(8, 1, side=side, seed=3).images if small else fields_of(range(8), side, side)
    copies = np.ascontiguousarray(_copies.TURNS[kind](noisy(images, 4)))
    found = groups.find(hashed(16), np.concatenate([images.astype(np.uint16), copies]))
    assert pairs_of(found) == [(i, i + 8, kind) for i in range(8)]
    assert found.numbers.tolist() == [*range(8), *range(8)]


def test_images_that_are_not_square_are_mirrored_and_turned_by_180_degrees_only():
    images = cartoon(4, 1, side=100).images[:, :80]
    copies = [noisy(turn(images), 5) for turn in list(_copies.TURNS.values())[:3]]
    found = groups.find(hashed(16), np.concatenate([images, *copies]))
    assert found.numbers.tolist() == [0, 1, 2, 3] * 4


def test_screening_sums_are_exact_in_float32():
    extreme = np.random.default_rng(0).integers(-(2**19), 2**19, (50, 64, 64), np.int32)
    cells = _copies._cells(extreme)
    assert (cells == np.rint(cells)).all()
    assert (cells.astype(float) ** 2).sum(axis=1).max() < 2**24
    assert (cells @ cells.T == cells.astype(int) @ cells.T.astype(int)).all()


def test_turned_copies_of_another_stiffness_are_found():
    pictures = groups.describe(cartoon(6, 1).images)
    several = np.concatenate([pictures, pictures[2:4, ::-1], pictures[5:]])
    found = groups.across(several, np.array([1, 1, 1, 1, 1, 2, 2, 2, 2]))
    told = [groups.KINDS[kind] for kind in found.kind]
    assert list(zip(found.one, found.other, told, strict=True)) == [
        (2, 6, "mirrored top to bottom"),
        (3, 7, "mirrored top to bottom"),
    ]


PARTS = {
    "half": ("shifted or cut beside it", lambda f: f[:, 128:384]),
    "a quarter": ("shifted or cut beside it", lambda f: f[:, 192:448]),
    "shifted by 12": ("shifted or cut beside it", lambda f: f[:, 12:268]),
    "cropped and resized": ("larger or smaller", lambda f: resized(f[:, :256], 0.85)),
    "turned by 5 degrees": (
        "tilted",
        lambda f: ndimage.rotate(f[:, :256], 5, reshape=False, order=1, mode="reflect"),
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_copies_of_a_part_are_found_and_told(name):
    kind, cut = PARTS[name]
    fields = [field(seed) for seed in range(50, 56)]
    images = [each[:, :256] for each in fields]
    copies = [cut(each) for each in fields]
    found = groups.find(hashed(12), noisy(np.array(images + copies), 7, strength=25))
    assert pairs_of(found) == [(i, i + 6, kind) for i in range(6)]


def test_fields_that_have_nothing_in_common_are_not_linked():
    images = noisy(fields_of(range(60, 80)), 8)
    assert pairs_of(groups.find(hashed(20), images)) == []


def test_marks_are_compared_by_sums_that_float32_holds_exactly():
    _, marks = _overlaps._describe(noisy(fields_of([70, 71]), 9))
    around = marks.around.reshape(-1, 81).astype(int)
    assert 100 < len(marks.image) <= 2 * 64
    assert (around**2).sum(axis=1).max() < 2**24
    exact = around @ around.T
    assert (around.astype(np.float32) @ around.T.astype(np.float32) == exact).all()


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((2, 64, 64)), "float64"),
        (np.zeros((2, 64, 64, 3), np.uint8), "one channel"),
        (np.zeros((3, 64, 64), np.uint8), "2 names for 3 images"),
    ],
)
def test_what_is_no_stack_of_grey_images_is_refused(images, told):
    with pytest.raises(ValueError, match=told):
        groups.find(hashed(2), images)
