"""Samples in napari: File > Open Sample > BMGD, for the data and for generated images.

napari finds them through ``napari.yaml`` if this package is installed in its environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data import facts
from bmgd_data._arguments import documented
from bmgd_data.reader import Reader

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    Layer = tuple[NDArray[Any], dict[str, Any], str]

__all__ = ["bmgd", "phantom", "sample"]


def bmgd() -> list[Layer]:
    """BMGD, or what BMGD_SOURCE names. The first time, the archives are fetched."""
    return sample(None)


def phantom() -> list[Layer]:
    """Generated images; they are not BMGD."""
    return sample("phantom")


@documented
def sample(source: str | os.PathLike[str] | None) -> list[Layer]:  # noqa: D417
    """All images of a source as layers of napari, nuclei split by watershed.

    Args:
        {source}

    Returns:
        (data, options, kind) for each stiffness, the softest on top: an image layer (N, H, W) of
        raw grey values, and a label layer of the nuclei. A pixel is 0.25 um wide. Only the softest
        is visible at first. ``metadata`` has the names of the samples.

    Raises:
        BMGDError: See ``Reader``, which reads the data.
    """
    layers: list[Layer] = []
    for condition in reversed(facts.CONDITIONS):
        reader = Reader("all", condition.pa, source=source, instances="watershed")
        options = {
            "scale": (1, facts.PIXEL_SIZE_UM, facts.PIXEL_SIZE_UM),
            "units": ("pixel", "um", "um"),
            "visible": condition is facts.CONDITIONS[0],
            "metadata": {"names": reader.names, "source": reader.source.label},
        }
        title = f"{condition.pa} Pa{', generated' if reader.source.generated else ''}"
        full = {"name": title, "contrast_limits": (0, reader.full_scales[condition.pa])}
        layers += [
            (np.asarray(reader.images), options | full, "image"),
            (np.asarray(reader.instances), options | {"name": f"{title}, nuclei"}, "labels"),
        ]
    return layers
