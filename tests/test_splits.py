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


def test_membership_is_what_it_was_published_as():
    """Nobody's results may change under them: these are written out, not computed."""
    found = assign(10)
    assert [name for name, split in found.items() if split == "test"] == ["250Pa/009"]
    assert [name for name, split in found.items() if split == "val"] == ["250Pa/008"]


def test_order_of_names_has_no_say():
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


def test_conditions_are_split_alone():
    """The same name ranks the same whatever else is there: only names have a say."""
    some = names(54, BY_NAME["950Pa"])
    assert splits.assign(some, BY_NAME["950Pa"]) == splits.assign(some, SOFT)


def test_random_asks_for_no_groups():
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
    with pytest.raises(ValueError, match=r"which image .* is not published.*Valid: 'random'"):
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


def test_order_of_names_has_no_say_in_a_fold():
    some = names(198, STIFF)
    forth = dict(zip(some, splits.refold(some, splits.assign(some, STIFF), 2, 4), strict=True))
    some.reverse()
    back = dict(zip(some, splits.refold(some, splits.assign(some, STIFF), 2, 4), strict=True))
    assert forth == back


def test_folds_are_what_they_were_published_as():
    """Published cross-validations must stay reproducible: written out, not computed."""
    own = [f"950Pa/{number}" for number in range(10)]
    drawn = splits.refold(own, splits.assign(own, BY_NAME["950Pa"]), 0, 3)
    assert [name for name, split in zip(own, drawn, strict=True) if split == "val"] == [
        "950Pa/0",
        "950Pa/1",
        "950Pa/9",
    ]


def test_more_folds_than_images():
    with pytest.raises(ValueError, match="2 images cannot be cut into 3 folds"):
        splits.refold(["a", "b", "c"], ["train", "val", "test"], 0, 3)


def test_names_and_splits_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        splits.refold(["a", "b", "c"], ["train", "val"], 0, 2)


@pytest.mark.parametrize(("fold", "folds"), [(0, 2), (1, 2), (4, 5)])
def test_parse_fold(fold, folds):
    assert splits.parse_fold(fold, folds) == (fold, folds)


@pytest.mark.parametrize(("fold", "folds"), [(2, 2), (-1, 2), (5, 5), (0, 1), (0, 0)])
def test_a_fold_that_is_not_there(fold, folds):
    with pytest.raises(ValueError, match=f"^No fold {fold} of {folds} folds"):
        splits.parse_fold(fold, folds)
    with pytest.raises(ValueError, match=f"^No fold {fold} of {folds} folds"):
        splits.refold(names(10), splits.assign(names(10), SOFT), fold, folds)
