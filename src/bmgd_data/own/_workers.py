"""The same work on many items: here, in several processes, or on the workers of dask."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from bmgd_data.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    Result = tuple[int, str, str]
    """A number, a remark, a problem; texts may be empty."""


def in_order(
    work: Callable[[Any], Result],
    items: Sequence[Any],
    *,
    processes: int = 1,
    scheduler: str | None = None,
    search: Sequence[str] = (),
) -> Iterator[Result]:
    """Give the result of each item, in order. Items of a killed process go to another one.

    Raises:
        MissingDependencyError: dask.distributed is not installed.
        ValueError: The scheduler does not answer.
    """
    if scheduler is not None:
        yield from _on_dask(work, items, scheduler, search)
    elif processes > 1 and len(items) > 1:
        yield from _in_processes(work, items, min(processes, len(items)))
    else:
        yield from map(work, items)


def _in_processes(
    work: Callable[[Any], Result], items: Sequence[Any], processes: int
) -> Iterator[Result]:
    """A killed process breaks its pool: what is left goes to a new one.

    Items that may have been in work then are each done alone, so one that kills its process each
    time is the only one that is left out.
    """
    results: dict[int, Result] = {}
    suspects: set[int] = set()
    sent: dict[int, Future[Result]] = {}
    pool = None
    try:
        for number, item in enumerate(items):
            while number not in results:
                if number in suspects:
                    results[number] = _alone(work, item)
                    continue
                if not sent:
                    pool = _pool(processes)
                    left = set(range(number, len(items))) - results.keys() - suspects
                    sent = {each: pool.submit(work, items[each]) for each in sorted(left)}
                try:
                    results[number] = sent[number].result()
                except BrokenProcessPool:
                    for each, future in sent.items():
                        if each > number and future.done() and future.exception() is None:
                            results[each] = future.result()
                    lost = [each for each in sent if each >= number and each not in results]
                    suspects.update(lost[: processes + 1])  # a pool takes one in advance
                    sent = {}
            yield results.pop(number)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[Any], Result], item: Any) -> Result:
    with _pool(1) as pool:
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            return 0, "", "its process was killed, twice; memory may not suffice: use fewer --jobs"


def _pool(processes: int) -> ProcessPoolExecutor:
    # A fork of a process with threads can hang.
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))


def _on_dask(
    work: Callable[[Any], Result], items: Sequence[Any], scheduler: str, search: Sequence[str]
) -> Iterator[Result]:
    """Workers read and write the files themselves, so they need the same paths."""
    packed, folders = pickle.dumps(work), list(search)

    def done(item: Any) -> Any:  # nested, so that dask sends its code, not its name
        import pickle
        import sys

        sys.path[:0] = [folder for folder in folders if folder not in sys.path]
        return pickle.loads(packed)(item)  # noqa: S301 - made a few lines above

    with _client(scheduler) as client:
        for future in [client.submit(done, item, pure=False) for item in items]:
            try:
                yield future.result()
            except Exception as error:  # noqa: BLE001 - such as a file that kills every worker
                yield 0, "", f"it failed on the workers ({type(error).__name__}: {error})"


def _client(scheduler: str) -> Any:
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise MissingDependencyError(
            "--scheduler needs dask.distributed: pip install distributed"
        ) from error
    if scheduler == "local":
        return Client(threads_per_worker=1, dashboard_address=":0")  # type: ignore[no-untyped-call]
    try:
        return Client(scheduler, timeout=30)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--scheduler {scheduler}: no scheduler answers ({error}). Start one with "
            "'dask scheduler', and workers with 'dask worker tcp://HOST:8786'; or give 'local'."
        ) from error
