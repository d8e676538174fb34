"""Nuclei of own images, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bmgd_data import facts, instances, own
from bmgd_data.metrics import instance_f1
from bmgd_data.own import _strips
from bmgd_data.phantom import Phantom, generate


@pytest.fixture(scope="module")
def slices():
    return list(generate(Phantom(size=0.01), facts.CONDITIONS[2]))[:9]


def mosaic(slices, name):
    rows = [np.hstack([getattr(each, name) for each in slices[k : k + 3]]) for k in (0, 3, 6)]
    return np.vstack(rows)


def test_nuclei_are_found(slices):
    found = [own.segment(each.image) for each in slices]
    assert instance_f1([each.instances for each in slices], found) > 0.8


@pytest.mark.parametrize("pixels", [768 * 13, 768 * 301])
def test_strips_give_what_the_whole_gives(slices, monkeypatch, pixels):
    image, mask = mosaic(slices, "image"), mosaic(slices, "mask")
    whole = own.segment(image), own.separate(mask), own.separate(mask, "components")
    monkeypatch.setattr(_strips, "PIXELS", pixels)
    parts = own.segment(image), own.separate(mask), own.separate(mask, "components")
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(parts[2], instances.components(mask))


@pytest.mark.parametrize("corners", [False, True])
def test_components_join_across_strips(monkeypatch, corners):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(_strips, "PIXELS", 1)
    for share in (0.3, 0.5, 0.6):  # snakes and spirals of noise
        mask = rng.random((40, 50)) < share
        labels = np.full(mask.shape, 7, np.uint32)
        areas = _strips.components(lambda rows, m=mask: m[rows], labels, corners=corners)
        expected = ndimage.label(mask, np.ones((3, 3)) if corners else None)[0]
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(areas, np.bincount(expected.ravel())[1:])


def test_separate_agrees_with_the_method_of_the_data(slices):
    for each in slices:  # a depth is smoothed without other components, so rare pixels differ
        ours, theirs = own.separate(each.mask), instances.watershed(each.mask)
        assert instance_f1([theirs], [ours], iou=0.9) > 0.9


def test_more_nuclei_than_16_bits_hold():
    mask = np.zeros((2 * 257, 2 * 257), bool)
    mask[::2, ::2] = True
    found = own.separate(mask, "components")
    assert found.dtype == np.uint32
    assert found.max() == 257**2
    assert own.separate(mask[:100], "components").dtype == np.uint16


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_background(slices, value):
    image = slices[0].image.astype(np.float32)
    whole = own.segment(image)
    image[:20] = value
    found = own.segment(image)
    assert not found[:20].any()
    assert instance_f1([whole[40:]], [found[40:]], iou=0.9) > 0.95


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 5), np.uint8),
        np.zeros((30, 30), np.uint8),
        np.full((30, 30), np.nan, np.float32),
        np.random.default_rng(0).normal(500, 30, (256, 256)),
        np.random.default_rng(0).poisson(100, (256, 256)).astype(np.uint16),
    ],
    ids=["empty", "flat", "NaN", "noise", "photons"],
)
def test_nothing_is_found_where_nothing_is(image):
    found = own.segment(image)
    assert found.shape == image.shape
    assert not found.any()


def test_a_dim_nucleus_is_found_beside_a_bright_one_and_a_lumen_stays_open():
    y, x = np.mgrid[:160, :160]
    image = np.full(y.shape, 200.0)
    image[np.hypot(y - 30, x - 30) < 12] = 4000
    image[np.hypot(y - 30, x - 90) < 12] = 1700
    image[np.hypot(y - 110, x - 110) < 40] = 3000
    image[np.hypot(y - 110, x - 110) < 28] = 200  # the lumen
    image[np.hypot(y - 30, x - 30) < 3] = 200  # a nucleolus
    found = own.segment(ndimage.gaussian_filter(image, 1), diameter=24)
    assert found[30, 30]
    assert found[30, 90]
    assert not found[110, 110]


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((2, 3, 4)), {}, "not .H, W."),
        (np.zeros((3, 4), complex), {}, "not .H, W."),
        (np.zeros((3, 4)), {"diameter": 0.0}, "above 0"),
        (np.zeros((3, 4)), {"diameter": np.nan}, "above 0"),
        (np.zeros((3, 4)), {"method": "magic"}, "Valid: 'components', 'watershed'"),
    ],
)
def test_wrong_arguments_are_refused(image, options, message):
    with pytest.raises(ValueError, match=message):
        own.segment(image, **options)
