from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import py7zr
import pytest
import tifffile
from skimage.measure import label

from bmgd_data import facts, phantom
from bmgd_data.phantom import Phantom
from bmgd_data.phantom import _colony as colony

TINY = Phantom(size=0.001)
BY_NAME = {condition.name: condition for condition in facts.CONDITIONS}
SOFT, SPARSE = BY_NAME["250Pa"], BY_NAME["950Pa"]


@pytest.fixture(scope="module")
def slices():
    """The slices of the default phantom by condition."""
    return {c.name: list(phantom.generate(Phantom(), c)) for c in facts.CONDITIONS}


@pytest.fixture(scope="module")
def everything(slices):
    return [item for items in slices.values() for item in items]


def same(some, others):
    return all(
        all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "expected", "canonical"),
    [
        ("phantom", Phantom(0.1, 0), "phantom"),
        (" phantom ", Phantom(), "phantom"),
        ("phantom:full", Phantom(1), "phantom:size=1"),
        ("phantom:full,seed=2", Phantom(1, 2), "phantom:size=1,seed=2"),
        ("phantom:size=10", Phantom(10), "phantom:size=10"),
        ("phantom:seed=3", Phantom(seed=3), "phantom:seed=3"),
        ("phantom:seed=3,size=0.02", Phantom(0.02, 3), "phantom:size=0.02,seed=3"),
        ("phantom:slices=20", Phantom(slices=20), "phantom:slices=20"),
        ("phantom:step=2.0,slices=30", Phantom(slices=30, step=2), "phantom:slices=30,step=2"),
        ("phantom:step=0.5", Phantom(step=0.5), "phantom:step=0.5"),
    ],
)
def test_parse_and_str(text, expected, canonical):
    assert Phantom.parse(text) == expected
    assert str(expected) == canonical
    assert Phantom.parse(canonical) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "phantoms",
        "Phantom",
        "phantom:",
        "phantom:huge",
        "phantom:size",
        "phantom:size=",
        "phantom:size=0",
        "phantom:size=-1",
        "phantom:size=nan",
        "phantom:size=inf",
        "phantom:seed=-1",
        "phantom:seed=0.5",
        "phantom:size=1,size=2",
        "phantom:full,size=2",
        "phantom:size=1,",
        "phantom:colour=red",
        "phantom:slices=0",
        "phantom:slices=2.5",
        "phantom:slices=61",
        "phantom:slices=31,step=2",
        "phantom:step=0.1",
        "phantom:step=11",
        "phantom:step=nan",
    ],
)
def test_parse_error_lists_the_valid_forms(text):
    with pytest.raises(ValueError, match=r"(?s)phantom:full.*phantom:size=0.02,seed=3") as caught:
        Phantom.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("arguments", [(0, 0), (float("nan"), 0), (float("inf"), 0), (1, -1)])
def test_out_of_range_is_refused(arguments):
    with pytest.raises(ValueError, match="Valid: "):
        Phantom(*arguments)


def test_counts_are_multiples_of_the_papers():
    assert [Phantom(1).count(c) for c in facts.CONDITIONS] == [453, 54, 114, 198]
    assert [Phantom(10).count(c) for c in facts.CONDITIONS] == [4530, 540, 1140, 1980]
    assert [Phantom().count(c) for c in facts.CONDITIONS] == [45, 12, 12, 20]
    assert {TINY.count(c) for c in facts.CONDITIONS} == {phantom.MIN_IMAGES}


def test_generate_yields_count_slices(slices):
    assert {name: len(items) for name, items in slices.items()} == {
        c.name: Phantom().count(c) for c in facts.CONDITIONS
    }


def test_every_parameter_changes_the_key(monkeypatch):
    assert Phantom(1).key(SOFT) == Phantom(1.0, 0).key(SOFT)
    keys = {
        Phantom(size, seed).key(c) for size in (0.1, 1) for seed in (0, 1) for c in facts.CONDITIONS
    }
    keys |= {Phantom(slices=6).key(SOFT), Phantom(step=2).key(SOFT)}
    monkeypatch.setattr(phantom, "GENERATOR_VERSION", phantom.GENERATOR_VERSION + 1)
    keys.add(Phantom().key(SOFT))
    assert len(keys) == 2 * 2 * 4 + 3
    assert all(len(bytes.fromhex(key)) == 32 for key in keys)


def test_same_seed_same_slices_whatever_the_size(slices):
    again = list(phantom.generate(TINY, SOFT))
    assert same(again, slices["250Pa"][: len(again)])


def test_seed_and_condition_and_colony_change_the_images(slices):
    other_seed = next(phantom.generate(Phantom(seed=1), SOFT))
    firsts = [items[0].image for items in slices.values()]
    firsts += [other_seed.image, slices["250Pa"][Phantom.slices].image]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(firsts, 2))


def test_shapes_types_and_names(slices, everything):
    for item in everything:
        assert item.image.shape == item.mask.shape == item.instances.shape == facts.IMAGE_SHAPE
        assert item.image.dtype == item.instances.dtype == np.uint16
        assert item.mask.dtype == np.bool_
        assert item.image.max() <= facts.FULL_SCALE
    for items in slices.values():
        assert [item.name for item in items] == [
            f"generated_{i:04d}" for i in range(1, len(items) + 1)
        ]


def test_grey_values_lie_in_the_papers_useful_range(everything):
    inside = np.concatenate([item.image[item.mask] for item in everything])
    outside = np.concatenate([item.image[~item.mask] for item in everything])
    assert 400 < np.median(outside) < 600
    assert 1000 < np.median(inside) < 1500
    assert np.quantile(inside, 0.99) < 2100


def test_clipped_at_full_scale(monkeypatch):
    monkeypatch.setattr(colony, "_GAIN", 60.0)
    assert next(phantom.generate(TINY, SOFT)).image.max() == facts.FULL_SCALE


def test_chromatin_below_zero_sends_no_light():
    """Rare in thin slices; with steps of 3 um, it once raised numpy's ValueError."""
    rng, glow = np.random.default_rng(0), np.full((7, 16, 16), -20, np.float32)
    image = colony._expose(rng, glow, margin=3, step=3.0)
    assert abs(image.mean() - 420) < 5  # the pedestal


def test_instances_agree_with_the_mask(everything):
    for item in everything:
        areas = np.bincount(item.instances.ravel())[1:]
        assert len(areas) >= 1
        assert areas.min() >= 30
        assert np.array_equal(item.instances > 0, item.mask)


def test_each_instance_is_one_8_connected_piece_numbered_in_reading_order(everything):
    for item in everything:
        assert np.array_equal(label(item.instances, connectivity=2), item.instances)


def test_some_nuclei_touch(everything):
    nuclei = sum(int(item.instances.max()) for item in everything)
    components = sum(int(label(item.mask, connectivity=2).max()) for item in everything)
    assert 0.6 < components / nuclei < 0.95


def test_neighbouring_slices_look_alike_and_colonies_do_not(slices):
    alike, unlike = [], []
    for items in slices.values():
        for a, b in itertools.pairwise(items):
            if a.colony == b.colony:
                assert b.z == a.z + 1
            score = np.corrcoef(a.image.ravel(), b.image.ravel())[0, 1]
            (alike if a.colony == b.colony else unlike).append(score)
    assert min(alike) > 0.75
    assert np.mean(alike) > np.mean(unlike) + 0.4


def test_slices_of_a_colony_and_their_step(slices):
    """Slices at twice the distance are less alike; images are numbered colony by colony."""
    items = list(phantom.generate(Phantom(size=0.02, slices=7, step=2), SOFT))
    assert [item.colony for item in items] == [(number - 1) // 7 for number in range(1, 13)]

    def likeness(some):
        pairs = [(a, b) for a, b in itertools.pairwise(some) if a.colony == b.colony]
        return np.mean([np.corrcoef(a.image.ravel(), b.image.ravel())[0, 1] for a, b in pairs])

    assert likeness(items) < likeness(slices["250Pa"]) - 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("slices", "step"), [(60, 1), (30, 2), (6, 10), (20, 0.25)])
def test_stacks_up_to_the_highest(slices, step):
    images, labels, _ = colony.image_colony(np.random.default_rng(0), SPARSE, slices, step)
    assert len(images) == slices
    assert labels.any(axis=(1, 2)).all()


def test_even_the_smallest_has_three_colonies():
    assert {item.colony for item in phantom.generate(TINY, SPARSE)} == {0, 1, 2}


def nuclei_per_image(items):
    return np.mean([int(item.instances.max()) for item in items])


def test_conditions_are_crowded_in_the_papers_order(slices):
    by_paper = sorted(facts.CONDITIONS, key=lambda c: c.nuclei / c.images)
    here = sorted(facts.CONDITIONS, key=lambda c: nuclei_per_image(slices[c.name]))
    assert [c.name for c in here] == [c.name for c in by_paper]


@pytest.mark.slow
@pytest.mark.parametrize("condition", facts.CONDITIONS, ids=lambda c: c.name)
def test_nuclei_per_image_are_near_the_papers_at_full_size(condition):
    found = nuclei_per_image(phantom.generate(Phantom(1), condition))
    assert found == pytest.approx(condition.nuclei / condition.images, rel=0.15)


def test_archive_round_trip(tmp_path):
    path, seen = tmp_path / SPARSE.archive, []
    path.write_bytes(b"an older one")
    phantom.write_archive(TINY, SPARSE, path, seen.append)
    assert list(tmp_path.iterdir()) == [path]
    assert seen == [1] * 12

    wanted = list(phantom.generate(TINY, SPARSE))
    with py7zr.SevenZipFile(path) as archive:
        info = archive.archiveinfo()
        assert info.solid
        assert info.method_names == ["LZMA2"]
        assert archive.getnames() == [
            f"950 Pa/{kind}/{item.name}.tif" for kind in ("image", "mask") for item in wanted
        ]
        archive.extractall(tmp_path / "out")
    for item in wanted:
        folder, file = tmp_path / "out" / "950 Pa", f"{item.name}.tif"
        image, mask = (
            tifffile.imread(folder / "image" / file),
            tifffile.imread(folder / "mask" / file),
        )
        assert image.dtype == np.uint16
        assert image.tobytes() == item.image.tobytes()
        assert mask.dtype == np.uint8
        assert mask.tobytes() == np.where(item.mask, 255, 0).astype(np.uint8).tobytes()
    with tifffile.TiffFile(folder / "image" / file) as tiff:
        assert "generated" in tiff.pages[0].description
        assert tiff.pages[0].get_resolution("MICROMETER") == (4.0, 4.0)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    def peak(size):
        tracemalloc.start()
        phantom.write_archive(Phantom(size), SPARSE, tmp_path / SPARSE.archive)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(0.001), peak(0.6)
    assert many - few < 1_000_000  # 20 images more would be 2.6 MB
