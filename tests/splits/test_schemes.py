from __future__ import annotations

import random
from collections import Counter

import pytest

from bmgd_data import facts, splits
from bmgd_data.errors import BMGDWarning

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


# ---------------------------------------------------------------------------------------- the folds


def refold(count, folds, condition=SOFT):
    """The split of each name before, and in each of the folds."""
    some = names(count, condition)
    assigned = splits.assign(some, condition)
    return assigned, [splits.refold(some, assigned, fold, folds) for fold in range(folds)]


@pytest.mark.parametrize(("count", "folds"), [(453, 5), (54, 4), (10, 9), (10, 2)])
def test_each_name_is_validated_in_one_fold_and_test_stays(count, folds):
    assigned, drawn = refold(count, folds)
    for before, *after in zip(assigned, *drawn, strict=True):
        once = {"val": 1, "train": folds - 1}
        assert Counter(after) == ({"test": folds} if before == "test" else once)
    sizes = [fold.count("val") for fold in drawn]
    assert max(sizes) - min(sizes) <= 1


def test_order_of_names_does_not_change_a_fold():
    some = names(198, STIFF)
    forth = dict(zip(some, splits.refold(some, splits.assign(some, STIFF), 2, 4), strict=True))
    some.reverse()
    back = dict(zip(some, splits.refold(some, splits.assign(some, STIFF), 2, 4), strict=True))
    assert forth == back


def test_published_folds_do_not_change():
    """Published cross-validations must stay reproducible: written out, not computed."""
    own = [f"950Pa/{number}" for number in range(10)]
    drawn = splits.refold(own, splits.assign(own, BY_NAME["950Pa"]), 0, 3)
    assert [name for name, split in zip(own, drawn, strict=True) if split == "val"] == [
        "950Pa/0",
        "950Pa/1",
        "950Pa/9",
    ]


def test_more_folds_than_images_are_refused():
    with pytest.raises(ValueError, match="2 images cannot be cut into 3 folds"):
        splits.refold(["a", "b", "c"], ["train", "val", "test"], 0, 3)


def test_names_and_splits_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        splits.refold(["a", "b", "c"], ["train", "val"], 0, 2)


@pytest.mark.parametrize(("fold", "folds"), [(0, 2), (1, 2), (4, 5)])
def test_parse_fold(fold, folds):
    assert splits.parse_fold(fold, folds) == (fold, folds)


@pytest.mark.parametrize(("fold", "folds"), [(2, 2), (-1, 2), (5, 5), (0, 1), (0, 0)])
def test_an_unknown_fold_is_refused(fold, folds):
    with pytest.raises(ValueError, match=f"^No fold {fold} of {folds} folds"):
        splits.parse_fold(fold, folds)
    with pytest.raises(ValueError, match=f"^No fold {fold} of {folds} folds"):
        splits.refold(names(10), splits.assign(names(10), SOFT), fold, folds)


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


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("folds", [2, 5])
def test_folds_keep_groups_whole(seed, folds):
    sizes = draws(seed)
    some, groups, assigned = grouped(sizes)
    drawn = [splits.refold(some, assigned, fold, folds, groups) for fold in range(folds)]
    for fold in drawn:
        assert sum(map(len, groups_of(fold, groups).values())) == len(sizes), "one straddles"
    for before, *after in zip(assigned, *drawn, strict=True):
        once = {"val": 1, "train": folds - 1}
        assert Counter(after) == ({"test": folds} if before == "test" else once)
    counts = [fold.count("val") for fold in drawn]
    assert max(counts) - min(counts) <= max(sizes)


def test_fewer_groups_than_folds_leave_folds_without_validation():
    some, groups, assigned = grouped([30, 24], BY_NAME["950Pa"])
    drawn = [splits.refold(some, assigned, fold, 3, groups).count("val") for fold in range(3)]
    assert sorted(drawn) == [0, 0, 30]


# ---------------------------------------------------------------------------------- known groups


def test_a_name_is_a_scheme():
    assert splits.resolve_scheme("random") == ("random", "random", None)
    assert splits.resolve_scheme("grouped").grouped
    assert not splits.resolve_scheme("random").grouped


def test_known_groups_from_a_csv_and_a_mapping_are_the_same(tmp_path):
    path = tmp_path / "colonies.csv"
    path.write_text("\ufeffgroup,microscope,name\n7,A,250Pa/a\n8,B,250Pa/b\n", encoding="utf-8")
    scheme = splits.resolve_scheme(path)
    assert scheme.known == {"250Pa/a": "7", "250Pa/b": "8"}
    assert scheme == splits.resolve_scheme(str(path))
    other = splits.resolve_scheme({"250Pa/b": 8, "250Pa/a": 7})
    assert (other.known, other.rule) == (scheme.known, "grouped")
    assert scheme.name.split(",") == ["grouped by colonies.csv", other.name.split(",")[1]]
    changed = splits.resolve_scheme({"250Pa/b": 8, "250Pa/a": 8})
    assert changed.name != other.name, "another membership, another name"


def test_known_groups_of_one_condition():
    known = {"250Pa/a": "x", "250Pa/b": "y", "950Pa/a": "z"}
    assert splits.known_groups(known, ["250Pa/b", "250Pa/a"], SOFT) == ["y", "x"]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"250Pa/a": "x"}, r"1 images have no group: '250Pa/b'"),
        (
            {"250Pa/a": "x", "250Pa/b": "y", "250Pa/c": "y"},
            r"1 names with a group are of no image: '250Pa/c'",
        ),
    ],
)
def test_missing_and_unknown_names_are_named(known, said):
    with pytest.raises(ValueError, match=f"do not fit the 2 images of 250Pa: {said}"):
        splits.known_groups(known, ["250Pa/a", "250Pa/b"], SOFT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,colony\n250Pa/a,1\n", "has no column group"),
        ("", "has no column group and no column name"),
        ("name,group\n250Pa/a,\n", "'250Pa/a' have no group"),
        ("name,group\n250Pa/a,1\n250Pa/a,2\n", "'250Pa/a' have two groups"),
        ("name,group\na.tif,1\n", r"'a.tif' are no sample names, which look like '1200Pa/001'"),
        (None, "cannot be read: .*No such file"),
        (b"\xff\xfe\x00", "cannot be read: .*utf-8"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path, text, said):
    path = tmp_path / "groups.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"(?s)groups.csv.*{said}"):
        splits.resolve_scheme(str(path))


def test_a_group_in_two_stiffnesses_is_warned_about():
    with pytest.warns(BMGDWarning, match=r"1 groups of a mapping hold images of several .* 'x'"):
        splits.resolve_scheme({"250Pa/a": "x", "950Pa/a": "x", "950Pa/b": "y"})


def test_an_unknown_scheme_lists_the_valid_ones():
    with pytest.raises(
        ValueError, match=r"'best'. Valid: 'random', 'grouped'. Or known groups: .*"
    ):
        splits.resolve_scheme("best")
    with pytest.raises(ValueError, match=r"Unknown scheme \{'250Pa/a': 1\}"):
        splits.parse_scheme({"250Pa/a": 1})
