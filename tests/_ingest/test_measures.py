"""The figures of one image and its mask, one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage, stats

from bmgd_data._ingest import measures
from common import look


def test_auc_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 9, (20, 24)).astype(np.uint16)
    mask = rng.random(image.shape) < 0.3
    image[mask] += 2
    pair = look(image, mask)
    inside, outside = image[mask].astype(int), image[~mask].astype(int)
    expected = stats.mannwhitneyu(inside, outside).statistic / (inside.size * outside.size)
    assert pair.auc == pytest.approx(expected)
    difference = inside[:, None] - outside
    assert pair.untied == pytest.approx((difference > 0).sum() / (difference != 0).sum())
    assert (pair.inside, pair.outside) == (inside.mean(), outside.mean())


def test_a_right_mask_fits_better_than_its_turns_and_an_inverted_one_the_same_way(noisy_discs):
    for image, mask in noisy_discs(5):
        right, wrong = look(image, mask), look(image, ~mask)
        assert right.own > right.turned > 0
        assert right.own > 0.5
        for found, name in zip(right.inverted(), wrong._fields, strict=True):
            units = 1 if name == "marked" else 1e-4
            if name != "left_out":  # unknown: what is marked now was not looked at
                np.testing.assert_allclose(found, getattr(wrong, name), atol=units)
        flipped = look(image, np.ascontiguousarray(mask[::-1]))
        assert flipped.turned == pytest.approx(right.own, abs=1e-5)


def test_only_the_order_of_grey_values_matters(noisy_discs):
    ((image, mask),) = noisy_discs(1)
    ranks = np.unique(image, return_inverse=True)[1].reshape(image.shape)
    one, other = look(image, mask), look(ranks.astype(np.uint16) * 3 + 7, mask)
    assert one.own == pytest.approx(other.own, abs=1e-6)
    assert one.auc == other.auc


@pytest.mark.parametrize("what", ["mask empty", "mask full", "image"])
def test_uniform_masks_and_images_have_no_correlation(noisy_discs, what):
    ((image, mask),) = noisy_discs(1)
    image = np.full_like(image, 7) if what == "image" else image
    mask = mask if what == "image" else np.full_like(mask, what == "mask full")
    pair = look(image, mask)
    assert pair.own == 0
    assert math.isnan(pair.untied)


@pytest.mark.parametrize("shape", [(256, 256), (200, 150), (24, 20), (63, 300), (9, 9), (3, 5)])
def test_images_of_any_shape(shape):
    rng = np.random.default_rng(0)
    mask = np.zeros(shape, bool)
    mask[: shape[0] // 2, shape[1] // 3 : -1] = True
    image = (mask * 500 + rng.integers(0, 400, shape)).astype(np.uint16)
    pair = look(image, mask)
    assert pair.own > 0
    assert 64 <= max(64, *pair.bright.shape) <= 64 * max(2, -(-max(shape) // min(shape)))
    assert measures.edge_contrast(image, mask) > 0.5


def test_edge_contrast():
    mask = np.zeros((64, 64), bool)
    mask[20:44, 20:44] = True
    ramp = np.tile(np.arange(64, dtype=np.uint16) * 50, (64, 1))
    assert measures.edge_contrast(np.where(mask, 9, 3).astype(np.uint16), mask) == 1
    assert measures.edge_contrast(np.where(mask, 3, 9).astype(np.uint16), mask) == 0
    assert measures.edge_contrast(ramp, mask) == pytest.approx(0.5)
    assert math.isnan(measures.edge_contrast(mask * np.uint16(0), mask))


def test_a_sheet_is_distinguished_from_nuclei(noisy_discs):
    for _, mask in noisy_discs(20, nuclei=6):
        assert measures.is_sheet(~mask)
        assert not measures.is_sheet(mask)
    corner = np.zeros((40, 40), bool)
    corner[:9, :9] = True
    assert measures.is_sheet(~corner)
    assert not measures.is_sheet(corner)


def test_outlines_enclose_and_have_no_inside(noisy_discs):
    ((_, mask),) = noisy_discs(1)
    rim = mask ^ ndimage.binary_erosion(mask, iterations=2)
    assert measures.inner_share(rim) < 0.1
    assert measures.inner_share(mask) > 0.5
    assert measures.enclosed(rim) > 0.3
    assert measures.enclosed(mask) < 0.01
    dots = np.zeros_like(mask)
    dots[::9, ::9] = True
    assert measures.enclosed(ndimage.binary_dilation(dots)) == 0
