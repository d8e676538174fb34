"""Other frameworks, each in a process of its own: ours in their dialect, and what they do at most.

A pass over a stream gives every sample once, shuffled as the framework does it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import streams
from remote import serve
from served import Streams

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from streams import Stream


def tf_data(reader: Reader) -> dict[str, Stream]:
    """TFDS records through tf.data: decoded anew, kept as TFDS does of itself, and from RAM."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from bmgd_data.tfds import Builder

    builder = Builder(source=reader.source.location, root=reader.root)
    builder.download_and_prepare()
    splits = "+".join(builder.info.splits)

    def batched(dataset: Any) -> Stream:
        ready = dataset.shuffle(len(reader)).batch(streams.BATCH).prefetch(tf.data.AUTOTUNE)
        return lambda _order: iter(tfds.as_numpy(ready))

    def records(*, cached: bool) -> Stream:
        config = tfds.ReadConfig(try_autocache=cached)
        return batched(builder.as_dataset(split=splits, read_config=config))

    arrays = streams.in_memory(streams.reader_single(reader), len(reader))
    preloaded = tf.data.Dataset.from_tensor_slices(arrays)
    return {
        "ours": records(cached=False),
        "cached": records(cached=True),
        "limit": batched(preloaded),
    }


def hugging_face(reader: Reader) -> dict[str, Stream]:
    """A Dataset in the numpy format; and its PNGs decoded by Pillow, without the Dataset."""
    from PIL import Image

    from bmgd_data._system import image_files
    from bmgd_data.hf import to_hf

    data = to_hf(reader).with_format("numpy")
    pngs = [{key: image_files.png(sample[key]) for key in streams.KEYS} for sample in reader]

    def decoded(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        for row in order:
            yield {key: np.array(Image.open(io.BytesIO(png))) for key, png in pngs[row].items()}

    return {"ours": lambda order: (data[row] for row in order), "limit": decoded}


def grain(reader: Reader) -> dict[str, Stream]:
    """A Reader as a source, and arrays in RAM as one."""
    from grain import MapDataset

    def batched(source: Any) -> Stream:
        def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
            shuffled = MapDataset.source(source).shuffle(seed=order[0])
            return iter(shuffled.batch(streams.BATCH).to_iter_dataset())

        return stream

    arrays = streams.in_memory(streams.reader_single(reader), len(reader))
    samples = [{key: array[row] for key, array in arrays.items()} for row in range(len(reader))]
    return {"ours": batched(reader), "limit": batched(samples)}


_MAKERS: dict[str, Callable[[Reader], dict[str, Stream]]] = {
    "tf_data": tf_data,
    "hugging_face": hugging_face,
    "grain": grain,
}


def _make(framework: str, source: str, root: str) -> tuple[int, dict[str, Stream]]:
    reader = Reader("all", source=source, root=root)
    return len(reader), _MAKERS[framework](reader)


if __name__ == "__main__":
    serve(Streams(_make).jobs())
