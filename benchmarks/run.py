"""Measure bmgd_data beside the limits of the machine; README.md tells how to read it."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import archives
import building
import memory
import peer
import reading
from archives import Place

import report
from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from measure import Row

PARTS = ("build", "read", "tf", "memory")
_WITH_TORCH = ("memory",)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for. An aim that is missed is shown, and is no failure."""
    options = _options(arguments)
    os.environ["BMGD_QUIET"] = "1"
    warnings.simplefilter("ignore")
    facts = report.facts()
    if "read" in options.parts:
        facts |= reading.threads(options.threads)
    notes: list[str] = []
    with _work(options.work) as work:
        rows = _rows(_places(options, work, notes), options, notes)
    report.show(facts, rows, notes)
    if options.json:
        settings = {name: str(value) for name, value in vars(options).items()}
        report.write_json(options.json, facts, settings, rows, notes)


def _places(options: argparse.Namespace, work: Path, notes: list[str]) -> list[Place]:
    """Make what is not there yet: archives, stores, unpacked folders, the peer's files."""
    them = None if options.no_peer else peer.find(options.peer)
    if them is None:
        notes.append(peer.ABSENT)
    _say("making the archives")
    single = archives.single(options.source, work)
    places = []
    for times in dict.fromkeys([1, options.times]):
        source = single if times == 1 else archives.multiplied(single, times, work)
        with_others = times == 1 or options.all_scales
        root = work / f"root-x{times}"
        digest = Reader("all", source=source, root=root).digest
        unpacked = work / "unpacked" / digest[:12]
        folder = archives.unpacked(source, unpacked) if with_others else None
        if them and folder:
            them.alone("prepare", folder=folder)
        places.append(Place(times, source, root, folder, them if folder else None))
    if options.times != 1 and not options.all_scales:
        notes.append("Plain files, the peer and other frameworks: at 1x only, see --all-scales.")
    return places


def _rows(places: list[Place], options: argparse.Namespace, notes: list[str]) -> list[Row]:
    repetitions = options.repetitions
    parts: dict[str, Callable[[], list[Row]]] = {
        "build": lambda: building.rows(places, repetitions // 2 + 1),
        "read": lambda: reading.rows(places, repetitions, _say, notes),
        "tf": lambda: reading.tf_rows(places, repetitions, _say, notes),
        "memory": lambda: memory.rows(places, notes),
    }
    found = []
    for part in options.parts:
        if part in _WITH_TORCH and importlib.util.find_spec("torch") is None:
            notes.append(f"torch is not installed: {part} is left out.")
            continue
        _say(f"--- {part}")
        started = time.perf_counter()
        found += parts[part]()
        _say(f"    {time.perf_counter() - started:.0f} s")
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="phantom:full", help="folder of archives, or a phantom")
    parser.add_argument("--times", type=int, default=10, help="images of the larger scale")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch; default: as many as it takes itself")
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, default=PARTS, help="none: only make what they need"
    )
    parser.add_argument("--peer", type=Path, default=peer.PYTHON, help="interpreter that has it")
    parser.add_argument("--no-peer", action="store_true", help="leave the peer out")
    parser.add_argument(
        "--all-scales", action="store_true", help="the slow others at the larger scale too"
    )
    parser.add_argument("--work", type=Path, help="keep archives here; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="20 generated images at 1x and 2x, once, whatever else is said: does it run?",
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.source, options.times, options.repetitions = "phantom:size=0.02", 2, 1
    return options


@contextlib.contextmanager
def _work(chosen: Path | None) -> Iterator[Path]:
    if chosen:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.absolute()
    else:
        with tempfile.TemporaryDirectory(prefix="bmgd-bench-") as folder:
            yield Path(folder)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
