"""Leftovers in a root, and small or read-only file systems for one."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def leftovers(root: Path) -> list[str]:
    """Files in a root that do not belong there."""
    belongs = {"sources": (".7z", ".json"), "locks": (".lock",)}
    inside = [path for path in root.rglob("*") if path.is_file()]
    strange = [
        path
        for path in inside
        if path.relative_to(root).parts[0] != "stores"
        and path.suffix not in belongs.get(path.relative_to(root).parts[0], ())
    ]
    hidden = [path for path in root.rglob("*") if path.name.startswith(".")]
    return [str(path.relative_to(root)) for path in strange + hidden]


@contextlib.contextmanager
def tmpfs(folder: Path) -> Iterator[Callable[..., None]]:
    """A file system in memory on `folder`: call what comes with its mount options, also again."""
    mounted = False

    def mount(options: str) -> None:
        nonlocal mounted
        options += ",mode=0755" + (",remount" if mounted else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            if mounted:
                raise
            pytest.skip("no right to mount a small file system here")
        mounted = True

    try:
        yield mount
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
