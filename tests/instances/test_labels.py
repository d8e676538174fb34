"""Which integers are instance labels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from bmgd_data import Reader, instances
from bmgd_data.instances import labels as label_images
from common import TINY


def fringed(mask):
    """A mask that was resampled: grey along its edges."""
    return (255 * ndimage.zoom(mask.astype(float), 0.5, order=1).clip(0, 1)).astype(np.uint8)


def probabilities(mask, largest, dtype):
    return (ndimage.gaussian_filter(mask.astype(float), 2) * largest).astype(dtype)


def classes(labels):
    """0 background, 1 nucleus, 2 its border, as for U-Nets of three classes."""
    mask = labels > 0
    return mask.astype(np.uint8) + (mask & ~ndimage.binary_erosion(mask, iterations=2))


NO_LABELS = {
    "8-bit probabilities": lambda s: probabilities(s["mask"], 255, np.uint8),
    "16-bit probabilities": lambda s: probabilities(s["mask"], 65535, np.uint16),
    "grey edges": lambda s: fringed(s["mask"]),
    "classes": lambda s: classes(s["instances"]),
    "classes from 1": lambda s: s["mask"].astype(np.uint8) + np.uint8(1),
}


@pytest.fixture(scope="module")
def samples(tiny_root):
    return list(Reader("all", source=TINY, root=tiny_root, instances="watershed"))


@pytest.mark.parametrize("kind", NO_LABELS)
def test_what_cannot_be_labels(kind, samples):
    for sample in samples:
        assert instances.why_no_labels(NO_LABELS[kind](sample)), sample["name"]


def test_labels_are_labels(samples):
    """Also ones with gaps, of a poor model, and with debris of single pixels."""
    rng = np.random.default_rng(0)
    for sample in samples:
        labels = sample["instances"].astype(np.int64)
        specks = np.where(
            rng.random(labels.shape) < 0.003, 1 + np.arange(labels.size).reshape(labels.shape), 0
        )
        grid = np.arange(labels.size).reshape(labels.shape)[::8, ::8].repeat(8, 0).repeat(8, 1)
        for kind in (
            labels,
            labels * 7,
            np.where(labels > 0, labels, specks * 100),
            labels * 10**6 + grid,
        ):
            assert instances.why_no_labels(kind) is None, sample["name"]
        assert instances.why_no_labels(sample["mask"].astype(np.uint8) * np.uint8(255)) is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*where the paper counts")  # the stand-in is not BMGD
@pytest.mark.parametrize("method", ["components", "watershed"])
def test_labels_of_real_nuclei_are_labels(method, standin, tmp_path):
    for sample in Reader("all", source=standin, root=tmp_path, instances=method):
        assert instances.why_no_labels(sample["instances"]) is None


TWO = np.zeros((12, 12), np.uint8)
TWO[1:5, 1:5], TWO[7:11, 7:11] = 1, 2


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (TWO > 0, None),
        (TWO * np.float16(1), None),
        (TWO * np.uint32(2**31 - 1), None),
        (TWO * np.int64(2**61), None),
        (TWO * np.float64(2**53), None),
        (np.zeros((0, 0)), None),
        (TWO / np.float32(255), "no whole numbers"),
        (np.where(TWO == 2, np.nan, TWO), "no whole numbers"),
        (TWO.astype(np.int16) - 1, "below 0, such as -1"),
        (TWO.astype(complex), "of type complex128"),
    ],
)
def test_any_type_of_number(labels, why):
    """Without memory by the largest number; what is no label image is not numbered either."""
    tracemalloc.start()
    found = instances.why_no_labels(labels)
    assert found is None if why is None else why in found
    if why is None:
        numbered = instances.renumbered(labels)
        assert numbered.dtype == np.uint16
        np.testing.assert_array_equal(
            numbered, (TWO > 0) if labels.dtype == bool else TWO[: len(labels), : len(labels)]
        )
    else:
        with pytest.raises(ValueError, match="Number nuclei"):
            instances.renumbered(labels)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_images_are_judged_together_and_truth_more_strictly():
    pieces = np.zeros((9, 9), np.uint8)
    pieces[0, :3], pieces[2, :3], pieces[4, 4] = 1, 1, 2  # one of two in two pieces
    found = label_images.regions(pieces)
    assert found == (2, 3, 0)
    assert found.why_no_labels(label_images.PREDICTED_PIECES) is None
    assert (
        found.why_no_labels(label_images.TRUE_PIECES)
        == "its 2 values besides 0 are in 3 separate regions"
    )
