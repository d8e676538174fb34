"""Time and memory of building the store, beside bare extraction, and what the peer does then.

``python building.py <job> <source> <folder>`` does one of the two and prints its seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

import peer
from measure import Row, at_most, compare, in_turn

from bmgd_data import facts
from bmgd_data._container.sevenzip import SevenZip

if TYPE_CHECKING:
    from archives import Place

_ROOM_MB: Final = 150
_JOB: Final = Path(__file__)
_LOOK_EVERY_S: Final = 0.01


def rows(places: list[Place], repetitions: int) -> list[Row]:
    """Build from scratch and extract, by turns; leaves each place's store built.

    Each run is a process of its own, with its imports done; between runs the disk is let settle.
    """
    return [row for place in places for row in _of(place, repetitions)]


def _of(place: Place, repetitions: int) -> list[Row]:
    memory: list[float] = []
    preparation: list[float] = []

    def build(_repetition: int) -> float:
        _forget(place.root)
        outcome = run("build", place.source, place.root)
        memory.append(outcome.anonymous / 1e6)
        return outcome.seconds

    def extract(_repetition: int) -> float:
        folder = place.root.with_name(f"{place.root.name}-extracted")
        _forget(folder)
        seconds = run("extract", place.source, folder).seconds
        if place.peer:
            os.sync()
            preparation.append(place.peer.alone("prepare", folder=folder))
        _forget(folder)
        return seconds

    seconds = in_turn({"build": build, "extract": extract}, repetitions)
    dictionary = _largest_dictionary(place.source) / 1e6
    found = [
        compare(
            *("build", place.times, "s"),
            ours=seconds["build"],
            against="bare py7zr extraction",
            theirs=seconds["extract"],
            aim=at_most(1.5),
        ),
        compare(
            *("build: anonymous memory", place.times, "MB"),
            ours=memory,
            against="largest dictionary",
            theirs=[dictionary] * len(memory),
            aim=at_most(_ROOM_MB),
            is_ratio=False,
        ),
    ]
    if place.peer:
        found.append(
            compare(
                *("build", place.times, "s"),
                ours=seconds["build"],
                against=f"py7zr + {peer.NAME} preparing",
                theirs=[sum(pair) for pair in zip(seconds["extract"], preparation, strict=True)],
                aim=at_most(0.5),
            )
        )
    return found


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()


def _largest_dictionary(source: Path) -> int:
    sizes = []
    for condition in facts.CONDITIONS:
        with SevenZip(source / condition.archive) as archive:
            sizes.append(archive.dictionary_bytes)
    return max(sizes)


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
    command = [sys.executable, "-W", "ignore", _JOB, job, *arguments]
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


def build(source: str, root: str) -> float:
    """Archives to a store: default instances, counts and digests on disk, fsynced."""
    import py7zr  # noqa: F401
    import skimage.measure  # noqa: F401
    import tifffile  # noqa: F401

    from bmgd_data import Reader, pipeline  # noqa: F401

    started = perf_counter()
    Reader("all", source=source, root=root)
    return perf_counter() - started


def extract(source: str, folder: str) -> float:
    """The same archives to plain files by py7zr alone, not fsynced."""
    import py7zr
    import skimage.measure  # noqa: F401
    import tifffile  # noqa: F401

    from bmgd_data import Reader, facts  # noqa: F401

    started = perf_counter()
    for condition in facts.CONDITIONS:
        with py7zr.SevenZipFile(Path(source) / condition.archive) as seven:
            seven.extractall(folder)
    return perf_counter() - started


if __name__ == "__main__":
    print(json.dumps({"build": build, "extract": extract}[sys.argv[1]](*sys.argv[2:])))
