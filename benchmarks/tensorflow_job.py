"""tf.data in a process of its own: our ways to it, and the quickest that it could be.

A pass over a stream gives every sample once, shuffled as tf.data does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streams
from remote import serve
from served import Streams

from bmgd_data import Reader

if TYPE_CHECKING:
    from streams import Stream


def _make(source: str, root: str) -> tuple[int, dict[str, Stream]]:
    """`to_tf` in memory and mapped; TFDS records, decoded anew and kept in RAM; tensors in RAM."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from bmgd_data.tf import to_tf
    from bmgd_data.tfds import Builder

    reader = Reader("all", source=source, root=root)
    builder = Builder(source=reader.source.location, root=reader.root)
    builder.download_and_prepare()
    splits = "+".join(builder.info.splits)

    def stream(dataset: Any) -> Stream:
        return lambda _order: iter(tfds.as_numpy(dataset))

    def batched(dataset: Any) -> Stream:
        return stream(dataset.shuffle(len(reader)).batch(streams.BATCH).prefetch(tf.data.AUTOTUNE))

    def records(*, cached: bool) -> Stream:
        config = tfds.ReadConfig(try_autocache=cached)
        return batched(builder.as_dataset(split=splits, read_config=config))

    def arrays(*, in_memory: bool) -> Stream:
        return stream(to_tf(reader, streams.BATCH, shuffle=True, in_memory=in_memory))

    preloaded = streams.in_memory(streams.reader_single(reader), len(reader))
    return len(reader), {
        "held": arrays(in_memory=True),
        "mapped": arrays(in_memory=False),
        "records": records(cached=False),
        "cached": records(cached=True),
        "limit": batched(tf.data.Dataset.from_tensor_slices(preloaded)),
    }


if __name__ == "__main__":
    serve(Streams(_make).jobs())
