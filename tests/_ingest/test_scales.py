"""The scale of grey values: judged per image, decided for all."""

from __future__ import annotations

import numpy as np
import pytest

from bmgd_data._ingest import scales


def image(top, background=0.1, seed=0, side=64):
    """Background at a tenth of `top`, a square of up to `top`."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(background * top, 0.01 * top, (side, side))
    pixels[10:40, 10:40] = rng.uniform(0.5 * top, top, (30, 30))
    pixels[20:24, 20:24] = top
    return np.clip(pixels, 0, top).astype(np.uint16)


def measure(pixels, bits=16):
    return scales.measure(np.bincount(pixels.ravel()), bits)


def decide(images, bits=16):
    greys = [measure(pixels, bits) for pixels in images]
    return scales.decide(greys, list(map(str, range(len(images)))))


def test_measured_figures_are_those_of_the_pixels():
    pixels = image(5000)
    grey = measure(pixels)
    wide = pixels.astype(np.int64)
    assert (grey.minimum, grey.maximum) == (wide.min(), wide.max())
    assert (grey.total, grey.squares) == (wide.sum(), (wide**2).sum())
    assert (grey.middle, grey.above) == (
        np.sort(wide, None)[wide.size // 2 - 1],
        (wide > 4095).sum(),
    )
    assert (wide > grey.level).mean() <= 0.001 < (wide >= grey.level).mean()


@pytest.mark.parametrize(("top", "full"), [(200, 255), (255, 255), (256, 4095), (4095, 4095)])
@pytest.mark.parametrize("count", [1, 4])
def test_the_smallest_scale_that_holds_all(top, full, count):
    found = decide([image(top, seed=seed) for seed in range(count)])
    assert (found.full, found.doubts) == (full, [])


@pytest.mark.parametrize(("top", "full"), [(4385, 4095), (4700, 4095), (5500, 65535)])
def test_a_small_overshoot_does_not_change_the_scale(top, full):
    pixels = [image(4095), image(top)]
    found = decide([pixels[1]] * 3)
    assert found.full == full
    says = f"exceed 4095, by up to {top - 4095}; they are kept as they are"
    assert [says in note for note in found.notes] == [full == 4095]


def test_hot_pixels_are_counted_and_noted():
    one = image(3000)
    one[:2, :2] = 65535, 5000
    found = decide([image(3000, seed=1), one])
    note = "4 pixels in 1 images exceed 4095, by up to 61440; they are kept as they are"
    assert found == scales.Scale(notes=[note], full=4095)


@pytest.mark.parametrize(
    ("change", "bits"),
    [
        (lambda i: i // 16, 16),  # rescaled to 8 bits
        (lambda i: i // 16, 8),
        (lambda i: i * 16, 16),  # shifted to the left
        (lambda i: (i - i.min()) * 255.0 / (i.max() - i.min()), 16),  # stretched to 8 bits
    ],
)
def test_single_images_on_another_scale_are_doubted(change, bits):
    images = [image(4000, seed=seed) for seed in range(5)]
    images[3] = change(images[3]).astype(np.uint16)
    greys = [measure(pixels) for pixels in images]
    greys[3] = greys[3]._replace(bits=bits)
    found = scales.decide(greys, list("abcde"))
    assert found.full == 4095
    assert [line.split(":")[0] for line in found.doubts] == ["scales"]
    assert "1 of 5 images" in found.doubts[0]
    assert "Look at d." in found.doubts[0]


def test_dark_images_are_not_doubted():
    """The camera's offset stays in images without nuclei."""
    images = [image(4000, seed=seed) for seed in range(5)]
    images[2] = np.random.default_rng(0).integers(180, 250, (64, 64)).astype(np.uint16)
    images[4] = np.zeros((64, 64), np.uint16)
    assert decide(images).doubts == []
