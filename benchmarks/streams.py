"""What is timed of reading: each stream delivers every row once and is nothing but a generator.

The same generator is timed (its items are dropped) and checked (its items are read, see
``checksum``), so what was timed is what was checked. Items are dicts with at least `image` and
`instances`, of one sample or of a batch. At import this needs numpy alone: the peer's interpreter
imports it too.
"""

from __future__ import annotations

import functools
import zlib
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from figures import Aim
    from numpy.typing import NDArray
    from remote import Remote

    from bmgd_data import Reader

    Arrays = Mapping[str, NDArray[Any]]
    Stream = Callable[[Sequence[int]], Iterator[Mapping[str, Any]]]
    Form = Callable[[Mapping[str, Any]], list[NDArray[Any]]]

KEYS: Final = ("image", "mask", "instances")
BATCH: Final = 32
SMALL_BATCH: Final = 8
_LEAST_S: Final = 0.25


def seconds_per_sample(stream: Stream, rows: int, seed: int) -> float:
    """Time passes over all rows, each in a random order, until a quarter of a second is over."""
    rng = np.random.default_rng(seed)
    passes, seconds = 0, 0.0
    while seconds < _LEAST_S:
        order = rng.permutation(rows).tolist()
        started = perf_counter()
        deque(stream(order), maxlen=0)
        seconds += perf_counter() - started
        passes += 1
    return seconds / (rows * passes)


def checksum(stream: Stream, rows: int, form: Form) -> tuple[int, int]:
    """Read every byte that a stream delivers, in random order; also warms it up.

    Args:
        stream: What delivers.
        rows: How many samples it has to deliver.
        form: What of them is compared.

    Returns:
        The sum of the samples' CRCs, which does not depend on the order; and how many different
        CRCs there were.

    Raises:
        RuntimeError: Not every row came once.
    """
    found = []
    for item in stream(np.random.default_rng(0).permutation(rows).tolist()):
        arrays = [_stacked(array) for array in form(item)]
        for parts in zip(*arrays, strict=True):
            crc = 0
            for part in parts:
                crc = zlib.crc32(np.ascontiguousarray(part).data, crc)
            found.append(crc)
    if len(found) != rows:
        raise RuntimeError(f"{len(found)} samples came, of {rows}")
    return sum(found), len(set(found))


def _stacked(array: NDArray[Any]) -> NDArray[Any]:
    """(B, H, W) of one image or of a batch, with a channel axis before or behind, or none."""
    shape = array.shape[:-1] if array.shape[-1] == 1 else array.shape
    return array.reshape(-1, *shape[-2:])


def exact(item: Mapping[str, Any]) -> list[NDArray[Any]]:
    """Every byte of the arrays, where both sides deliver the same types."""
    return [np.asarray(item[key]) for key in KEYS]


class Values(NamedTuple):
    """The values of the arrays, where the sides deliver other types.

    Images as grey values in uint16, masks as uint8, instances as uint16.
    """

    full_scales: Mapping[int, int]
    """What images in 0..1 are multiplied with, by stiffness."""

    def __call__(self, item: Mapping[str, Any]) -> list[NDArray[Any]]:
        """Give them of one sample, or of a batch."""
        mask, instances = np.asarray(item["mask"]), np.asarray(item["instances"])
        return [self.grey(item), mask.astype(np.uint8), instances.astype(np.uint16)]

    def grey(self, item: Mapping[str, Any]) -> NDArray[np.uint16]:
        """Grey values; dividing by the full scale in float32 loses none."""
        image = np.asarray(item["image"])
        if np.issubdtype(image.dtype, np.floating) and self.full_scales:
            pascals = np.atleast_1d(item["stiffness_pa"])
            scale = np.array([self.full_scales[int(pa)] for pa in pascals])
            image = np.rint(_stacked(image) * scale[:, None, None])
        return image.astype(np.uint16)


class Foreground(Values):
    """Grey values and where nuclei are: for libraries that number nuclei in another way."""

    def __call__(self, item: Mapping[str, Any]) -> list[NDArray[Any]]:
        """Give them of one sample, or of a batch."""
        return [self.grey(item), np.asarray(item["instances"]) > 0]


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


def batches(order: Sequence[int]) -> Iterator[Sequence[int]]:
    return (order[start : start + BATCH] for start in range(0, len(order), BATCH))


# ----------------------------------------------------------------------------------------- sides


class Side(NamedTuple):
    """A way of delivering all rows of a place."""

    seconds: Callable[[int], float]
    """A seed to seconds per sample."""
    checksum: Callable[[str], tuple[int, int]]
    """The name of a form to the checksum of what is delivered in it."""
    form: str
    """In which form this side can be compared with ours; "" where it cannot."""
    aim: Aim | None
    """What the ratio of our speed to this side's should be."""


def local(
    stream: Stream,
    rows: int,
    full_scales: Mapping[int, int],
    *,
    form: str = "exact",
    aim: Aim | None = None,
) -> Side:
    """A stream of this process."""
    forms: dict[str, Form] = {
        "exact": exact,
        "values": Values(full_scales),
        "foreground": Foreground(full_scales),
    }
    seconds = functools.partial(seconds_per_sample, stream, rows)
    return Side(seconds, lambda form: checksum(stream, rows, forms[form]), form, aim)


def distant(process: Remote, name: str, *, form: str, aim: Aim | None = None) -> Side:
    """A stream that another process serves, see ``remote.Streams``."""

    def check(form: str) -> tuple[int, int]:
        total, distinct = process.ask("check", name=name, form=form)
        return total, distinct

    return Side(lambda seed: float(process.ask("time", name=name, seed=seed)), check, form, aim)
