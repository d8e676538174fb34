"""tf.data on the stored arrays: no records are written, and Keras trains from it.

The features are those of the TFDS records (``bmgd_data.tfds``): the same keys, dtypes and shapes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from numpy.lib.format import open_memmap

from bmgd_data import errors, facts
from bmgd_data.augment import _strengths

try:
    import tensorflow as tf
except (ImportError, OSError) as error:  # OSError: a library of TensorFlow is missing
    raise errors.missing("bmgd_data.tf", "tensorflow", "tf", error) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

__all__ = ["protocol", "to_tf"]

_HELD_BELOW: Final = 2**30
"""Bytes of pictures up to which they are held in memory unless `in_memory` says otherwise; the
paper's 819 images take 268 MB."""


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
    each, or ``.shard`` on the result, which divides the batches. It needs eager execution, as
    TensorFlow 2 has it.

    Args:
        reader: What to serve, in its order.
        batch_size: Samples per batch; None gives single samples.
        shuffle: Draw another order of all samples for each pass.
        seed: Makes the orders reproducible: the first pass, the second and so on are the same in
            every data set made with this seed.
        in_memory: True holds all pictures in memory, False copies them from the memory-mapped files
            when they are needed; None holds them if they are below 1 GiB.
        drop_remainder: Leave out a last batch of fewer samples; all shapes are then known.

    Raises:
        StorageError: The store's files cannot be mapped.
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
    others: dict[str, Any] = {
        "stiffness_pa": reader.stiffness_pa,
        "stiffness": np.searchsorted([c.pa for c in facts.CONDITIONS], reader.stiffness_pa),
        "n_nuclei": reader.n_nuclei,
        "name": np.array(reader.names, object),
    }
    with tf.device("CPU"):  # tf.data runs there; the memory of a GPU is for the model
        columns = {key: tf.constant(values) for key, values in others.items()}
        parts = _mapped(reader)
        places = tf.constant(reader._rows)  # noqa: SLF001 - (N, 2), the part and the row in it
        one_size = len({part.image.shape[1:] for part in parts}) == 1
        if one_size or in_memory or batch_size is not None:
            size = _bytes(reader)  # refused if the sizes differ
            in_memory = size < _HELD_BELOW if in_memory is None else in_memory
        if in_memory:
            find = _several(parts, places, tf.range(len(reader))).gather
        else:
            find = functools.partial(_one if batch_size is None else _several, parts, places)

    def load(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        rest = {key: tf.gather(column, rows) for key, column in columns.items()}
        return find(rows)._asdict() | rest

    order = tf.data.Dataset.range(len(reader))
    if shuffle:
        order = order.shuffle(max(len(reader), 1), seed=seed)
    if batch_size is not None:
        order = order.batch(batch_size, drop_remainder=drop_remainder)
    return order.map(load).prefetch(tf.data.AUTOTUNE)


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
    _strengths.check(crop, flip, displacement, smoothness, brightness, contrast)
    bumps = _strengths.bumps(crop, smoothness)

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


class _Part(NamedTuple):
    """Pictures of one size, each (N, H, W, 1)."""

    image: tf.Tensor
    mask: tf.Tensor
    instances: tf.Tensor

    def gather(self, rows: tf.Tensor) -> _Part:
        return _Part(*(tf.gather(pictures, rows) for pictures in self))


def _mapped(reader: Reader) -> list[_Part]:
    """The stores' files, of one stiffness each, as tensors without a copy."""
    parts = [(part.images, part.masks, part.instances.labels) for part in reader._parts]  # noqa: SLF001
    return [_Part(*map(_shared, part)) for part in parts]


def _shared(array: NDArray[Any]) -> tf.Tensor:
    """A mapped array as a tensor of the same pages.

    TensorFlow shares only arrays that may be written to. So the pages are mapped again, privately:
    whatever is written, the file stays as it is. They start at a multiple of 64 bytes, which
    TensorFlow's kernels demand.
    """
    file = array.base
    if not isinstance(file, np.memmap):  # labels that were computed, as the root is read-only
        return tf.constant(array[..., None])
    path = cast("str", file.filename)
    try:
        pages = np.asarray(open_memmap(path, mode="c"))
    except OSError as error:
        raise errors.StorageError(
            f"{path} cannot be mapped for TensorFlow ({error}). If it was moved or removed, make "
            "the Reader again. If it is larger than this machine's memory, use PyTorch or the "
            "records of TFDS, which do not need it at once."
        ) from error
    pages = pages.view(np.uint8) if pages.dtype == np.bool_ else pages
    return tf.experimental.dlpack.from_dlpack(pages[..., None].__dlpack__())


def _one(parts: list[_Part], places: tf.Tensor, index: tf.Tensor) -> _Part:
    """The pictures of one sample."""
    part, row = tf.unstack(places[index])
    found: _Part = tf.switch_case(part, [functools.partial(each.gather, row) for each in parts])
    return found


def _several(parts: list[_Part], places: tf.Tensor, indices: tf.Tensor) -> _Part:
    """The pictures of some samples, stacked."""
    part, rows = tf.unstack(tf.gather(places, indices), axis=1)
    if len(parts) == 1:
        return parts[0].gather(rows)
    where = tf.dynamic_partition(tf.range(tf.size(part)), part, len(parts))
    of_each = tf.dynamic_partition(rows, part, len(parts))
    found = [each.gather(some) for each, some in zip(parts, of_each, strict=True)]
    stacked = (tf.dynamic_stitch(where, pictures) for pictures in zip(*found, strict=True))
    return _Part(*(tf.ensure_shape(each, (*indices.shape, *each.shape[1:])) for each in stacked))


def _bytes(reader: Reader) -> int:
    return reader.images.nbytes + reader.masks.nbytes + reader.instances.nbytes
