"""Whole batches from one device: the samples of BMGD, changed the same way in any batch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tv_tensors = pytest.importorskip("torchvision.tv_tensors")

from bmgd_data import BMGD, Reader  # noqa: E402
from bmgd_data.augment import protocol  # noqa: E402
from bmgd_data.torch import _batches, batches, collate  # noqa: E402
from common import TINY  # noqa: E402

STILL = {"flip": 0.0, "displacement": 0.0, "brightness": 0.0, "contrast": 0.0}
PICTURES = ("image", "mask", "instances")


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root)


def joined(made):
    """One batch of an epoch's batches."""
    found = list(made)
    return {
        key: [name for each in found for name in each[key]]
        if key == "name"
        else torch.cat([each[key].as_subclass(torch.Tensor) for each in found])
        for key in found[0]
    }


def same(one, other, keys=(*PICTURES, "stiffness_pa", "n_nuclei")):
    assert one["name"] == other["name"]
    return all(
        torch.equal(*(each[key].as_subclass(torch.Tensor) for each in (one, other))) for key in keys
    )


def test_without_augmentation_they_are_what_collate_makes(reader):
    data = BMGD("all", source=TINY, root=reader.root)
    expected = collate([data[row] for row in range(len(data))])
    made = joined(batches(reader, 7))
    assert same(made, expected)
    first = next(iter(batches(reader, 7)))
    assert first.keys() == expected.keys()
    assert isinstance(first["instances"], tv_tensors.Mask)
    assert {key: first[key].dtype for key in expected if key != "name"} == {
        key: expected[key].dtype for key in expected if key != "name"
    }


def test_a_cut_without_changes_is_a_window(reader):
    made = next(iter(batches(reader, 4, augment=protocol(crop=(256, 256), **STILL))))
    whole = next(iter(batches(reader, 4)))
    assert same(made, whole, ("mask", "instances"))
    np.testing.assert_allclose(made["image"], whole["image"], atol=1e-4)


def test_a_row_is_changed_alike_in_every_batch(reader):
    changed = {size: joined(batches(reader, size, augment=protocol(96))) for size in (1, 3, 8, 32)}
    for made in changed.values():
        assert same(made, changed[1], ("mask", "instances"))
        np.testing.assert_allclose(made["image"], changed[1]["image"], atol=1e-6)
    data = batches(reader, 8, augment=protocol(96))
    first, second = joined(data), joined(data)
    assert same(first, changed[8])
    assert not same(second, first, ("instances",))  # the next epoch
    assert not same(joined(batches(reader, 8, augment=protocol(96), seed=1)), first, ("instances",))


def test_batches_and_samples_have_one_augmentation(reader, monkeypatch):
    """The transform of samples moves them alike, given the same numbers."""
    chain = protocol(crop=(200, 120))
    made = next(iter(batches(reader, 5, augment=chain, seed=3)))
    drawn = _batches._drawn(torch.arange(5), chain.on(torch.device("cpu")).numbers, 3, 0)
    monkeypatch.setattr(torch, "randint", lambda *_, **__: drawn)
    moved = chain(next(iter(batches(reader, 5))))
    assert moved["image"].shape == (5, 1, 200, 120)
    assert same(moved, made, ("mask", "instances"))
    np.testing.assert_allclose(moved["image"], made["image"], atol=1e-6)


def test_masks_of_their_own_are_kept(reader, monkeypatch):
    """Provided labels may leave out what the mask marks."""
    masks = np.asarray(reader.masks).copy()
    masks[:, :40] = True
    monkeypatch.setattr(Reader, "masks", masks)
    whole = next(iter(batches(reader, 4)))
    np.testing.assert_array_equal(whole["mask"], masks[:4])
    cut = next(iter(batches(reader, 4, augment=protocol(256, **STILL))))
    assert same(cut, whole, ("mask", "instances"))


def test_large_grey_values_are_kept(reader, monkeypatch):
    images = np.asarray(reader.images).copy()
    images[0, 0, 0] = 65535
    monkeypatch.setattr(Reader, "images", images)
    cut = next(iter(batches(reader, 1, augment=protocol(256, **STILL))))
    assert float(cut["image"][0, 0, 0, 0]) == 1.0  # cut off at the full scale, not negative


def test_each_epoch_has_its_own_order_with_every_image_once(reader):
    data = batches(reader, 5, shuffle=True)
    first, second = joined(data)["name"], joined(data)["name"]
    assert sorted(first) == sorted(second) == sorted(reader.names)
    assert first != second
    assert first != reader.names
    again = batches(reader, 7, shuffle=True)
    assert joined(again)["name"] == first
    later = batches(reader, 5, shuffle=True)
    later.load_state_dict(again.state_dict())
    assert joined(later)["name"] == second
    assert sum(len(each["name"]) for each in batches(reader, 7, drop_last=True)) == 42
    assert [len(batches(reader, 7, drop_last=last)) for last in (False, True)] == [7, 6]


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_processes_share_an_epoch_and_make_equally_many_steps(reader, monkeypatch, ranks):
    seen, steps = [], set()
    for rank in range(ranks):
        monkeypatch.setattr(_batches, "_ranks", lambda rank=rank: (rank, ranks))
        data = batches(reader[:47], 4, shuffle=True)
        made = list(data)
        seen += [name for each in made for name in each["name"]]
        steps.add(len(made))
        assert len(made) == len(data)
        assert max(len(each["name"]) for each in made) <= 4
    assert sorted(seen) == sorted(reader.names[:47])
    assert len(steps) == 1


def test_what_makes_no_batches_is_refused(reader):
    with pytest.raises(ValueError, match="batch_size of at least 1"):
        batches(reader, 0)
    with pytest.raises(ValueError, match="holds samples"):
        batches(reader[:0], 4)
    with pytest.raises(TypeError, match=r"bmgd_data\.augment\.protocol"):
        batches(reader, 4, augment=lambda batch: batch)
