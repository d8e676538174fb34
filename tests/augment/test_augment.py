"""The paper's augmentation as one transform."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tv_tensors = pytest.importorskip("torchvision.tv_tensors")

from torchvision.transforms import v2  # noqa: E402

from bmgd_data import BMGD  # noqa: E402
from bmgd_data.augment import protocol  # noqa: E402
from bmgd_data.augment._moves import Moves  # noqa: E402
from bmgd_data.augment._strengths import DRAWN, Strengths, lines  # noqa: E402
from bmgd_data.torch import collate  # noqa: E402
from common import TINY  # noqa: E402

STILL = {"flip": 0.0, "displacement": 0.0, "brightness": 0.0, "contrast": 0.0}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def sample(height=256, width=256, rows=False):
    """Each picture holds the column (or row) of each of its pixels; the image as a share of 255."""
    axis = np.arange(height)[:, None] if rows else np.arange(width)[None]
    place = torch.from_numpy(np.broadcast_to(axis, (height, width)).astype(np.int32).copy())
    return {
        "image": tv_tensors.Image(place[None].float() / 255),
        "mask": tv_tensors.Mask((place % 2).to(torch.uint8)),
        "instances": tv_tensors.Mask(place),
        "name": "950Pa/a",
    }


def fields(count, **strengths):
    """(count, 2, crop, crop), along rows and columns."""
    moves = Moves(Strengths(**strengths))
    return moves.field(torch.randint(DRAWN, (count, moves.numbers))).permute(0, 3, 1, 2).flip(1)


def columns(moved):
    return np.asarray(moved["image"])[0] * 255


@pytest.mark.parametrize("rows", [False, True])
def test_image_mask_and_instances_move_together(rows):
    moved = protocol(crop=224, brightness=0, contrast=0)(sample(rows=rows))
    assert moved["image"].shape == (1, 224, 224)
    assert isinstance(moved["image"], tv_tensors.Image)
    assert isinstance(moved["instances"], tv_tensors.Mask)
    assert moved["instances"].dtype == torch.int32
    assert moved["mask"].dtype == torch.uint8
    instances = np.asarray(moved["instances"])
    assert np.abs(columns(moved) - instances).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(moved["mask"], instances % 2)
    assert moved["name"] == "950Pa/a"


def test_without_its_four_steps_it_changes_nothing():
    before = sample()
    after = protocol(crop=256, **STILL)(before)
    np.testing.assert_allclose(after["image"], before["image"], atol=1e-5)
    np.testing.assert_array_equal(after["instances"], before["instances"])


def test_a_flip_is_horizontal_and_as_frequent_as_it_says():
    turned = protocol(crop=256, **{**STILL, "flip": 1.0})(sample())
    np.testing.assert_array_equal(turned["instances"], sample()["instances"].flip(-1))
    np.testing.assert_array_equal(
        protocol(crop=256, **{**STILL, "flip": 1.0})(sample(rows=True))["instances"],
        sample(rows=True)["instances"],
    )
    batch = collate([sample(8, 8)] * 1000)
    flipped = protocol(crop=8, **{**STILL, "flip": 0.3})(batch)["instances"][:, 0, 0] == 7
    assert 0.25 < float(flipped.float().mean()) < 0.35


@pytest.mark.parametrize("rows", [False, True])
def test_crops_are_windows_of_the_image_at_every_place(rows):
    batch = collate([sample(12, 10, rows=rows)] * 200)
    found = np.asarray(protocol(crop=8, **STILL)(batch)["instances"])
    first = found[:, 0, 0]
    assert set(first) == set(range(5 if rows else 3))
    line = found[:, :, 0] if rows else found[:, 0]
    np.testing.assert_array_equal(line, first[:, None] + np.arange(8))


def test_a_smaller_image_is_continued_by_its_mirror_image():
    for _ in range(20):
        line = np.asarray(protocol(crop=9, **STILL)(sample(6, 6))["instances"])[0]
        windows = [np.pad(np.arange(6), 3, "reflect")[start : start + 9] for start in range(4)]
        assert any(np.array_equal(line, window) for window in windows)


def test_the_field_has_the_mean_spread_and_smoothness_that_it_says():
    field = fields(100, crop=224, displacement=2.0, smoothness=10.0).numpy()
    assert field.shape == (100, 2, 224, 224)
    assert abs(field.mean()) < 0.1
    spread = field.std(axis=0)
    assert 1.95 < field.std() < 2.05
    for border in (spread[:, :5], spread[:, -5:], spread[..., :5], spread[..., -5:]):
        assert border.mean() == pytest.approx(2, abs=0.25)
    assert abs(np.mean(field[:, 0] * field[:, 1])) < 0.2
    for axis in (2, 3):
        for distance in (5, 10, 20, 40):
            ahead = np.take(field, range(distance, 224), axis)
            behind = np.take(field, range(224 - distance), axis)
            expected = np.exp(-((distance / 10) ** 2) / 4)
            assert np.mean(ahead * behind) / 4 == pytest.approx(expected, abs=0.03)


def test_the_field_is_as_smooth_at_the_border_as_elsewhere():
    bumps, pixels = torch.from_numpy(lines(224, 10.0))[:, 2:], torch.arange(224)
    expected = torch.exp(-(((pixels[:, None] - pixels) / 10) ** 2) / 4)
    torch.testing.assert_close(bumps @ bumps.T, expected, atol=0.02, rtol=0)  # bumps are rounded


def test_the_field_does_not_fold_at_the_defaults():
    rows, along = fields(80).numpy().swapaxes(0, 1)
    rows_down, rows_across = np.gradient(rows, axis=(1, 2))
    along_down, along_across = np.gradient(along, axis=(1, 2))
    stretch = (1 + rows_down) * (1 + along_across) - rows_across * along_down
    assert stretch.min() > 0.1


def test_each_image_of_a_batch_is_changed_differently():
    batch = collate([sample() | {"mask": tv_tensors.Mask(torch.ones(256, 256))}] * 4)
    moved = protocol()(batch)
    assert moved["image"].shape == (4, 1, 224, 224)
    assert moved["instances"].shape == (4, 224, 224)
    drawn = fields(4)
    for a in range(4):
        for b in range(a):
            assert (drawn[a] - drawn[b]).abs().max() > 0.5
            assert not torch.equal(moved["instances"][a], moved["instances"][b])
    grey = collate([sample() | {"image": tv_tensors.Image(torch.full((1, 256, 256), 0.5))}] * 4)
    assert len({float(image.mean()) for image in protocol()(grey)["image"]}) == 4


def test_seeds_repeat_it():
    def drawn():
        torch.manual_seed(3)
        return [protocol()(sample())["image"] for _ in range(2)]

    first, again = drawn(), drawn()
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], first[1])


def test_brightness_multiplies_and_contrast_keeps_the_mean():
    image = torch.linspace(0.2, 0.4, 64).reshape(1, 8, 8)
    batch = collate([{"image": tv_tensors.Image(share * image)} for share in (1, 0.5)] * 150)
    before = batch["image"].flatten(1)
    brighter = protocol(crop=8, **{**STILL, "brightness": 0.3})(batch)["image"] / batch["image"]
    factors = brighter.flatten(1)
    assert float((factors.amax(1) - factors.amin(1)).max()) < 1e-4
    assert 0.7 <= float(factors.min()) < 0.72
    assert 1.28 < float(factors.max()) <= 1.3 + 1e-5
    starker = protocol(crop=8, **{**STILL, "contrast": 0.3})(batch)["image"].flatten(1)
    np.testing.assert_allclose(starker.mean(1), before.mean(1), atol=1e-5)  # of each image
    ratio = starker.std(1) / before.std(1)
    assert 0.7 <= float(ratio.min()) < 0.72
    assert 1.28 < float(ratio.max()) <= 1.3 + 1e-4
    bright = {"image": tv_tensors.Image(torch.full((1, 8, 8), 0.95))}
    changed = collate([protocol(crop=8, brightness=1)(bright) for _ in range(20)])["image"]
    assert float(changed.max()) == 1.0


def test_it_is_a_transform_of_the_data_set_and_a_part_of_others(tiny_root):
    chain = v2.Compose([protocol(crop=96), v2.RandomVerticalFlip(p=1.0)])
    data = BMGD("all", source=TINY, root=tiny_root, transforms=chain)
    batch = collate([data[index] for index in range(3)])
    assert batch["image"].shape == (3, 1, 96, 96)
    np.testing.assert_array_equal(batch["mask"] > 0, batch["instances"] > 0)
    image, mask = (batch[key].as_subclass(torch.Tensor) for key in ("image", "mask"))
    assert image[:, 0][mask > 0].mean() > 1.2 * image[:, 0][mask == 0].mean()


@pytest.mark.parametrize(
    "change",
    [
        {"mask": torch.zeros(256, 256)},
        {"image": torch.zeros(1, 256, 256)},
    ],
)
def test_plain_tensors_are_refused_since_they_would_not_move(change):
    with pytest.raises(ValueError, match=r"collate_fn=bmgd_data\.torch\.collate"):
        protocol()(sample() | change)


def test_a_plain_tensor_that_is_no_picture_is_accepted():
    weights = torch.ones(3)
    assert protocol()(sample() | {"weights": weights})["weights"] is weights


def test_types_are_kept():
    half = tv_tensors.Image(torch.full((1, 256, 256), 0.5, dtype=torch.float16))
    moved = protocol()(sample() | {"image": half})
    assert moved["image"].dtype == torch.float16
    assert moved["mask"].dtype == torch.uint8


def test_whole_numbers_are_refused():
    grey = tv_tensors.Image(torch.zeros(1, 256, 256, dtype=torch.uint8))
    with pytest.raises(TypeError, match="ToDtype"):
        protocol()(sample() | {"image": grey})


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 0},
        {"flip": 1.5},
        {"flip": -0.5},
        {"displacement": -1},
        {"smoothness": 0},
        {"brightness": -0.1},
        {"contrast": 2},
    ],
)
def test_numbers_outside_their_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        protocol(**wrong)
