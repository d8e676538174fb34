"""Many processes or threads at once on one root, some of them killed; and two versions on one."""

from __future__ import annotations

import functools
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bmgd_data
from bmgd_data._store.store import FORMAT
from readers import METHODS, Host, Outcome, Undisturbed

if TYPE_CHECKING:
    from host import Task

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name != "posix", reason="POSIX processes and signals"),
]

CROWD = 16
SAME_SAMPLES = ["url", "archive"]
"""Two sources with one archive, and so with one store."""

OF_TOMORROW = {
    "__init__.py": [(f'__version__ = "{bmgd_data.__version__}"', '__version__ = "99.0.0"')],
    "_store/store.py": [
        (f"FORMAT: Final = {FORMAT}", f"FORMAT: Final = {FORMAT + 1}"),
        ('"masks.npy"', '"foreground.npy"'),
    ],
    "_origin/trust.py": [
        ("    unpacked: bool = False", '    unpacked: bool = False\n    mood: str = "good"')
    ],
}
"""What a later version might change: its number, what stores look like, and what notes tell."""


def go(trial, begun: list[tuple[Host, Task]], deaths: int, seconds: float) -> list[Outcome]:
    """Start all at one moment, kill some at random moments; gives how each ended."""
    at = time.monotonic() + 0.03 * len(begun)
    children = [host.start(replace(task, at=at)) for host, task in begun]
    doomed = trial.rng.sample(children, deaths)
    for when in sorted(trial.rng.uniform(0, seconds) for _ in doomed):
        time.sleep(max(0.0, at + when - time.monotonic()))
        doomed.pop().kill()
    return [child.end() for child in children]


def test_processes(trial, undisturbed):
    for _ in trial.rounds(f"{CROWD} processes, some killed", share=0.4):
        chosen = [trial.choose(undisturbed, SAME_SAMPLES) for _ in range(CROWD)]
        begun = [(right.host, task) for right, task in chosen]
        right, task = chosen[0]
        deaths = trial.rng.choice([0, trial.rng.randint(1, CROWD)])
        for outcome in go(trial, begun, deaths, 4 * right.seconds["watershed"]):
            trial.judge(outcome, right)
        trial.judge_next(replace(task, method="watershed"), right)


def test_threads(trial, undisturbed):
    for _ in trial.rounds(f"{CROWD} threads, sometimes killed", share=0.4):
        right, task = trial.choose(undisturbed)
        child = right.host.start(replace(task, methods=trial.rng.choices(METHODS, k=CROWD)))
        if trial.rng.random() < 0.4:
            trial.pause(2 * right.seconds["watershed"])
            child.kill()
        trial.judge(child.end(), right)
        trial.judge_next(replace(task, methods=list(METHODS)), right)


@pytest.fixture(scope="module")
def tomorrow(place):
    """Readers of a later version."""
    package = place / "tomorrow" / "bmgd_data"
    shutil.copytree(Path(bmgd_data.__file__).parent, package)
    for name, changes in OF_TOMORROW.items():
        code = (package / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert code.count(old) == 1, (name, old)
            code = code.replace(old, new)
        (package / name).write_text(code, encoding="utf-8")
    with Host(place / "tomorrow" / "host", package.parent) as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed_tomorrow(tomorrow, place):
    """The results of the later version, by source."""

    @functools.cache
    def of(source: str) -> Undisturbed:
        folder = place / "undisturbed" / "tomorrow" / re.sub(r"\W+", "-", source)
        later = Undisturbed.of(tomorrow, source, folder)
        assert {path.name[-1] for path in later.root.glob("stores/*")} == {str(FORMAT + 1)}
        return later

    return of


def test_two_versions_by_turns(trial, undisturbed, undisturbed_tomorrow):
    """Each may be killed; the other reads or removes what it left."""
    for _ in trial.rounds("2 versions by turns", share=0.5):
        now, task = trial.choose(undisturbed)
        later = undisturbed_tomorrow(now.source)
        for _ in range(trial.rng.randint(2, 4)):
            right = trial.rng.choice([now, later])
            child = right.host.start(task)
            if trial.rng.random() < 0.5:
                trial.pause(right.seconds[task.method])
                child.kill()
            trial.judge(child.end(), right)
        trial.judge(later.host.read(task), later)
        trial.judge_next(task, now)


def test_two_versions_at_once(trial, undisturbed, undisturbed_tomorrow):
    for _ in trial.rounds("2 versions at once", share=0.4):
        now, task = trial.choose(undisturbed)
        later = undisturbed_tomorrow(now.source)
        crowd = [now, later] * 3
        deaths = trial.rng.choice([0, trial.rng.randint(1, len(crowd))])
        begun = [(right.host, task) for right in crowd]
        for outcome, right in zip(
            go(trial, begun, deaths, 2 * now.seconds[task.method]), crowd, strict=True
        ):
            trial.judge(outcome, right)
        trial.judge(later.host.read(task), later)
        trial.judge_next(task, now)
