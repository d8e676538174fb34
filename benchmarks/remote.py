"""Jobs of another process, which may be another interpreter's; nothing but the standard library.

One side says ``with Remote(python, script) as other: other.ask("job", key=value)``, and the script
ends with ``serve({"job": function})``. Requests and answers are lines of JSON. The process stays,
so that its turn costs no start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_QUIET: Final = {"TQDM_DISABLE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "BMGD_QUIET": "1"}


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
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def serve(jobs: Mapping[str, Callable[..., Any]]) -> None:
    """Do what is asked for, until nobody asks any more."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
        for line in sys.stdin:
            job, arguments = json.loads(line)
            print(json.dumps(jobs[job](**arguments)), file=answers, flush=True)
