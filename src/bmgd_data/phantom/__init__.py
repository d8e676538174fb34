"""A generated source in upstream's form, so that everything runs without the network.

Consecutive slices are cut from each simulated colony, so neighbours look alike, as real ones do.
Nothing here is BMGD: every name says "generated".
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data.phantom import _colony as colony

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Phantom", "Slice", "generate", "write_archive"]

GENERATOR_VERSION: Final = 1
"""To be raised when the same parameters give other samples."""

MIN_IMAGES: Final = 12
"""Smallest number of images of a condition: three colonies, and no split is empty."""

_VALID: Final = (
    '"phantom", "phantom:full", or options after a colon, as in "phantom:size=0.02,seed=3": '
    "size=<multiple of the paper's image counts, above 0>, seed=<integer from 0>, "
    "slices=<slices of each colony, from 1>, step=<micrometres between slices, "
    f"{colony.STEPS_UM[0]:g} to {colony.STEPS_UM[1]:g}>; slices x step is at most "
    f"{colony.HIGHEST_UM:g}"
)


@dataclass(frozen=True)
class Phantom:
    """What is generated. A smaller size gives the first images of a larger one."""

    size: float = 0.1
    """Multiple of the paper's image counts, above 0."""
    seed: int = 0
    slices: int = 5
    """Slices of each colony: image number n (from 1) shows colony ``(n - 1) // slices``."""
    step: float = facts.Z_STEP_UM
    """Micrometres between neighbouring slices."""

    def __post_init__(self) -> None:
        low, high = colony.STEPS_UM
        fits = low <= self.step <= high and 1 <= self.slices <= colony.HIGHEST_UM / self.step
        if not (0 < self.size < math.inf and self.seed >= 0 and fits):
            raise ValueError(f"{self!r} cannot be generated. Valid: {_VALID}.")

    @classmethod
    def parse(cls, text: str) -> Phantom:
        """Read a source such as ``"phantom"`` or ``"phantom:size=0.02,seed=3"``."""
        name, colon, options = text.strip().partition(":")
        terms = ["size=1" if term == "full" else term for term in options.split(",") if colon]
        given = {key: value for key, _, value in (term.partition("=") for term in terms)}
        if name == "phantom" and len(given) == len(terms) and given.keys() <= _OPTIONS.keys():
            with suppress(ValueError):
                return cls(**{key: _OPTIONS[key](value) for key, value in given.items()})
        raise ValueError(f"{text!r} is no phantom source. Valid: {_VALID}.")

    def __str__(self) -> str:
        """The shortest text that `parse` reads back."""
        options = [
            f"{key}={str(kind(getattr(self, key))).removesuffix('.0')}"
            for key, kind in _OPTIONS.items()
            if getattr(self, key) != getattr(Phantom, key)
        ]
        return "phantom" + (":" + ",".join(options) if options else "")

    def count(self, condition: facts.Condition) -> int:
        """Number of images of `condition`: its share of the paper's, at least `MIN_IMAGES`."""
        return max(MIN_IMAGES, round(self.size * condition.images))

    def key(self, condition: facts.Condition) -> str:
        """sha256 of the parameters that decide the samples of `condition`."""
        identity = [GENERATOR_VERSION, condition.name, self.seed, float(self.size)]
        if (self.slices, self.step) != (Phantom.slices, Phantom.step):
            identity += [self.slices, float(self.step)]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


_OPTIONS: Final[dict[str, Any]] = {"size": float, "seed": int, "slices": int, "step": float}
"""Types of the options."""


class Slice(NamedTuple):
    """One generated image and the truth about it; arrays are (256, 256)."""

    name: str
    image: NDArray[np.uint16]
    """Grey values 0..4095."""
    mask: NDArray[np.bool_]
    """True inside a nucleus."""
    instances: NDArray[np.uint16]
    """Nuclei numbered 1..n in reading order, 0 outside. They may touch."""
    colony: int
    """Number of its colony, from 0."""
    z: int
    """Index in its colony's stack."""


def generate(phantom: Phantom, condition: facts.Condition) -> Iterator[Slice]:
    """Yield the slices of `condition`, one colony after another.

    Each colony has its own random generator, seeded with (seed, stiffness, colony). Memory is that
    of one colony. Every slice shows at least one nucleus.
    """
    number, slices = phantom.count(condition), phantom.slices
    for i, first in enumerate(range(0, number, slices)):
        rng = np.random.default_rng((phantom.seed, condition.pa, i))
        images, labels, bottom = colony.image_colony(rng, condition, slices, phantom.step)
        for z in range(min(slices, number - first)):
            name = f"generated_{first + z + 1:04d}"
            yield Slice(name, images[z], labels[z] > 0, labels[z], i, bottom + z)


def write_archive(
    phantom: Phantom,
    condition: facts.Condition,
    path: Path,
    progress: Callable[[int], object] = lambda _: None,
) -> None:
    """Write `condition` as a .7z in upstream's layout, all images before all masks.

    Members are ``<X> Pa/image/<name>.tif`` (uint16) and ``<X> Pa/mask/<name>.tif`` (uint8, 0 or
    255), in one solid LZMA2 stream. Memory grows by the packed masks, about 1 KB an image.
    `progress` is called with 1 after each image.
    """
    import lzma

    import py7zr

    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 1}  # noise compresses little at any level
    with (
        path.open("w+b") as file,  # py7zr leaves its own file open if the disk is full
        py7zr.SevenZipFile(file, "w", filters=[lzma2]) as archive,
    ):
        masks = {}
        for item in generate(phantom, condition):
            _add(archive, f"{condition.pa} Pa/image/{item.name}.tif", item.image)
            masks[item.name] = zlib.compress(item.mask.tobytes())
            progress(1)
        for name, packed in masks.items():
            mask = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(facts.IMAGE_SHAPE)
            _add(archive, f"{condition.pa} Pa/mask/{name}.tif", mask * np.uint8(255))


def _add(archive: Any, member: str, array: NDArray[Any]) -> None:
    import tifffile

    # py7zr keeps every buffer until the archive is closed; closing the buffer frees its bytes.
    with io.BytesIO() as buffer:
        tifffile.imwrite(
            buffer,
            array,
            photometric="minisblack",
            resolution=(1e4 / facts.PIXEL_SIZE_UM,) * 2,
            resolutionunit="CENTIMETER",
            description="generated by bmgd-data, not BMGD",
            software="bmgd-data phantom",
            metadata=None,
        )
        buffer.seek(0)
        archive.writef(buffer, member)
