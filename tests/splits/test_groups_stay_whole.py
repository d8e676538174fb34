"""No group of images straddles splits or folds, in any adapter."""

from __future__ import annotations

import csv
import pickle
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from bmgd_data import Reader
from bmgd_data.errors import BMGDWarning
from bmgd_data.splits import SPLITS
from common import TINY

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "unet_baseline"
PAIRS = "phantom:size=0.02,slices=2"
"""Six colonies a stiffness, of two slices each: every split has some."""


def colony(name: str, slices: int = 2) -> str:
    """The colony that a generated image shows."""
    stiffness, _, number = name.partition("/generated_")
    return f"{stiffness} {(int(number) - 1) // slices}"


def straddling(members: dict[str, list[str]]) -> set[str]:
    """Colonies with images in several splits."""
    owners = defaultdict(set)
    for split, names in members.items():
        for name in names:
            owners[colony(name)].add(split)
    return {each for each, splits in owners.items() if len(splits) > 1}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return {"root": tmp_path_factory.mktemp("pairs"), "source": PAIRS}


@pytest.fixture
def options(tiny_root):
    """Colonies of five, five and two slices."""
    return {"root": tiny_root, "source": TINY}


def by_reader(scheme, options, tmp_path):
    return {split: Reader(split, scheme=scheme, **options).names for split in SPLITS}


def by_splits(scheme, options, tmp_path):
    reader = Reader("all", scheme=scheme, **options)
    members = defaultdict(list)
    for name, split in zip(reader.names, reader.splits, strict=True):
        members[split].append(name)
    return members


def by_torch(scheme, options, tmp_path):
    pytest.importorskip("torch")
    from bmgd_data import BMGD

    return {
        split: [sample["name"] for sample in BMGD(split, scheme=scheme, **options)]
        for split in SPLITS
    }


def by_tf(scheme, options, tmp_path):
    pytest.importorskip("tensorflow")
    from bmgd_data.tf import to_tf

    return {
        split: [bytes(sample["name"].numpy()).decode() for sample in to_tf(reader)]
        for split in SPLITS
        if len(reader := Reader(split, scheme=scheme, **options))
    }


def by_tfds(scheme, options, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    import tensorflow_datasets as tfds

    from bmgd_data.tfds import Builder, prepare

    folder = prepare("1200Pa", data_dir=tmp_path, scheme=scheme, **options)
    loaded = Builder(config="1200Pa", data_dir=folder, scheme=scheme, **options).as_dataset()
    return {
        split: [record["name"].decode() for record in tfds.as_numpy(records)]
        for split, records in loaded.items()
    }


def by_hf(scheme, options, tmp_path):
    pytest.importorskip("datasets")
    from bmgd_data.hf import to_hf_dict

    made = to_hf_dict(Reader("all", 1200, scheme=scheme, **options))
    return {split: records["name"] for split, records in made.items()}


def by_command(scheme, options, tmp_path):
    from typer.testing import CliRunner

    from bmgd_data.cli import app

    arguments = ["export", "tiff", tmp_path / "out", "--scheme", scheme, "--stiffness", "1200"]
    arguments += ["--root", options["root"], "--source", PAIRS, "--quiet"]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    members = defaultdict(list)
    with (tmp_path / "out" / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            members[row["split"]].append(row["name"])
    return members


def by_evaluator(scheme, options, tmp_path):
    from bmgd_data.metrics import Evaluator

    test = Evaluator("test", scheme=scheme, **options).reader.names
    return {"train": Reader("train", scheme=scheme, **options).names, "test": test}


def of_module(scheme, options, **more):
    pytest.importorskip("lightning")
    from bmgd_data.lightning import BMGDDataModule

    module = BMGDDataModule(scheme=scheme, **options, **more)
    module.setup()
    return {
        split: [data.dataset.reader.names[row] for row in data.indices]
        for split, data in module.datasets.items()
    }


def by_lightning(scheme, options, tmp_path):
    return of_module(scheme, options)


def by_fold(scheme, options, tmp_path):
    return of_module(scheme, options, fold=1, folds=3)


def by_hold_out(scheme, options, tmp_path):
    return of_module(scheme, options, hold_out=250)


def by_example(scheme, options, tmp_path, **more):
    pytest.importorskip("torchvision")
    sys.path.insert(0, str(EXAMPLE))
    try:
        from data import splits
        from settings import Settings
    finally:
        sys.path.remove(str(EXAMPLE))
    settings = Settings(scheme=scheme, root=str(options["root"]), source=PAIRS, **more)
    return {split: part.reader.names for split, part in splits(settings)._asdict().items()}


def by_example_fold(scheme, options, tmp_path):
    return by_example(scheme, options, tmp_path, folds=3, fold=1)


ADAPTERS = {name[3:]: adapter for name, adapter in list(globals().items()) if name[:3] == "by_"}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_colony_straddles(adapter, pairs, tmp_path):
    members = ADAPTERS[adapter]("grouped", pairs, tmp_path)
    assert straddling(members) == set()
    assert all(members.values()), "every split has some"
    names = [name for names in members.values() for name in names]
    assert len(names) == len(set(names)) >= 12


def test_at_random_colonies_straddle(pairs, tmp_path):
    """Shows that the test above can fail."""
    for adapter in (by_reader, by_fold, by_example_fold):
        assert straddling(adapter("random", pairs, tmp_path)), adapter


def test_known_groups_stay_whole_in_folds_of_every_kind(pairs, tmp_path):
    path = tmp_path / "colonies.csv"
    names = Reader("all", **pairs).names
    lines = [f"{name},{colony(name)}" for name in names]
    path.write_text("\n".join(["name,group", *lines]))
    for adapter in (by_reader, by_command, by_fold, by_example, by_example_fold):
        assert straddling(adapter(str(path), pairs, tmp_path)) == set(), adapter
    mapping = {name: colony(name) for name in names}
    assert by_reader(mapping, pairs, tmp_path) == by_reader(path, pairs, tmp_path)


# ------------------------------------------------------------------------------- what Reader tells


def test_groups_of_a_reader(options):
    reader = Reader("all", **options)
    assert (reader.groups.dtype, len(reader.groups)) == (np.int32, 48)
    owners = zip(reader.groups, (colony(name, 5) for name in reader.names), strict=True)
    assert len(set(owners)) == 12
    assert Counter(reader.groups // 100_000) == dict.fromkeys((250, 950, 1200, 1800), 12)
    some = Reader("all", [1800, 950], **options)
    assert some.groups.tolist() == [
        group
        for group, pa in zip(reader.groups, reader.stiffness_pa, strict=True)
        if pa in (950, 1800)
    ]
    assert reader[3:9].groups.tolist() == reader.groups[3:9].tolist()
    assert pickle.loads(pickle.dumps(reader)).groups.tolist() == reader.groups.tolist()  # noqa: S301


def test_groups_of_a_reader_with_known_ones(options):
    names = Reader("all", 950, **options).names
    reader = Reader("all", 950, scheme={name: name[-1] for name in names}, **options)
    assert len(set(reader.groups.tolist())) == len({name[-1] for name in names})
    assert reader.scheme.startswith("grouped by a mapping, ")
    assert reader.grouped


def test_random_never_computes_groups(options, monkeypatch):
    from bmgd_data._store import derived

    monkeypatch.delattr(derived, "grouped")
    for split in SPLITS:
        assert repr(Reader(split, **options))
    with pytest.raises(AttributeError):
        Reader("all", scheme="grouped", **options)


def test_known_groups_that_do_not_fit_are_refused(options):
    with pytest.raises(ValueError, match=r"do not fit the 12 images of 950Pa: 11 images have no"):
        Reader("all", 950, scheme={"950Pa/generated_0001": "a"}, **options)


def test_an_empty_split_is_reported(options):
    reader = Reader("all", 950, scheme="grouped", **options)
    told = (
        r"950Pa has none in val \(its 12 images are 3 groups\).*fold\(\) or hold_out\(\).*'random'"
    )
    assert repr(reader).count("Whole groups are too large here: 950Pa has none in val") == 1
    with pytest.warns(BMGDWarning, match=f"The split 'val' holds no images. .*{told}"):
        assert len(Reader("val", 950, scheme="grouped", **options)) == 0
    assert "Whole groups" not in repr(Reader("all", 950, **options))


def test_an_empty_loader_is_reported(options):
    pytest.importorskip("lightning")
    from bmgd_data.lightning import BMGDDataModule

    module = BMGDDataModule(stiffness=950, scheme="grouped", **options)
    module.setup()
    assert len(module.train_dataloader().dataset) == 10
    with pytest.warns(BMGDWarning, match="The val split holds no images. Whole groups"):
        module.val_dataloader()
    fold = BMGDDataModule(stiffness=950, scheme="grouped", fold=2, folds=4, **options)
    with pytest.raises(ValueError, match=r"Fold 2/4 has no image in val: .* fewer folds"):
        fold.setup()
    mapping = dict.fromkeys(Reader("all", 950, **options).names, "test")
    alone = BMGDDataModule(stiffness=950, scheme=mapping, **options)
    alone.setup()
    with pytest.raises(ValueError, match="The train split holds no images"):
        alone.train_dataloader()


def test_tfds_takes_names_only_and_separates_grouped_records(options, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from bmgd_data.tfds import Builder

    folders = {Builder(scheme=scheme, **options).data_dir_root for scheme in ("random", "grouped")}
    assert len(folders) == 2
    with pytest.raises(ValueError, match=r"Unknown scheme .*Valid: 'random', 'grouped'\.$"):
        Builder(scheme="colonies.csv", **options)
