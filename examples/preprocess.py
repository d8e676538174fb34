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

FULL_SCALE = 4095
ENDINGS = (".lsm", ".tif", ".tiff")
STIFFNESSES = (250, 950, 1200, 1800)
PERCENTILES = (0.1, 99.9)


class Stack(NamedTuple):
    """Slices of one file."""

    slices: np.ndarray
    """(Z, H, W)."""
    pixel_um: float | None
    """None if the file does not have it."""


def read(path: Path, channel: int) -> Stack:
    """Read one channel of a stack of one time point."""
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pixels, axes = series.asarray(), series.axes.replace("I", "Z").replace("Q", "Z")
        for axis, index in (("T", 0), ("C", channel), ("S", channel)):
            if axis in axes:
                place = axes.index(axis)
                if axis == "T" and pixels.shape[place] > 1:
                    raise ValueError(f"{path}: {pixels.shape[place]} time points. Save one alone.")
                if index >= pixels.shape[place]:
                    raise ValueError(
                        f"{path} has {pixels.shape[place]} channels; --channel counts from 0."
                    )
                pixels, axes = pixels.take(index, axis=place), axes.replace(axis, "")
        if axes not in ("ZYX", "YX") or pixels.dtype.kind != "u":
            raise ValueError(
                f"{path}: axes {series.axes} of {pixels.dtype} are not a stack of grey values."
            )
        return Stack(pixels.reshape(-1, *pixels.shape[-2:]), pixel_size(file))


def pixel_size(file: tifffile.TiffFile) -> float | None:
    """Width of a pixel in micrometres, from .lsm files or ImageJ."""
    if file.lsm_metadata:
        return float(file.lsm_metadata["VoxelSizeX"]) * 1e6
    unit = (file.imagej_metadata or {}).get("unit", "")
    tag = file.pages[0].tags.get("XResolution")
    if tag is None or unit not in ("um", "µm", "\\u00B5m", "micron"):
        return None
    pixels, length = tag.value
    return length / pixels if pixels else None


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


def write(path: Path, values: np.ndarray, pixel_um: float | None) -> None:
    """Write a slice as ImageJ does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"resolution": (1 / pixel_um,) * 2, "metadata": {"unit": "um"}} if pixel_um else {}
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
    count = 0
    for path in paths:
        stack = read(path, options.channel)
        size_um = options.pixel_size or stack.pixel_um
        if size_um is None:
            print(f"{path} does not have its pixel size; give --pixel-size.", file=sys.stderr)
        stem = "_".join(path.relative_to(options.stacks).with_suffix("").parts)
        for z, plane in enumerate(stack.slices):
            values, wider = fitted(prepare(plane, options), options)
            write(folder / f"{stem}_z{z:03d}.tif", values, size_um and size_um * wider)
        count += len(stack.slices)
    return count


if __name__ == "__main__":
    sys.exit(main())
