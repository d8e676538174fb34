"""The augmentation as a step of tf.data, on whole batches; it needs TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from bmgd_data.augment import _strengths
from bmgd_data.augment._strengths import Strengths

if TYPE_CHECKING:
    from collections.abc import Callable

_MASKS = ("mask", "instances")


def protocol(
    crop: int | tuple[int, int] = 224,
    *,
    flip: float = 0.5,
    displacement: float = 2.0,
    smoothness: float = 10.0,
    brightness: float = 0.2,
    contrast: float = 0.2,
    seed: int | None = None,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Make the augmentation that the paper suggests, for ``Dataset.apply``.

    It does what ``bmgd_data.augment.protocol`` does in PyTorch: each image of a batch is flipped,
    cropped, deformed and brightened differently. Its masks move with it, by the nearest pixel.

    Args:
        crop: Side of the square that is cut out at a random place, in pixels; or height and width.
            Beyond its outermost pixels an image is its mirror image, without repeating them.
        flip: Probability of a horizontal flip.
        displacement: Standard deviation of the elastic displacement in pixels; 0 for none.
        smoothness: Standard deviation in pixels of the Gaussian that smooths the displacement.
        brightness: Grey values are multiplied by 1 - `brightness` to 1 + `brightness`.
        contrast: Likewise, their distance from the image's mean.
        seed: Makes it reproducible, pass by pass; TensorFlow's global seed does not matter then.
            None: another one each time, which ``tf.random.set_seed`` repeats.

    Returns:
        A function from a tf.data.Dataset of batches to one whose pictures have the size `crop`.
        Batches are dicts with `image` float (B, H, W, C) in 0..1 and any of `mask` and `instances`
        (B, H, W, 1), or pairs of image and mask.

    Raises:
        ValueError: A number is outside its range; when applied: the elements are not batches of
            images of one size.
        TypeError: When applied: the images are not float, or it was given to ``map``.

    Example:
        >>> from bmgd_data import Reader
        >>> from bmgd_data.tf import protocol, to_tf
        >>> reader = Reader("train", "1200Pa", source="phantom")
        >>> def floats(batch):
        ...     return batch | {"image": tf.cast(batch["image"], tf.float32) / 4095}
        >>> data = to_tf(reader, batch_size=4, shuffle=True).map(floats).apply(protocol(crop=224))
        >>> data.element_spec["mask"].shape
        TensorShape([None, 224, 224, 1])
    """
    strengths = Strengths(crop, flip, displacement, smoothness, brightness, contrast)
    change = _changer(strengths)

    def apply(data: tf.data.Dataset) -> tf.data.Dataset:
        image = _image_of(data)
        if image.shape.rank != 4 or None in image.shape[1:3]:  # noqa: PLR2004 - (B, H, W, C)
            raise ValueError(
                f"protocol() takes batches of images of one size, not {image.shape}. Give "
                "batch_size= to to_tf, and one stiffness to the Reader if sizes differ."
            )
        if not image.dtype.is_floating:
            raise TypeError(
                f"protocol() takes images as float in 0..1, not {image.dtype.name}: divide them by "
                "the full scale before, tf.cast(image, tf.float32) / 4095 for 12 bits."
            )
        changed = tf.data.Dataset.zip(data, numbered_passes(seed)).map(
            change, num_parallel_calls=tf.data.AUTOTUNE
        )
        if (count := data.cardinality()) >= 0:
            changed = changed.apply(tf.data.experimental.assert_cardinality(count))
        return changed.prefetch(tf.data.AUTOTUNE)

    return apply


def numbered_passes(seed: int | None, elements: int = 2**40) -> tf.data.Dataset:
    """Seeds for stateless random operations, (3,) int64: `seed`, pass and element.

    The pass rises whenever the data set is iterated. tf.data's own random data sets depend on
    TensorFlow's global seed too, so they are not used.
    """
    if seed is None:
        seed = int(tf.random.uniform([], maxval=2**31 - 1, dtype=tf.int32))
    passes = tf.Variable(-1, dtype=tf.int64, trainable=False)

    def of_pass(_: tf.Tensor) -> tf.data.Dataset:
        number = passes.assign_add(1)
        of_each = tf.data.Dataset.range(elements)
        return of_each.map(lambda element: tf.stack([tf.constant(seed, tf.int64), number, element]))

    return tf.data.Dataset.range(1).flat_map(of_pass)


def _image_of(data: tf.data.Dataset) -> tf.TensorSpec:
    if not isinstance(data, tf.data.Dataset):
        raise TypeError(
            f"protocol() changes a whole tf.data.Dataset, not {type(data).__name__}. Write "
            "data.apply(protocol()) instead of data.map(protocol())."
        )
    spec = data.element_spec
    return spec["image"] if isinstance(spec, dict) else spec[0]


def _changer(strengths: Strengths) -> Callable[..., Any]:
    numbers = tuple(each.shape[1] - 2 for each in strengths.lines)
    count = _strengths.CHANGES + 2 * numbers[0] * numbers[1]
    # Compiled: a third of the time, since the many small steps become few.
    moved = tf.function(lambda *given: _moved(strengths, *given), jit_compile=True)

    def change(batch: Any, key: tf.Tensor) -> Any:
        pair = isinstance(batch, tuple)
        pictures = dict(zip(("image", "mask"), batch, strict=True)) if pair else batch
        image = pictures["image"]
        two = tf.stack([key[0] * 2**20 + key[1], key[2]])
        drawn = tf.random.stateless_uniform(
            [tf.shape(image)[0], count], two, 0, _strengths.DRAWN, tf.int32, alg="philox"
        )
        present = [name for name in _MASKS if name in pictures]
        masks = [tf.cast(pictures[name], tf.int32) for name in present]
        new, stacked = moved(image, tf.concat(masks, -1) if masks else image[..., :0], drawn)
        parts = tf.split(stacked, [each.shape[-1] for each in masks], -1) if masks else []
        found = {
            name: tf.cast(part, pictures[name].dtype)
            for name, part in zip(present, parts, strict=True)
        }
        changed = pictures | found | {"image": new}
        return (changed["image"], changed["mask"]) if pair else changed

    return change


def _moved(
    strengths: Strengths, image: tf.Tensor, masks: tf.Tensor, drawn: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch moved by its drawn numbers: (B, H, W, C) images and masks to (B, h, w, C)."""
    rows, columns = _places(strengths, image.shape[1:3], drawn)
    lows, shares = [], []
    for place, side in zip((rows, columns), image.shape[1:3], strict=True):
        low = tf.clip_by_value(tf.floor(place), 0.0, max(side - 2.0, 0.0))
        lows.append(tf.cast(low, tf.int32))
        shares.append((place - low)[..., None])
    # One gather of the four pixels around each place, side by side.
    right = tf.concat([image[:, :, 1:], image[:, :, -1:]], 2)
    both = tf.concat([image, right], -1)
    corners = tf.concat([both, tf.concat([both[:, 1:], both[:, -1:]], 1)], -1)
    four = tf.split(tf.gather_nd(corners, tf.stack(lows, -1), batch_dims=1), 4, -1)
    upper = four[0] * (1 - shares[1]) + four[1] * shares[1]
    lower = four[2] * (1 - shares[1]) + four[3] * shares[1]
    moved = upper * (1 - shares[0]) + lower * shares[0]
    share = tf.cast(drawn[:, : _strengths.CHANGES], tf.float32)[:, :, None, None, None]
    share /= _strengths.DRAWN
    contrast = 1 + strengths.contrast * (2 * share[:, _strengths.CONTRAST] - 1)
    bright = 1 + strengths.brightness * (2 * share[:, _strengths.BRIGHTNESS] - 1)
    mean = tf.reduce_mean(moved, [1, 2, 3], keepdims=True)
    moved = tf.clip_by_value((mean + (moved - mean) * contrast) * bright, 0, 1)
    nearest = tf.cast(tf.stack([rows, columns], -1) + 0.5, tf.int32)
    return moved, tf.gather_nd(masks, nearest, batch_dims=1)


def _places(
    strengths: Strengths, sides: tuple[int, int], drawn: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Row and column in the image of each output pixel, (B, h, w) each, within it."""
    down, across = strengths.lines
    shape = (2, down.shape[1] - 2, across.shape[1] - 2)
    levels = drawn[:, _strengths.CHANGES :] % _strengths.LEVELS
    noise = tf.reshape(tf.gather(strengths.levels, levels), (-1, *shape))
    core = tf.pad(noise, [[0, 0], [0, 0], [2, 0], [2, 0]])
    share = tf.cast(drawn[:, : _strengths.CHANGES], tf.float32) / _strengths.DRAWN
    field = down @ core @ tf.transpose(across)
    flipped = tf.where(share[:, _strengths.FLIP] < strengths.flip, -1.0, 1.0)
    lines = (down[:, 1][None, :, None], flipped[:, None, None] * across[:, 1][None, None])
    found = []
    numbers = (_strengths.ROW, _strengths.COLUMN)
    # Noise is drawn for x first, as in PyTorch.
    for axis, (side, crop, line, number) in enumerate(
        zip(sides, strengths.size, lines, numbers, strict=True)
    ):
        room = side - crop  # negative if the image is smaller
        start = tf.floor(share[:, number, None, None] * (abs(room) + 1)) + min(room, 0)
        middle = start + (crop - 1) / 2 + _strengths.OFF_TIES
        found.append(_mirrored(field[:, 1 - axis] + (middle + line), side))
    return found[0], found[1]


def _mirrored(place: tf.Tensor, side: int) -> tf.Tensor:
    """Places within 0..side - 1, reflected about the outermost pixels as often as needed."""
    last = float(side - 1)
    if not last:
        return tf.zeros_like(place)
    return last - tf.abs(last - tf.math.floormod(place, 2 * last))
