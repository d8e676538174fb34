"""The peer, torch-em: where its interpreter is, and what it is called in the table.

``peer/environment.sh`` makes its environment; without one its rows are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from remote import Remote

PYTHON: Final = Path(__file__).parents[1] / "build" / "peer" / "venv" / "bin" / "python"
_JOB: Final = Path(__file__).with_name("peer_job.py")

_RELEASE: Final = Path(__file__).with_name("peer") / "requirements.txt"
NAME: Final = " ".join(_RELEASE.read_text(encoding="utf-8").split()[0].split("=="))
"""With the release, as the table has it."""
AS_IT_COMES: Final = f"{NAME}, as it comes"
ABSENT: Final = (
    f"{NAME} is not here: its rows are left out, and so are aims that are held against it. "
    "`make bench` makes its environment, unless PEER=0."
)


class Peer:
    """An environment that has the peer.

    Args:
        python: Its interpreter.
    """

    def __init__(self, python: Path) -> None:
        self.python = python

    def process(self) -> Remote:
        """A fresh process that serves the jobs of ``peer_job.py``, its imports done."""
        return Remote(self.python, _JOB)

    def alone(self, job: str, **arguments: object) -> float:
        """Seconds that a job took in a fresh process, without the imports."""
        with self.process() as process:
            return float(process.ask(job, **arguments))


def find(python: Path) -> Peer | None:
    """The peer, if it is there: an interpreter whose environment was made to the end."""
    ready = python.parent.parent / ".ready"
    return Peer(python.absolute()) if python.is_file() and ready.is_file() else None
