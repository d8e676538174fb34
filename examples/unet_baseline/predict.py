"""Masks for your own images: ``python predict.py runs/resnet50 IMAGES --out MASKS``."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate import digest
from network import Network
from settings import BEST, THRESHOLD

from bmgd_data import own
from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and predict; gives 1 if an image failed.

    `bmgd_data.own` reads, writes and distributes, as for ``bmgd segment``.
    """
    options = _options(arguments)
    path = checkpoint(options.run).resolve()
    network = Network(
        path,
        digest(path),
        options.device,
        options.threshold,
        options.tile,
        options.overlap,
        options.symmetric,
        options.instances,
    )
    batch = own.Batch(
        network, options.out, options.channel, options.bits, options.pixel_size, options.rois
    )
    try:
        return own.segment_files(
            options.images,
            batch,
            part=options.part,
            resume=options.resume,
            scheduler=options.scheduler,
            search=[str(Path(__file__).resolve().parent)],
            say=print,
            complain=lambda text: print(text, file=sys.stderr),
        )
    except (BMGDError, ValueError) as error:
        raise SystemExit(str(error)) from error


def checkpoint(run: Path) -> Path:
    """The checkpoint of a run's folder, or the file itself.

    Raises:
        SystemExit: It does not exist.
    """
    path = run / BEST if run.is_dir() else run
    if not path.is_file():
        raise SystemExit(f"No checkpoint at {path}. Run train.py first, or name another one.")
    return path


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="Folder of a run, or a checkpoint.")
    parser.add_argument("images", type=Path, nargs="+", help="TIFF or .lsm files, or folders.")
    parser.add_argument("--out", type=Path, default=Path("masks"), help="Folder for the masks.")
    parser.add_argument("--channel", type=int, help="Channel of the nuclei, from 0.")
    parser.add_argument(
        "--bits", type=int, help="Bit depth of the camera: 8, 12, 16. [from the values]"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        help="Least probability of nucleus. [%(default)s]",
    )
    parser.add_argument(
        "--instances", choices=own.METHODS, default="watershed",
        help="How the mask is split. [watershed]",
    )  # fmt: skip
    parser.add_argument("--tile", type=int, default=256, help="Side of a tile in pixels. [256]")
    parser.add_argument("--overlap", type=int, default=64, help="Pixels tiles share. [64]")
    parser.add_argument("--symmetric", action="store_true", help="Average over flips and turns.")
    parser.add_argument(
        "--rois", action="store_true", help="Also write a zip of ROIs for ImageJ and Fiji."
    )
    parser.add_argument(
        "--pixel-size", type=float, metavar="UM",
        help="Width and height of a pixel in micrometres. [from the file]",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument(
        "--resume", action="store_true", help="Skip images that the same settings were applied to."
    )
    parser.add_argument(
        "--part", default="1/1", metavar="I/N",
        help="Only the I-th of N shares of the images, as in a job array: 1/8 to 8/8.",
    )  # fmt: skip
    parser.add_argument(
        "--scheduler",
        help="Predict on dask.distributed workers: tcp://HOST:8786, or 'local' for this machine's "
        "cores. Workers need the same paths.",
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.overlap <= options.tile // 2:
        parser.error(f"--overlap {options.overlap} must be from 0 to half of --tile.")
    if options.pixel_size is not None and options.pixel_size <= 0:
        parser.error(f"--pixel-size {options.pixel_size} must be above 0.")
    if options.rois and importlib.util.find_spec("roifile") is None:
        parser.error("--rois needs roifile: pip install roifile")
    if not 0 < options.threshold < 1:
        parser.error(f"--threshold {options.threshold} must be between 0 and 1.")
    return options


if __name__ == "__main__":
    sys.exit(main())
