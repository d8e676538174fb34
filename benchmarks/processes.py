"""Runs jobs of ``child.py`` in fresh processes and watches their memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

_CHILD: Final = Path(__file__).with_name("child.py")
_LOOK_EVERY_S: Final = 0.01


class Outcome(NamedTuple):
    """What a job took."""

    seconds: float
    anonymous: int
    """Largest RssAnon seen, in bytes: memory that is the process's own, without file pages."""


def run(job: str, *arguments: str | Path) -> Outcome:
    """Run one job to its end.

    Memory is read from outside, a hundred times a second, so that it costs the job nothing; it is 0
    where there is no /proc.

    Raises:
        RuntimeError: The job failed; what it said is on the standard error stream.
    """
    command = [sys.executable, "-W", "ignore", _CHILD, job, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        most = 0
        while child.poll() is None:
            most = max(most, _anonymous(child.pid))
            time.sleep(_LOOK_EVERY_S)
        said = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise RuntimeError(f"The job {job!r} ended with {child.returncode}.")
    return Outcome(json.loads(said), most)


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)
