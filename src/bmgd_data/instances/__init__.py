"""Binary mask to instance mask: every nucleus gets its own number.

Labels are 1..n without gaps, 0 is background. Pixels that share a side or a corner are connected
(8-connectivity).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bmgd_data.instances import touching
from bmgd_data.instances.labels import as_uint16, renumbered, why_no_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "DERIVED",
    "METHODS",
    "VERSIONS",
    "components",
    "parse_method",
    "renumbered",
    "watershed",
    "why_no_labels",
]


def components(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Label the 8-connected components of a mask, in raster order of their first pixels.

    Nuclei that touch share a label, so the count is too low.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) uint16 instance mask.

    Raises:
        CorruptArchiveError: More than 65535 components: the mask is noise, not nuclei.
    """
    from scipy.ndimage import label

    labels = np.empty(mask.shape, np.uint16)
    try:
        label(mask, structure=np.ones((3, 3)), output=labels)
    except RuntimeError:  # they do not fit
        return as_uint16(label(mask, structure=np.ones((3, 3)))[0])
    return labels


def watershed(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Split touching nuclei: a watershed of the distance transform, its pieces merged by features.

    The distance to the background is smoothed (Gaussian, sigma 0.5 px) and flooded from each of its
    maxima. Pieces whose saddle is deeper than 0.97 of the lower maximum are merged, then those that
    look like one nucleus by five features: depth of the saddle, length of the contact, loss of
    solidity, area, similarity of the maxima. It was fitted on real fluorescence images of DSB2018
    and BBBC039 with true labels, not on BMGD.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) uint16 instance mask.

    Raises:
        CorruptArchiveError: More than 65535 nuclei: the mask is noise.
    """
    return as_uint16(touching.split(mask))


DERIVED: Final[dict[str, Callable[[NDArray[np.bool_]], NDArray[np.uint16]]]] = {
    "components": components,
    "watershed": watershed,
}
"""Methods that need only the mask."""

VERSIONS: Final = {"watershed": 2}
"""Versions of methods that changed: stored labels of another version are not read."""

METHODS: Final = (*DERIVED, "provided")
"""The values of ``instances=``; "provided" reads the archive's label images."""


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
