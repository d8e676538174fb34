from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bmgd_data import Reader, facts
from bmgd_data.splits import _likeness, groups
from colonies import cartoon, disturbed, generated, precision, recall

BY_NAME = {condition.name: condition for condition in facts.CONDITIONS}


def hashed(count):
    """Names that give no series."""
    return ["250Pa/" + hashlib.sha256(str(i).encode()).hexdigest()[:12] for i in range(count)]


def find(stack, names=None):
    return groups.find(names or hashed(len(stack.images)), stack.images)


# ------------------------------------------------------------------------------------- from pixels


@pytest.mark.parametrize("slices", [5, 20])
def test_colonies_are_found_whatever_the_drift_and_the_light(slices):
    stack = disturbed(cartoon(60 // slices, slices), drift=0.5, light=0.2)
    found = find(stack)
    assert recall(found.numbers, stack) > 0.95
    assert precision(found.numbers, stack) == 1
    assert found.evidence == "pixels"


def test_generated_colonies_are_found(tiny_root):
    for condition in facts.CONDITIONS:
        reader = Reader("all", condition.pa, root=tiny_root, source="phantom:size=0.02")
        found = groups.find(reader.names, reader.images[:])
        assert found.numbers.tolist() == [0] * 5 + [1] * 5 + [2] * 2  # five slices a colony


SWEEP = [(5, 1), (20, 1), (60, 1), (5, 2), (10, 2), (20, 2), (30, 2)]


@pytest.mark.release
@pytest.mark.parametrize(("slices", "step"), SWEEP)
@pytest.mark.parametrize("name", BY_NAME)
def test_neighbours_are_found_and_other_images_are_not(name, slices, step):
    """At hashed names, on colonies of 5 to 60 slices; seeds other than the rule was chosen on.

    The aim is 0.95; docs/splits.md says where it is missed 2 um apart.
    """
    least_recall, least_precision = {1: (0.95, 0.95), 2: (0.93, 0.85)}[step]
    stack = generated(BY_NAME[name], max(3, 120 // slices), slices, step=step, seed=300)
    for drift, light in ((0, 0), (2, 0.2)):
        changed = disturbed(stack, drift=drift, light=light)
        found = find(changed).numbers
        assert recall(found, changed) >= least_recall
        assert precision(found, changed) >= least_precision


def test_a_likeness_is_the_largest_over_shifts():
    (picture,) = groups.describe(cartoon(1, 1, side=66).images)
    moved = [np.roll(picture, shift, (0, 1)) for shift in ((0, 1), (1, -1), (5, 0))]
    near, corner, far = groups.likeness(picture[None], np.array(moved))[0]
    assert near > 0.9
    assert corner > 0.9
    assert far < 0.6


def test_light_and_background_do_not_matter():
    images = cartoon(1, 1).images
    brighter = images * 3 + 500 + 10 * np.arange(64, dtype=np.uint16)
    assert groups.likeness(groups.describe(images), groups.describe(brighter))[0, 0] > 0.98


def test_flat_images_are_like_nothing():
    images = np.concatenate([cartoon(1, 2).images, np.full((2, 64, 64), 700, np.uint16)])
    alike = groups.likeness(groups.describe(images))
    assert (alike[2:] == 0).all()
    assert groups.find(hashed(4), images).numbers.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images(count):
    images = cartoon(2, 1).images[:count]
    found = groups.find(hashed(count), images)
    assert found.numbers.tolist() == list(range(count))
    assert found.numbers.dtype == np.int32


@pytest.mark.parametrize("shape", [(10, 12), (64, 100), (127, 127), (200, 130)])
def test_pictures_are_at_most_127_blocks_wide(shape):
    rng = np.random.default_rng(0)
    pictures = groups.describe(rng.integers(0, 65536, (2, *shape), np.uint16))
    assert max(pictures.shape[1:]) <= 127
    assert min(pictures.shape[1:]) >= min(*shape, 64)


def pairs_linked(likeness):
    """The pairs that are linked, of an (n, n) likeness."""
    one, other = np.nonzero(np.triu(likeness >= groups.LOW, 1))
    found = groups.links(groups.Pairs.of(one, other, likeness[one, other]), len(likeness))
    return set(zip(found.one.tolist(), found.other.tolist(), strict=True))


def by_brute_force(alike):
    """The rule of `links`, of all likenesses."""
    n, found = len(alike), set()
    off = np.where(np.eye(n), -1, alike)
    ranks = np.argsort(np.argsort(-off, axis=1, kind="stable"), axis=1)
    for i, j in zip(*np.triu_indices(n, 1), strict=True):
        near = max(groups.HIGH, 0.8 * min(off[i].max(), off[j].max()))
        mutual = off[i, j] >= groups.LOW and ranks[i, j] + ranks[j, i] <= 2
        if off[i, j] >= near or mutual:
            found.add((int(i), int(j)))
    return found


@pytest.mark.parametrize("shape", [(64, 64), (64, 100), (10, 12)])
def test_pruned_pairs_are_those_of_brute_force(shape, monkeypatch):
    """Links, the most similar image, and every likeness to the bit; in several blocks of rows."""
    monkeypatch.setattr(_likeness, "ROWS", 7)
    rng = np.random.default_rng(1)
    base = rng.integers(0, 4096, (6, *shape))
    mixed = base[rng.integers(0, 6, 60)] + rng.uniform(0, 2.5, (60, 1, 1)) * rng.integers(
        -2000, 2000, (60, *shape)
    )
    images = np.clip(mixed + 4000, 0, 65535).astype(np.uint16)
    images[3:5] = 7
    pictures = groups.describe(images)
    dense = groups.likeness(pictures)
    found = groups.alike(pictures, groups.LOW)
    assert set(zip(*np.nonzero(np.triu(dense >= groups.LOW, 1)), strict=True)) == set(
        zip(found.one, found.other, strict=True)
    )
    assert found.likeness.tolist() == dense[found.one, found.other].tolist()
    assert 10 < len(found.one) < 1500
    assert pairs_linked(dense) == by_brute_force(dense)
    rows, among = np.arange(20), np.arange(59, 19, -1)
    (where,) = groups.nearest(pictures, [(rows, among)])
    assert where.tolist() == among[dense[:20, among].argmax(axis=1)].tolist()


def test_a_chance_likeness_joins_no_stacks_whose_slices_are_much_more_alike():
    alike = np.eye(6)
    for stack in ((0, 1, 2), (3, 4, 5)):
        for a in stack:
            alike[a, stack] = 0.9
    alike[0, 3] = alike[3, 0] = 0.6
    assert (0, 3) not in pairs_linked(alike)
    assert (0, 1) in pairs_linked(alike)


def test_a_weak_likeness_counts_between_nearest_neighbours_only():
    alike = np.full((4, 4), 0.1)
    alike[0, 1] = alike[1, 0] = 0.47
    assert pairs_linked(alike) == {(0, 1)}
    alike[0, 1] = alike[1, 0] = 0.4
    assert not pairs_linked(alike)


# ------------------------------------------------------------------ the same bits on every machine


def test_sums_are_exact_for_any_images():
    """The largest that 16 bits and 127 x 127 blocks allow are still whole numbers of float64."""
    extreme = np.zeros((2, 127, 127), np.uint16)
    extreme[0, ::2, ::2] = extreme[1, 63:] = 65535
    pictures = groups.describe(extreme)
    assert abs(pictures).max() < 2**19
    flat = pictures.reshape(2, -1)
    exact = [
        [sum(a * b for a, b in zip(p, q, strict=True)) for q in flat.tolist()]
        for p in flat.tolist()
    ]
    assert (flat.astype(float) @ flat.T.astype(float)).tolist() == exact
    assert 127**2 * 2**38 < 2**53


def test_likeness_is_symmetric_and_the_same_in_any_blocks(monkeypatch):
    pictures = groups.describe(cartoon(4, 5).images)
    whole = groups.likeness(pictures)
    assert np.array_equal(whole, whole.T)
    monkeypatch.setattr(_likeness, "ROWS", 3)
    assert np.array_equal(groups.likeness(pictures), whole)
    assert np.array_equal(groups.likeness(pictures, pictures), whole)


THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def test_the_same_bits_under_any_number_of_threads():
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "from colonies import cartoon\nfrom bmgd_data.splits import groups\n"
        "images = cartoon(12, 5, side=128).images\n"
        "alike = groups.likeness(groups.describe(images))\n"
        "found = groups.find([str(i) for i in range(60)], images)\n"
        "print(hashlib.sha256(alike.tobytes() + b''.join(map(bytes, found.linked))).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parents[1])],
            env=os.environ | dict.fromkeys(THREADS, count),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in ("1", "2", "7")
    }
    assert len(told) == 1


def test_published_groups_do_not_change():
    """A membership must not change: images of whole numbers, groups written out."""
    rng = np.random.RandomState(0)  # its stream never changes
    base = rng.randint(300, 900, (4, 32, 32)).astype(np.uint16)
    mixed = [base[0], base[1], base[0] // 2 + base[2] // 4, base[2], base[1] + base[3] // 3]
    found = groups.find(["1", "2", "3", "4", "5"], np.array(mixed))
    assert found.numbers.tolist() == [0, 1, 0, 2, 1]


def test_memory_is_as_documented():
    images = np.random.default_rng(0).integers(0, 4096, (300, 64, 64), np.uint16)
    tracemalloc.start()
    groups.find(hashed(300), images)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 300 * 60_000 + _likeness.ROWS * 180_000  # of a block of rows


# -------------------------------------------------------------------------------------- from names


def linked(truth):
    """Links between neighbours of the same number."""
    return {(i, i + 1) for i in range(len(truth) - 1) if truth[i] == truth[i + 1]}


TRUTH = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
SPELLINGS = {
    "col{c}_z{z:02d}": "col#_z<z>",
    "{c}_{z}": "#_<z>",
    "colony{c}/{z:03d}": "colony#/<z>",
    "{c}-{z}_ch1": "#-<z>_ch#",
    "z{z}_exp7_col{c}": "z<z>_exp#_col#",
    "Slice {z} of colony {c}": "Slice <z> of colony #",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_series_are_read_from_names_that_the_pixels_support(spelling):
    names = [spelling.format(c=c, z=5 + i % 3) for i, c in enumerate(TRUTH)]
    told = groups.read_names(names, linked(TRUTH))
    assert told.kind == "series"
    assert told.pattern == SPELLINGS[spelling]
    assert told.support == 1
    assert told.crossing == 0
    assert len(set(zip(TRUTH, told.series.tolist(), strict=True))) == 4 == len(set(told.series))


def test_letters_separate_colonies():
    names = [f"{'abcd'[c]}_{i % 3}" for i, c in enumerate(TRUTH)]
    told = groups.read_names(names, linked(TRUTH))
    assert (told.kind, len(set(told.series))) == ("series", 4)
    assert told.pattern == "a_<z> or b_<z> and 2 more"


@pytest.mark.parametrize("label", ["z", "slice", "plane", "_Z_", "p1 slice-"])
def test_a_labelled_slice_is_read_without_pixels(label):
    names = [f"c{c} {label}{i % 3}" for i, c in enumerate(TRUTH)]
    assert groups.read_names(names).kind == "series"
    assert groups.read_names([name.replace(label, "n") for name in names]).kind == "none"
    assert groups.read_names(names, linked(range(12))).kind == "series"  # far apart: unlike


def test_a_running_number_gives_no_series():
    told = groups.read_names([f"{i:03d}" for i in range(12)], linked(TRUTH))
    assert told.kind == "running"
    assert (told.series == -1).all()
    assert told.pattern == ""


def test_one_labelled_stack_is_one_series():
    told = groups.read_names([f"z{i}" for i in range(54)], linked([0] * 54))
    assert (told.kind, set(told.series)) == ("series", {0})


def test_names_that_separate_look_alikes_are_not_used():
    names = [f"c{i % 4}_z{i // 4}" for i in range(12)]
    told = groups.read_names(names, linked(TRUTH))
    assert told.kind == "contradicted"
    assert told.crossing > 0.05


def test_names_and_pixels_together():
    stack = cartoon(4, 4, step=9)  # so far apart that slices hardly look alike
    assert recall(find(stack).numbers, stack) < 0.5
    named = find(stack, [f"250Pa/c{i // 4}_z{i % 4}" for i in range(16)])
    assert named.evidence == "names"
    assert named.pattern == "c#_z<z>"
    assert recall(named.numbers, stack) == precision(named.numbers, stack) == 1


def test_contradicted_names_leave_the_groups_to_the_pixels():
    stack = cartoon(4, 4)
    order = np.random.default_rng(0).permutation(16).tolist()
    found = find(stack, [f"250Pa/c{i % 4}_z{i // 4}" for i in order])
    assert found.evidence == "contradicted"
    assert np.array_equal(found.numbers, find(stack).numbers)


def test_series_of_one_colony_become_one_group():
    """Two names for one stack: the pixels' links join them, so that nothing leaks."""
    stack = cartoon(4, 30)
    names = [f"c{2 * c + (i % 30 >= 15)}_z{i % 15}" for i, c in enumerate(stack.colony)]
    found = find(stack, [f"250Pa/{name}" for name in names])
    assert found.evidence == "names"
    assert 0 < found.crossing < 0.05
    assert np.array_equal(found.numbers, stack.colony)


# ----------------------------------------------------------------------------------------- as JSON


def test_plain_values_make_the_same_groups():
    found = find(cartoon(2, 3))
    back = groups.Groups.from_plain(found.to_plain())
    assert np.array_equal(back.numbers, found.numbers)
    assert back.numbers.dtype == np.int32
    assert back[1:-1] == found[1:-1]
    assert len(back.linked.one) == 6
    assert all(map(np.array_equal, back.linked, found.linked))
