"""What a record holds, and how a 16-bit image is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow_datasets as tfds

from bmgd_data import facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = tuple[int | None, int | None]
"""Height and width; None if they differ between images."""


def features(shape: Shape = facts.IMAGE_SHAPE) -> tfds.features.FeaturesDict:
    """The features of a record whose images have this (height, width)."""
    return tfds.features.FeaturesDict(
        {
            "image": _micrograph(shape),
            "mask": _coloured(shape, np.uint8, "1 where a nucleus is, 0 elsewhere."),
            "instances": _coloured(shape, np.uint16, "Nuclei numbered 1..n, 0 elsewhere."),
            "stiffness_pa": tfds.features.Scalar(
                np.int64, doc="Stiffness of the substrate in pascal."
            ),
            "stiffness": tfds.features.ClassLabel(names=[c.name for c in facts.CONDITIONS]),
            "n_nuclei": tfds.features.Scalar(np.int64, doc="Labels in `instances`."),
            "name": tfds.features.Text(doc="<pa>Pa/<path below the image folder>."),
        }
    )


def _micrograph(shape: Shape) -> tfds.features.Image:
    """A 16-bit image, which the builder shows stretched from its darkest to its brightest pixel.

    TFDS's own thumbnail of a grey 16-bit image clips it, or fails. The records name TFDS's own
    image, so that they can be read without this package; it is then shown in false colours.
    """
    image = _coloured(shape, np.uint16, "Raw grey values.")
    grey = tfds.features.Image(shape=(*shape, 1))

    def thumbnail(pixels: NDArray[np.integer]) -> str:
        low, high = int(pixels.min()), int(pixels.max())
        stretched = (pixels.astype(np.float32) - low) * (255 / max(high - low, 1))
        return str(grey.repr_html(stretched.astype(np.uint8)))

    image.repr_html = thumbnail
    return image


def _coloured(shape: Shape, dtype: type[np.unsignedinteger], doc: str) -> tfds.features.Image:
    """An image of one channel, shown with a colour for each value."""
    return tfds.features.Image(
        shape=(*shape, 1), dtype=dtype, encoding_format="png", use_colormap=True, doc=doc
    )
