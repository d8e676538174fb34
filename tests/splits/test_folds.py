"""Folds, held-out stiffnesses and chosen samples: one definition, the same in every adapter."""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bmgd_data import Reader, facts, splits
from common import TINY

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SOFT, FEW = facts.CONDITIONS[:2]


def names(count, condition=SOFT):
    return [f"{condition.name}/{number:03d}" for number in range(count)]


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root)


# ------------------------------------------------------------------------------ the definition


@pytest.mark.parametrize(("count", "folds"), [(453, 5), (54, 4), (10, 9), (3, 3)])
@pytest.mark.parametrize("size", [None, 1, 4])
def test_each_image_is_tested_once_and_validated_in_the_fold_before(count, folds, size):
    some = names(count)
    groups = size and [number // size for number in range(count)]
    drawn = [splits.folded(some, splits.parse_fold(k, folds), groups) for k in range(folds)]
    for of_each in zip(*drawn, strict=True):
        assert Counter(of_each) == Counter({"test": 1, "val": 1, "train": folds - 2})
        assert of_each[of_each.index("test") - 1] == "val"
    sizes = [fold.count("test") for fold in drawn]
    assert max(sizes) - min(sizes) <= (size or 1)
    if groups:
        for fold in drawn:
            assert len(set(zip(groups, fold, strict=True))) == len(set(groups)), "one straddles"


def test_the_order_of_names_does_not_change_a_fold():
    some, fold = names(198), splits.parse_fold("2/4")
    forth = dict(zip(some, splits.folded(some, fold), strict=True))
    assert forth == dict(zip(some[::-1], splits.folded(some[::-1], fold), strict=True))


def test_published_folds_do_not_change():
    """Published cross-validations must stay reproducible: written out, not computed."""
    own = [f"950Pa/{number}" for number in range(10)]
    assert splits.assign_folds(own, 3) == PUBLISHED


PUBLISHED = [0, 0, 1, 2, 2, 1, 1, 0, 2, 0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((2, 2), "^No fold 2 of 2"),
        ((0, 2), "3 folds or more"),
        ((-1, 5), "^No fold -1 of 5"),
        ((5, 5), "^No fold 5 of 5"),
        (("1",), "'1' is no fold.*0/5"),
        ((0,), "0 is no fold"),
        ((0.5, 5), "0.5 is no fold"),
    ],
)
def test_an_unknown_fold_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        splits.parse_fold(*given)


# ------------------------------------------------------------------------------ views of a Reader


def test_a_fold_is_a_view_of_the_same_files(reader):
    fold = reader.fold(1, 5)
    assert fold.fold_number == (1, 5)
    assert fold.scheme == "random, fold 1/5"
    assert sorted(fold.names) == sorted(reader.names)
    parts = {split: fold.subset(split).names for split in splits.SPLITS}
    assert sorted(name for own in parts.values() for name in own) == sorted(reader.names)
    assert parts["val"] == reader.fold("2/5").subset("test").names
    assert reader.subset("val").fold(1, 5).names == parts["val"], "a Reader keeps its split"
    assert fold.trained_on == parts["train"]
    assert fold.images[0].base is reader.images[0].base or np.shares_memory(
        fold[0]["image"], reader[fold.names[0]]["image"]
    )
    assert pickle.loads(pickle.dumps(fold)).subset("val").names == parts["val"]  # noqa: S301


def test_a_held_out_stiffness_is_the_test_split(reader):
    held = reader.hold_out("950 Pa")
    assert held.held_out == (FEW,)
    assert held.scheme == "random, 950Pa held out"
    assert held.subset("test").names == reader.of(FEW).names
    others = [name for name in reader.subset("val").names if not name.startswith("950Pa")]
    assert held.subset("val").names == others
    unused = set(reader.subset("test").names) - set(held.subset("test").names)
    assert unused
    assert not unused & set(held.names)
    assert held.whole.names == reader.names


def test_statistics_are_of_the_training_images(reader):
    for view in (reader, reader.fold(0, 3), reader.hold_out([250, 1800])):
        pixels = np.asarray(view.subset("train").images) / 4095
        assert view.stats() == pytest.approx((pixels.mean(), pixels.std()))
    none = reader.under(dict.fromkeys(reader.names, "test"))
    with pytest.raises(ValueError, match="no training images"):
        none.stats()


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (lambda r: r.fold(0, 5).fold(1, 5), "is fold 0/5 already"),
        (lambda r: r.hold_out(250).fold(1, 5), "is 250Pa held out already"),
        (lambda r: r.hold_out([250, 950, 1200, 1800]), "leaves no stiffness to train on"),
        (lambda r: r.of(FEW).hold_out(250), "this Reader holds 950Pa"),
        (lambda r: r.hold_out(7), "Unknown stiffness 7"),
        (
            lambda r: r.of(FEW).under(dict.fromkeys(r.of(FEW).names, "one")).fold(0, 5),
            "Fold 0/5 has no image in",
        ),
        (lambda r: r.subset("tset"), "Unknown split 'tset'"),
    ],
)
def test_what_gives_no_splits_is_refused(reader, view, said):
    with pytest.raises(ValueError, match=said):
        view(reader)


def test_samples_are_chosen_by_position_name_or_truth(reader):
    chosen = reader[[5, 2]]
    assert chosen.names == [reader.names[5], reader.names[2]]
    assert reader[chosen.names].names == chosen.names
    many = reader[reader.n_nuclei > 8]
    assert many.names == [s["name"] for s in reader if s["n_nuclei"] > 8]
    assert sorted(
        many.subset("train").names + many.subset("val").names + many.subset("test").names
    ) == sorted(many.names)
    assert set(many.fold(0, 3).subset("test").names) <= set(many.names)
    assert len(reader[[]]) == 0
    np.testing.assert_array_equal(chosen.masks[0], reader[5]["mask"])
    for wrong in ([True, False], np.zeros(3, bool), np.zeros((2, 2), int), [0.5]):
        with pytest.raises(IndexError, match=r"a bool array of \(48,\)"):
            reader[wrong]
    with pytest.raises(IndexError):
        reader[[48]]
    with pytest.raises(KeyError, match="No sample 'x'"):
        reader[["x"]]


# ------------------------------------------------------------------------------ the same everywhere


def of_views(reader):
    return {split: reader.subset(split).names for split in splits.SPLITS}


def by_torch(view):
    pytest.importorskip("torch")
    from bmgd_data import BMGD

    return {split: [s["name"] for s in BMGD.of(view.subset(split))] for split in splits.SPLITS}


def by_batches(view):
    pytest.importorskip("torch")
    from bmgd_data.torch import batches

    made = {split: batches(view.subset(split), 4) for split in splits.SPLITS}
    return {split: [name for b in each for name in b["name"]] for split, each in made.items()}


def by_tf(view):
    pytest.importorskip("tensorflow")
    from bmgd_data.tf import to_tf

    made = {split: to_tf(view.subset(split)) for split in splits.SPLITS}
    return {s: [e["name"].decode() for e in each.as_numpy_iterator()] for s, each in made.items()}


def by_hf(view):
    pytest.importorskip("datasets")
    from bmgd_data.hf import SPLITS, to_hf_dict

    made = to_hf_dict(view)
    return {ours: list(made[theirs]["name"]) for ours, theirs in SPLITS.items()}


def by_lightning(view):
    pytest.importorskip("lightning")
    from bmgd_data.lightning import BMGDDataModule

    given = {"hold_out": [c.pa for c in view.held_out] or None}
    if view.fold_number:
        given = {"fold": view.fold_number.number, "folds": view.fold_number.folds}
    module = BMGDDataModule(source=TINY, root=view.root, **given)
    module.setup()
    return {s: [module.reader.names[row] for row in d.indices] for s, d in module.datasets.items()}


def by_example(view):
    pytest.importorskip("torchvision")
    sys.path.insert(0, str(EXAMPLES / "unet_baseline"))
    try:
        from data import splits as parts_of
        from settings import Settings
    finally:
        sys.path.pop(0)
    given = {"hold_out": ",".join(c.name for c in view.held_out)}
    if view.fold_number:
        given = {"fold": view.fold_number.number, "folds": view.fold_number.folds}
    parts = parts_of(Settings(root=str(view.root), source=TINY, **given))
    return {split: part.reader.names for split, part in parts._asdict().items()}


def by_evaluator(view):
    from bmgd_data.metrics import Evaluator

    return {split: Evaluator(view.subset(split)).reader.names for split in splits.SPLITS}


def by_export(view, tmp_path):
    from bmgd_data.cli import app

    options = ["--fold", str(view.fold_number)] if view.fold_number else []
    options += [word for c in view.held_out for word in ("--hold-out", c.name)]
    arguments = ["export", "folders", tmp_path / "out", "--source", TINY, "--root", view.root]
    done = CliRunner().invoke(app, [str(each) for each in (*arguments, *options, "-q")])
    assert done.exit_code == 0, done.output
    rows = [line.split(",") for line in (tmp_path / "out" / "index.csv").read_text().splitlines()]
    at = {title: rows[0].index(title) for title in ("name", "split")}
    found = {split: [] for split in splits.SPLITS}
    for row in rows[1:]:
        found[row[at["split"]]].append(row[at["name"]])
    return found


WAYS = {name[3:]: way for name, way in list(globals().items()) if name.startswith("by_")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["fold", "hold_out"])
def test_every_way_gives_the_same_membership(way, kind, reader, tmp_path):
    view = reader.fold(0, 5) if kind == "fold" else reader.hold_out(950)
    found = WAYS[way](view, tmp_path) if way == "export" else WAYS[way](view)
    assert {split: sorted(own) for split, own in found.items()} == {
        split: sorted(own) for split, own in of_views(view).items()
    }
