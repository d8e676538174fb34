"""Copies made of images whose truth is known: which are found, with the kind, and which falsely."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bmgd_data.splits import _copies, groups
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


@pytest.mark.parametrize("kind", _copies.TURNS)
@pytest.mark.parametrize("side", [64, 83, 200])
def test_mirrored_and_turned_copies_are_found_and_told(kind, side):
    images = cartoon(8, 1, side=side, seed=3).images
    copies = np.ascontiguousarray(_copies.TURNS[kind](noisy(images, 4)))
    found = groups.find(hashed(16), np.concatenate([images, copies]))
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
    found = groups.linked_of(pictures, np.ascontiguousarray(pictures[2:4, ::-1]))
    assert list(zip(found.one, found.other, strict=True)) == [(2, 0), (3, 1)]
    assert {groups.KINDS[kind] for kind in found.kind} == {"mirrored top to bottom"}
