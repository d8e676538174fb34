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
        from data import ends

        module = _loaded(self.checkpoint, self.device)
        every = np.concatenate([_sample(plane.read()) for plane in planes])
        low, high = ends(every) if every.size else (0.0, 0.0)
        for plane in planes:
            labels = own.separate(self._mask(module, plane, high - low), self.method)
            yield plane.read(), labels  # read again: the pixels were not kept meanwhile

    def _mask(self, module: Any, plane: Plane, contrast: float) -> NDArray[np.bool_]:
        """Where a plane has nuclei; `contrast` is that of its stack."""
        from data import FLAT, ends
        from infer import tiled

        image = plane.read()
        mask = np.isfinite(image)
        known = image if mask.all() else image[mask]
        dark, bright = ends(known) if known.size else (0.0, 0.0)
        width = max(bright - dark, _FLAT_SHARE * contrast, FLAT * plane.full_scale)

        def standardised(rows: slice) -> NDArray[np.float32]:
            grey = (image[rows].astype(np.float32) - np.float32(dark)) / np.float32(width)
            return np.where(mask[rows], grey, np.float32(0)).clip(0, 1)

        bands = tiled(
            module,
            standardised,
            plane.shape,
            tile=self.tile,
            overlap=self.overlap,
            symmetric=self.symmetric,
        )
        for rows, chance in bands:  # each reads the mask only of rows that are still to come
            mask[rows] &= chance > self.threshold
        return mask


def _sample(image: NDArray[Any]) -> NDArray[Any]:
    step = -(-max(image.shape) // _SAMPLED)
    few = image[::step, ::step]
    return few[np.isfinite(few)]


@functools.lru_cache(maxsize=1)
def _loaded(checkpoint: Path, where: str) -> Any:
    from infer import device
    from model import trained

    return trained(checkpoint).to(device(where))
