"""The trained network as a finder of `bmgd_data.own`."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import own

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.own.planes import Plane

# torch takes seconds to import, so functions import it: --help is quick.

_FLAT_SHARE: Final = 0.25
"""Least contrast of a plane, as a share of its stack's: an empty plane must not become noise."""
_SAMPLED: Final = 1024
"""Pixels along a side of a plane from which its range is taken."""


@dataclass(frozen=True)
class Network(own.Finder):
    """Finds nuclei with a trained network, plane by plane, as in training."""

    checkpoint: Path
    digest: str
    """sha256 of the checkpoint."""
    device: str
    threshold: float
    """Least probability of nucleus."""
    tile: int
    overlap: int
    symmetric: bool
    method: str

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result: not where the checkpoint is, nor the device."""
        fields = dataclasses.asdict(self)
        return {name: fields[name] for name in fields if name not in ("checkpoint", "device")}

    def find(
        self, planes: Sequence[Plane]
    ) -> Iterator[tuple[NDArray[Any], NDArray[np.unsignedinteger[Any]]]]:
        """Give each plane and its instance mask. Pixels that are not finite are background."""
        from data import FLAT, ends
        from infer import tiled

        module = _loaded(self.checkpoint, self.device)
        every = np.concatenate([_sample(plane.read()) for plane in planes])
        low, high = ends(every) if every.size else (0.0, 0.0)
        for plane in planes:
            image, scale = plane.read(), plane.full_scale
            least = max(_FLAT_SHARE * (high - low), FLAT * scale)
            mask = np.isfinite(image)
            dark, bright = (
                ends(image[mask] if not mask.all() else image) if mask.any() else (0.0, 0.0)
            )
            width = max(bright - dark, least)

            def standardised(rows: slice) -> NDArray[np.float32]:
                grey = (image[rows].astype(np.float32) - np.float32(dark)) / np.float32(width)  # noqa: B023
                return np.where(mask[rows], grey, 0).clip(0, 1).astype(np.float32)  # noqa: B023

            bands = tiled(
                module, standardised, image.shape,
                tile=self.tile, overlap=self.overlap, symmetric=self.symmetric,
            )  # fmt: skip
            for rows, chance in bands:
                found = chance > self.threshold
                # The band below reads the mask of rows that are still to come only.
                mask[rows] &= found
            yield image, own.separate(mask, self.method)


def _sample(image: NDArray[Any]) -> NDArray[Any]:
    step = -(-max(image.shape) // _SAMPLED)
    few = image[::step, ::step]
    return few[np.isfinite(few)]


@functools.lru_cache(maxsize=1)
def _loaded(checkpoint: Path, where: str) -> Any:
    from infer import device
    from model import trained

    return trained(checkpoint).to(device(where))
