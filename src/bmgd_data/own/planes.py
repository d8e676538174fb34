"""Planes of microscope files, each with its place, the size of its pixels and its full scale."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._system.image_files import Calibration, calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Plane", "read", "series_of"]

_CHANNELS: Final = "CS"
_UM: Final = {
    **dict.fromkeys(("um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "inch": 25400.0,
    "in": 25400.0,
    "pm": 1e-6,
    "\u00c5": 1e-4,
}
"""Micrometres in each unit, by the names that OME and ImageJ give them."""
_WIDEST_UM: Final = 50.0
"""A wider pixel in TIFF's own tags is taken for a printer's resolution."""


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

    calibration: Calibration
    missing: int
    """Planes that its description names and that are in no file of its set; they are left out."""

    def read(self) -> NDArray[Any]:
        """The grey values, (H, W), in the machine's byte order."""
        import tifffile

        with tifffile.TiffFile(self.file) as file:
            series = file.series[self.series]
            page = _page(series, self)
            if page is not None and page.shape == self.shape:  # the others need not be read
                pixels = np.asarray(page.asarray())
            else:
                pixels = np.array(_whole(series).transpose(self.transposed)[self.place])
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        if not self.calibration.changes:
            return pixels
        _, low, factor = self.calibration
        if factor == 1 and low.is_integer() and pixels.dtype.kind in "iu":
            return pixels.astype(np.int64) + int(low)
        return (low + factor * pixels).astype(np.float32)


def _page(series: Any, plane: Plane) -> Any:
    """The page of a plane, if each plane is a page of its own."""
    before = tuple(series.shape[axis] for axis in plane.transposed[:-2])
    if len(series) < 2 or len(series) != np.prod(before):  # noqa: PLR2004
        return None
    return series[int(np.ravel_multi_index(plane.place, before))]


class _Sizes(NamedTuple):
    pixel_um: tuple[float, float] | None
    z_um: float | None


def read(paths: Iterable[Path], series: int | None = None) -> list[Plane]:
    """The planes of TIFF and Zeiss .lsm files.

    Args:
        paths: The files.
        series: Only this image of each file; None for all.

    Raises:
        ValueError: A file is damaged, or its pixels are no grey values.
    """
    return [plane for path in paths for plane in _planes(path, series)]


def series_of(path: Path) -> list[int]:
    """The images of a file, by number; their pixels are not read. Raises what `read` does."""
    return sorted({plane.series for plane in _planes(path, scaled=False)})


def _planes(path: Path, only: int | None = None, *, scaled: bool = True) -> list[Plane]:
    import tifffile

    planes = []
    try:
        with tifffile.TiffFile(path) as file:
            for number, series in enumerate(file.series):
                if series.keyframe.is_reduced or only not in (None, number):  # thumbnails of .lsm
                    continue
                _require_one_depth(series)
                sizes, shown = _sizes(file, number), _calibration(file)
                found = _of_series(path, number, series, sizes, shown, scaled=scaled)
                planes += [plane for plane in found if _is_here(series, plane, path)]
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if type(error) is ValueError:
            raise
        # tifffile and its codecs raise many kinds for damage (struct.error, zlib.error, ...).
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"damaged, or not a TIFF ({why})") from error
    return planes


def _require_one_depth(series: Any) -> None:
    bits = series.keyframe.bitspersample
    if isinstance(bits, tuple) and len(set(bits)) > 1:
        raise ValueError(
            f"channels of {' and '.join(map(str, sorted(set(bits))))} bits in one file are not "
            "read. Save each channel alone, for example with ImageJ."
        )


def _is_here(series: Any, plane: Plane, path: Path) -> bool:
    """Whether a plane is in this file of its set: each is read once, and missing ones are not."""
    if not (series.is_multifile or plane.missing):
        return True
    page = _page(series, plane)
    return page is not None and page.parent.filehandle.path == str(path.resolve())


def _axes(series: Any) -> str:
    """The axes of a series; S for the samples of a pixel.

    tifffile.imwrite marks a stack of three or four slices as planar colours, if it is not told what
    it is. Colours that a camera or program writes are interleaved.
    """
    axes: str = series.axes
    page = series.keyframe
    planar = "S" in axes and axes.index("S") < axes.index("Y")
    return axes.replace("S", "Z") if planar and page.software == "tifffile.py" else axes


def _calibration(file: Any) -> Calibration:
    found = calibration(file.pages.first.description if file.is_imagej else "")
    if found.function != "0":
        raise ValueError(
            "grey values have a calibration that is not a straight line. In ImageJ, choose "
            "Analyze > Calibrate, Function: None, and save it again."
        )
    return found


def _of_series(
    path: Path,
    number: int,
    series: Any,
    sizes: _Sizes,
    shown: Calibration,
    *,
    scaled: bool,
) -> list[Plane]:
    axes = _axes(series)
    if not {"Y", "X"} <= set(axes) or not series.size:
        raise ValueError(f"axes {axes!r} of shape {series.shape} do not hold Y and X.")
    if series.dtype.kind not in "uif":
        raise ValueError(f"pixels are {series.dtype}, not grey values.")
    before = [axis for axis in axes if axis not in "YX"]
    order = tuple(axes.index(axis) for axis in (*before, "Y", "X"))
    shape = tuple(series.shape[axis] for axis in order)
    scale = _full_scale(_pixels(series), series.dtype, shown) if scaled else 0.0
    missing = sum(page is None for page in series)
    if missing and len(series) != np.prod(shape[:-2]):
        raise ValueError(f"{missing} of the pages that it names are missing.")
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
                shown,
                missing,
            )
        )
    return planes


def _whole(series: Any) -> NDArray[Any]:
    """All pixels; not in memory where they lie in the file as they are, as in ImageJ's stacks."""
    mapped = series.dataoffset is not None and series.keyframe.is_memmappable
    pixels: NDArray[Any] = series.asarray(out="memmap" if mapped else None)
    return pixels


def _pixels(series: Any) -> Iterator[NDArray[Any]]:
    """All that a series holds, one page at a time where one file has several: little memory."""
    if len(series) > 1 and not series.is_multifile:
        yield from (page.asarray() for page in series if page is not None)
    else:
        yield _whole(series)


def _full_scale(parts: Iterable[NDArray[Any]], dtype: Any, shown: Calibration) -> float:
    if dtype.itemsize == 1 and not shown.changes:
        return 255.0
    if dtype.kind == "f":
        return max(float(np.max(part, where=np.isfinite(part), initial=1.0)) for part in parts)
    extreme = np.min if shown.factor < 0 else np.max
    highest = max(shown.low + shown.factor * float(extreme(part)) for part in parts)
    return float(2 ** max(int(max(highest, 1)).bit_length(), facts.BIT_DEPTH) - 1)


def _sizes(file: Any, number: int) -> _Sizes:
    """Sizes as the file says them: of OME, LSM or ImageJ, or else TIFF's own tags."""
    if lsm := file.lsm_metadata:
        return _in_um({axis: (lsm.get(f"VoxelSize{axis}"), "m") for axis in "XYZ"})
    if file.is_ome:
        return _in_um(_of_ome(file.ome_metadata, number))
    tags = file.pages.first.tags
    values = {axis: tags.valueof(f"{axis}Resolution", (0, 0)) for axis in "XY"}
    widths = {axis: (below / above if above else None) for axis, (above, below) in values.items()}
    if file.is_imagej:
        told = file.imagej_metadata or {}
        unit = str(told.get("unit", ""))
        found = {axis: (width, unit) for axis, width in widths.items()}
        return _in_um(found | {"Z": (told.get("spacing"), unit)})
    unit = {2: "inch", 3: "cm"}.get(int(tags.valueof("ResolutionUnit", 1)), "")
    sizes = _in_um({axis: (width, unit) for axis, width in widths.items()})
    # Programs that know no size write 72 or 300 dots an inch.
    believed = sizes.pixel_um and max(sizes.pixel_um) <= _WIDEST_UM
    return sizes if believed else _Sizes(None, None)


def _of_ome(text: str, number: int) -> dict[str, tuple[Any, str]]:
    """Sizes and units of one image of OME-XML; without a unit they are micrometres."""
    from xml.etree import ElementTree as ET

    images = [each for each in ET.fromstring(text).iter() if each.tag.endswith("}Pixels")]  # noqa: S314 - no entities are expanded
    told = images[number].attrib if number < len(images) else {}
    return {
        axis: (told.get(f"PhysicalSize{axis}"), told.get(f"PhysicalSize{axis}Unit", "um"))
        for axis in "XYZ"
    }


def _in_um(told: Mapping[str, tuple[Any, str]]) -> _Sizes:
    sizes: dict[str, float | None] = {}
    for axis, (value, unit) in told.items():
        factor = _UM.get(unit.replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u"))
        size = float(value or 0) * (factor or 0)
        sizes[axis] = size if 0 < size < np.inf else None
    x, y = sizes.get("X"), sizes.get("Y")
    return _Sizes((y, x) if x and y else None, sizes.get("Z"))
