"""Train one U-Net baseline: ``python train.py --encoder resnet50``. See README.md."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from settings import BEST, LAST, RESULT, RUNS_ON, Settings, add_options, from_options

from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightning
    from lightning.pytorch.loggers import Logger
    from model import Baseline

# torch and Lightning take seconds to import, so functions import them: --help is quick.
_PACKAGES = (
    *("bmgd-data", "torch", "torchvision", "lightning", "torchmetrics"),
    *("segmentation-models-pytorch", "timm"),
)


def train(settings: Settings, out: Path, *, resume: bool = False, progress: bool = True) -> Path:
    """Train, or continue a killed run after its last whole epoch.

    Args:
        settings: What to train.
        out: Folder for best.ckpt (highest validation F1), last.ckpt, metrics.csv, curve.png and, at
            the end, result.json.
        resume: Continue the run in `out`, if there is one. A finished one is left as it is.
        progress: Whether to draw a bar.

    Returns:
        The path of the best checkpoint.

    Raises:
        SystemExit: `out` has another run, or the pretrained weights are not available.
    """
    from data import Share, loader, origin, splits
    from model import fresh

    begun = find_begun(out)
    if begun is not None:
        if not resume:
            raise SystemExit(_refusal(out))
        require_same(settings, out, begun)
    parts = splits(settings)
    data = origin(parts.train)
    if begun is not None:
        check_data(out, begun.data, data)
        if (out / RESULT).is_file():
            _say(_finished(out))
            return out / BEST
    trainer = _trainer(settings, out, progress=progress)
    share = Share(trainer.global_rank, trainer.world_size)
    batches = loader(parts.train, settings, share, train=True)
    weights = "none" if begun else settings.weights
    steps = settings.epochs * len(batches)
    if begun is not None and steps != begun.steps:
        raise SystemExit(
            f"{out} was started with {begun.steps} steps in all, and this would make {steps}: the "
            "number of processes differs. Give the --devices and --nodes that it had, or another "
            "--out."
        )
    module = fresh(settings, steps, weights, data)
    out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*(Checkpoint|logs) directory.*exists.*")
        trainer.fit(
            module,
            batches,
            loader(parts.val, settings, share),
            ckpt_path=begun.checkpoint if begun else None,
            weights_only=True,
        )
    if trainer.is_global_zero:
        _write_result(settings, out, trainer, module)
    return out / BEST


def check_data(out: Path, before: str, now: str) -> None:
    """Stop if the data is not that of the run; its source may come from the environment."""
    if now != before:
        raise SystemExit(
            f"{out} was started on {before}, but the data now is {now}. Give the same source, with "
            "--source or BMGD_SOURCE, or another --out."
        )


class Begun(NamedTuple):
    """A run that was begun."""

    epoch: int
    checkpoint: Path
    settings: dict[str, Any]
    steps: int
    data: str


def find_begun(out: Path) -> Begun | None:
    """The run in `out`, by its newest checkpoint: killed between two files, it is the best one."""
    import torch

    found = []
    for path in filter(Path.is_file, (out / LAST, out / BEST)):
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        told = saved["hyper_parameters"]
        kept = (told[key] for key in ("settings", "steps", "data"))
        found.append(Begun(saved["epoch"], path, *kept))
    return max(found, key=lambda run: run.epoch, default=None)


def require_same(settings: Settings, out: Path, begun: Begun) -> None:
    """Stop if the run in `out` is another one."""
    before, now = begun.settings, dataclasses.asdict(settings)
    changed = [name for name in now if name not in RUNS_ON and before.get(name) != now[name]]
    if changed:
        told = " ".join(f"--{name.replace('_', '-')} {before.get(name)!r}" for name in changed)
        raise SystemExit(f"{out} was started with {told}. Give the same values, or another --out.")


def _refusal(out: Path) -> str:
    if (out / RESULT).is_file():
        return f"{_finished(out)} Give another --out to train again."
    return f"{out} already has a run. Give --resume to continue it, or another --out."


def _finished(out: Path) -> str:
    result = json.loads((out / RESULT).read_text(encoding="utf-8"))
    best, ran = result["best"], result["epochs"]
    return (
        f"{out} has a finished run: {ran} epochs, best validation F1 {best['val_f1']:.4f} in epoch "
        f"{best['epoch']}."
    )


def _trainer(settings: Settings, out: Path, *, progress: bool) -> lightning.Trainer:
    import lightning
    import torch
    from history import History
    from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar

    on_gpu = torch.cuda.is_available() and settings.accelerator in ("auto", "gpu", "cuda")
    devices: Any = settings.devices or ("auto" if on_gpu else 1)
    many = settings.nodes > 1 or settings.devices > 1 or (on_gpu and torch.cuda.device_count() > 1)
    callbacks: list[lightning.Callback] = [
        History(out),
        EarlyStopping("val_f1", mode="max", patience=settings.patience),
    ]
    if progress:
        callbacks.append(TQDMProgressBar(leave=True))
    return lightning.Trainer(
        accelerator=settings.accelerator,
        devices=devices,
        num_nodes=settings.nodes,
        strategy="ddp" if many and settings.devices != 1 else "auto",
        precision=_precision(settings, on_gpu=on_gpu),
        max_epochs=settings.epochs,
        callbacks=callbacks,
        logger=_loggers(settings.logger, out),
        log_every_n_steps=1,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,  # our sampler already splits the samples
        num_sanity_val_steps=0,
        default_root_dir=out,
    )


def _loggers(also: str, out: Path) -> list[Logger]:
    """Lightning's that are asked for beside metrics.csv."""
    from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

    try:
        if also == "tensorboard":
            return [TensorBoardLogger(out, name="", version="")]
        if also == "wandb":
            return [WandbLogger(out.name, save_dir=out, project="bmgd")]
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"--logger {also} needs a package: pip install -U {also} ({error})"
        ) from error
    return []


def _precision(settings: Settings, *, on_gpu: bool) -> Any:
    import torch

    if settings.precision != "auto":
        return settings.precision
    if not on_gpu:
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def _write_result(settings: Settings, out: Path, trainer: Any, module: Baseline) -> None:
    import torch
    from history import History, best, replacing

    rows = next(each for each in trainer.callbacks if isinstance(each, History)).rows
    seconds = sum(row["seconds"] for row in rows)
    device = torch.cuda.get_device_name() if module.device.type == "cuda" else "CPU"
    result = {
        "data": module.hparams["data"],
        "settings": dataclasses.asdict(settings),
        "parameters": sum(each.numel() for each in module.net.parameters()),
        "epochs": len(rows),
        "best": best(rows),
        "train_seconds": seconds,
        "images_per_second": sum(row["images"] for row in rows) / seconds,
        "device": f"{trainer.world_size} x {device}, {trainer.precision}",
        "versions": {"Python": platform.python_version()} | {p: version(p) for p in _PACKAGES},
    }
    with replacing(out / RESULT) as part:
        part.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument(
        "--out",
        type=Path,
        help="Folder of the run. [runs/ENCODER, followed by scheme, fold, seed and such if given]",
    )
    parser.add_argument("--resume", action="store_true", help="Continue a killed run.")
    parser.add_argument("--quiet", action="store_true", help="No progress bar.")
    options = parser.parse_args(arguments)
    settings = from_options(options)
    out = (options.out or Path("runs") / settings.name).resolve()
    try:
        best = train(settings, out, resume=options.resume, progress=not options.quiet)
    except (BMGDError, ValueError) as error:
        if os.environ.get("BMGD_DEBUG"):
            raise
        raise SystemExit(str(error)) from error
    _say(f"Best checkpoint: {best}")


def _say(text: str) -> None:
    """Print in the first process of each host."""
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        print(text)


if __name__ == "__main__":
    main()
