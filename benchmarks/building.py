"""Time and memory of building the store, beside bare extraction, and what the peer does then.

``python building.py <job> <source> <folder>`` does one of the two and prints its seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import peer
from figures import Row, at_most, compare, in_turn

from bmgd_data import facts
from bmgd_data._container.sevenzip import SevenZip

if TYPE_CHECKING:
    from run import Place

_ROOM_MB: Final = 150
_LOOK_EVERY_S: Final = 0.01


def rows(place: Place, repetitions: int) -> list[Row]:
    """Build from scratch and extract, in turn; leaves the store built.

    Each run is a process of its own, with its imports done; the disk is synced between runs.
    """
    memory: list[float] = []
    preparation: list[float] = []

    def build(_repetition: int) -> float:
        _forget(place.root)
        seconds, anonymous = run("build", place.source, place.root)
        memory.append(anonymous / 1e6)
        return seconds

    def extract(_repetition: int) -> float:
        folder = place.root.with_name(f"{place.root.name}-extracted")
        _forget(folder)
        seconds, _ = run("extract", place.source, folder)
        if place.peer:
            os.sync()
            preparation.append(place.peer.prepare(folder))
        _forget(folder)
        return seconds

    seconds = in_turn({"build": build, "extract": extract}, repetitions)
    ours, theirs = seconds["build"], seconds["extract"]
    largest = [_largest_dictionary(place.source) / 1e6] * len(memory)
    found = [
        compare("build", "s", ours, "bare py7zr extraction", theirs, aim=at_most(1.5)),
        compare(
            *("build: anonymous memory", "MB", memory, "largest dictionary", largest),
            aim=at_most(_ROOM_MB),
            is_ratio=False,
        ),
    ]
    if place.peer:
        both = [sum(pair) for pair in zip(theirs, preparation, strict=True)]
        against = f"py7zr + {peer.NAME} preparing"
        found.append(compare("build", "s", ours, against, both, aim=at_most(0.5)))
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


def run(job: str, *arguments: Path) -> tuple[float, int]:
    """Run one job to its end.

    Returns:
        Its seconds, and the largest RssAnon seen in bytes: memory that is the process's own,
        without file pages. It is read from outside, a hundred times a second, so that it costs the
        job nothing, and is 0 where there is no /proc.

    Raises:
        RuntimeError: The job failed; what it said is on the standard error stream.
    """
    command = [sys.executable, "-W", "ignore", __file__, job, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        most = 0
        while child.poll() is None:
            most = max(most, _anonymous(child.pid))
            time.sleep(_LOOK_EVERY_S)
        said = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise RuntimeError(f"The job {job!r} ended with {child.returncode}.")
    return float(said), most


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def _job(job: str, source: str, folder: str) -> float:
    """Build a store, on disk and fsynced; or extract with py7zr alone, not fsynced."""
    import py7zr
    import skimage.measure  # noqa: F401
    import tifffile  # noqa: F401

    from bmgd_data import Reader, _pipeline  # noqa: F401

    started = perf_counter()
    if job == "build":
        Reader("all", source=source, root=folder)
    else:
        for condition in facts.CONDITIONS:
            with py7zr.SevenZipFile(Path(source) / condition.archive) as seven:
                seven.extractall(folder)
    return perf_counter() - started


if __name__ == "__main__":
    print(_job(*sys.argv[1:]))
