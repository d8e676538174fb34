"""The peer, torch-em on unpacked folders: where it is, and its side of the run as a script.

``peer/environment.sh`` makes its environment; without one its rows are left out. Run as a script,
with the peer's interpreter, this serves jobs. It cannot open the archives, so its folder is filled
for it; from there on everything is its own code. It is measured in two settings: as it comes (it
flips images at random and standardises each), and in the quickest that gives whole samples (neither
of the two). It gets one torch thread, since it is slower with two: its arrays are small.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import streams
from remote import Remote, Streams, Workers, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from streams import Stream

PYTHON: Final = Path(__file__).parents[1] / "build" / "peer" / "venv" / "bin" / "python"
_RELEASE: Final = Path(__file__).with_name("peer") / "requirements.txt"
NAME: Final = " ".join(_RELEASE.read_text(encoding="utf-8").split()[0].split("=="))
"""With the release, as the table has it."""
ABSENT: Final = (
    f"{NAME} is not here: its rows are left out, and so are aims that are held against it. "
    "`make bench` makes its environment, unless PEER=0."
)
WORKERS: Final = (0, 2)


class Peer:
    """An environment that has the peer.

    Args:
        python: Its interpreter.
    """

    def __init__(self, python: Path) -> None:
        self.python = python

    def process(self) -> Remote:
        """A fresh process that serves the jobs below, its imports done."""
        return Remote(self.python, Path(__file__))

    def prepare(self, folder: Path) -> float:
        """Let it prepare unpacked folders; gives the seconds without the imports."""
        with self.process() as process:
            return float(process.ask("prepare", folder=folder))


def find(python: Path) -> Peer | None:
    """The peer, if it is there: an interpreter whose environment was made to the end."""
    ready = python.parent.parent / ".ready"
    return Peer(python.absolute()) if python.is_file() and ready.is_file() else None


# --------------------------------------------------------------- in a process of its interpreter


def _its() -> Any:
    return importlib.import_module("torch_em.data.datasets.light_microscopy.bmgd")


def _grey(raw: np.ndarray) -> np.ndarray:
    """Grey values as they are, in place of its normalisation."""
    return raw.astype("float32")


def _as_they_are(raw: Any, labels: Any) -> tuple[Any, Any]:
    """In place of its augmentation."""
    return raw, labels


def _quickest(folder: str) -> Any:
    """Its data set of all four stiffnesses, prepared on the first call, in the quickest setting."""
    settings = {"raw_transform": _grey, "transform": _as_they_are}
    return _its().get_bmgd_dataset(folder, None, **settings)


def _prepare(folder: str) -> float:
    """Write its HDF5 files from the unpacked folders."""
    started = perf_counter()
    _its().get_bmgd_paths(folder)
    return perf_counter() - started


def _named(batches: Any) -> Iterator[Mapping[str, Any]]:
    return ({"image": image, "instances": labels} for image, labels in batches)


def _single(data: Any) -> Stream:
    def stream(order: Sequence[int]) -> Iterator[Mapping[str, Any]]:
        return _named(data[row] for row in order)

    return stream


def _loader(data: Any, workers: int) -> Stream:
    loader = importlib.import_module("torch_em.segmentation").get_data_loader(
        data,
        batch_size=streams.BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=False,  # there is nothing to pin for
    )
    return lambda _order: _named(loader)


def _streams(folder: str) -> tuple[int, dict[str, Stream]]:
    data = _quickest(folder)
    loaders = {f"loader-{workers}": _loader(data, workers) for workers in WORKERS}
    as_it_comes = _single(_its().get_bmgd_dataset(folder, None))
    return len(data), {"single": _single(data), "as it comes": as_it_comes, **loaders}


def _main() -> None:
    import resource

    import torch

    for late in ("bioimage_cpp.segmentation", "h5py", "natsort"):  # before any clock starts
        importlib.import_module(late)
    _its()
    torch.set_num_threads(1)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # it holds two handles a sample
    workers = Workers(lambda folder: (_quickest(folder), None))
    serve({"prepare": _prepare, **Streams(_streams).jobs(), **workers.jobs()})


if __name__ == "__main__":
    _main()
