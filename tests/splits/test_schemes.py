from __future__ import annotations

import random
from collections import Counter

import pytest

from bmgd_data import facts, splits

BY_NAME = {condition.name: condition for condition in facts.CONDITIONS}
SOFT, STIFF = BY_NAME["250Pa"], BY_NAME["1800Pa"]


def names(count, condition=SOFT):
    return [f"{condition.name}/{number:03d}" for number in range(count)]


def assign(count, condition=SOFT, **options):
    some = names(count, condition)
    return dict(zip(some, splits.assign(some, condition, **options), strict=True))


@pytest.mark.parametrize(
    ("condition", "train", "val", "test"),
    [
        ("250Pa", 363, 45, 45),
        ("950Pa", 44, 5, 5),
        ("1200Pa", 90, 12, 12),
        ("1800Pa", 158, 20, 20),
    ],
)
def test_sizes_at_the_papers_counts(condition, train, val, test):
    condition = BY_NAME[condition]
    found = Counter(assign(condition.images, condition).values())
    assert found == {"train": train, "val": val, "test": test}


def test_sizes_add_up_to_the_papers():
    found = Counter()
    for condition in facts.CONDITIONS:
        found.update(assign(condition.images, condition).values())
    assert found == {"train": 655, "val": 82, "test": 82} == facts.SPLIT_SIZES


@pytest.mark.parametrize(
    ("count", "size"), [(0, 0), (1, 0), (4, 0), (5, 1), (14, 1), (15, 2), (455, 46), (454, 45)]
)
def test_sizes_at_other_counts_are_a_tenth_rounded_half_up(count, size):
    found = Counter(assign(count).values())
    assert (found["val"], found["test"]) == (size, size)
    assert found["train"] == count - 2 * size


def test_published_membership_does_not_change():
    """Published results must stay comparable: these names are written out, not computed."""
    found = assign(10)
    assert [name for name, split in found.items() if split == "test"] == ["250Pa/009"]
    assert [name for name, split in found.items() if split == "val"] == ["250Pa/008"]


def test_order_of_names_does_not_matter():
    some = names(50)
    shuffled = random.Random(0).sample(some, len(some))
    found = dict(zip(shuffled, splits.assign(shuffled, SOFT), strict=True))
    assert found == assign(50)


@pytest.mark.parametrize("count", [20, 53, 100, 452, 453])
@pytest.mark.parametrize("more", [1, 2, 9])
def test_a_changed_count_moves_images_only_to_or_from_train(count, more):
    before, after = assign(count), assign(count + more)
    moves = {(before[name], after[name]) for name in before if before[name] != after[name]}
    assert moves <= {("val", "train"), ("test", "train"), ("train", "val"), ("train", "test")}


def test_conditions_are_split_independently():
    """A name has the same rank whatever other conditions are read."""
    some = names(54, BY_NAME["950Pa"])
    assert splits.assign(some, BY_NAME["950Pa"]) == splits.assign(some, SOFT)


def test_random_needs_no_groups():
    some = names(100)
    grouped = splits.assign(some, SOFT, groups=[0] * len(some))
    assert grouped == splits.assign(some, SOFT, "random") == splits.assign(some, SOFT)
    assert grouped == splits.SCHEMES["random"](some, None, SOFT)


@pytest.mark.parametrize(
    ("named", "split"),
    [("train", "train"), ("val", "val"), ("validation", "val"), ("test", "test"), ("all", "all")],
)
def test_parse_split(named, split):
    assert splits.parse_split(named) == split


@pytest.mark.parametrize("named", ["", "Train", "dev", None, 1])
def test_parse_split_lists_the_valid_ones(named):
    with pytest.raises(ValueError, match=r"'train', 'val' \(or 'validation'\), 'test', 'all'"):
        splits.parse_split(named)


def test_unknown_scheme_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"Unknown scheme 'best'\. Valid: 'random'"):
        splits.assign(names(3), SOFT, "best")


def test_the_papers_membership_is_not_claimed():
    with pytest.raises(ValueError, match=r"does not publish which image.*Valid: 'random'"):
        splits.parse_scheme("paper")


# --------------------------------------------------------------------------------- whole groups


def grouped(sizes, condition=SOFT):
    """Names, groups of these sizes, and the split of each name."""
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    some = names(len(groups), condition)
    return some, groups, splits.assign(some, condition, "grouped", groups)


def groups_of(assigned, groups):
    """The groups that each split has."""
    return {
        split: {group for group, at in zip(groups, assigned, strict=True) if at == split}
        for split in splits.SPLITS
    }


def draws(seed):
    """Sizes of groups, as uneven as colonies are."""
    rng = random.Random(seed)
    return [rng.choice([1, 1, 2, 5, 8, 20, 60]) for _ in range(rng.randint(1, 40))]


@pytest.mark.parametrize("seed", range(40))
def test_groups_stay_whole_and_train_keeps_its_half(seed):
    sizes = draws(seed)
    _, groups, assigned = grouped(sizes)
    owners = groups_of(assigned, groups)
    assert sum(map(len, owners.values())) == len(sizes), "one group straddles two splits"
    assert assigned.count("train") >= len(assigned) / 2
    largest = max(range(len(sizes)), key=lambda group: sizes[group])
    assert any(sizes[group] == sizes[largest] for group in owners["train"])


@pytest.mark.parametrize("count", [0, 1, 2, 5, 54, 100, 453])
def test_where_every_image_is_alone_grouped_is_random(count):
    some = names(count)
    assert splits.assign(some, SOFT, "grouped", range(count)) == splits.assign(some, SOFT)


@pytest.mark.parametrize(("sizes", "condition"), [([5] * 90 + [3], SOFT), ([3] * 66, STIFF)])
def test_sizes_are_as_near_as_groups_allow(sizes, condition):
    _, _, assigned = grouped(sizes, condition)
    for split in ("val", "test"):
        assert abs(assigned.count(split) - condition.val) <= max(sizes) / 2


def test_order_of_names_does_not_change_whole_groups():
    some, groups, assigned = grouped(draws(3))
    pairs = list(zip(some, groups, strict=True))
    shuffled = random.Random(0).sample(pairs, len(pairs))
    again = splits.assign([n for n, _ in shuffled], SOFT, "grouped", [f"g{g}" for _, g in shuffled])
    assert dict(zip(some, assigned, strict=True)) == {
        name: split for (name, _), split in zip(shuffled, again, strict=True)
    }


def test_published_grouped_membership_does_not_change():
    _, groups, assigned = grouped([4, 3, 2, 3, 4, 2, 2])
    assert {split: sorted(found) for split, found in groups_of(assigned, groups).items()} == {
        "train": [0, 1, 3, 4, 6],
        "val": [5],
        "test": [2],
    }


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([54], [54, 0, 0]), ([30, 24], [30, 0, 24]), ([20, 17, 17], [37, 0, 17])],
)
def test_with_few_groups_validation_then_test_stay_empty(sizes, expected):
    _, _, assigned = grouped(sizes, BY_NAME["950Pa"])
    assert [assigned.count(split) for split in splits.SPLITS] == expected


def test_grouped_needs_groups():
    with pytest.raises(ValueError, match=r"'grouped' needs the group of each name in groups="):
        splits.assign(names(3), SOFT, "grouped")


def test_an_unknown_scheme_lists_the_valid_ones():
    with pytest.raises(
        ValueError, match=r"'best'. Valid: 'random', 'grouped'. Or known groups or splits: .*"
    ):
        splits.resolve_scheme("best")
    with pytest.raises(ValueError, match=r"Unknown scheme \{'250Pa/a': 1\}"):
        splits.parse_scheme({"250Pa/a": 1})
