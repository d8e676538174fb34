"""Fixtures and the table of the faults at random moments.

FAULTS_ROUNDS, in the environment, says how many rounds of each fault; FAULTS_SEED decides every
moment: ``FAULTS_SEED=1 FAULTS_ROUNDS=10 make faults``. Without it, chance does, and is printed.
"""

from __future__ import annotations

import functools
import os
import random
import re
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import py7zr
import pytest

from readers import Host, Undisturbed
from serving import send, servers
from trials import Tally, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving import Scripted

ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 60)
SEED = pytest.StashKey[int]()
COLUMNS = (
    "tried",
    "survived",
    "told",
    "killed",
    "refused",
    "unclear",
    "wrong",
    "leftovers",
    "seconds",
)


def pytest_configure(config: pytest.Config) -> None:
    run = getattr(config, "workerinput", {}).get("testrunuid")  # one for all workers of xdist
    config.stash[SEED] = int(os.environ.get("FAULTS_SEED") or random.Random(run).randrange(10**6))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    tallies = [tally for report in reports if (tally := dict(report.user_properties).get("faults"))]
    if not tallies:
        return
    width = max(len(tally["fault"]) for tally in tallies)
    tallies.append({"fault": "all"} | {name: sum(t[name] for t in tallies) for name in COLUMNS})
    terminalreporter.section("faults at random moments")
    line = terminalreporter.write_line
    line(f"FAULTS_ROUNDS={ROUNDS} FAULTS_SEED={tallies[0]['seed']}")
    line(" ".join([f"{'fault':{width}}", *(f"{name:>9}" for name in COLUMNS)]))
    for tally in tallies:
        line(" ".join([f"{tally['fault']:{width}}", *(f"{tally[name]:9.0f}" for name in COLUMNS)]))
    line("survived: rounds after which the next run gave the right samples")
    line("told: it refused instead, and was right once its advice was taken")
    line("killed: runs that were; others had ended by then")
    line("refused: runs that ended in a BMGDError telling what, where, and what to do next")
    line("unclear: runs that ended in any other error, or hung; wrong: that gave another byte")


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A folder that every user may read; in memory if possible, since syncing takes
    long on disks and makes no difference to processes."""
    memory = Path("/dev/shm")  # noqa: S108
    chosen = memory if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="bmgd-faults-", dir=chosen))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def host(place: Path) -> Iterator[Host]:
    """Forks the readers."""
    with Host(place / "host") as started:
        yield started


@pytest.fixture(scope="session")
def archives(place: Path, tiff: Callable[..., bytes]) -> dict[str, bytes]:
    """ "good" and "other": two archives of 950 Pa in upstream's layout."""

    def pack(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        images, masks = {}, {}
        for number in range(12):
            mask = np.zeros((48, 48), np.uint8)
            for y, x in rng.integers(2, 36, (6, 2)):
                mask[y : y + 8, x : x + 8] = 255
            image = rng.integers(400, 600, mask.shape) + (mask > 0) * rng.integers(500, 3000)
            images[f"950 Pa/image/{number:03d}.tif"] = tiff(image.astype(np.uint16))
            masks[f"950 Pa/mask/{number:03d}.tif"] = tiff(mask)
        path = place / f"made-{seed}" / "950 Pa.7z"
        path.parent.mkdir()
        with py7zr.SevenZipFile(
            path, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]
        ) as new:
            for name, data in (images | masks).items():
                new.writestr(data, name)
        return path.read_bytes()

    return {"good": pack(0), "other": pack(1)}


@pytest.fixture(scope="session")
def _served(archives: dict[str, bytes]) -> Iterator[tuple[str, type[Scripted]]]:
    with servers() as start:
        yield start(send(archives["good"]))


@pytest.fixture
def server(_served: tuple[str, type[Scripted]], archives: dict[str, bytes]) -> type[Scripted]:
    """Serves the good archive, unless a test changes its answers."""
    _served[1].answers[:] = [send(archives["good"])]
    return _served[1]


@pytest.fixture(scope="session")
def sources(
    place: Path, archives: dict[str, bytes], _served: tuple[str, type[Scripted]]
) -> dict[str, str]:
    """The same samples as a "url", an "archive" and a folder ("unpacked"); and generated ones."""
    archive, unpacked = place / "made-0" / "950 Pa.7z", place / "unpacked"
    with py7zr.SevenZipFile(archive) as packed:
        packed.extractall(unpacked)
    for path in unpacked.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return {
        "url": _served[0],
        "archive": str(archive.parent),
        "unpacked": str(unpacked),
        "phantom": "phantom:size=0.001",
    }


@pytest.fixture(scope="session")
def undisturbed(place: Path, host: Host, sources: dict[str, str]) -> Callable[[str], Undisturbed]:
    """What reading one of the sources gives where nothing happens."""

    @functools.cache
    def of(kind: str) -> Undisturbed:
        return Undisturbed.of(host, sources[kind], place / "undisturbed" / kind)

    return of


@pytest.fixture
def trial(
    place: Path,
    host: Host,
    server: type[Scripted],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> Trial:
    """The rounds of this test's fault; the table tells how they went."""
    seed = request.config.stash[SEED]

    def record(tally: Tally) -> None:
        record_property("faults", {"seed": seed, **asdict(tally)})

    root = place / "roots" / re.sub(r"\W+", "-", request.node.name)
    root.parent.mkdir(exist_ok=True)
    return Trial(host.temporary, root, seed, ROUNDS, record)
