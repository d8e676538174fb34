"""Processes that read: starting them, and their outcome."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from host import Task

METHODS: Final = ("components", "watershed")


class Outcome(NamedTuple):
    """How a child ended."""

    task: Task
    ended: int
    """Its exit status; minus the signal that killed it."""
    answers: list[dict[str, Any]]
    """One per thread that read; none where it was killed."""
    calls: dict[str, int]
    seconds: float


class Child:
    """A process that reads, as a `Task` says."""

    def __init__(self, host: Host, task: Task) -> None:
        self._host, self.task, self._began = host, task, time.monotonic()
        self._pid = host.ask(asdict(task))

    def kill(self) -> None:
        """Kill it, if it still runs."""
        os.kill(self._pid, signal.SIGKILL)  # until `end`, no other process has its number

    def end(self) -> Outcome:
        """Wait for its end."""
        ended = self._host.ask(self._pid)
        seconds = time.monotonic() - self._began
        file = Path(self.task.answers)
        said = json.loads(file.read_text() or "{}")
        file.unlink()
        return Outcome(self.task, ended, said.get("answers", []), said.get("calls", {}), seconds)


class Host:
    """The process that forks the children.

    Args:
        folder: For their outcomes; every user may write there.
        path: The folder that holds the package, if not the installed one.
    """

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self._folder, self._number = folder, 0
        self.temporary = folder / "temporary"
        self.temporary.mkdir(parents=True)
        self.temporary.chmod(0o1777)
        before = [str(path)] if path else []
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([*before, os.environ.get("PYTHONPATH", "")]).strip(":"),
            "OPENBLAS_NUM_THREADS": "1",
            "TMPDIR": str(self.temporary),
        }
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("host.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def ask(self, request: object) -> int:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, task: Task) -> Child:
        """Start to read."""
        self._number += 1
        answers = self._folder / f"{self._number}.json"
        answers.touch()
        return Child(self, replace(task, answers=str(answers)))

    def read(self, task: Task) -> Outcome:
        """Read, and wait for the end."""
        return self.start(task).end()


@dataclass
class Undisturbed:
    """The result of reading a source without a fault."""

    host: Host
    """Who read."""
    source: str
    content: dict[str, str]
    """By method."""
    root: Path
    """Where it was read to, by every method."""
    calls: dict[str, dict[str, int]]
    """By method, and by stage."""
    seconds: dict[str, float]
    """By method: what one run takes."""

    @classmethod
    def of(cls, host: Host, source: str, folder: Path) -> Undisturbed:
        """Read it several times, each time from nothing."""
        content, calls, seconds = {}, {}, {}
        for method in METHODS:
            times = []
            for counts in (False, False, False, True):
                root = folder / f"{method}-{counts}-{len(times)}"
                outcome = host.read(Task(source, str(root), method, counts=counts))
                (answer,) = outcome.answers
                (content[method],) = answer.get("content") or [answer["traceback"]]
                times.append(outcome.seconds)
            calls[method], seconds[method] = outcome.calls, statistics.median(times[:-1])
        return cls(host, source, content, root, calls, seconds)
