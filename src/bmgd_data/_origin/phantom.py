"""A generated source in upstream's form, so that everything runs with no network.

Consecutive slices are cut from each simulated colony (``colony``), so neighbours look alike as real
ones do. Nothing here is BMGD: every name says "generated".
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._origin import colony

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

GENERATOR_VERSION: Final = 1
"""Raised whenever the same size and seed begin to give other samples."""

SLICES_PER_COLONY: Final = 5
MIN_IMAGES: Final = 12
"""Images of a condition at the smallest size: three colonies, and every split has members."""

_VALID: Final = (
    '"phantom", "phantom:full", "phantom:size=<multiple of the paper\'s image counts, above 0>", '
    '"phantom:seed=<integer from 0>", or both as in "phantom:size=0.02,seed=3"'
)


@dataclass(frozen=True)
class Phantom:
    """What is generated: `size` times the paper's image counts (above 0), `seed` any int from 0.

    A smaller size gives the first images of a larger one. Out of range is a ValueError.
    """

    size: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.size < math.inf and self.seed >= 0):
            raise ValueError(f"No phantom of size {self.size}, seed {self.seed}. Valid: {_VALID}.")

    @classmethod
    def parse(cls, text: str) -> Phantom:
        """Read a source such as ``"phantom"`` or ``"phantom:size=0.02,seed=3"``.

        Raises:
            ValueError: If `text` has none of the valid forms; the message lists them.
        """
        name, colon, options = text.strip().partition(":")
        terms = ["size=1" if term == "full" else term for term in options.split(",") if colon]
        given = {key: value for key, _, value in (term.partition("=") for term in terms)}
        if name == "phantom" and len(given) == len(terms) and given.keys() <= {"size", "seed"}:
            with suppress(ValueError):
                return cls(float(given.get("size", cls.size)), int(given.get("seed", cls.seed)))
        raise ValueError(f"{text!r} is no phantom source. Valid: {_VALID}.")

    def __str__(self) -> str:
        """The shortest text that `parse` reads back, ``"phantom"`` for the default."""
        size = repr(float(self.size)).removesuffix(".0")
        options = [f"size={size}"] * (self.size != Phantom.size)
        options += [f"seed={self.seed}"] * (self.seed != Phantom.seed)
        return ":".join(["phantom", ",".join(options)] if options else ["phantom"])

    def count(self, condition: facts.Condition) -> int:
        """Number of images of `condition`: its share of the paper's, at least `MIN_IMAGES`."""
        return max(MIN_IMAGES, round(self.size * condition.images))

    def key(self, condition: facts.Condition) -> str:
        """Hex sha256 of what decides the samples of `condition`."""
        identity = [GENERATOR_VERSION, condition.name, self.seed, float(self.size)]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


class Slice(NamedTuple):
    """One generated image and the truth about it; arrays are (256, 256)."""

    name: str
    """File stem, ``"generated_0001"`` and on."""
    image: NDArray[np.uint16]
    """Grey values 0..4095."""
    mask: NDArray[np.bool_]
    """True inside a nucleus."""
    instances: NDArray[np.uint16]
    """Nuclei numbered 1..n in reading order, 0 outside. They may touch."""
    colony: int
    """Which colony of its condition the slice was cut from."""
    z: int
    """Index of the slice in its colony's stack, 1 um apart."""


def generate(phantom: Phantom, condition: facts.Condition) -> Iterator[Slice]:
    """Yield the slices of `condition` in order, one colony after another.

    Each colony has its own random generator, seeded with (seed, stiffness, colony), so its slices
    depend on nothing else. Memory is that of one colony. Every slice shows at least one nucleus.
    """
    number = phantom.count(condition)
    for first in range(0, number, SLICES_PER_COLONY):
        number_of_colony = first // SLICES_PER_COLONY
        rng = np.random.default_rng((phantom.seed, condition.pa, number_of_colony))
        images, labels, bottom = colony.image_colony(rng, condition, SLICES_PER_COLONY)
        for i in range(min(SLICES_PER_COLONY, number - first)):
            name = f"generated_{first + i + 1:04d}"
            yield Slice(name, images[i], labels[i] > 0, labels[i], number_of_colony, bottom + i)


def write_archive(
    phantom: Phantom,
    condition: facts.Condition,
    path: Path,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Write `condition` as a .7z in upstream's layout, all images before all masks.

    Members are ``<X> Pa/image/<name>.tif`` (uint16) and ``<X> Pa/mask/<name>.tif`` (uint8, 0 or
    255), in one solid LZMA2 stream. Memory does not grow with the number of images.

    Args:
        phantom: What to generate.
        condition: Which of the four archives.
        path: Where to; its folder must exist, and holds a temporary file too.
        progress: Called with (images done, images in all) after each image.
    """
    import lzma

    import py7zr

    number, folder = phantom.count(condition), f"{condition.pa} Pa"
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 1}  # noise hardly packs: more effort gains little
    with (
        tempfile.TemporaryFile(dir=path.parent) as masks,
        path.open("w+b") as file,  # py7zr leaves a file of its own open where the disk is full
        py7zr.SevenZipFile(file, "w", filters=[lzma2]) as archive,
    ):
        names = []
        for done, item in enumerate(generate(phantom, condition), start=1):
            _add(archive, f"{folder}/image/{item.name}.tif", item.image)
            masks.write(np.packbits(item.mask).tobytes())
            names.append(item.name)
            if progress:
                progress(done, number)
        masks.seek(0)
        for name in names:
            packed = np.frombuffer(masks.read(math.prod(facts.IMAGE_SHAPE) // 8), np.uint8)
            mask = np.unpackbits(packed).reshape(facts.IMAGE_SHAPE) * np.uint8(255)
            _add(archive, f"{folder}/mask/{name}.tif", mask)


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
