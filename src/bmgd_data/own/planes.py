"""Planes of microscope files, each with its place, the size of its pixels and its full scale."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Plane", "read"]

_CHANNELS: Final = "CS"
_MICROMETRE: Final = ("um", "micron", "microns", "\\u00B5m", "\u00b5m")


@dataclass(frozen=True)
class Plane:
    """One grey (H, W) plane of a file."""

    name: str
    file: Path
    series: int
    t: int
    c: int
    z: int
    pixel_size_um: tuple[float, float] | None  #: height and width of a pixel, if the file has it
    z_step_um: float | None  #: distance of planes in depth, if the file has it
    full_scale: float
    shape: tuple[int, int]
    place: tuple[int, ...]
    """Indices of the axes before Y and X in the series."""
    transposed: tuple[int, ...]
    """Order of the series' axes with Y and X last."""

    def read(self) -> NDArray[Any]:
        """The pixels, (H, W)."""
        import tifffile

        with tifffile.TiffFile(self.file) as file:
            pixels = file.series[self.series].asarray()
        return np.asarray(pixels.transpose(self.transposed)[self.place])


class _Sizes(NamedTuple):
    pixel_um: tuple[float, float] | None
    z_um: float | None


def read(paths: Iterable[Path]) -> list[Plane]:
    """The planes of TIFF and Zeiss .lsm files.

    Raises:
        ValueError: A file is damaged, or its pixels are no grey values.
    """
    return [plane for path in paths for plane in _planes(path)]


def _planes(path: Path) -> list[Plane]:
    import tifffile

    planes = []
    try:
        with tifffile.TiffFile(path) as file:
            sizes = _sizes(file)
            for number, series in enumerate(file.series):
                if series.keyframe.is_reduced:  # the thumbnails of an .lsm
                    continue
                planes += _of_series(path, number, series.asarray(), series.axes, sizes)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if type(error) is ValueError:
            raise
        # tifffile and its codecs raise many kinds for damage (struct.error, zlib.error, ...).
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"damaged, or not a TIFF ({why})") from error
    return planes


def _of_series(
    path: Path, number: int, pixels: NDArray[Any], axes: str, sizes: _Sizes
) -> list[Plane]:
    if not {"Y", "X"} <= set(axes) or not pixels.size:
        raise ValueError(f"axes {axes!r} of shape {pixels.shape} do not hold Y and X.")
    if pixels.dtype.kind not in "uif":
        raise ValueError(f"pixels are {pixels.dtype}, not grey values.")
    before = [axis for axis in axes if axis not in "YX"]
    order = tuple(axes.index(axis) for axis in (*before, "Y", "X"))
    shape = pixels.transpose(order).shape
    scale = _full_scale(pixels)
    planes = []
    for place in itertools.product(*map(range, shape[:-2])):
        at = dict(zip(before, place, strict=True))
        z = 0  # of several axes like it, such as Z and an unknown one
        for axis, length in zip(before, shape, strict=False):
            if axis != "T" and axis not in _CHANNELS:
                z = z * length + at[axis]
        channel = next((at[axis] for axis in _CHANNELS if axis in at), 0)
        planes.append(
            Plane(
                path.name,
                path,
                number,
                at.get("T", 0),
                channel,
                z,
                *sizes,
                scale,
                shape[-2:],
                place,
                order,
            )
        )
    return planes


def _full_scale(pixels: NDArray[Any]) -> float:
    if pixels.dtype.itemsize == 1:
        return 255.0
    highest = float(pixels.max())
    if pixels.dtype.kind == "f":
        return max(float(np.max(pixels, where=np.isfinite(pixels), initial=1.0)), 1.0)
    return float(2 ** max(int(highest).bit_length(), facts.BIT_DEPTH) - 1)


def _sizes(file: Any) -> _Sizes:
    if lsm := file.lsm_metadata:
        x, y, z = (lsm.get(f"VoxelSize{axis}") for axis in "XYZ")  # metres
        return _Sizes((y * 1e6, x * 1e6) if x and y else None, z * 1e6 if z else None)
    imagej = file.imagej_metadata or {}
    # ImageJ writes micrometre in several ways.
    if str(imagej.get("unit")) not in _MICROMETRE:
        return _Sizes(None, None)
    tags = {tag.name: tag.value for tag in file.pages.first.tags}
    # A resolution is the fraction (pixels, micrometres).
    (y, y_um), (x, x_um) = (tags.get(f"{axis}Resolution", (0, 0)) for axis in "YX")
    return _Sizes((y_um / y, x_um / x) if x and y else None, imagej.get("spacing"))
