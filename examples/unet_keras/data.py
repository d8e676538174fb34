"""Batches for Keras: standardised grey values and masks, augmented where a crop is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import tensorflow as tf

from bmgd_data.tf import protocol, to_tf

if TYPE_CHECKING:
    from bmgd_data import Reader

_DARK, _BRIGHT = 0.01, 0.998  # quantiles, as other nuclei networks take them (CSBDeep, StarDist)
_FLAT: Final = 0.1
"""Least contrast, as a fraction of the full scale, that is stretched to 0..1."""


def batches(reader: Reader, size: int, crop: int = 0, seed: int = 0) -> tf.data.Dataset:
    """Pairs of images (B, H, W, 1) float32 in 0..1 and masks (B, H, W, 1) uint8.

    Args:
        reader: What to serve.
        size: Samples per batch.
        crop: Side of the random crop; 0 for whole images, in order, not augmented.
        seed: Seed of order and augmentation.
    """
    pascals = sorted(reader.full_scales)
    scales = tf.constant([float(reader.full_scales[pa]) for pa in pascals])

    def prepared(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        scale = tf.gather(
            scales, tf.searchsorted(tf.constant(pascals, tf.int64), batch["stiffness_pa"])
        )
        image = tf.cast(batch["image"], tf.float32) / scale[:, None, None, None]
        return {"image": standardised(image), "mask": batch["mask"]}

    data = to_tf(reader, size, shuffle=crop > 0, seed=seed)
    data = data.map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    if crop:
        data = data.apply(protocol(crop, brightness=0.3, contrast=0.3, seed=seed))
    return data.map(lambda batch: (batch["image"], batch["mask"])).prefetch(tf.data.AUTOTUNE)


def standardised(image: tf.Tensor) -> tf.Tensor:
    """Stretch the grey values of each image (B, H, W, 1) between two quantiles to 0..1.

    Brightness depends on laser power and depth, so the network should not rely on it.
    """
    values = tf.sort(tf.reshape(image, [tf.shape(image)[0], -1]))
    last = tf.cast(tf.shape(values)[1] - 1, tf.float32)
    rows = tf.cast(tf.round(tf.stack([_DARK * last, _BRIGHT * last])), tf.int32)
    low, high = tf.unstack(tf.gather(values, rows, axis=1)[..., None, None, None], axis=1)
    return tf.clip_by_value((image - low) / tf.maximum(high - low, _FLAT), 0, 1)
