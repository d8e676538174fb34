"""Masks for your own images: ``python predict.py runs/resnet50 IMAGES --out MASKS``."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from images import ENDINGS, Stack, read, write
from settings import BEST, THRESHOLD
from tables import NUCLEI, gathered, measured

from bmgd_data import instances
from bmgd_data._system import disk, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

# torch takes seconds to import, so functions import it: --help is quick.

MASK, INSTANCES, ROIS = ".mask.tif", ".instances.tif", ".rois.zip"
"""Added to the image's name, so that each image has files of its own."""
_WIDEST = np.iinfo(np.uint16).max


def found(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Each image in the given files and folders, and its path relative to them."""
    for path in paths:
        if path.is_file() or not path.exists():
            yield path, Path(path.name)
            continue
        for each in sorted(path.rglob("*")):
            ours = each.name.endswith((MASK, INSTANCES))
            if each.suffix.lower() in ENDINGS and not ours and each.is_file():
                yield each, each.relative_to(path)


def in_tiles(
    module: Any, plane: NDArray[np.float32], options: argparse.Namespace, bar: Any
) -> NDArray[np.float32]:
    """Probability of nucleus in one plane, computed in this process."""
    from infer import tiled

    return tiled(
        module,
        plane,
        tile=options.tile,
        overlap=options.overlap,
        symmetric=options.symmetric,
        done=bar,
    )


def predict(
    module: Any,
    stack: Stack,
    options: argparse.Namespace,
    title: str = "",
    chance_of: Callable[..., NDArray[np.float32]] = in_tiles,
) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Find the nuclei of a stack, plane by plane, as in training.

    Returns:
        Masks (..., H, W) uint8, 0 or 255, and instance masks of the same shape, uint16, or uint32
        above 65535 nuclei. Numbers continue from plane to plane: a nucleus in two planes has two.
    """
    from infer import tiles

    masks = np.zeros(stack.pixels.shape, np.uint8)
    labels = np.zeros(stack.pixels.shape, np.uint32)
    flat_masks, flat_labels = (each.reshape(-1, *each.shape[-2:]) for each in (masks, labels))
    per_plane = sum(1 for _ in tiles(masks.shape[-2:], options.tile, options.overlap))
    count = 0
    with progress.bar(title, per_plane * len(flat_masks)) as bar:
        for place, plane in enumerate(stack.planes()):
            mask = chance_of(module, plane, options, bar) > options.threshold
            split = instances.DERIVED[options.instances](mask).astype(np.uint32)
            flat_masks[place] = mask * np.uint8(255)
            flat_labels[place] = np.where(split, split + count, 0)
            count += int(split.max())
    return masks, labels if count > _WIDEST else labels.astype(np.uint16)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and predict; gives 1 if a file failed."""
    options = _options(arguments)
    checkpoint(options.run)
    every = list(found(options.images))
    if not every:
        raise SystemExit(f"No {', '.join(ENDINGS)} files in {', '.join(map(str, options.images))}.")
    part, parts = options.part
    images = every[part - 1 :: parts]
    if options.resume:
        images = [(path, below) for path, below in images if not _is_done(options, below)]
        print(f"{len(images)} images are left to do.")
    if options.scheduler:
        from spread import outcomes

        results = outcomes(images, options)
    else:
        module = loaded(options.run, options.device)
        results = (
            done(module, path, below, options, title=f"{number}/{len(images)} {path.name}")
            for number, (path, below) in enumerate(images, start=1)
        )
    failed = 0
    for (path, _), result in zip(images, results, strict=True):
        if isinstance(result, str):
            failed += 1
            print(f"{path}: {result}", file=sys.stderr)
        else:
            print(f"{path}: {result} nuclei")
    if any(options.out.rglob(f"*{NUCLEI}")):
        print(gathered(options.out))
    if failed:
        print(f"{failed} of {len(images)} files were left out.", file=sys.stderr)
    return int(failed > 0)


def checkpoint(run: Path) -> Path:
    """The checkpoint of a run's folder, or the file itself.

    Raises:
        SystemExit: It does not exist.
    """
    path = run / BEST if run.is_dir() else run
    if not path.is_file():
        raise SystemExit(f"No checkpoint at {path}. Run train.py first, or name another one.")
    return path


def loaded(run: Path, where: str) -> Any:
    """The network of a run, on a device."""
    from infer import device
    from model import trained

    return trained(checkpoint(run)).to(device(where))


def _output(options: argparse.Namespace, below: Path, ending: str) -> Path:
    out: Path = options.out
    return out / below.with_name(below.name + ending)


def _is_done(options: argparse.Namespace, below: Path) -> bool:
    endings = (MASK, INSTANCES, NUCLEI, *([ROIS] if options.rois else []))
    return all(_output(options, below, ending).is_file() for ending in endings)


def done(
    module: Any,
    path: Path,
    below: Path,
    options: argparse.Namespace,
    chance_of: Callable[..., NDArray[np.float32]] = in_tiles,
    *,
    title: str = "",
) -> int | str:
    """Read an image, predict, write its masks, the table of its nuclei, and ROIs if asked for.

    Returns:
        The number of nuclei, or a text that says why it failed.
    """
    try:
        stack = _opened(path, options)
        mask, labels = predict(module, stack, options, title, chance_of)
        write(_output(options, below, MASK), mask, stack)
        write(_output(options, below, INSTANCES), labels, stack)
        table = measured(stack, labels, below.as_posix(), options.instances)
        table.to_csv(_output(options, below, NUCLEI))
        if options.rois:
            from bmgd_data.export import roi_zip

            with disk.staged_file(_output(options, below, ROIS)) as partial:
                partial.write_bytes(roi_zip(labels))
    except Exception as error:  # noqa: BLE001 - one bad file does not stop the others
        return f"left out: {_told(error)}"
    return len(table)


def _opened(path: Path, options: argparse.Namespace) -> Stack:
    try:
        stack = read(path, options.channel, options.bits)
    except FileNotFoundError:
        raise ValueError("no such file") from None
    except Exception as error:
        if isinstance(error, OSError | MemoryError) or type(error) is ValueError:
            raise  # their message says what is wrong
        # tifffile and its codecs raise many kinds for damage (struct.error, zlib.error, ...).
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"damaged, or not a TIFF ({why})") from error
    if options.pixel_size:
        return dataclasses.replace(stack, pixel_um=(options.pixel_size,) * 2)
    return stack


def _told(error: Exception) -> str:
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return f"it does not fit in memory; try a smaller --tile, or --device cpu ({error})"
    if isinstance(error, OSError | ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


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
        "--instances", choices=tuple(instances.DERIVED), default="watershed",
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
        "--resume", action="store_true", help="Skip images whose masks are already in --out."
    )
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="I/N",
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


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N, such as 1/8.")
    return int(part), int(parts)


if __name__ == "__main__":
    sys.exit(main())
