"""Train the paper's U-Net in Keras: ``python train.py --encoder mobilenet_v2``. See README.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tifffile
from data import batches
from unet import ENCODERS, bce_dice, f1, iou, unet

from bmgd_data import Reader
from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Sequence

BEST = "best.keras"


def train(options: argparse.Namespace) -> Path:
    """Train on the train split and choose the epoch on validation; gives the best model's path."""
    keras.utils.set_random_seed(options.seed)
    net = unet(options.encoder, options.weights)
    net.compile(keras.optimizers.Adam(options.lr), bce_dice, metrics=[f1, iou])
    highest = {"monitor": "val_f1", "mode": "max"}
    options.out.mkdir(parents=True, exist_ok=True)
    net.fit(
        batches(_reader(options, "train"), options.batch, options.crop, options.seed),
        validation_data=batches(_reader(options, "val"), options.batch),
        epochs=options.epochs,
        shuffle=False,  # to_tf does it
        verbose=0 if options.quiet else 2,
        callbacks=[
            keras.callbacks.CSVLogger(options.out / "metrics.csv"),
            keras.callbacks.ModelCheckpoint(options.out / BEST, save_best_only=True, **highest),
            keras.callbacks.EarlyStopping(patience=options.patience, **highest),
        ],
    )
    return options.out / BEST


def predict(model: Path, reader: Reader, folder: Path, size: int) -> None:
    """Write the probability of nucleus of each sample as <folder>/<sample name>.tif, float32."""
    net = keras.saving.load_model(model, compile=False)
    chances = net.predict(batches(reader, size).map(lambda image, _: image), verbose=0)
    for name, chance in zip(reader.names, chances, strict=True):
        path = folder / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.float32(chance[..., 0]))


def _reader(options: argparse.Namespace, split: str) -> Reader:
    reader = Reader("all", root=options.root, source=options.source, scheme=options.scheme)
    if options.fold:
        reader = reader.fold(options.fold)
    if options.hold_out:
        reader = reader.hold_out(options.hold_out)
    return reader.subset(split)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and train or predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", choices=tuple(ENCODERS), default="mobilenet_v2")
    parser.add_argument("--weights", default="imagenet", help="imagenet, none or a file.")
    parser.add_argument("--source", help="Where the data comes from; BMGD itself by default.")
    parser.add_argument("--root", help="Folder for prepared data.")
    parser.add_argument("--scheme", default="random", help="How splits are drawn.")
    parser.add_argument("--fold", help="Fold k of n of a cross-validation, as in 0/5.")
    parser.add_argument("--hold-out", help="Test on this stiffness; train on the others.")
    for name, value in {"epochs": 60, "batch": 8, "lr": 1e-3, "patience": 15, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help="[%(default)s]")
    parser.add_argument("--crop", type=int, default=224, help="A multiple of 32.")
    parser.add_argument("--out", type=Path, help="Folder of the run. [runs/<encoder>]")
    parser.add_argument("--predict", choices=("val", "test"), help="Only predict this split.")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    options.out = options.out or Path("runs", options.encoder)
    if options.crop < 32 or options.crop % 32:  # noqa: PLR2004 - five halvings
        parser.error(f"--crop {options.crop} must be a multiple of 32, such as 192 or 224.")
    try:
        if options.predict is None:
            print(f"Best model: {train(options)}")
        elif not (options.out / BEST).is_file():
            parser.error(f"no {options.out / BEST}; train first, without --predict.")
        else:
            folder = options.out / options.predict
            reader = _reader(options, options.predict)
            predict(options.out / BEST, reader, folder, options.batch)
            named = {"source": options.source, "fold": options.fold, "hold-out": options.hold_out}
            given = "".join(f" --{name} '{value}'" for name, value in named.items() if value)
            print(f"Score them: bmgd evaluate '{folder}' --split {options.predict}{given}")
    except (BMGDError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
