"""Masks, instance masks and pictures of own images as files."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np

from bmgd_data._system import disk
from bmgd_data.plot import outlined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.own.planes import Plane

    Labels = NDArray[np.unsignedinteger[Any]]

_PICTURE_SIDE: Final = 1024
_LARGEST_IMAGEJ: Final = 2**32 - 2**20
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Nuclei found</title>
<style>body {{ font-family: sans-serif; background: #0d0f14; color: #e8eaee }}
figure {{ display: inline-block; margin: 8px }} img {{ width: 320px }}</style>
<h1>Nuclei found</h1><p>Outlines of the nuclei; of a stack, in the plane with the most.</p>
{}
</html>
"""


def masks(labels: Iterable[tuple[Labels, int]]) -> Iterator[NDArray[np.uint8]]:
    for found, _ in labels:
        mask = (found > 0).view(np.uint8)
        mask *= 255
        yield mask


@dataclass(frozen=True)
class Numbered:
    """Instance masks whose numbers go on from plane to plane."""

    labels: Sequence[tuple[Labels, int]]
    """Each plane's, and the nuclei in the planes before."""
    dtype: type[np.unsignedinteger[Any]]

    def __iter__(self) -> Iterator[Labels]:
        for found, before in self.labels:
            plane = found.astype(self.dtype, copy=False)
            if before:
                plane = plane.copy()
                plane[plane > 0] += self.dtype(before)
            yield plane


def axes(planes: Sequence[Plane]) -> tuple[str, tuple[int, ...]]:
    """Axes before Y and X, and their lengths; axes of length 1 are left out.

    Planes without a full grid of T and Z are one axis.
    """
    sizes = {axis: len({getattr(plane, axis.lower()) for plane in planes}) for axis in "TZ"}
    if math.prod(sizes.values()) != len(planes):
        return "I", (len(planes),)
    sizes = {axis: size for axis, size in sizes.items() if size > 1}
    return "".join(sizes), tuple(sizes.values())


def write_planes(
    path: Path,
    planes: Sequence[Plane],
    pixels: Iterable[NDArray[Any]],
    dtype: type[np.unsignedinteger[Any]],
) -> None:
    """Write one array a plane as TIFF with the pixel size of the planes; ImageJ opens it."""
    import tifffile

    names, sizes = axes(planes)
    shape = (*sizes, *planes[0].shape)
    # ImageJ reads neither 32-bit labels nor files above 4 GB.
    size = math.prod(shape) * np.dtype(dtype).itemsize
    for_imagej = dtype != np.uint32 and size < _LARGEST_IMAGEJ and names != "I"
    options: dict[str, Any] = {"metadata": {"axes": f"{names}YX"}}
    if pixel := planes[0].pixel_size_um:
        if for_imagej:
            options["metadata"]["unit"] = "um"
            if step := planes[0].z_step_um:
                options["metadata"]["spacing"] = step
            options["resolution"] = tuple(1 / side for side in reversed(pixel))
        else:
            options["resolution"] = tuple(1e4 / side for side in reversed(pixel))
            options["resolutionunit"] = "CENTIMETER"
    with disk.staged_file(path) as partial:
        tifffile.imwrite(
            partial,
            iter(pixels),
            shape=shape,
            dtype=dtype,
            imagej=for_imagej,
            photometric="minisblack",
            compression=None if for_imagej else "zlib",
            **options,
        )


def overview(image: NDArray[Any], labels: Labels) -> NDArray[np.uint8]:
    """(H, W, 3): the image with the outlines of its nuclei, small enough for a page."""
    step = -(-max(image.shape) // _PICTURE_SIDE)
    grey, small = image[::step, ::step], labels[::step, ::step]
    known = np.isfinite(grey)
    grey = np.where(known, grey, grey[known].min() if known.any() else 0)
    sample: Any = {"image": grey, "instances": small}
    return outlined(sample, max(grey.shape))


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    from PIL import Image

    with disk.staged_file(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG")


def write_page(path: Path, pictures: Sequence[tuple[str, str]]) -> None:
    """Write a page of pictures: (title, file) each; of a stack, the plane with the most nuclei."""
    figures = [
        f'<figure><a href="{quote(file)}"><img src="{quote(file)}" alt="" loading="lazy"></a>'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
        for title, file in pictures
    ]
    with disk.staged_file(path) as partial:
        partial.write_text(_PAGE.format("\n".join(figures)), encoding="utf-8")
