"""Train one U-Net baseline: ``python train.py --encoder resnet50``. See README.md."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settings import BEST, LAST, RESULT, Settings, add_options, from_options

from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightning
    from lightning.pytorch.loggers import Logger
    from model import Baseline

# torch and Lightning take seconds to import, so functions import them: --help is quick.
_RUNS_ON = ("accelerator", "devices", "nodes", "workers", "precision", "root", "weights", "logger")
"""Settings that may differ in a resumed run."""


def train(settings: Settings, out: Path, *, resume: bool = False, progress: bool = True) -> Path:
    """Train, or continue where a killed run stopped.

    Args:
        settings: What to train.
        out: Folder for best.ckpt (highest validation F1), last.ckpt, metrics.csv, curve.png and
            result.json.
        resume: Continue from last.ckpt, if it exists.
        progress: Whether to draw a bar.

    Returns:
        The path of the best checkpoint.

    Raises:
        SystemExit: `out` has another run, or the pretrained weights are not available.
    """
    from data import Share, loader, origin, splits
    from model import fresh

    begun_on = _begun_on(settings, out, resume=resume)
    parts = splits(settings)
    data = origin(parts.train)
    if begun_on is not None:
        check_data(out, begun_on, data)
    trainer = _trainer(settings, out, progress=progress)
    share = Share(trainer.global_rank, trainer.world_size)
    batches = loader(parts.train, settings, share, train=True)
    unbroken = not (resume and (out / LAST).is_file())
    module = fresh(
        settings, settings.epochs * len(batches), settings.weights if unbroken else "none", data
    )
    out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*(Checkpoint|logs) directory.*exists.*")
        trainer.fit(
            module,
            batches,
            loader(parts.val, settings, share),
            ckpt_path=None if unbroken else out / LAST,
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


def _begun_on(settings: Settings, out: Path, *, resume: bool) -> str | None:
    """The data of the run in `out`, if there is one that may continue."""
    if not (out / LAST).is_file():
        return None
    if not resume:
        raise SystemExit(
            f"{out} already has a run. Give --resume to continue it, or another --out."
        )
    import torch

    saved = torch.load(out / LAST, map_location="cpu", weights_only=True)["hyper_parameters"]
    before, now = saved["settings"], dataclasses.asdict(settings)
    changed = [name for name in now if name not in _RUNS_ON and before.get(name) != now[name]]
    if changed:
        told = ", ".join(f"--{name.replace('_', '-')} {before.get(name)}" for name in changed)
        raise SystemExit(f"{out} was started with {told}. Give the same values, or another --out.")
    begun_on: str = saved["data"]
    return begun_on


def _trainer(settings: Settings, out: Path, *, progress: bool) -> lightning.Trainer:
    import lightning
    import torch
    from history import History
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar

    on_gpu = torch.cuda.is_available() and settings.accelerator in ("auto", "gpu", "cuda")
    devices: Any = settings.devices or ("auto" if on_gpu else 1)
    many = settings.nodes > 1 or settings.devices > 1 or (on_gpu and torch.cuda.device_count() > 1)
    callbacks: list[lightning.Callback] = [
        History(out),
        EarlyStopping("val_f1", mode="max", patience=settings.patience),
        ModelCheckpoint(
            out, "best", monitor="val_f1", mode="max", enable_version_counter=False,
            save_last=True, save_on_train_epoch_end=True,
        ),
    ]  # fmt: skip
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
    """Lightning's, metrics.csv first."""
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

    found: list[Logger] = [CSVLogger(out, name="", version="")]
    try:
        if also == "tensorboard":
            found.append(TensorBoardLogger(out, name="", version=""))
        elif also == "wandb":
            found.append(WandbLogger(out.name, save_dir=out, project="bmgd"))
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"--logger {also} needs a package: pip install -U {also} ({error})"
        ) from error
    return found


def _precision(settings: Settings, *, on_gpu: bool) -> Any:
    import torch

    if settings.precision != "auto":
        return settings.precision
    if not on_gpu:
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def _write_result(settings: Settings, out: Path, trainer: Any, module: Baseline) -> None:
    import torch
    from history import History

    rows = next(each for each in trainer.callbacks if isinstance(each, History)).rows
    best = max(rows, key=lambda row: row["val_f1"])
    seconds = sum(row["seconds"] for row in rows)
    device = torch.cuda.get_device_name() if module.device.type == "cuda" else "CPU"
    result = {
        "data": module.hparams["data"],
        "settings": dataclasses.asdict(settings),
        "parameters": sum(each.numel() for each in module.net.parameters()),
        "epochs": len(rows),
        "best": best,
        "train_seconds": seconds,
        "images_per_second": sum(row["images"] for row in rows) / seconds,
        "device": f"{trainer.world_size} x {device}, {trainer.precision}",
    }
    (out / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--out", type=Path, help="Folder of the run. [runs/<encoder>]")
    parser.add_argument("--resume", action="store_true", help="Continue a killed run.")
    parser.add_argument("--quiet", action="store_true", help="No progress bar.")
    options = parser.parse_args(arguments)
    settings = from_options(options)
    out = (options.out or Path("runs") / settings.encoder).resolve()
    try:
        best = train(settings, out, resume=options.resume, progress=not options.quiet)
    except (BMGDError, ValueError) as error:
        if os.environ.get("BMGD_DEBUG"):
            raise
        raise SystemExit(str(error)) from error
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        print(f"Best checkpoint: {best}")


if __name__ == "__main__":
    main()
