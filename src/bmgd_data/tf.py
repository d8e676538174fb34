"""tf.data on the stored arrays: no records are written, and Keras trains from it.

The features are those of the TFDS records (``bmgd_data.tfds``): the same keys, dtypes and shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import _protocol, errors, facts

try:
    import tensorflow as tf
except (ImportError, OSError) as error:  # OSError: a library of TensorFlow is missing
    raise errors.missing("bmgd_data.tf", "tensorflow", "tf", error) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

__all__ = ["protocol", "to_tf"]

_PICTURES: Final[dict[str, type[np.generic]]] = {
    "image": np.uint16,
    "mask": np.uint8,
    "instances": np.uint16,
}
_HELD_BELOW: Final = 2**30
"""Bytes of pictures up to which they are held in memory unless `in_memory` says otherwise; the
paper's 819 images take 268 MB."""
_ALIGNMENT: Final = 64
"""Bytes. TensorFlow copies no array that starts at a multiple of this."""


def to_tf(
    reader: Reader,
    batch_size: int | None = None,
    *,
    shuffle: bool = False,
    seed: int | None = None,
    in_memory: bool | None = None,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Serve a Reader as a tf.data.Dataset.

    Each element is a dict. Without `batch_size`: `image` uint16 (H, W, 1), raw grey values; `mask`
    uint8 (H, W, 1), 0 or 1; `instances` uint16 (H, W, 1); `stiffness_pa`, `stiffness` (the index
    among the four stiffnesses, softest first) and `n_nuclei` int64; `name` string. With it, each
    has a first axis of `batch_size`.

    With `batch_size` whole batches are gathered, which is several times faster than ``.batch`` on
    single samples. To divide the samples among processes, use ``to_tf(reader[rank::count])`` in
    each, or ``.shard`` on the result, which divides the batches.

    Args:
        reader: What to serve, in its order.
        batch_size: Samples per batch; None gives single samples.
        shuffle: Draw another order of all samples for each pass.
        seed: Makes the orders reproducible: the first pass, the second and so on are the same in
            every data set made with this seed.
        in_memory: True holds all pictures in memory, False copies them from the memory-mapped files
            when they are needed; None holds them if they are below 1 GiB. Mapped files are read by
            Python code, which tf.data cannot send to another process or save.
        drop_remainder: Leave out a last batch of fewer samples; all shapes are then known.

    Raises:
        ValueError: `batch_size` is below 1; or the images of the stiffnesses differ in size, and
            batches or `in_memory` are asked for.

    Example:
        >>> from bmgd_data import Reader
        >>> from bmgd_data.tf import to_tf
        >>> reader = Reader("train", "1200Pa", source="phantom")
        >>> batch = next(iter(to_tf(reader, batch_size=4)))
        >>> batch["image"].shape
        TensorShape([4, 256, 256, 1])
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be at least 1, or None for no batches.")
    if in_memory is None:
        in_memory = _one_shape(reader) and _bytes(reader) < _HELD_BELOW
    pictures = _held(reader) if in_memory else _mapped(reader, batched=batch_size is not None)
    rest: dict[str, Any] = {
        "stiffness_pa": reader.stiffness_pa,
        "stiffness": np.searchsorted([c.pa for c in facts.CONDITIONS], reader.stiffness_pa),
        "n_nuclei": reader.n_nuclei,
        "name": np.array(reader.names, object),
    }
    with tf.device("CPU"):
        columns = {key: tf.constant(values) for key, values in rest.items()}

    def load(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        return pictures(rows) | {key: tf.gather(column, rows) for key, column in columns.items()}

    order = tf.data.Dataset.range(len(reader))
    if shuffle:
        order = order.shuffle(max(len(reader), 1), seed=seed)
    if batch_size is not None:
        order = order.batch(batch_size, drop_remainder=drop_remainder)
    return order.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def protocol(
    crop: int = 224,
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
        crop: Side of the square that is cut out at a random place, in pixels. A smaller image is
            extended by its mirror image, and beyond that by its border.
        flip: Probability of a horizontal flip.
        displacement: Standard deviation of the elastic displacement in pixels; 0 for none.
        smoothness: Standard deviation in pixels of the Gaussian that smooths the displacement.
        brightness: Grey values are multiplied by 1 - `brightness` to 1 + `brightness`.
        contrast: Likewise, their distance from the image's mean.
        seed: Makes it reproducible, pass by pass.

    Returns:
        A function from a tf.data.Dataset of batches, dicts with `image` float (B, H, W, C) in 0..1
        and any of `mask` and `instances` (B, H, W, 1), to one whose pictures have the size `crop`.

    Raises:
        ValueError: A number is outside its range; when applied: the elements are not batches of
            images of one size.
        TypeError: When applied: the images are not float.

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
    _protocol.check(crop, flip, displacement, smoothness, brightness, contrast)
    bumps = _protocol.bumps(crop, smoothness)

    def changed(batch: dict[str, tf.Tensor], own: tf.Tensor) -> dict[str, tf.Tensor]:
        image = batch["image"]
        count, sides = tf.shape(image)[0], image.shape[1:3]
        seeds = tf.unstack(tf.random.split(own, 5))

        def uniform(number: int, *shape: int) -> tf.Tensor:
            return tf.random.stateless_uniform([count, *shape], seeds[number])

        noise = tf.random.stateless_normal([count, 2, *[bumps.shape[1]] * 2], seeds[0])
        field = displacement * (bumps @ noise @ bumps.T)
        along = tf.range(crop, dtype=tf.float32)
        columns = tf.where(uniform(1, 1) < flip, crop - 1 - along, along)
        rows, corners, places = tf.broadcast_to(along, [count, crop]), uniform(2, 2), []
        for axis, (side, line) in enumerate(zip(sides, (rows, columns), strict=True)):
            room = side - crop
            start = tf.floor(corners[:, axis, None] * (abs(room) + 1)) + min(room, 0)
            place = field[:, axis] + tf.expand_dims(start + line, 1 if axis else 2)
            mirrored = side - 1 - tf.abs(side - 1 - tf.abs(place))
            places.append(tf.clip_by_value(mirrored, 0.0, side - 1.0))
        moved = _interpolated(image, *places)
        mean = tf.reduce_mean(moved, [1, 2, 3], keepdims=True)
        moved = mean + (moved - mean) * (1 + contrast * (2 * uniform(3, 1, 1, 1) - 1))
        moved *= 1 + brightness * (2 * uniform(4, 1, 1, 1) - 1)
        nearest = tf.cast(tf.stack(places, -1) + 0.5, tf.int32)
        masks = {
            key: tf.gather_nd(batch[key], nearest, batch_dims=1)
            for key in ("mask", "instances")
            if key in batch
        }
        return batch | masks | {"image": tf.clip_by_value(moved, 0, 1)}

    def apply(data: tf.data.Dataset) -> tf.data.Dataset:
        image = data.element_spec["image"]
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
        own = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        pairs = tf.data.Dataset.zip(data, own)
        return pairs.map(changed, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    return apply


def _interpolated(image: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Values at places (B, h, w) between the four nearest pixels, (B, h, w, C)."""
    lows, shares = [], []
    for place, side in zip((rows, columns), image.shape[1:3], strict=True):
        low = tf.clip_by_value(tf.floor(place), 0.0, max(side - 2.0, 0.0))
        lows.append(tf.cast(low, tf.int32))
        shares.append((place - low)[..., None])

    def corner(down: int, right: int) -> tf.Tensor:
        return tf.gather_nd(image, tf.stack([lows[0] + down, lows[1] + right], -1), batch_dims=1)

    upper = corner(0, 0) * (1 - shares[1]) + corner(0, 1) * shares[1]
    lower = corner(1, 0) * (1 - shares[1]) + corner(1, 1) * shares[1]
    return upper * (1 - shares[0]) + lower * shares[0]


def _held(reader: Reader) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Gather rows from tensors that hold all pictures."""
    arrays = (reader.images, reader.masks, reader.instances)
    with tf.device("CPU"):  # tf.data runs there; the memory of a GPU is for the model
        held = {
            key: tf.convert_to_tensor(np.asarray(array).view(dtype)[..., None])
            for (key, dtype), array in zip(_PICTURES.items(), arrays, strict=True)
        }
    return lambda rows: {key: tf.gather(pictures, rows) for key, pictures in held.items()}


def _mapped(reader: Reader, *, batched: bool) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Copy rows from the memory-mapped files.

    Always into new memory: TensorFlow writes results into inputs that nothing else refers to, which
    would crash the process on a read-only file.
    """
    shape = reader.images.shape[1:] if batched or _one_shape(reader) else (None, None)

    def copied(rows: NDArray[np.int64]) -> list[NDArray[Any]]:
        samples = [reader[row] for row in np.atleast_1d(rows).tolist()]
        blocks = []
        for key, dtype in _PICTURES.items():
            pictures = [sample[key] for sample in samples]
            block = _aligned((len(pictures), *pictures[0].shape), dtype)
            for place, picture in zip(block, pictures, strict=True):
                place[...] = picture
            blocks.append(block.reshape(*rows.shape, *block.shape[1:], 1))
        return blocks

    def load(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        dtypes = [tf.as_dtype(dtype) for dtype in _PICTURES.values()]
        blocks = tf.numpy_function(copied, [rows], dtypes, stateful=False)
        return {
            key: tf.ensure_shape(block, (*rows.shape, *shape, 1))
            for key, block in zip(_PICTURES, blocks, strict=True)
        }

    return load


def _aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Uninitialised memory that TensorFlow does not copy."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def _one_shape(reader: Reader) -> bool:
    """Whether all images have one size, so that they can be stacked."""
    try:
        return reader.images.ndim > 0
    except ValueError:
        return False


def _bytes(reader: Reader) -> int:
    return reader.images.nbytes + reader.masks.nbytes + reader.instances.nbytes
