"""tf.data on the stored arrays: no records are written, and Keras trains from it.

The features are those of the TFDS records (``bmgd_data.tfds``): the same keys, dtypes and shapes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from numpy.lib.format import open_memmap

from bmgd_data import errors, facts

try:
    import tensorflow as tf
except (ImportError, OSError) as error:  # OSError: a library of TensorFlow is missing
    raise errors.missing("bmgd_data.tf", "tensorflow", "tf", error) from error

from bmgd_data.augment.tensorflow import numbered_passes, protocol
from bmgd_data.reader import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    as_supervised: bool = False,
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
            every data set made with this seed, whatever TensorFlow's global seed is. None: other
            orders each time, which ``tf.random.set_seed`` repeats.
        in_memory: True holds all pictures in memory, False copies them from the memory-mapped files
            when they are needed; None holds them if they are below 1 GiB.
        drop_remainder: Leave out a last batch of fewer samples; all shapes are then known.
        as_supervised: Give (image, mask) pairs instead of dicts, as ``tfds.load`` does.

    Raises:
        TypeError: `reader` is no Reader.
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
    if not isinstance(reader, Reader):
        raise TypeError(
            f"to_tf takes a Reader, and not {reader!r}. Make one: "
            "to_tf(bmgd_data.Reader('train', source=...))."
        )
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
        places = tf.constant(reader.rows)
        one_size = len({part.image.shape[1:] for part in parts}) == 1
        if one_size or in_memory or batch_size is not None:
            size = _bytes(reader)  # refused if the sizes differ
            in_memory = size < _HELD_BELOW if in_memory is None else in_memory
        if in_memory:
            find = _several(parts, places, tf.range(len(reader))).gather
        else:
            find = functools.partial(_one if batch_size is None else _several, parts, places)

    def load(rows: tf.Tensor) -> Any:
        rest = {key: tf.gather(column, rows) for key, column in columns.items()}
        pictures = find(rows)
        return pictures[:2] if as_supervised else pictures._asdict() | rest

    order = _shuffled(len(reader), seed) if shuffle else tf.data.Dataset.range(len(reader))
    if batch_size is not None:
        order = order.batch(batch_size, drop_remainder=drop_remainder)
    return order.map(load).prefetch(tf.data.AUTOTUNE)


def _shuffled(count: int, seed: int | None) -> tf.data.Dataset:
    """The rows, in another order for each pass."""

    def order(key: tf.Tensor) -> tf.data.Dataset:
        rows = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), key[:2], alg="philox"
        )
        return tf.data.Dataset.from_tensor_slices(rows)

    data = numbered_passes(seed, 1).flat_map(order)
    return data.apply(tf.data.experimental.assert_cardinality(count))


class _Part(NamedTuple):
    """Pictures of one size, each (N, H, W, 1)."""

    image: tf.Tensor
    mask: tf.Tensor
    instances: tf.Tensor

    def gather(self, rows: tf.Tensor) -> _Part:
        return _Part(*(tf.gather(pictures, rows) for pictures in self))


def _mapped(reader: Reader) -> list[_Part]:
    """The stores' files, of one stiffness each, as tensors without a copy."""
    return [_Part(*map(_shared, arrays)) for arrays in reader.arrays]


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
