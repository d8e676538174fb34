"""tf.data in a process of its own: our ways to it, and the quickest that it could be.

A pass over a stream gives every sample once, shuffled as tf.data does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streams
import tensorflow as tf
from remote import Streams, serve

from bmgd_data import Reader
from bmgd_data.tf import to_tf

if TYPE_CHECKING:
    from streams import Stream


def _make(source: str, root: str, *, records: bool) -> tuple[int, dict[str, Stream]]:
    """`to_tf` in memory and mapped; tensors of all that it gives, in RAM; TFDS records."""
    reader = Reader("all", source=source, root=root)

    def batched(data: tf.data.Dataset, size: int = streams.BATCH) -> tf.data.Dataset:
        return data.shuffle(len(reader)).batch(size).prefetch(tf.data.AUTOTUNE)

    preloaded = next(iter(to_tf(reader, len(reader))))
    data = {}
    for size in (streams.SMALL_BATCH, streams.BATCH):
        data |= {
            f"held {size}": to_tf(reader, size, shuffle=True, in_memory=True),
            f"mapped {size}": to_tf(reader, size, shuffle=True, in_memory=False),
            f"limit {size}": batched(tf.data.Dataset.from_tensor_slices(preloaded), size),
        }
    if records:
        import tensorflow_datasets as tfds

        from bmgd_data.tfds import Builder

        builder = Builder(source=reader.source.location, root=reader.root)
        builder.download_and_prepare()
        uncached = tfds.ReadConfig(try_autocache=False)
        split = "+".join(builder.info.splits)
        data["records"] = batched(builder.as_dataset(split=split, read_config=uncached))
    return len(reader), {name: _stream(each) for name, each in data.items()}


def _stream(data: tf.data.Dataset) -> Stream:
    def stream(_order: Any) -> Any:
        return data.as_numpy_iterator()

    return stream


if __name__ == "__main__":
    serve(Streams(_make).jobs())
