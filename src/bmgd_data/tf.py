"""tf.data on the stored arrays: no records are written, and Keras trains from it.

    from bmgd_data import Reader
    from bmgd_data.tf import to_tf

    train = to_tf(Reader("train"), batch_size=8, shuffle=True, seed=0)

The features are those of the TFDS records (``bmgd_data.tfds``): the same keys, dtypes and shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import facts
from bmgd_data.errors import MissingDependencyError

try:
    import tensorflow as tf
except (ImportError, OSError) as error:  # OSError where a library that TensorFlow loads is missing
    missing = isinstance(error, ModuleNotFoundError) and error.name == "tensorflow"
    why = "not installed" if missing else f"installed but cannot be imported ({error})"
    raise MissingDependencyError(
        f'to_tf makes a tf.data.Dataset, and tensorflow is {why}: pip install "bmgd-data[tf]". '
        "Without it, bmgd_data.Reader gives the same samples as numpy arrays."
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bmgd_data.reader import Reader

__all__ = ["to_tf"]

_PICTURES: Final[dict[str, type[np.generic]]] = {
    "image": np.uint16,
    "mask": np.uint8,
    "instances": np.uint16,
}
_HELD_BELOW: Final = 2**30
"""Bytes of pictures up to which they are held in memory unless `in_memory` says otherwise; the
paper's 819 images take 268 MB."""
_ALIGNMENT: Final = 64
"""Bytes. TensorFlow takes an array over without a copy where it starts at a multiple of this."""


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

    Batches are cut here, a batch at a time, since that is several times quicker than ``.batch`` on
    single samples. To split the samples between processes, give each its part
    (``to_tf(reader[rank::count])``), or call ``.shard`` on the result, which deals out batches.

    Args:
        reader: What to serve, in its order.
        batch_size: Samples per batch; None gives single samples.
        shuffle: Draw another order of all samples for each pass.
        seed: Makes the orders reproducible: the first pass, the second and so on are the same in
            each data set that is made with this seed.
        in_memory: Hold all pictures in memory (True), or copy them from the memory-mapped files as
            they are needed (False); None holds them below 1 GiB. Files that are mapped are read by
            Python code, which tf.data cannot send to another process or save.
        drop_remainder: Leave out a last batch of fewer samples; all shapes are then known.

    Raises:
        ValueError: `batch_size` is below 1; or the images of the stiffnesses differ in size, and
            they are to be batched or held in memory.

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
    with tf.device("CPU"):
        columns = {key: tf.constant(values) for key, values in _columns(reader).items()}

    def load(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        return pictures(rows) | {key: tf.gather(column, rows) for key, column in columns.items()}

    order = tf.data.Dataset.range(len(reader))
    if shuffle:
        order = order.shuffle(max(len(reader), 1), seed=seed)
    if batch_size is not None:
        order = order.batch(batch_size, drop_remainder=drop_remainder)
    return order.map(load, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _columns(reader: Reader) -> dict[str, Any]:
    """What a sample has beside its pictures, (N,) each."""
    stiffness_pa = reader.stiffness_pa
    return {
        "stiffness_pa": stiffness_pa,
        "stiffness": np.searchsorted([c.pa for c in facts.CONDITIONS], stiffness_pa),
        "n_nuclei": reader.n_nuclei,
        "name": np.array(reader.names, object),
    }


def _held(reader: Reader) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Gather rows from tensors that hold all pictures."""
    arrays = (reader.images, reader.masks, reader.instances)
    with tf.device("CPU"):  # a GPU has better uses for its memory, and tf.data runs beside it
        held = {
            key: tf.convert_to_tensor(np.asarray(array).view(dtype)[..., None])
            for (key, dtype), array in zip(_PICTURES.items(), arrays, strict=True)
        }
    return lambda rows: {key: tf.gather(pictures, rows) for key, pictures in held.items()}


def _mapped(reader: Reader, *, batched: bool) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Copy rows from the memory-mapped files.

    Always into new memory: TensorFlow writes results into inputs that nothing else refers to, and
    would end the process if that were a read-only file.
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
    """Uninitialised memory that TensorFlow takes over instead of copying it."""
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
    """What the pictures take in memory."""
    return reader.images.nbytes + reader.masks.nbytes + reader.instances.nbytes
