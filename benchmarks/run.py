"""Measure bmgd_data beside the limits of the machine; README.md tells how to read it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import archives
import building
import chart
import machine
import reading
import report
import starting
from reading import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measure import Row

PARTS = ("build", "start", "read")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for. An aim that is missed is shown, and is no failure."""
    options = _options(arguments)
    os.environ["BMGD_QUIET"] = "1"
    warnings.simplefilter("ignore")
    facts = machine.facts() | reading.threads(options.threads)
    with _work(options.work) as work:
        _say("making the archives")
        single = archives.single(options.source, work)
        scales = dict.fromkeys([1, options.times])
        places = [
            Place(
                times,
                single if times == 1 else archives.multiplied(single, times, work),
                work / f"root-x{times}",
            )
            for times in scales
        ]
        rows = _rows(places, options)
    report.show(facts, rows)
    if options.json:
        settings = {"source": options.source, "repetitions": options.repetitions}
        report.write_json(options.json, facts, settings, rows)
    if options.chart:
        caption = f"{options.source}; {facts['processor']}, {facts['cores']} cores"
        with contextlib.suppress(ImportError):
            chart.draw(options.chart, rows, caption)


def _rows(places: list[Place], options: argparse.Namespace) -> list[Row]:
    rows = []
    if "build" in options.parts:
        _say("building and extracting")
        rows += building.rows(places, options.repetitions // 2 + 1)
    if "start" in options.parts:
        _say("importing and opening")
        rows += starting.rows(places, options.repetitions)
    if "read" in options.parts:
        _say("reading")
        rows += reading.rows(places, options.repetitions, _say)
    return rows


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="phantom:full", help="folder of archives, or a phantom")
    parser.add_argument("--times", type=int, default=10, help="images of the larger scale")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch; default: as many as it takes itself")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--work", type=Path, help="keep archives here; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--chart", type=Path, help="draw the ratios here (PNG; needs matplotlib)")
    parser.add_argument("--quick", action="store_true", help="few images, once: does it run?")
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
