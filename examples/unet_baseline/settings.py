"""All settings of the baseline, each with its reason. The command line is made from them."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

ENCODERS: Final = {
    "resnet50": "resnet50",
    "mobilenet_v2": "mobilenet_v2",
    "inceptionresnetv2": "inceptionresnetv2",
    "inception_v3": "tu-inception_v3",
    "densenet121": "densenet121",
    "vgg19": "vgg19",
    "efficientnet-b5": "efficientnet-b5",
    "efficientnet-lite0": "tu-tf_efficientnet_lite0",
}
"""Encoders and their names in segmentation-models-pytorch: the paper's six, the one of the group's
earlier baseline, and a small one whose ImageNet weights come in a package."""
FROM_WHEEL: Final = "efficientnet-lite0"

LOGGERS: Final = ("csv", "tensorboard", "wandb")

BEST, LAST, RESULT = "best.ckpt", "last.ckpt", "result.json"
"""Files in the folder of a run."""
RUNS_ON: Final = ("accelerator", "devices", "nodes", "workers", "precision", "root", "logger")
"""Settings that may differ between parts of a run, and between runs of a table: they say where it
runs, and not what is trained."""
THRESHOLD: Final = 0.5
"""As in the paper's table: there IoU = F1 / (2 - F1), which holds only for pooled scores of binary
masks."""


def _choice(default: Any, why: str) -> Any:
    return field(default=default, metadata={"why": why})


@dataclass(frozen=True)
class Settings:
    """How one U-Net is trained. The paper does not publish its training settings."""

    encoder: str = _choice(
        "mobilenet_v2", f"One of {', '.join(ENCODERS)}; the default is the quickest on a CPU."
    )
    weights: str = _choice(
        "imagenet",
        "Where the encoder starts: 'imagenet' as in the paper (downloaded; efficientnet-lite0's "
        "come with requirements.txt), 'none' for random weights, or the path of a checkpoint.",
    )
    source: str = _choice(
        "", "Where the data comes from: a folder, a URL or 'phantom'; empty for BMGD itself."
    )
    root: str = _choice("", "Folder for prepared data; empty for the user's cache.")
    scheme: str = _choice(
        "random",
        "How splits and folds are drawn: 'random' has the paper's 80:10:10, 'grouped' keeps images "
        "of one colony together; or the path of a CSV file with known groups (name, group).",
    )
    instances: str = _choice(
        "watershed", "How true masks become instances; predicted ones are split the same way."
    )
    hold_out: str = _choice("", "Test on this stiffness; train and validate on the others.")
    folds: int = _choice(0, "Number of folds of a cross-validation; 0 for the fixed split.")
    fold: int = _choice(0, "The fold used for the test, from 0; the next one is for validation.")
    train_images: int = _choice(
        0, "Number of training images; smaller sets are subsets of larger ones. 0 for all."
    )
    epochs: int = _choice(
        60, "About 5,000 steps at the paper's 655 images; early stopping ends most runs sooner."
    )
    batch: int = _choice(
        8, "Images per process: fits an 8 GB GPU with every encoder, and is enough for batch norm."
    )
    crop: int = _choice(
        192,
        "Side of the random crop in pixels, a multiple of 32: the paper crops but gives no size; "
        "three quarters keep whole colonies in view and cost half of a full image.",
    )
    lr: float = _choice(1e-3, "Peak learning rate of AdamW; a new decoder needs about 1e-3.")
    weight_decay: float = _choice(1e-2, "AdamW's default; a small data set needs regularisation.")
    warm_up: float = _choice(
        0.2, "Share of the steps in which the one-cycle schedule rises; then it falls as a cosine."
    )
    patience: int = _choice(15, "Epochs without a better validation F1 before training stops.")
    bce_share: float = _choice(
        0.5,
        "Loss = share * cross-entropy + (1 - share) * Dice. Dice is close to the score; "
        "cross-entropy has smooth gradients far from nuclei.",
    )
    seed: int = _choice(0, "Seed of weights, order and augmentation.")
    precision: str = _choice(
        "auto", "'auto': bf16-mixed or 16-mixed as the GPU can, 32-true on a CPU; or Lightning's."
    )
    accelerator: str = _choice("auto", "Lightning's: auto, cpu, gpu, ...")
    devices: int = _choice(0, "Processes on this host; 0 for all GPUs, or one CPU process.")
    nodes: int = _choice(1, "Hosts. Start the same command on each, as torchrun or SLURM does.")
    logger: str = _choice(
        "csv",
        "'csv' writes metrics.csv; 'tensorboard' or 'wandb' (Weights & Biases) logs there as well, "
        "by Lightning's logger. Install the package of that name.",
    )
    workers: int = _choice(0, "Loader processes per training process; 2 to 4 keep a GPU busy.")

    @property
    def name(self) -> str:
        """Name of the run's folder: the encoder, and what differs from the paper's split."""
        parts = [self.encoder]
        if self.scheme != "random":
            parts.append(Path(self.scheme).stem)
        if self.hold_out:
            parts.append(f"without-{self.hold_out.replace(' ', '')}")
        if self.folds:
            parts.append(f"fold-{self.fold}-of-{self.folds}")
        if self.train_images:
            parts.append(f"train-{self.train_images}")
        if self.seed:
            parts.append(f"seed-{self.seed}")
        return "-".join(parts)

    def __post_init__(self) -> None:
        """Refuse values that would fail later, or silently train something else.

        Raises:
            ValueError: The message names the option and its valid values.
        """
        if self.encoder not in ENCODERS:
            raise ValueError(f"--encoder {self.encoder!r} is not one of {', '.join(ENCODERS)}.")
        if self.logger not in LOGGERS:
            raise ValueError(f"--logger {self.logger!r} is not one of {', '.join(LOGGERS)}.")
        if self.crop < 32 or self.crop % 32:  # noqa: PLR2004 - five halvings
            raise ValueError(f"--crop {self.crop} must be a multiple of 32, such as 192 or 256.")
        if self.folds and not (self.folds > 2 and 0 <= self.fold < self.folds):  # noqa: PLR2004
            raise ValueError(
                f"--folds {self.folds} --fold {self.fold}: at least 3 folds (train, validation and "
                "test), and a fold from 0 to folds - 1."
            )
        if self.folds and self.hold_out:
            raise ValueError("--folds and --hold-out are two protocols; choose one.")
        if re.match(r"https?://[^/?#]*@", self.source, re.IGNORECASE):
            raise ValueError(
                "A --source with a password would be stored in results and checkpoints. Set "
                "BMGD_SOURCE to that address instead, and leave out --source."
            )
        for name in ("epochs", "batch", "lr", "patience"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name} {getattr(self, name)} must be above 0.")


def add_options(parser: argparse.ArgumentParser, *, leave_out: Sequence[str] = ()) -> None:
    """Give the parser one option for each setting; its help is the reason for the default."""
    for each in dataclasses.fields(Settings):
        if each.name not in leave_out:
            parser.add_argument(
                f"--{each.name.replace('_', '-')}",
                type=type(each.default),
                default=each.default,
                help=f"{each.metadata['why'].replace('%', '%%')} [%(default)s]",
            )


def from_options(options: argparse.Namespace, **changes: Any) -> Settings:
    """Read the settings from the options that `add_options` added.

    Raises:
        SystemExit: A value that is not valid, with one line that says why.
    """
    names = {each.name for each in dataclasses.fields(Settings)}
    values = {name: value for name, value in vars(options).items() if name in names} | changes
    if (source := values.get("source")) and Path(source).is_dir():
        values["source"] = str(
            Path(source).resolve()
        )  # a checkpoint may be used from another folder
    if (scheme := values.get("scheme")) and scheme.lower().endswith(".csv"):
        values["scheme"] = str(Path(scheme).resolve())
    try:
        return Settings(**values)
    except ValueError as error:
        raise SystemExit(str(error)) from error
