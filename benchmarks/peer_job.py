"""The peer's side, run with the peer's interpreter: torch-em on unpacked folders.

It cannot open the archives, so its folder is filled for it; from there on everything is its own
code. It is measured in two settings: as it comes (it flips images at random and standardises each),
and in the quickest that gives whole samples (neither of the two). One torch thread, since it was
slower with two: its arrays are small.
"""

from __future__ import annotations

import resource
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

# What it imports late is imported before any clock starts.
import bioimage_cpp.segmentation  # noqa: F401
import h5py  # noqa: F401
import natsort  # noqa: F401
import streams
import torch
import torch_em
from remote import serve
from served import Streams, Workers
from torch_em.data.datasets.light_microscopy import bmgd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from streams import Stream


def grey(raw: np.ndarray) -> np.ndarray:
    """Grey values as they are, in place of its normalisation."""
    return raw.astype("float32")


def as_they_are(raw: Any, labels: Any) -> tuple[Any, Any]:
    """In place of its augmentation."""
    return raw, labels


_QUICKEST: Final = {"raw_transform": grey, "transform": as_they_are}


def data_set(folder: str) -> Any:
    """Its data set of all four stiffnesses, prepared on the first call, in the quickest setting."""
    return bmgd.get_bmgd_dataset(folder, None, **_QUICKEST)


def prepare(folder: str) -> float:
    """Write its HDF5 files from the unpacked folders."""
    started = perf_counter()
    bmgd.get_bmgd_paths(folder)
    return perf_counter() - started


def _named(batches: Any) -> Iterator[Mapping[str, Any]]:
    return ({"image": image, "instances": labels} for image, labels in batches)


def _single(data: Any) -> Stream:
    def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        return _named(data[row] for row in order)

    return stream


def _loader(data: Any, workers: int) -> Stream:
    loader = torch_em.segmentation.get_data_loader(
        data,
        batch_size=streams.BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=False,  # there is nothing to pin for
    )
    return lambda _order: _named(loader)


def _streams(folder: str) -> tuple[int, dict[str, Stream]]:
    data = data_set(folder)
    quickest = {f"loader-{workers}": _loader(data, workers) for workers in (0, 2, 4)}
    as_it_comes = _single(bmgd.get_bmgd_dataset(folder, None))
    return len(data), {"single": _single(data), "as it comes": as_it_comes, **quickest}


def _hold_many_files_open() -> None:
    """It holds two handles a sample."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    torch.set_num_threads(1)
    _hold_many_files_open()
    jobs = {"prepare": prepare}
    workers = Workers(lambda folder: (data_set(folder), None))
    serve({**jobs, **Streams(_streams).jobs(), **workers.jobs()})
