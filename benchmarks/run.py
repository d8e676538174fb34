"""Measure bmgd_data beside the limits of the machine; README.md tells how to read it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import building
import figures
import memory
import peer
import reading

from bmgd_data import Reader, facts
from bmgd_data._origin import sources
from bmgd_data._system import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from figures import Row
    from peer import Peer

_NEEDS: Final = {
    "build": ("py7zr",),
    "read": ("torch", "torchvision"),
    "tf": ("tensorflow",),
    "memory": ("torch", "torchvision"),
}
"""The parts of a run, and what they need."""


class Place(NamedTuple):
    """Archives, the store that is built from them, and what others read."""

    source: Path
    root: Path
    folder: Path
    """Where the archives lie unpacked."""
    peer: Peer | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for. An aim that is missed is shown, and is no failure."""
    options = _options(arguments)
    os.environ["BMGD_QUIET"] = "1"
    warnings.simplefilter("ignore")
    machine = figures.machine()
    notes: list[str] = []
    with _work(options.work) as work:
        rows = _rows(_place(options, work, notes), options, notes)
    figures.show(machine, rows, notes)
    if options.json:
        settings = {name: str(value) for name, value in vars(options).items()}
        figures.write_json(options.json, machine, settings, rows, notes)


def _place(options: argparse.Namespace, work: Path, notes: list[str]) -> Place:
    """Make what is not there yet: archives, the store, unpacked folders, the peer's files."""
    them = None if options.no_peer else peer.find(options.peer)
    if them is None:
        notes.append(peer.ABSENT)
    _say("making the archives")
    source, root = _archives(options.source, work), work / "root"
    digest = Reader("all", source=source, root=root).digest
    folder = _unpacked(source, work / "unpacked" / digest[:12])
    if them:
        them.prepare(folder)
    return Place(source, root, folder, them)


def _archives(source: str, work: Path) -> Path:
    """A folder with the four archives of the source, generated if it is a phantom."""
    resolved = sources.resolve(source)
    if resolved.kind == "folder":
        return Path(resolved.location)
    if not resolved.generated:
        raise ValueError(f"The source {source!r} is neither a folder nor a phantom.")
    from bmgd_data import phantom

    generated = phantom.Phantom.parse(resolved.location)
    folder = work / "archives" / resolved.slug
    folder.mkdir(parents=True, exist_ok=True)
    for condition in facts.CONDITIONS:
        path = folder / condition.archive
        if not path.is_file():
            with disk.staged_file(path) as partial:
                phantom.write_archive(generated, condition, partial)
    return folder


def _unpacked(origin: Path, folder: Path) -> Path:
    """A folder with the archives' files, as py7zr extracts them; kept if it is there."""
    import py7zr

    if not folder.is_dir():
        with disk.staged(folder) as partial:
            for condition in facts.CONDITIONS:
                with py7zr.SevenZipFile(origin / condition.archive) as seven:
                    seven.extractall(partial)
    return folder


def _rows(place: Place, options: argparse.Namespace, notes: list[str]) -> list[Row]:
    repetitions = options.repetitions
    parts: dict[str, Callable[[], list[Row]]] = {
        "build": lambda: building.rows(place, repetitions // 2 + 1),
        "read": lambda: reading.rows(place, repetitions, _say),
        "tf": lambda: reading.tf_rows(place, repetitions, _say),
        "memory": lambda: memory.rows(place),
    }
    found = []
    for part in options.parts:
        if missing := [name for name in _NEEDS[part] if find_spec(name) is None]:
            notes.append(f"{', '.join(missing)} not installed: {part} is left out.")
        elif part == "memory" and not memory.is_told():
            notes.append(memory.NO_PSS)
        else:
            _say(f"--- {part}")
            started = time.perf_counter()
            found += parts[part]()
            _say(f"    {time.perf_counter() - started:.0f} s")
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="phantom:full", help="folder of archives, or a phantom")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--parts", nargs="*", choices=_NEEDS, default=list(_NEEDS))
    parser.add_argument("--peer", type=Path, default=peer.PYTHON, help="interpreter that has it")
    parser.add_argument("--no-peer", action="store_true", help="leave the peer out")
    parser.add_argument("--work", type=Path, help="keep archives here; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(arguments)


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
