"""What is timed of reading: each stream delivers every row once and is nothing but a generator.

The same generator is timed (its items are dropped) and checked (its items are read, see
``checksum``), so what was timed is what was checked. Items are dicts with at least `image`, `mask`
and `instances`, of one sample or of a batch.
"""

from __future__ import annotations

import zlib
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bmgd_data import BMGD, Reader

    Arrays = Mapping[str, NDArray[Any]]
    Stream = Callable[[Sequence[int]], Iterator[Mapping[str, Any]]]

KEYS: Final = ("image", "mask", "instances")
BATCH: Final = 32


def seconds_per_sample(stream: Stream, rows: int, passes: int, seed: int) -> float:
    """Time `passes` passes over all rows, each in a random order of its own."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(rows).tolist() for _ in range(passes)]
    started = perf_counter()
    for order in orders:
        deque(stream(order), maxlen=0)
    return (perf_counter() - started) / (rows * passes)


def checksum(stream: Stream, rows: int) -> tuple[int, int]:
    """Read every byte that a stream delivers, in random order; also warms it up.

    Returns:
        The sum of the samples' CRCs over image, mask and instances, which does not depend on the
        order; and how many different CRCs there were.

    Raises:
        RuntimeError: Not every row came once.
    """
    found = []
    for item in stream(np.random.default_rng(0).permutation(rows).tolist()):
        arrays = [np.asarray(item[key]) for key in KEYS]
        one = arrays[1].ndim == 2
        for parts in [arrays] if one else zip(*arrays, strict=True):
            crc = 0
            for part in parts:
                crc = zlib.crc32(part.data, crc)
            found.append(crc)
    if len(found) != rows:
        raise RuntimeError(f"{len(found)} samples came, of {rows}")
    return sum(found), len(set(found))


# ------------------------------------------------------------------------------------------- ours


def reader_single(reader: Reader) -> Stream:
    """Complete samples, whose views are then copied into reused memory, so that they are read."""
    room = {key: np.empty_like(reader[0][key]) for key in KEYS}

    def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        for row in order:
            sample = reader[row]
            for key, place in room.items():
                np.copyto(place, sample[key])  # type: ignore[literal-required]
            yield room

    return stream


def reader_batched(reader: Reader) -> Stream:
    """Batches by indexing the arrays of the whole split, into fresh memory."""
    arrays = {"image": reader.images, "mask": reader.masks, "instances": reader.instances}
    n_nuclei, stiffness, names = reader.n_nuclei, reader.stiffness_pa, np.array(reader.names)

    def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        for rows in _batches(order):
            batch: dict[str, Any] = {key: array[rows] for key, array in arrays.items()}
            batch.update(n_nuclei=n_nuclei[rows], stiffness_pa=stiffness[rows], name=names[rows])
            yield batch

    return stream


def torch_single(data: BMGD) -> Stream:
    """Complete samples, fresh and writable."""
    return lambda order: (data[row] for row in order)


def torch_batched(data: BMGD) -> Stream:
    """What a DataLoader does for a batch, without the DataLoader."""
    from bmgd_data.torch import collate

    return lambda order: (collate(data.__getitems__(rows)) for rows in _batches(order))


def torch_loader(data: BMGD, workers: int) -> Stream:
    """A shuffling DataLoader over it."""
    from bmgd_data.torch import collate

    return _loader(data, workers, collate)


# ---------------------------------------------------------------------------------------- limits


def in_memory(stream: Stream, rows: int) -> dict[str, NDArray[Any]]:
    """All that a stream of single samples delivers, stacked in RAM."""
    arrays: dict[str, NDArray[Any]] = {}
    for row, item in enumerate(stream(range(rows))):
        for key in KEYS:
            part = np.asarray(item[key])
            if key not in arrays:
                arrays[key] = np.empty((rows, *part.shape), part.dtype)
            arrays[key][row] = part
    return arrays


def copied_to_reused(arrays: Arrays) -> Stream:
    """Copy single samples from RAM into reused memory."""
    room = {key: np.empty_like(array[0]) for key, array in arrays.items()}

    def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        for row in order:
            for key, place in room.items():
                np.copyto(place, arrays[key][row])
            yield room

    return stream


def copied_to_fresh(arrays: Arrays) -> Stream:
    """Copy single samples from RAM into fresh memory."""
    return lambda order: ({key: a[row].copy() for key, a in arrays.items()} for row in order)


def copied_batched(arrays: Arrays) -> Stream:
    """Copy batches from RAM into fresh memory."""
    return lambda order: ({key: a[rows] for key, a in arrays.items()} for rows in _batches(order))


def preloaded_loader(arrays: Arrays, reader: Reader, workers: int) -> Stream:
    """A shuffling DataLoader over tensors in RAM, with default_collate: samples as complete."""
    import torch
    from torch.utils.data import Dataset

    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    n_nuclei, stiffness = reader.n_nuclei.tolist(), reader.stiffness_pa.tolist()
    names = reader.names

    class Preloaded(Dataset[dict[str, Any]]):
        """The plainest data set there can be."""

        def __len__(self) -> int:
            return len(names)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {
                "image": tensors["image"][row],
                "mask": tensors["mask"][row],
                "instances": tensors["instances"][row],
                "stiffness_pa": stiffness[row],
                "n_nuclei": n_nuclei[row],
                "name": names[row],
            }

    return _loader(Preloaded(), workers, None)


def _loader(data: Any, workers: int, collate: Any) -> Stream:
    import torch
    from torch.utils.data import DataLoader

    loader = DataLoader(
        data,
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        collate_fn=collate,
        # Workers stay from one pass to the next: starting them is torch's time on either side.
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(0),  # the same orders on either side
    )
    return lambda _order: iter(loader)


def _batches(order: Sequence[int]) -> Iterator[Sequence[int]]:
    return (order[start : start + BATCH] for start in range(0, len(order), BATCH))
