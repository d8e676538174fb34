"""Jobs of another process, which may be another interpreter's: the peer's imports this too.

One side says ``with Remote(python, script) as other: other.ask("job", key=value)``, and the script
ends with ``serve({"job": function})``. Requests and answers are lines of JSON. The process stays,
so that its turn costs no start. `Streams` and `Workers` are the jobs that several scripts serve.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from streams import Form, Stream

_QUIET: Final = {"TQDM_DISABLE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "BMGD_QUIET": "1"}
_FORMS: Final[dict[str, Form]] = {
    "values": streams.Values({}),
    "foreground": streams.Foreground({}),
}


class Remote:
    """A process that serves jobs.

    Args:
        python: The interpreter.
        script: What it runs; it has to call `serve`.
    """

    def __init__(self, python: str | Path, script: Path) -> None:
        self._process = subprocess.Popen(
            [python, "-W", "ignore", script],
            env={**os.environ, **_QUIET},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Of the process; workers are its children."""
        return self._process.pid

    def ask(self, job: str, **arguments: Any) -> Any:
        """Let it do a job, and wait.

        Raises:
            RuntimeError: It failed; what it said is on the standard error stream.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The process has no pipes.")
        self._process.stdin.write(json.dumps([job, arguments], default=str) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The job {job!r} ended with {self._process.wait()}.")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Closing the pipe ends nothing where a DataLoader's workers, forked meanwhile, hold it too.
        self._process.communicate("\n")


def serve(jobs: Mapping[str, Callable[..., Any]]) -> None:
    """Do what is asked for, until an empty line or the end of the pipe."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
        while line := sys.stdin.readline().strip():
            job, arguments = json.loads(line)
            print(json.dumps(jobs[job](**arguments)), file=answers, flush=True)


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

    def time(self, name: str, seed: int) -> float:
        """Seconds per sample."""
        return streams.seconds_per_sample(self._streams[name], self._rows, seed)

    def check(self, name: str, form: str) -> tuple[int, int]:
        """The checksum, in a form that other libraries' types can be converted to."""
        return streams.checksum(self._streams[name], self._rows, _FORMS[form])

    def jobs(self) -> dict[str, Callable[..., Any]]:
        """For `serve`."""
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
        """For `serve`."""
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
