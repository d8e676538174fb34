"""Make slices like BMGD's from a folder of .lsm or TIFF stacks, one TIFF per slice.

    python examples/preprocess.py stacks my-bmgd --stiffness 1200 --size 256 --fit resize

The paper names the steps before annotation: a threshold at 1500 or more, a mean filter of radius
0.5 to 2, subtraction of a grey value, a Gaussian blur; images have 256 x 256 pixels. It does not
say which steps were applied to which image. So each step is off by default. They run in this order.

Slices go to <out>/<stiffness> Pa/image as 16-bit TIFF that ImageJ reads, with their pixel size.
Draw masks, save them under the same names in the folder `mask` beside, and give <out> as source=.

tifffile reads the stacks. It was tried on ImageJ hyperstacks, plain stacks, and .lsm files made by
hand after the published layout of LSM, but not on an .lsm file from a microscope.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from scipy import ndimage
from skimage.transform import resize

from bmgd_data.own import planes

FULL_SCALE = 4095
ENDINGS = (".lsm", ".tif", ".tiff")
STIFFNESSES = (250, 950, 1200, 1800)
PERCENTILES = (0.1, 99.9)


class Stack(NamedTuple):
    """Slices of one channel of one file."""

    planes: list[planes.Plane]
    pixel_um: tuple[float, float] | None
    """Height and width of a pixel; None if the file does not have them."""


def read(path: Path, channel: int) -> Stack:
    """One channel of a stack of one time point."""
    try:
        found = planes.read([path])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    channels = sorted({plane.c for plane in found})
    if channel not in channels:
        raise ValueError(f"{path} has {len(channels)} channels; --channel counts from 0.")
    if len(times := {plane.t for plane in found}) > 1:
        raise ValueError(f"{path}: {len(times)} time points. Save one alone.")
    if len(images := {plane.series for plane in found}) > 1:
        raise ValueError(f"{path}: {len(images)} images or positions. Save each alone.")
    chosen = sorted((plane for plane in found if plane.c == channel), key=lambda each: each.z)
    return Stack(chosen, chosen[0].pixel_size_um)


def prepare(plane: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """Apply the chosen steps to one slice."""
    values = plane.astype(np.float64)
    if options.threshold:
        values[values < options.threshold] = 0
    if options.mean:
        reach = int(options.mean) + 1
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = y**2 + x**2 <= int(options.mean**2) + 1  # as ImageJ's filter of this radius
        values = ndimage.convolve(values, disc / disc.sum(), mode="nearest")
    values = np.maximum(values - options.subtract, 0)
    if options.blur:
        values = ndimage.gaussian_filter(values, options.blur, mode="nearest")
    if options.normalise:
        low, high = np.percentile(values, PERCENTILES)
        values = (values - low) / max(high - low, 1) * FULL_SCALE
    return values.clip(0, FULL_SCALE if options.normalise else 65535)


def fitted(values: np.ndarray, options: argparse.Namespace) -> tuple[np.ndarray, float]:
    """The middle of a slice at the chosen size, and the factor by which its pixels are wider."""
    if not options.size:
        return values, 1.0
    side = options.size if options.fit == "crop" else min(values.shape)
    if side > min(values.shape):
        raise ValueError(
            f"A slice of {values.shape} cannot be cropped to {side}; use --fit resize."
        )
    top, left = ((length - side) // 2 for length in values.shape)
    middle = values[top : top + side, left : left + side]
    size = (options.size, options.size)
    smaller = options.size < side
    return resize(middle, size, anti_aliasing=smaller, preserve_range=True), side / options.size


def write(path: Path, values: np.ndarray, pixel_um: tuple[float, float] | None) -> None:
    """Write a slice as ImageJ does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {}
    if pixel_um:
        height, width = pixel_um
        told = {"resolution": (1 / width, 1 / height), "metadata": {"unit": "um"}}
    tifffile.imwrite(path, values.round().astype(np.uint16), imagej=True, **told)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("stacks", type=Path, help="folder of .lsm or TIFF stacks")
    add("out", type=Path, help="folder to write to")
    add("--stiffness", type=int, choices=STIFFNESSES, required=True, help="of the substrate, in Pa")
    add("--channel", type=int, default=0, help="channel of DAPI, from 0 [0]")
    add("--pixel-size", type=float, help="in micrometres, if files do not have it")
    add(
        "--threshold", type=float, default=0, help="darker pixels become 0; the paper: 1500 or more"
    )
    add("--mean", type=float, default=0, help="radius of a mean filter; the paper: 0.5 to 2")
    add("--subtract", type=float, default=0, help="grey value to subtract; below it, 0")
    add("--blur", type=float, default=0, help="sigma of a Gaussian in pixels")
    add("--normalise", action="store_true", help="stretch each slice to 0..4095; hides brightness")
    add("--size", type=int, default=0, help="side in pixels; the paper: 256")
    add("--fit", choices=("crop", "resize"), default="crop", help="how the size is reached [crop]")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run; gives the exit code, 1 for a failure."""
    options = parse(arguments)
    folder = options.out / f"{options.stiffness} Pa" / "image"
    try:
        count = convert(options, folder)
    except (ValueError, OSError, tifffile.TiffFileError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{count} slices are in {folder}. Masks go to {folder.parent / 'mask'}.")
    return 0


def convert(options: argparse.Namespace, folder: Path) -> int:
    """Write all slices of all stacks, and count them."""
    paths = sorted(p for p in options.stacks.rglob("*") if p.suffix.lower() in ENDINGS)
    if not paths:
        raise ValueError(f"{options.stacks} holds no {', '.join(ENDINGS)}.")
    stems = {
        path: "_".join(path.relative_to(options.stacks).with_suffix("").parts) for path in paths
    }
    require_new(stems, folder)
    stacks = {path: read(path, options.channel) for path in paths}  # all are looked at first
    count = 0
    for path, stack in stacks.items():
        size_um = (options.pixel_size,) * 2 if options.pixel_size else stack.pixel_um
        if size_um is None:
            print(f"{path} does not have its pixel size; give --pixel-size.", file=sys.stderr)
        if missing := stack.planes[0].missing:
            print(f"{path}: planes that it names and no file holds: {missing}.", file=sys.stderr)
        for z, plane in enumerate(stack.planes):
            pixels = plane.read()
            if pixels.dtype.kind not in "iu" or pixels.min() < 0:
                raise ValueError(
                    f"{path}: {pixels.dtype} from {pixels.min()} are not a stack of grey values."
                )
            values, wider = fitted(prepare(pixels, options), options)
            larger = size_um and (size_um[0] * wider, size_um[1] * wider)
            write(folder / f"{stems[path]}_z{z:03d}.tif", values, larger)
        count += len(stack.planes)
    return count


def require_new(stems: dict[Path, str], folder: Path) -> None:
    """Refuse stacks whose slices would be written over one another, or beside older ones."""
    by_stem: dict[str, list[Path]] = {}
    for path, stem in stems.items():
        by_stem.setdefault(stem.casefold(), []).append(path)  # some file systems ignore case
    for stem, several in by_stem.items():
        if len(several) > 1:
            raise ValueError(
                f"{' and '.join(map(str, several))} would both be written as {stem}_z000.tif and "
                "so on. Rename one, or give each another output folder."
            )
    there = {path.stem.rpartition("_z")[0].casefold() for path in folder.glob("*_z*.tif")}
    if old := sorted(there & by_stem.keys()):
        raise ValueError(
            f"{folder} holds slices of {old[0]} of an earlier run. Name another output folder, or "
            "remove them."
        )


if __name__ == "__main__":
    sys.exit(main())
