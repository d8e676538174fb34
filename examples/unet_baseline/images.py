"""A user's own microscope images, read as planes and written back in the same geometry."""

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
"""Least contrast of a plane as part of its stack's: an empty plane must not become all noise."""


@dataclass(frozen=True)
class Stack:
    """A grey image of one or more planes."""

    pixels: NDArray[Any]  #: (..., H, W) as in the file
    axes: str  #: such as "YX" or "TZYX", one letter an axis
    full_scale: float
    pixel_um: tuple[float, float] | None  #: height and width of a pixel, where the file tells
    z_um: float | None  #: distance of planes, where the file tells

    def planes(self) -> Iterator[NDArray[np.float32]]:
        """Each (H, W) plane as the network wants it, in the order of the file."""
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
        channel: Which channel holds the nuclei, from 0; needed where there are several.
        bits: Depth of the camera; None takes the least that holds the values, 12 or more for
            anything but 8-bit files.

    Raises:
        ValueError: It is no image of one channel, or the channel is not chosen or not there.
        Exception: What tifffile and its codecs raise for a damaged file.
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
            f"has {count} channels: choose the nuclei's with --channel 0..{count - 1}."
        )
    if not 0 <= (channel or 0) < count:
        raise ValueError(f"has {count} channels, so that --channel {channel} is not there.")
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
    # ImageJ writes micro in two ways; other units say nothing of a microscope.
    if str(imagej.get("unit")) not in _MICROMETRE:
        return None, None
    z_um = imagej.get("spacing")
    # A resolution is the fraction (pixels, micrometres).
    (y, y_um), (x, x_um) = (tags.get(f"{axis}Resolution", (0, 0)) for axis in "YX")
    return ((y_um / y, x_um / x) if x and y else None), z_um


def write(path: Path, pixels: NDArray[Any], like: Stack) -> None:
    """Write (..., H, W) unsigned integers as TIFF with the axes and pixel size of `like`.

    ImageJ opens it as it opened the source. The file is whole or not there.
    """
    metadata: dict[str, Any] = {"axes": like.axes}
    # ImageJ knows neither 32-bit labels nor axes other than these.
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
