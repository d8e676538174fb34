"""Binary mask to instance mask: every nucleus gets a number of its own.

Labels are 1..n without gaps, 0 is background; pixels that touch by a side or a corner are connected
(8-connectivity).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bmgd_data.errors import CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["DERIVED", "METHODS", "components", "parse_method", "renumbered", "watershed"]

SMOOTHING_PX: Final = 1.0
MIN_DEPTH: Final = 0.1


def components(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Label the 8-connected components of a mask, in raster order of their first pixels.

    Nuclei that touch share a label: where they do, the count is too low.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) uint16 instance mask.

    Raises:
        CorruptArchiveError: More than 65535 components; that is noise, not nuclei.
    """
    from scipy.ndimage import label

    labels, _ = label(mask, structure=np.ones((3, 3)))
    return _as_uint16(labels)


def watershed(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Split touching nuclei where the distance to the background has a waist.

    The distance transform is smoothed (Gaussian, sigma 1 px) and divided by its maximum in each
    component, so that small and large nuclei are judged alike; maxima higher than their
    surroundings by 0.1 (h-maxima: Soille, Morphological Image Analysis, 2003, chapter 6) seed a
    watershed. It splits some elongated nuclei that are whole.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) uint16 instance mask.

    Raises:
        CorruptArchiveError: More than 65535 components.
    """
    from scipy import ndimage
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed as flood

    connected = components(mask)
    if not connected.any():
        return connected
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), SMOOTHING_PX)
    highest = ndimage.maximum(distance, connected, np.arange(connected.max() + 1))
    relative = np.where(mask, distance / np.maximum(highest[connected], np.spacing(1)), 0)
    seeds, _ = ndimage.label(h_maxima(relative, MIN_DEPTH), structure=np.ones((3, 3)))
    split = flood(-relative, seeds, mask=mask, connectivity=2)
    return renumbered(np.where(split > 0, split, connected + int(split.max()) * (connected > 0)))


def renumbered(labels: NDArray[np.integer]) -> NDArray[np.uint16]:
    """Number the labels of an (H, W) instance mask 1..n in their own order, without gaps.

    Raises:
        CorruptArchiveError: More than 65535 labels.
    """
    values, inverse = np.unique(labels, return_inverse=True)
    offset = 0 if values[0] == 0 else 1
    return _as_uint16(inverse.reshape(labels.shape) + offset)


def _as_uint16(labels: NDArray[np.integer]) -> NDArray[np.uint16]:
    if (count := int(labels.max())) > np.iinfo(np.uint16).max:
        raise CorruptArchiveError(f"A mask with {count} regions is noise, not nuclei.")
    return labels.astype(np.uint16)


DERIVED: Final[dict[str, Callable[[NDArray[np.bool_]], NDArray[np.uint16]]]] = {
    "components": components,
    "watershed": watershed,
}
"""Methods that need no more than the mask."""

METHODS: Final = (*DERIVED, "provided")
"""The values of ``instances=``; "provided" reads the archive's own label images."""


def parse_method(instances: str) -> str:
    """Read the name of an instance method.

    Raises:
        ValueError: Unknown method.
    """
    if instances not in METHODS:
        raise ValueError(
            f"Unknown instances {instances!r}. Valid: {', '.join(map(repr, METHODS))}."
        )
    return instances
