"""What one would write without any library for it: tifffile and skimage over unpacked folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import skimage.measure
import tifffile

from bmgd_data import facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from streams import Stream


class Pair(NamedTuple):
    """The files of one sample."""

    image: Path
    mask: Path
    pa: int


def pairs(folder: Path) -> list[Pair]:
    """Every image below ``<folder>/<condition>/image``, with the mask of the same name."""
    return [
        Pair(image, image.parents[1] / "mask" / image.name, condition.pa)
        for condition in facts.CONDITIONS
        for image in sorted((folder / condition.archive.removesuffix(".7z")).glob("image/*.tif"))
    ]


def read(pair: Pair) -> dict[str, Any]:
    """A sample with the Reader's keys and types, decoded and labelled anew."""
    mask = tifffile.imread(pair.mask) > 0
    instances = skimage.measure.label(mask, connectivity=2).astype(np.uint16)
    return {
        "image": tifffile.imread(pair.image),
        "mask": mask,
        "instances": instances,
        "stiffness_pa": pair.pa,
        "n_nuclei": int(instances.max()),
        "name": f"{pair.pa}Pa/{pair.image.stem}",
    }


def single(folder: Path) -> Stream:
    """Samples as the Reader has them."""
    every = pairs(folder)

    def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        return (read(every[row]) for row in order)

    return stream
