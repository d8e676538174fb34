"""Streams and workers that another process serves, see ``remote.py``; needs numpy alone at import.

The peer's interpreter imports this too.
"""

from __future__ import annotations

import gc
from collections import deque
from typing import TYPE_CHECKING, Any

import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams import Form, Stream

FORMS: dict[str, Callable[[dict[int, int]], Form]] = {
    "values": streams.Values,
    "foreground": streams.Foreground,
}


class Streams:
    """Jobs that open data once, and then time and check ways of reading it.

    Args:
        make: Gives the number of rows, and the streams by name.
    """

    def __init__(self, make: Callable[..., tuple[int, dict[str, Stream]]]) -> None:
        self._make = make

    def open(self, **which: Any) -> int:
        """Open the data; give the number of rows."""
        self._rows, self._streams = self._make(**which)
        return self._rows

    def time(self, name: str, passes: int, seed: int) -> float:
        """Seconds per sample."""
        return streams.seconds_per_sample(self._streams[name], self._rows, passes, seed)

    def check(self, name: str, form: str) -> tuple[int, int]:
        """The checksum, in a form that other libraries' types can be brought to."""
        return streams.checksum(self._streams[name], self._rows, FORMS[form]({}))

    def jobs(self) -> dict[str, Callable[..., Any]]:
        """For ``remote.serve``."""
        return {"open": self.open, "time": self.time, "check": self.check}


class Workers:
    """Jobs that start a DataLoader's workers, and let every worker deliver every row.

    Args:
        make: Gives the data set and what collates its samples, or None.
    """

    def __init__(self, make: Callable[..., tuple[Any, Any]]) -> None:
        self._make = make

    def start(self, workers: int, method: str, **which: Any) -> int:
        """Open the data, start the workers and let each deliver one row: all is imported then."""
        from torch.utils.data import DataLoader

        data, collate = self._make(**which)
        self._batches = _Batches(workers)
        self._loader = DataLoader(
            data,
            batch_sampler=self._batches,  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=workers,
            multiprocessing_context=method,
            persistent_workers=True,
        )
        self._rows = len(data)
        self._deliver(1)
        return self._rows

    def visit(self) -> None:
        """Let every worker deliver every row. No batch is under way afterwards."""
        self._deliver(self._rows)

    def _deliver(self, rows: int) -> None:
        self._batches.rows = rows
        deque(self._loader, maxlen=0)
        gc.collect()

    def jobs(self) -> dict[str, Callable[..., Any]]:
        """For ``remote.serve``."""
        return {"start": self.start, "visit": self.visit}


class _Batches:
    """Each batch as often as there are workers: a DataLoader deals them out in turn."""

    def __init__(self, workers: int) -> None:
        self._workers, self.rows = workers, 0

    def __len__(self) -> int:
        return self._workers * -(-self.rows // streams.BATCH)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in streams.batches(range(self.rows)):
            yield from [list(batch)] * self._workers
