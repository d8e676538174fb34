"""Disks that are full or read-only, roots that vanish, and umasks that change."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from dataclasses import replace

import pytest

from host import NOBODY
from roots import tmpfs
from trials import PARTS

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name != "posix", reason="POSIX modes and limits"),
]
superuser = pytest.mark.skipif(
    os.name == "posix" and os.geteuid() != 0, reason="only the superuser can become another user"
)


def some_parts(trial, of) -> None:
    """Start with nothing, or with a part of what an undisturbed run leaves."""
    if trial.rng.random() < 0.4:
        trial.copy_root(of.root, {part for part in sorted(PARTS) if trial.rng.random() < 0.6})
        for labels in trial.root.glob("stores/*/watershed*"):
            if trial.rng.random() < 0.5:
                shutil.rmtree(labels)


def open_to_all(root) -> None:
    """Make everything writable again for every user."""
    for path in [root, *root.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)


def close_to_all(root) -> None:
    for path in [root, *root.rglob("*")]:
        if path.exists():  # others still write
            path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.mark.parametrize("what", ["blocks", "inodes"])
def test_a_full_disk(trial, undisturbed, what):
    """A disk of random size is full at any write. In half of the rounds free space is not checked."""
    trial.root.mkdir()
    with tmpfs(trial.root) as mount:
        mount("size=64m,nr_inodes=10k")
        for _ in trial.rounds(f"disk full ({what})"):
            right, task = trial.choose(undisturbed)
            some_parts(trial, right)
            used, whole = kibibytes(trial.root), kibibytes(right.root)
            files = sum(1 for _ in trial.root.rglob("*")) + 1
            full = {
                "blocks": f"size={trial.rng.randint(used + 4, whole + 16)}k",
                "inodes": f"nr_inodes={files + trial.rng.randint(0, 24)}",
            }
            mount(full[what])
            blind = trial.rng.random() < 0.5
            trial.judge(right.host.read(replace(task, blind=blind)), right)
            mount("size=64m,nr_inodes=10k")
            trial.judge_next(task, right)


def test_a_disk_that_is_full_at_times(trial, undisturbed):
    """A failed write must be reported, even if later ones succeed."""
    trial.root.mkdir()
    with tmpfs(trial.root) as mount:
        mount("size=6m")
        for _ in trial.rounds("disk full at times"):
            right, task = trial.choose(undisturbed)
            child = right.host.start(replace(task, blind=True))
            until = time.monotonic() + right.seconds[task.method]
            while time.monotonic() < until:
                trial.pause(right.seconds[task.method] / 2)
                ballast = trial.root / "ballast"
                with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                    while file.write(bytes(2**12)):
                        pass
                trial.pause(0.01)
                ballast.unlink()
            trial.judge(child.end(), right)
            trial.judge_next(task, right)


def kibibytes(root) -> int:
    return sum(path.stat().st_blocks for path in root.rglob("*")) // 2


def test_no_large_file_is_allowed(trial, undisturbed):
    """As with a quota or RLIMIT_FSIZE; nothing needs to be mounted."""
    for _ in trial.rounds("file size limited"):
        right, task = trial.choose(undisturbed)
        some_parts(trial, right)
        largest = max(path.stat().st_size for path in right.root.rglob("*"))
        limit = int(largest ** trial.rng.uniform(0, 1.05))
        trial.judge(right.host.read(replace(task, largest_file=limit)), right)
        trial.judge_next(task, right)


@superuser
def test_a_root_that_may_not_be_written(trial, undisturbed):
    """From the start, or from a random moment; afterwards it is writable again."""
    for _ in trial.rounds("root may not be written"):
        right, task = trial.choose(undisturbed)
        trial.root.mkdir()
        some_parts(trial, right)
        open_to_all(trial.root)
        at_once = trial.rng.random() < 0.5
        if at_once:
            close_to_all(trial.root)
        child = right.host.start(replace(task, other_user=True))
        if not at_once:
            trial.pause(right.seconds[task.method])
            close_to_all(trial.root)
        trial.judge(child.end(), right)
        open_to_all(trial.root)
        trial.judge_next(task, right)


def test_a_read_only_file_system(trial, undisturbed):
    trial.root.mkdir()
    with tmpfs(trial.root) as mount:
        mount("size=64m")
        for _ in trial.rounds("read-only file system"):
            right, task = trial.choose(undisturbed)
            some_parts(trial, right)
            mount("size=64m,ro")
            trial.judge(right.host.read(task), right)
            mount("size=64m,rw")
            trial.judge_next(task, right)


def remove(root, *, at_once: bool) -> None:
    """At once, or file by file, while others make new ones."""
    if at_once:
        root = root.rename(root.with_name("gone"))
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("when", ["reading", "building"])
def test_a_root_that_is_removed(trial, undisturbed, when):
    """Samples of an open reader stay right on POSIX: mapped files remain."""
    for _ in trial.rounds(f"root removed while {when}"):
        right, task = trial.choose(undisturbed)
        trial.root.mkdir()
        if when == "reading":
            trial.copy_root(right.root)
        child = right.host.start(replace(task, passes=50 if when == "reading" else 1))
        trial.pause(0.1 if when == "reading" else right.seconds[task.method])
        remove(trial.root, at_once=trial.rng.random() < 0.5)
        trial.judge(child.end(), right)
        shutil.rmtree(trial.root.with_name("gone"), ignore_errors=True)
        # What is left of a store that lost files meanwhile is said to be damaged, and to be removed.
        trial.judge_next(task, right, advice=lambda: shutil.rmtree(trial.root / "stores"))


MASKS = [0o000, 0o002, 0o007, 0o022, 0o027, 0o077]


@superuser
def test_umasks_that_change(trial, undisturbed):
    """At random moments, while a user builds whose permissions depend on it."""
    for _ in trial.rounds("umask changes"):
        right, task = trial.choose(undisturbed)
        task = replace(task, other_user=True)
        trial.root.mkdir()
        os.chown(trial.root, NOBODY, NOBODY)
        for _ in range(trial.rng.randint(1, 2)):
            umasks = trial.rng.sample(MASKS, trial.rng.randint(1, 4))
            trial.judge(right.host.read(replace(task, umasks=umasks)), right)
        for path in [trial.root, *trial.root.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IRWXU)
        trial.judge_next(task, right)
