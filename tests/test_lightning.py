from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmgd_data._card import provenance
from bmgd_data.errors import BMGDWarning
from bmgd_data.reader import Reader
from common import TINY

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning's own, of the libraries it imports
    lightning = pytest.importorskip("lightning.pytorch")

from bmgd_data.lightning import BMGDDataModule  # noqa: E402

SPLITS = ("train", "val", "test")


def module(root: Path, **options: Any) -> BMGDDataModule:
    made = BMGDDataModule(source=TINY, root=root, **options)
    made.prepare_data()
    made.setup()
    return made


def names(made: BMGDDataModule) -> dict[str, list[str]]:
    return {split: _names(getattr(made, f"{split}_dataloader")()) for split in SPLITS}


def _names(loader: Any) -> list[str]:
    return sorted(name for batch in loader for name in batch["name"])


def read(root: Path, split: str, stiffness: Any = None) -> list[str]:
    return sorted(Reader(split, stiffness, source=TINY, root=root).names)


# ------------------------------------------------------------------------------------- the splits


def test_splits_equal_those_of_the_reader(tiny_root: Path) -> None:
    seen = names(module(tiny_root))
    assert seen == {split: read(tiny_root, split) for split in SPLITS}


def test_one_stiffness(tiny_root: Path) -> None:
    seen = names(module(tiny_root, stiffness="1200 Pa"))
    assert seen == {split: read(tiny_root, split, 1200) for split in SPLITS}


def test_each_image_is_in_each_split_of_one_of_three_folds(tiny_root: Path) -> None:
    seen = [names(module(tiny_root, fold=fold, folds=3)) for fold in range(3)]
    everything = sorted(read(tiny_root, "all"))
    for split in SPLITS:
        assert sorted(name for fold in seen for name in fold[split]) == everything
    for fold in seen:
        assert sorted(sum(fold.values(), [])) == everything  # noqa: RUF017 - three lists
    assert names(module(tiny_root, fold=1, folds=3)) == seen[1]


def test_folds_are_drawn_within_each_stiffness(tiny_root: Path) -> None:
    together = names(module(tiny_root, fold=1, folds=3))
    alone = names(module(tiny_root, stiffness=950, fold=1, folds=3))
    for split in SPLITS:
        assert alone[split] == [name for name in together[split] if name.startswith("950Pa/")]


def test_held_out_stiffness_is_the_whole_test_set(tiny_root: Path) -> None:
    seen = names(module(tiny_root, hold_out="1800Pa"))
    assert seen["test"] == read(tiny_root, "all", 1800)
    for split in ("train", "val"):
        assert seen[split] == read(tiny_root, split, [250, 950, 1200])


def test_hold_out_with_chosen_stiffness(tiny_root: Path) -> None:
    seen = names(module(tiny_root, stiffness=250, hold_out=[1200, 1800]))
    assert seen["test"] == read(tiny_root, "all", [1200, 1800])
    assert seen["val"] == read(tiny_root, "val", 250)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stiffness": 250, "hold_out": 250}, "no stiffness to train on"),
        ({"hold_out": [250, 950, 1200, 1800]}, "no stiffness to train on"),
        ({"hold_out": "300Pa"}, "Unknown stiffness"),
        ({"fold": 5}, "No fold 5 of 5"),
        ({"fold": -1}, "No fold -1"),
        ({"fold": 0, "folds": 1}, "of 1 folds"),
        ({"folds": 5}, "folds=5 needs fold="),
        ({"fold": 0, "hold_out": 250}, "not both"),
        ({"scheme": "best"}, "Unknown scheme"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BMGDDataModule(**options)


# ------------------------------------------------------------------------------------ the loaders


def _blacken(sample: dict[str, Any]) -> dict[str, Any]:
    sample["image"].zero_()
    return sample


def test_transforms_are_for_training_only(tiny_root: Path) -> None:
    made = module(tiny_root, transforms=_blacken)
    assert all(not batch["image"].any() for batch in made.train_dataloader())
    for loader in (made.val_dataloader(), made.test_dataloader(), made.predict_dataloader()):
        assert all(batch["image"].any() for batch in loader)


def test_train_is_shuffled_and_the_others_are_not(tiny_root: Path) -> None:
    made = module(tiny_root, batch_size=64)
    first, second = (next(iter(made.train_dataloader()))["name"] for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second)
    (batch,) = made.val_dataloader()
    assert batch["name"] == Reader("val", source=TINY, root=tiny_root).names


def test_batches_come_from_collate(tiny_root: Path) -> None:
    tv_tensors = pytest.importorskip("torchvision.tv_tensors")
    batch = next(iter(module(tiny_root, batch_size=5).train_dataloader()))
    assert batch["image"].shape == (5, 1, 256, 256)
    assert type(batch["image"]) is tv_tensors.Image
    assert type(batch["mask"]) is type(batch["instances"]) is tv_tensors.Mask


def test_workers_persist(tiny_root: Path) -> None:
    loader = module(tiny_root, num_workers=2).train_dataloader()
    assert (loader.num_workers, loader.persistent_workers) == (2, True)
    assert not module(tiny_root).train_dataloader().persistent_workers
    assert loader.pin_memory == torch.cuda.is_available()


def test_prepare_data_is_enough_for_a_read_without_the_network(tmp_path: Path) -> None:
    made = BMGDDataModule(stiffness="950Pa", source=TINY, root=tmp_path, instances="watershed")
    made.prepare_data()
    (store,) = (tmp_path / "stores").iterdir()
    assert len([*store.glob("watershed*")]) == 1
    assert not made.datasets  # it runs in one process: state there would be lost


# ------------------------------------------------------------------------------------ the Trainer


class Net(lightning.LightningModule):
    """The least that learns: one convolution from image to mask."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 3, padding=1)
        self.seen: dict[str, list[str]] = {"train": [], "val": [], "test": []}

    def _loss(self, batch: dict[str, Any], split: str) -> Any:
        self.seen[split] += batch["name"]
        logits = self.layer(batch["image"].as_subclass(torch.Tensor))[:, 0]
        truth = batch["mask"].as_subclass(torch.Tensor).float()
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, truth)

    def training_step(self, batch: dict[str, Any], index: int) -> Any:
        return self._loss(batch, "train")

    def validation_step(self, batch: dict[str, Any], index: int) -> None:
        self._loss(batch, "val")

    def test_step(self, batch: dict[str, Any], index: int) -> None:
        self._loss(batch, "test")

    def predict_step(self, batch: dict[str, Any], index: int) -> list[str]:
        return batch["name"]

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:The .*dataloader.* does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.parametrize("fast", [True, False], ids=["fast_dev_run", "one epoch"])
def test_trainer(tiny_root: Path, fast: bool) -> None:
    made = BMGDDataModule(source=TINY, root=tiny_root, batch_size=8)
    net, trainer = Net(), lightning.Trainer(max_epochs=1, fast_dev_run=fast, **QUIET)
    before = net.layer.weight.clone()
    trainer.fit(net, datamodule=made)
    trainer.test(net, datamodule=made, verbose=False)
    assert not torch.equal(net.layer.weight, before)
    if fast:
        assert len(net.seen["train"]) == 8
        return
    for split in SPLITS:
        assert sorted(net.seen[split]) == read(tiny_root, split)
    predicted = trainer.predict(net, datamodule=made)
    assert [name for batch in predicted for name in batch] == net.seen["test"]


class Logging(Net):
    """Logs without naming the batch size."""

    def validation_step(self, batch: dict[str, Any], index: int) -> None:
        self.log("loss", self._loss(batch, "val"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:The .*dataloader.* does not have many workers")
@pytest.mark.filterwarnings("ignore:The number of training batches")
@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")
def test_batch_size_hparams_and_checkpoints(tiny_root: Path, tmp_path: Path) -> None:
    """Lightning's "ambiguous collection" would be an error here, as all warnings are."""
    from lightning.pytorch.loggers import CSVLogger

    made = BMGDDataModule(source=TINY, root=tiny_root, batch_size=3)
    logger = CSVLogger(tmp_path)
    options = QUIET | {"logger": logger, "enable_checkpointing": True, "max_epochs": 1}
    trainer = lightning.Trainer(**options, default_root_dir=tmp_path)
    trainer.fit(Logging(), datamodule=made)
    path = str(tmp_path / "trained.ckpt")
    trainer.save_checkpoint(path)
    kept = torch.load(path, weights_only=True)
    reader = Reader("all", source=TINY, root=tiny_root)
    assert kept["datamodule_hyper_parameters"]["data"] == provenance(reader)
    assert kept["BMGDDataModule"].pop("trained_on")[0] not in reader.names
    assert kept["BMGDDataModule"] == provenance(reader)
    assert kept["datamodule_hyper_parameters"]["batch_size"] == 3
    assert reader.digest in (Path(logger.log_dir) / "hparams.yaml").read_text()
    assert str(tiny_root) not in str(kept["datamodule_hyper_parameters"])
    again = BMGDDataModule.load_from_checkpoint(path, source=TINY, root=tiny_root)
    assert again.batch_size == 3
    other = BMGDDataModule(source=TINY, root=tiny_root, fold=0)
    other.setup()
    other_names = other.reader.subset("val").names
    known = set(other_names) & set(made.reader.trained_on)
    told = rf"trained on {len(known)} of the {len(other_names)} images of val .*that are scored"
    with pytest.warns(BMGDWarning, match=told):
        lightning.Trainer(**QUIET).validate(
            Logging(), datamodule=other, ckpt_path=path, verbose=False
        )
    with pytest.warns(BMGDWarning, match=told):
        BMGDDataModule.load_from_checkpoint(path, source=TINY, root=tiny_root, fold=0).setup()
    # A network's own method knows no data, as the page says: a warning would be an error here.
    lightning.Trainer(**QUIET).validate(
        Logging.load_from_checkpoint(path),
        datamodule=BMGDDataModule(source=TINY, root=tiny_root, fold=0),
        verbose=False,
    )
    with pytest.warns(BMGDWarning, match="other data: digest .*none of the images that are scored"):
        BMGDDataModule.load_from_checkpoint(
            path, source=TINY, root=tiny_root, stiffness=950
        ).setup()


@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.*:FutureWarning")
def test_training_on_whole_batches(tiny_root: Path) -> None:
    from bmgd_data.augment import protocol

    made = module(
        tiny_root, batch_size=5, device_batches=True, transforms=protocol(64), num_workers=2
    )
    seen = list(made.train_dataloader())
    assert seen[0]["image"].shape == (5, 1, 64, 64)
    assert sorted(name for batch in seen for name in batch["name"]) == sorted(
        read(tiny_root, "train")
    )
    trainer = lightning.Trainer(max_epochs=2, **QUIET)
    trainer.fit(net := Net(), datamodule=made)
    assert len(net.seen["train"]) == 2 * len(read(tiny_root, "train"))


def test_transforms_with_numbers_of_their_own_are_seeded_in_each_worker(tiny_root: Path) -> None:
    generator = np.random.default_rng(0)

    def noisy(sample: Any) -> Any:
        return sample | {"drawn": int(generator.integers(2**40))}

    def start(_: int) -> None:
        nonlocal generator
        generator = np.random.default_rng(torch.initial_seed())

    drawn = {}
    for given in (None, start):
        made = module(tiny_root, num_workers=2, transforms=noisy, worker_init_fn=given)
        drawn[given] = [n for batch in made.train_dataloader() for n in batch["drawn"].tolist()]
    assert len(set(drawn[start])) == len(drawn[start])
    assert len(set(drawn[None])) < len(drawn[None]), "without it, workers repeat one another"


def test_names_are_strings(tiny_root: Path) -> None:
    name = next(iter(module(tiny_root, num_workers=1).val_dataloader()))["name"][0]
    assert isinstance(name, str)
    assert name == Reader("val", source=TINY, root=tiny_root).names[0]
    assert (repr(name), json.dumps([name])) == (repr(str(name)), f'["{name}"]')
    assert {name: 1}[str(name)] == 1


def test_repr_says_what_it_is(tiny_root: Path) -> None:
    assert "Not set up" in repr(BMGDDataModule(fold=1))
    text = repr(module(tiny_root, stiffness="1200Pa", batch_size=4))
    reader = Reader("train", "1200Pa", source=TINY, root=tiny_root)
    for told in ("stiffness=['1200Pa']", "batch_size=4", f"train: {len(reader)} images"):
        assert told in text
    assert reader.digest[:12] in text


DDP = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import lightning.pytorch as lightning
from test_lightning import Net, QUIET
from bmgd_data.lightning import BMGDDataModule


class Watched(BMGDDataModule):
    def prepare_data(self):
        super().prepare_data()
        with (out / "prepared").open("a") as file:
            file.write(f"{os.getpid()}\\n")


class Reporting(Net):
    def on_train_end(self):
        seen = {"pid": os.getpid(), "names": self.seen["train"]}
        (out / f"rank{self.global_rank}.json").write_text(json.dumps(seen))


source, root, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
trainer = lightning.Trainer(max_epochs=1, devices=2, strategy="ddp", **QUIET)
trainer.fit(Reporting(), datamodule=Watched(source=source, root=root, batch_size=4))
"""


@pytest.mark.slow
def test_two_processes_share_the_train_split(tmp_path: Path) -> None:
    """From nothing: one process builds, then both train, each on its half."""
    script = tmp_path / "train.py"
    script.write_text(DDP)
    done = subprocess.run(
        [sys.executable, script, TINY, tmp_path / "root", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=_with_tests_on_path(),
    )
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert ranks[0]["pid"] != ranks[1]["pid"]
    assert (tmp_path / "prepared").read_text().split() == [str(ranks[0]["pid"])]
    halves = [set(rank["names"]) for rank in ranks]
    assert len(halves[0]) == len(halves[1])
    assert not halves[0] & halves[1]
    assert sorted(halves[0] | halves[1]) == read(tmp_path / "root", "train")


SCORED = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import lightning.pytorch as lightning
import torch
from torchmetrics.classification import BinaryF1Score
from test_lightning import Net, QUIET
from bmgd_data.lightning import BMGDDataModule


class Scoring(Net):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.BatchNorm2d(1), self.layer)
        self.f1 = BinaryF1Score()

    def validation_step(self, batch, index):
        self._loss(batch, "val")
        self._score(batch)

    def test_step(self, batch, index):
        self._loss(batch, "test")
        self._score(batch)

    def _score(self, batch):
        self.f1.update(batch["image"][:, 0] > 0.2, batch["mask"])
        self.log("f1", self.f1)


source, root, out, devices = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
net = Scoring()
data = BMGDDataModule(source=source, root=root, batch_size=1)
strategy = "ddp" if devices > 1 else "auto"
trainer = lightning.Trainer(max_epochs=2, devices=devices, strategy=strategy, **QUIET)
trainer.fit(net, datamodule=data)
told = {"val": net.seen["val"][: len(net.seen["val"]) // 2], "val_f1": float(trainer.callback_metrics["f1"])}
told["batches"] = trainer.num_val_batches
net.seen["test"] = []
told["test_f1"] = trainer.test(net, datamodule=data, verbose=False)[0]["f1"]
told["test"] = net.seen["test"]
told["predicted"] = sum(trainer.predict(net, datamodule=data), [])
(out / f"{devices}-{net.global_rank}.json").write_text(json.dumps(told))
"""


@pytest.mark.slow
def test_three_processes_score_each_image_once(tiny_root: Path, tmp_path: Path) -> None:
    """As one process does, though four images are no multiple of three processes."""
    pytest.importorskip("torchmetrics")
    script = tmp_path / "score.py"
    script.write_text(SCORED)
    for devices in (1, 3):
        done = subprocess.run(
            [sys.executable, script, TINY, tiny_root, tmp_path, str(devices)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=_with_tests_on_path(),
        )
        assert done.returncode == 0, done.stderr
    (one,) = (json.loads(path.read_text()) for path in tmp_path.glob("1-*.json"))
    ranks = [json.loads((tmp_path / f"3-{rank}.json").read_text()) for rank in range(3)]
    for key, split in (("val", "val"), ("test", "test"), ("predicted", "test")):
        assert sorted(name for rank in ranks for name in rank[key]) == read(tiny_root, split)
    for key in ("val_f1", "test_f1"):
        assert [rank[key] for rank in ranks] == pytest.approx([one[key]] * 3, abs=1e-6)
    assert [rank["batches"] for rank in ranks] == [[1]] * 3


@pytest.mark.parametrize(("count", "ranks", "size"), [(50, 3, 8), (4, 3, 1), (6, 3, 1), (7, 2, 1)])
def test_shares_are_whole_and_have_equally_many_batches(count: int, ranks: int, size: int) -> None:
    from bmgd_data.lightning import _shared

    shares = []
    for rank in range(ranks):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            sampler, used = _shared(range(count), "val", size, num_replicas=ranks, rank=rank)
        assert bool(told) == (rank == 0 and count % ranks > 0)
        shares.append([*torch.utils.data.BatchSampler(sampler, used, drop_last=False)])
    assert sorted(row for share in shares for batch in share for row in batch) == [*range(count)]
    assert len({len(share) for share in shares}) == 1


def test_fewer_images_than_processes_are_refused() -> None:
    from bmgd_data.lightning import _shared

    with pytest.raises(ValueError, match="2 images for 3 processes"):
        _shared(range(2), "val", 1, num_replicas=3, rank=0)


def _with_tests_on_path() -> dict[str, str]:
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


# ---------------------------------------------------------------------------- which Lightning


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "lightning.pytorch"),
        ("import pytorch_lightning", "pytorch_lightning"),
    ],
)
def test_the_package_in_use_is_built_on(before: str, expected: str) -> None:
    pytest.importorskip("pytorch_lightning")
    done = _run(
        f"{before}\nfrom bmgd_data.lightning import BMGDDataModule as module\n"
        "print(module.__mro__[1].__module__)"
    )
    assert done.stdout.startswith(expected + "."), done.stderr


def test_without_lightning_the_error_holds_the_pip_line() -> None:
    done = _run(
        "sys.modules.update({'lightning': None, 'pytorch_lightning': None})\n"
        "import bmgd_data.lightning"
    )
    assert "MissingDependencyError: " in done.stderr
    assert 'pip install "bmgd-data[lightning]"' in done.stderr


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_loaders_before_setup_say_what_to_do() -> None:
    made = BMGDDataModule(source=TINY)
    with pytest.raises(RuntimeError, match=r"call setup\(\).*prepare_data\(\)"):
        made.train_dataloader()
