"""Microscope images of users: read as planes, written with the same axes and pixel size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tifffile

from bmgd_data import facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

ENDINGS: Final = (".tif", ".tiff", ".lsm")
_CHANNELS: Final = "CS"
_MICROMETRE: Final = ("um", "micron", "microns", "\\u00B5m", "\u00b5m")
_FLAT_SHARE: Final = 0.25
"""Least contrast of a plane, as a share of its stack's: an empty plane must not become noise."""


@dataclass(frozen=True)
class Stack:
    """A grey image of one or more planes."""

    pixels: NDArray[Any]  #: (..., H, W) as in the file
    axes: str  #: such as "YX" or "TZYX", one letter an axis
    full_scale: float
    pixel_um: tuple[float, float] | None  #: height and width of a pixel, if the file has it
    z_um: float | None  #: distance of planes, if the file has it

    def planes(self) -> Iterator[NDArray[np.float32]]:
        """Each (H, W) plane as the network's input, in the order of the file."""
        import torch
        from data import FLAT, standardised

        flat = self.pixels.reshape(-1, *self.pixels.shape[-2:])
        low, high = np.percentile(flat, (1, 99.8))
        least = max(_FLAT_SHARE * float(high - low) / self.full_scale, FLAT)
        for plane in flat:
            grey = torch.from_numpy((plane / self.full_scale).astype(np.float32))
            yield standardised(grey, least).numpy()


def read(path: Path, channel: int | None = None, bits: int | None = None) -> Stack:
    """Read the first series of a TIFF or a Zeiss .lsm file.

    Args:
        path: The file.
        channel: The channel with the nuclei, from 0; needed if there are several.
        bits: Bit depth of the camera. None for the smallest that has room for the values: 8 for
            8-bit files, else at least 12.

    Raises:
        ValueError: It is not a grey image, or the channel is not chosen or does not exist.
        Exception: The file is damaged; tifffile and its codecs raise many kinds.
    """
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        pixels, axes = series.asarray(), series.axes
        pixel_um, z_um = _sizes(file)
    for axis in [axis for axis in axes if axis in _CHANNELS]:
        place = axes.index(axis)
        pixels = _of_channel(pixels, place, channel)
        axes = axes[:place] + axes[place + 1 :]
    if axes[-2:] != "YX" or not pixels.size:
        raise ValueError(f"axes {axes!r} of shape {pixels.shape} do not end in Y and X.")
    if pixels.dtype == bool or pixels.dtype.kind not in "uif":
        raise ValueError(f"pixels are {pixels.dtype}, not grey values.")
    return Stack(pixels, axes, _full_scale(pixels, bits), pixel_um, z_um)


def _of_channel(pixels: NDArray[Any], place: int, channel: int | None) -> NDArray[Any]:
    count = pixels.shape[place]
    if channel is None and count > 1:
        raise ValueError(
            f"has {count} channels. Choose the one with nuclei: --channel 0 to {count - 1}."
        )
    if not 0 <= (channel or 0) < count:
        raise ValueError(f"has {count} channels, so there is no --channel {channel}.")
    return np.asarray(np.take(pixels, channel or 0, axis=place))


def _full_scale(pixels: NDArray[Any], bits: int | None) -> float:
    highest = float(pixels.max())
    if bits:
        return float(2**bits - 1)
    if pixels.dtype.kind == "f":
        return max(highest, 1.0)
    if pixels.dtype.itemsize == 1:
        return 255.0
    return float(2 ** max(int(highest).bit_length(), facts.BIT_DEPTH) - 1)


def _sizes(file: tifffile.TiffFile) -> tuple[tuple[float, float] | None, float | None]:
    if lsm := file.lsm_metadata:
        x, y, z = (lsm.get(f"VoxelSize{axis}") for axis in "XYZ")  # metres
        return ((y * 1e6, x * 1e6) if x and y else None), (z * 1e6 if z else None)
    imagej = file.imagej_metadata or {}
    tags = {tag.name: tag.value for tag in file.pages.first.tags}
    # ImageJ writes micrometre in several ways; other units do not come from a microscope.
    if str(imagej.get("unit")) not in _MICROMETRE:
        return None, None
    z_um = imagej.get("spacing")
    # A resolution is the fraction (pixels, micrometres).
    (y, y_um), (x, x_um) = (tags.get(f"{axis}Resolution", (0, 0)) for axis in "YX")
    return ((y_um / y, x_um / x) if x and y else None), z_um


def write(path: Path, pixels: NDArray[Any], like: Stack) -> None:
    """Write (..., H, W) unsigned integers as TIFF with the axes and pixel size of `like`.

    ImageJ opens it like the source. The file appears complete or not at all.
    """
    metadata: dict[str, Any] = {"axes": like.axes}
    # ImageJ reads neither 32-bit labels nor other axes than these.
    for_imagej = pixels.dtype.itemsize <= 2 and set(like.axes) <= set("TZYX")  # noqa: PLR2004
    options: dict[str, Any] = {}
    if for_imagej and like.pixel_um:
        metadata["unit"] = "um"
        options["resolution"] = tuple(1 / size for size in reversed(like.pixel_um))
        if like.z_um:
            metadata["spacing"] = like.z_um
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        part,
        pixels,
        imagej=for_imagej,
        photometric="minisblack",
        compression=None if for_imagej else "zlib",
        metadata=metadata,
        **options,
    )
    os.replace(part, path)  # noqa: PTH105 - the same on Windows
