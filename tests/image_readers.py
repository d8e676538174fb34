"""What programs and libraries read of microscope files; prints tables of docs/own-images.md and docs/surprises.md.

    python tests/image_readers.py

It shows the readers that this environment has. bioio needs bioio-tifffile and bioio-ome-tiff; ImageJ needs
JPype1, Java and Debian's libij-java, or its ij.jar elsewhere, named by IJ_JAR. test_readers.py compares the pages.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from lsm import write_lsm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Write = Callable[[Path], None]

JAR = os.environ.get("IJ_JAR", "/usr/share/java/ij.jar")

# ------------------------------------------------------------------------------------------- the forms


@dataclass(frozen=True)
class Seen:
    """What is in a file, or what a reader says that is in it."""

    values: NDArray[Any]
    axes: str
    """Of the values; axes of length 1 do not count."""
    pixel: tuple[float, float] | None = None  #: height and width in micrometres


@dataclass(frozen=True)
class Form:
    """A form of file: what it holds, and a function that writes it."""

    holds: Seen
    write: Write
    name: str = "a.tif"
    """The file that readers are given, in the folder that was written to."""
    sized: bool = False
    """Whether the form is about the size of pixels."""


def grey(**lengths: int) -> tuple[NDArray[np.uint16], str]:
    """A stack whose values tell their place, with 1000 in front, and its axes."""
    shape = {**lengths, "Y": 8, "X": 9}
    places = np.indices(tuple(shape.values())).reshape(len(shape), -1)
    steps = {"T": 100, "C": 10, "Z": 1000, "Y": 1, "X": 7}
    weights = np.array([steps[axis] for axis in shape])
    values = (1000 + weights @ places).reshape(tuple(shape.values()))
    return values.astype(np.uint16), "".join(shape)


NO_SIZE = object()


def tiff(values: NDArray[Any], axes: str, pixel: Any = None, truth: Any = None, **options) -> Form:
    """A file by tifffile.imwrite; NO_SIZE where readers are to say that there is none."""
    name = "a.ome.tif" if options.get("ome") else "a.tif"

    def write(folder: Path) -> None:
        tifffile.imwrite(folder / name, values, **options)

    sized, pixel = pixel is not None, None if pixel is NO_SIZE else pixel
    return Form(Seen(values if truth is None else truth, axes, pixel), write, name, sized)


def ome_set(there: tuple[int, ...]) -> Form:
    """Three planes in a file each, of which some are there."""
    values, axes = grey(Z=3)
    ids = [f"urn:uuid:0000000{z}-0000-4000-8000-000000000000" for z in range(3)]
    data = "".join(
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="0" PlaneCount="1">'
        f'<UUID FileName="z{z}.ome.tif">{each}</UUID></TiffData>'
        for z, each in enumerate(ids)
    )

    def write(folder: Path) -> None:
        for z in there:
            text = (
                '<?xml version="1.0" encoding="UTF-8"?>'
                f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{ids[z]}">'
                '<Image ID="Image:0" Name="a"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
                'Type="uint16" SizeX="9" SizeY="8" SizeZ="3" SizeC="1" SizeT="1">'
                f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
            )
            tifffile.imwrite(
                folder / f"z{z}.ome.tif",
                values[z],
                description=text.encode(),
                metadata=None,
                photometric="minisblack",
            )

    return Form(Seen(values, axes), write, "z0.ome.tif")


def cut_short() -> Form:
    """A recording that was stopped: three planes are announced, two are there."""
    values, axes = grey(Z=3)

    def write(folder: Path) -> None:
        tifffile.imwrite(folder / "a.ome.tif", values, ome=True, metadata={"axes": axes})
        text = tifffile.tiffcomment(folder / "a.ome.tif")
        with tifffile.TiffWriter(folder / "a.ome.tif") as file:
            for plane, told in zip(values[:2], (text, None), strict=True):
                file.write(plane, description=told, metadata=None, contiguous=False, **BLACK)

    return Form(Seen(values, axes), write, "a.ome.tif")


def two_images() -> Form:
    values, axes = grey(Z=3)

    def write(folder: Path) -> None:
        with tifffile.TiffWriter(folder / "a.ome.tif", ome=True) as file:
            file.write(values, metadata={"axes": axes})
            file.write(values + 5, metadata={"axes": axes})

    return Form(Seen(np.stack([values, values + 5]), f"P{axes}"), write, "a.ome.tif")


def lsm(compression: str | None = None, **lengths: int) -> Form:
    values, axes = grey(**lengths)
    stack = values.reshape(lengths.get("T", 1), lengths.get("Z", 1), lengths.get("C", 1), 8, 9)

    def write(folder: Path) -> None:
        write_lsm(folder / "a.lsm", stack, (1.0, *HALF), compression)

    return Form(Seen(values, axes, HALF), write, "a.lsm", sized=True)


PLANE, YX = grey()
SIGNED = PLANE.astype(np.int32) - 1010
BOOL = PLANE % 2 == 1
FLOATS = np.where(PLANE == 1000, np.nan, PLANE).astype(np.float32)
HALF = (0.5, 0.25)
"""Height and width of a pixel."""
BLACK = {"photometric": "minisblack"}


def in_imagej(unit: str, length: float) -> Form:
    """A file of ImageJ; `length` is a micrometre in its unit."""
    resolution = (4 / length, 2 / length)
    pixel = NO_SIZE if unit == "pixel" else HALF
    return tiff(PLANE, YX, pixel, imagej=True, resolution=resolution, metadata={"unit": unit})


def in_ome(unit: str | None, length: float) -> Form:
    told = {"PhysicalSizeX": 0.25 * length, "PhysicalSizeY": 0.5 * length}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "XY"} if unit else {}
    return tiff(PLANE, YX, HALF, ome=True, metadata={"axes": YX, **told, **units})


def ordered(order: str) -> Form:
    values, axes = grey(**{axis: {"T": 2, "C": 3, "Z": 4}[axis] for axis in order[:3]})
    return tiff(values, axes, ome=True, metadata={"axes": axes})


FORMS: dict[str, Form] = {
    "bool, by tifffile": tiff(BOOL, YX),
    "8 bits, white-is-zero": tiff(PLANE.astype(np.uint8), YX, photometric="miniswhite"),
    "16 bits, white-is-zero": tiff(PLANE, YX, photometric="miniswhite"),
    "12 bits in 16": tiff(PLANE, YX, **BLACK),
    "12 bits, packed": tiff(PLANE, YX, bitspersample=12, **BLACK),
    "16 bits, big-endian": tiff(PLANE, YX, byteorder=">", **BLACK),
    "16 bits, Deflate with predictor": tiff(PLANE, YX, compression="zlib", predictor=True, **BLACK),
    "signed 16 bits of ImageJ": tiff(
        (SIGNED + 32768).astype(np.uint16),
        YX,
        truth=SIGNED,
        description="ImageJ=1.53t\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=gray value\n",
        metadata=None,
        **BLACK,
    ),
    "floats with NaN": tiff(FLOATS, YX, **BLACK),
    "3 slices, by tifffile": tiff(*grey(Z=3)),
    "4 slices, by tifffile": tiff(*grey(Z=4)),
    "3 slices, minisblack": tiff(*grey(Z=3), **BLACK),
    "5 slices, by tifffile": tiff(*grey(Z=5)),
    "5 slices, by tifffile with truncate=True": tiff(*grey(Z=5), truncate=True),
    "ImageJ's TZC": tiff(*grey(T=2, Z=4, C=3), imagej=True, metadata={"axes": "TZCYX"}),
    **{f"OME, {order[:3]}": ordered(order) for order in ("TZC", "TCZ", "ZTC", "ZCT", "CTZ", "CZT")},
    "OME, 3 files": ome_set((0, 1, 2)),
    "OME, 3 files, one missing": ome_set((0, 2)),
    "OME, cut short": cut_short(),
    "OME, 2 images": two_images(),
    "ImageJ, um": in_imagej("\\u00B5m", 1),
    "ImageJ, nm": in_imagej("nm", 1e3),
    "ImageJ, mm": in_imagej("mm", 1e-3),
    "ImageJ, cm": in_imagej("cm", 1e-4),
    "ImageJ, inch": in_imagej("inch", 1 / 25400),
    "ImageJ, pixel": in_imagej("pixel", 1),
    "OME, no unit (um)": in_ome(None, 1),
    "OME, nm": in_ome("nm", 1e3),
    "OME, mm": in_ome("mm", 1e-3),
    "TIFF's tags, cm": tiff(
        PLANE, YX, HALF, resolution=(40000, 20000), resolutionunit="CENTIMETER", **BLACK
    ),
    "TIFF's tags, inch": tiff(
        PLANE, YX, HALF, resolution=(101600, 50800), resolutionunit="INCH", **BLACK
    ),
    "TIFF's tags, none": tiff(PLANE, YX, NO_SIZE, **BLACK),
    "TIFF's tags, 300 dots an inch": tiff(
        PLANE, YX, NO_SIZE, resolution=(300, 300), resolutionunit="INCH", **BLACK
    ),
    "LSM, Z": lsm(Z=3),
    "LSM, TZC with LZW": lsm("lzw", T=2, Z=4, C=3),
}
"""Of 8 x 9 pixels each, 0.5 um high and 0.25 um wide where a size is given."""
OF_VALUES = tuple(FORMS)[:14]
"""Shown of readers that name neither axes nor sizes."""

# ----------------------------------------------------------------------------------------- the readers


def by_us(path: Path) -> Seen:
    from bmgd_data.own import planes

    found = [plane for each in sorted(path.parent.iterdir()) for plane in planes.read([each])]
    axes = "PTCZ"
    places = [(plane.series, plane.t, plane.c, plane.z) for plane in found]
    lengths = [len({place[axis] for place in places}) for axis in range(4)]
    first = found[0].read()
    values = np.zeros((*lengths, *first.shape), first.dtype)
    ranks = [sorted({place[axis] for place in places}) for axis in range(4)]
    for place, plane in zip(places, found, strict=True):
        values[tuple(rank.index(at) for rank, at in zip(ranks, place, strict=True))] = plane.read()
    return Seen(values, f"{axes}YX", found[0].pixel_size_um)


def by_tifffile(path: Path) -> Seen:
    with tifffile.TiffFile(path) as file:
        all_series = [series for series in file.series if not series.keyframe.is_reduced]
        (axes,) = {series.axes for series in all_series}
        values = np.stack([series.asarray() for series in all_series])
    return Seen(values, f"P{axes}")


def by_bioio(path: Path) -> Seen:
    from bioio import BioImage

    image = BioImage(path)
    values, axes = [], image.dims.order
    for scene in image.scenes:
        image.set_scene(scene)
        values.append(image.data)
    told = image.physical_pixel_sizes
    pixel = (told.Y, told.X) if told.Y and told.X else None
    return Seen(np.stack(values), f"P{axes}", pixel)


def by_imagej(path: Path) -> Seen:
    import jpype

    if not jpype.isJVMStarted():
        jpype.startJVM("-Djava.awt.headless=true", classpath=[JAR])
    image = jpype.JClass("ij.io.Opener")().openImage(str(path))
    if image is None:
        raise ValueError("not opened")
    shown = image.getCalibration()
    width, height, channels, slices, frames = image.getDimensions()
    lengths = {"T": frames, "Z": slices, "C": channels}
    stack = [
        np.array(image.getStack().getProcessor(number + 1).getFloatArray(), float).T
        for number in range(image.getStackSize())
    ]
    values = np.stack(stack).reshape(*lengths.values(), height, width)
    if shown.calibrated():
        values = np.vectorize(lambda value: float(shown.getCValue(value)))(values)
    um = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "inch": 25400, "micron": 1, "um": 1, "\u00b5m": 1}
    factor = um.get(str(shown.getUnit()))
    pixel = factor and (shown.pixelHeight * factor, shown.pixelWidth * factor)
    return Seen(values, "".join(lengths) + "YX", pixel or None)


def plain(values: NDArray[Any]) -> Seen:
    """An array of a reader that names no axes; the last one is colours if it is short."""
    axes = "YXS" if values.ndim > 2 and values.shape[-1] in (3, 4) else "YX"
    return Seen(values, "abc"[: values.ndim - len(axes)] + axes)


def by_pillow(path: Path) -> Seen:
    from PIL import Image, ImageSequence

    with Image.open(path) as image:
        frames = [np.asarray(frame) for frame in ImageSequence.Iterator(image)]
    return plain(np.squeeze(np.stack(frames)))


def by_opencv(path: Path) -> Seen:
    import cv2

    whole, frames = cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)
    if not whole:
        raise ValueError("not read")
    return plain(np.squeeze(np.stack(frames)))


def by_imageio(path: Path) -> Seen:
    import imageio.v3

    return plain(imageio.v3.imread(path))


def by_skimage(path: Path) -> Seen:
    from skimage import io as skio

    return plain(skio.imread(path))


def by_simpleitk(path: Path) -> Seen:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
    image = SimpleITK.ReadImage(str(path))
    values = SimpleITK.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        return Seen(values, "abc"[: values.ndim - 3] + "YXS")
    return Seen(values, "abc"[: values.ndim - 2] + "YX")


def by_vips(path: Path) -> Seen:
    import pyvips

    image = pyvips.Image.new_from_file(str(path), n=-1)
    height = image.get("page-height") if "page-height" in image.get_fields() else image.height
    values = image.numpy()
    if values.ndim == 2 and height < image.height:
        return Seen(values.reshape(-1, height, image.width), "aYX")
    return plain(values)


def by_magick(path: Path) -> Seen:
    command = [MAGICK, path, "-depth", "16", "-endian", "LSB", "gray:-"]
    sizes = subprocess.run(
        [MAGICK, path, "-format", "%w %h\n", "info:"], capture_output=True, check=True, text=True
    ).stdout.split()
    done = subprocess.run(command, capture_output=True, check=True)
    values = np.frombuffer(done.stdout, "<u2").reshape(-1, int(sizes[1]), int(sizes[0]))
    return plain(np.squeeze(values))


MAGICK = shutil.which("magick") or shutil.which("convert-im6.q16") or ""


@dataclass(frozen=True)
class Reader:
    """A program or library."""

    version: Callable[[], str | None]
    """None where it is not installed."""
    read: Callable[[Path], Seen]
    full: bool = False
    """Whether it names axes."""
    unit: str | None = None
    """What it says of the unit of a pixel's size; None if it does not tell sizes."""


def installed(*distributions: str) -> Callable[[], str | None]:
    """The version of the first, if all are installed."""

    def version() -> str | None:
        try:
            first, *_ = [metadata.version(each) for each in distributions]
        except metadata.PackageNotFoundError:
            return None
        return first

    return version


def imagej_version() -> str | None:
    if not (Path(JAR).is_file() and shutil.which("java") and installed("JPype1")()):
        return None
    with contextlib.suppress(Exception):
        by_imagej(Path())  # starts Java
    jpype = importlib.import_module("jpype")
    return str(jpype.JClass("ij.ImageJ").VERSION)


def magick_version() -> str | None:
    if not MAGICK:
        return None
    done = subprocess.run([MAGICK, "-version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return words[2] if words[:2] == ["Version:", "ImageMagick"] else None


def vips_version() -> str | None:
    if installed("pyvips")() is None:
        return None
    pyvips = importlib.import_module("pyvips")
    return ".".join(str(pyvips.version(part)) for part in range(3))


READERS: dict[str, Reader] = {
    "ImageJ": Reader(imagej_version, by_imagej, full=True, unit=" um"),
    "tifffile": Reader(installed("tifffile"), by_tifffile, full=True),
    "bioio": Reader(
        installed("bioio", "bioio-tifffile", "bioio-ome-tiff"),
        by_bioio,
        full=True,
        unit=", no unit",
    ),
    "this package": Reader(lambda: "", by_us, full=True, unit=" um"),
    "imageio": Reader(installed("imageio"), by_imageio),
    "scikit-image": Reader(installed("scikit-image"), by_skimage),
    "Pillow": Reader(installed("pillow"), by_pillow),
    "OpenCV": Reader(installed("opencv-python-headless"), by_opencv),
    "SimpleITK": Reader(installed("SimpleITK"), by_simpleitk),
    "libvips": Reader(vips_version, by_vips),
    "ImageMagick": Reader(magick_version, by_magick),
}


# ------------------------------------------------------------------------------------------ the tables


def squeezed(seen: Seen) -> tuple[NDArray[Any], str]:
    """Without axes of length 1."""
    kept = [at for at, length in enumerate(seen.values.shape) if length > 1]
    return seen.values[np.ix_(*map(range, seen.values.shape))].reshape(
        [seen.values.shape[at] for at in kept]
    ), "".join(seen.axes[at] for at in kept)


def difference(form: Form, seen: Seen, reader: Reader) -> str:
    """What differs; "right" if nothing does."""
    parts, full, true = [], reader.full, form.holds
    values, axes = squeezed(true)
    found, found_axes = squeezed(seen)
    if set(found_axes) == set(axes):
        found = found.transpose([found_axes.index(axis) for axis in axes])
    elif found.size == values.size:
        told = lengths_of(found, found_axes)
        if full or "S" in told:
            parts.append(f"{told} for {lengths_of(values, axes)}")
        found = found.transpose([found_axes.index(axis) for axis in in_order(found_axes)])
        found = found.reshape(values.shape)
    if found.shape != values.shape:
        planes = found.size // 72, values.size // 72
        parts.append(f"{planes[0]} of {planes[1]} planes" if planes[0] < planes[1] else "colours")
        found = found.reshape(-1)[: values.size]
        values = found if full else values.reshape(-1)[: found.size]
    unequal = ~((found == values) | (np.isnan(found * 1.0) & np.isnan(values * 1.0)))
    if unequal.any():
        at = tuple(np.argwhere(unequal)[0])
        parts.append(f"{found[at]:.6g} for {values[at] * 1:.6g}")
    if form.sized and reader.unit is not None:
        parts += size_parts(true.pixel, seen.pixel, reader.unit)
    return "; ".join(parts) or "right"


def size_parts(true: Any, seen: Any, unit: str) -> list[str]:
    if seen is None:
        return ["no size"] if true else []
    if true is not None and np.allclose(seen, true, rtol=1e-4):
        return []
    return [f"size {seen[0]:.3g} x {seen[1]:.3g}{unit}"]


def in_order(axes: str) -> str:
    """Planes first, Y and X last."""
    return "".join(axis for axis in axes if axis not in "YX") + "YX"


def lengths_of(values: NDArray[Any], axes: str) -> str:
    """Such as "T2 Z4"; P is the image of a file."""
    lengths = dict(zip(axes, values.shape, strict=True))
    order = [axis for axis in f"PTZC{axes}" if axis in lengths and axis not in "YX"]
    return " ".join(f"{axis}{lengths[axis]}" for axis in dict.fromkeys(order))


def cell(form: Form, reader: Reader, folder: Path) -> str:
    """What a reader makes of a form."""
    logging.disable(logging.ERROR)
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        try:
            seen = reader.read(folder / form.name)
        except Exception:  # whatever a reader raises
            return "refused"
        finally:
            logging.disable(logging.NOTSET)
    return difference(form, seen, reader)


def table(names: Iterable[str], titles: Iterable[str]) -> dict[str, list[str]]:
    """By the titles of forms, the cells of some readers."""
    found: dict[str, list[str]] = {}
    for title in titles:
        form = FORMS[title]
        with tempfile.TemporaryDirectory() as where, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            form.write(Path(where))
            found[title] = [cell(form, READERS[name], Path(where)) for name in names]
    return found


def joined(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """With one row for forms of one kind ("OME, nm", "OME, mm") that are read alike."""
    together: dict[tuple[str, ...], list[str]] = {}
    for title, cells in rows.items():
        together.setdefault((title.split(", ")[0], *cells), []).append(title)
    return {
        ", ".join([first, *(title.split(", ", 1)[1] for title in others)]): list(cells)
        for (_, *cells), (first, *others) in together.items()
    }


def headed(full: bool) -> dict[str, str]:
    """The readers of one of the tables that are installed, by the words above their columns."""
    return {
        f"{name} {version}".strip(): name
        for name, reader in READERS.items()
        if reader.full == full and (version := reader.version()) is not None
    }


def main() -> None:
    for full in (True, False):
        names = headed(full)
        print(f"| form | {' | '.join(names)} |\n|{' --- |' * (1 + len(names))}")
        for title, cells in joined(table(names.values(), FORMS if full else OF_VALUES)).items():
            print(f"| {title} | {' | '.join(cells)} |")
        print()


if __name__ == "__main__":
    main()
