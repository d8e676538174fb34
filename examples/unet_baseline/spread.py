"""Prediction on dask.distributed workers: whole files, or bands of large planes.

``predict.py --scheduler`` calls this. Workers read and write the files themselves, so they
need the same paths, this folder included, and its requirements. Work of a lost worker goes to
another one. A file of masks appears complete or not at all.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import predict
import tifffile
from infer import blended, tiles

from bmgd_data._system import progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

LARGE: Final = 4096 * 4096
"""Pixels of a plane above which it is sent in bands: about half a minute of one core."""
_BAND_TILES: Final = 64
_HERE: Final = str(Path(__file__).resolve().parent)


def outcomes(
    images: Sequence[tuple[Path, Path]], options: argparse.Namespace
) -> Iterator[int | str]:
    """Predict on the workers of ``options.scheduler``; as ``predict.done`` for each, in order.

    Raises:
        SystemExit: dask.distributed is not installed, or the scheduler does not answer.
    """
    options.run, options.out = options.run.resolve(), options.out.resolve()
    with _client(options.scheduler) as client, progress.bar("Predicting", len(images)) as bar:
        sent = [
            None if _is_large(path) else _submit(client, _file, path.resolve(), below, options)
            for path, below in images
        ]
        for future in filter(None, sent):
            future.add_done_callback(lambda _: bar(1))
        for (path, below), future in zip(images, sent, strict=True):
            if future is None:
                yield predict.done(None, path, below, options, functools.partial(_bands, client))
                bar(1)
                continue
            try:
                yield future.result()
            except Exception as error:  # noqa: BLE001 - such as a file that kills every worker
                yield f"left out: it failed on the workers ({type(error).__name__}: {error})"


def _client(scheduler: str) -> Any:
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise SystemExit("--scheduler needs dask.distributed: pip install distributed") from error
    if scheduler == "local":
        return Client(threads_per_worker=1, dashboard_address=":0")
    try:
        return Client(scheduler, timeout=30)
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"--scheduler {scheduler}: no scheduler answers ({error}). Start one with "
            "'dask scheduler', and workers with 'dask worker tcp://HOST:8786'; or give 'local'."
        ) from error


def _submit(client: Any, job: Callable[..., Any], *arguments: Any) -> Any:
    """Run one of this module's functions on a worker, which may not have imported it yet."""
    here, name = _HERE, job.__name__

    def work(*given: Any) -> Any:  # nested, so that dask sends its code, not its name
        import importlib
        import sys

        if here not in sys.path:
            sys.path.insert(0, here)
        return getattr(importlib.import_module("spread"), name)(*given)

    return client.submit(work, *arguments, pure=False)


def _is_large(path: Path) -> bool:
    try:
        with tifffile.TiffFile(path) as file:
            return math.prod(file.series[0].shape[-2:]) > LARGE
    except Exception:  # noqa: BLE001 - the worker reports what is wrong
        return False


@functools.lru_cache(maxsize=1)
def _module(run: Path, where: str) -> Any:
    return predict.loaded(run, where)


def _file(path: Path, below: Path, options: argparse.Namespace) -> int | str:
    return predict.done(_module(options.run, options.device), path, below, options)


def _bands(
    client: Any, _: None, plane: NDArray[np.float32], options: argparse.Namespace, bar: Any
) -> NDArray[np.float32]:
    """Send the tiles of a plane in bands of rows; the result is that of ``infer.tiled``."""
    where = list(tiles(plane.shape, options.tile, options.overlap))
    per_row = sum(rows == where[0][0] for rows, _ in where)
    step = per_row * max(1, _BAND_TILES // per_row)
    sent = []
    for first in range(0, len(where), step):
        those = where[first : first + step]
        top, bottom = those[0][0].start, min(those[-1][0].stop, plane.shape[0])
        moved = [(slice(rows.start - top, rows.stop - top), columns) for rows, columns in those]
        band = client.scatter(plane[top:bottom], hash=False)
        sent.append((top, bottom, len(those), _submit(client, _band, band, moved, options)))
    total, weight = np.zeros_like(plane), np.zeros_like(plane)
    for top, bottom, count, future in sent:
        sums, weights = future.result()
        total[top:bottom] += sums
        weight[top:bottom] += weights
        bar(count)
    return total / weight


def _band(
    band: NDArray[np.float32], where: Sequence[tuple[slice, slice]], options: argparse.Namespace
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    module = _module(options.run, options.device)
    return blended(module, band, where, options.overlap, symmetric=options.symmetric)
