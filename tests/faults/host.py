"""A process that has loaded everything, and forks: each child reads BMGD during a fault.

So a run takes a tenth of a second, and not a second of imports. Run as a script: each line on the
standard input is a `Task` as JSON, or the number of a child to wait for; each gets a line back.
"""

from __future__ import annotations

import faulthandler
import functools
import hashlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

NOBODY: Final = 65534
HANGS_AFTER_S: Final = 90

STAGES: Final = {
    "download": {"recv_into"},
    "decode": {"decompress", "readinto"},
    "write": {"write", "truncate"},
    "rename": {"rename", "replace", "fsync", "mkdir", "rmdir", "unlink", "chmod", "close"},
}
"""C functions that are called in each; a child can be killed before or after any call of theirs."""


@dataclass(frozen=True)
class Task:
    """What a child does, and its fault."""

    source: str
    root: str = ""
    method: str = "components"
    methods: list[str] = field(default_factory=list)
    """Where several threads read: of each."""
    answers: str = ""
    """The file that tells what came of it; empty where the child was killed."""
    at: float = 0.0
    """When to begin, by the monotonic clock, which all processes share."""
    passes: int = 1
    """How often every sample is read."""
    dies_at: tuple[str, int, str] | None = None
    """(stage, number of the call, "c_call" or "c_return"): killed just then."""
    counts: bool = False
    """Whether it tells how many calls each stage makes."""
    blind: bool = False
    """Whether it believes that there is room on the disk."""
    impatient: bool = False
    """Whether it waits for a server a quarter of a second only."""
    largest_file: int | None = None
    other_user: bool = False
    umasks: list[int] = field(default_factory=list)
    """The first from the beginning; the others follow, at random moments, round and round."""


def main() -> None:
    slices = _load_everything()
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, int):
            answer = os.waitstatus_to_exitcode(os.waitpid(request, 0)[1])
        else:
            answer = os.fork()
            if not answer:
                _run(Task(**request), slices)
        print(answer, flush=True)


def _load_everything() -> list[Any]:
    """Import everything, by one read; gives the slices of a generated source."""
    import filelock  # noqa: F401
    import pooch
    import requests  # noqa: F401

    from bmgd_data import Reader, facts, phantom
    from bmgd_data._origin import fetch

    phantom.MIN_IMAGES = 3
    tiny = phantom.Phantom(size=0.001)
    slices = list(phantom.generate(tiny, facts.CONDITIONS[1]))
    phantom.generate = lambda *_: iter(slices)
    with tempfile.TemporaryDirectory() as root:
        reader = Reader("all", 950, source=str(tiny), instances="watershed", root=root)
        assert len(reader) == len(slices)
    pooch.core.time = types.SimpleNamespace(sleep=lambda _: None)  # between retries
    fetch._CHUNK_BYTES = 2**11
    return slices


def _run(task: Task, slices: list[Any]) -> None:
    faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
    with open(task.answers, "w") as file:  # noqa: PTH123 - now, as another user may not be able to
        _suffer(task)
        calls: dict[str, int] = {}
        if task.counts or task.dies_at:
            watch = _watch(task.dies_at, calls)
            threading.setprofile(watch)
            sys.setprofile(watch)
        time.sleep(max(0.0, task.at - time.monotonic()))
        methods = task.methods or [task.method]
        if len(methods) == 1:
            answers = [_answer(task, methods[0])]
        else:
            with ThreadPoolExecutor(len(methods)) as pool:
                answers = list(pool.map(functools.partial(_answer, task), methods))
        sys.setprofile(None)
        _limit_files(None)
        json.dump({"answers": answers, "calls": calls}, file)
    os._exit(0)


def _suffer(task: Task) -> None:
    from bmgd_data._origin import fetch
    from bmgd_data._system import disk
    from bmgd_data.errors import BMGDWarning

    warnings.simplefilter("error")
    warnings.simplefilter("ignore", BMGDWarning)
    if task.blind:
        disk.require_space = lambda *_: None
    if task.impatient:
        fetch.READ_TIMEOUT_S = 0.25
    if task.largest_file is not None:
        _limit_files(task.largest_file)
    if task.umasks:
        os.umask(task.umasks[0])
    if task.umasks[1:]:
        threading.Thread(target=_change_umask, args=(task.umasks,), daemon=True).start()
    if task.other_user:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _limit_files(size: int | None) -> None:
    import resource  # only POSIX systems have it

    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def _change_umask(umasks: list[int]) -> None:
    rng = random.Random(repr(umasks))
    for mask in itertools.cycle(umasks):
        os.umask(mask)
        time.sleep(rng.uniform(0, 0.01))


def _watch(dies_at: tuple[str, int, str] | None, calls: dict[str, int]) -> Callable[..., None]:
    """A function for `sys.setprofile` that counts the calls of each stage, and kills at one."""
    stage_of = {name: stage for stage, names in STAGES.items() for name in names}
    fatal, number, moment = dies_at or (None, 0, "c_call")

    def watch(_frame: object, event: str, called: Any) -> None:
        if event != moment or (stage := stage_of.get(called.__name__)) is None:
            return
        calls[stage] = calls.get(stage, 0) + 1
        if stage == fatal and calls[stage] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


def _answer(task: Task, method: str) -> dict[str, Any]:
    """The result of reading: a digest of every byte of every sample, or the error."""
    from bmgd_data import Reader
    from bmgd_data.errors import BMGDError

    try:
        reader = Reader("all", 950, source=task.source, instances=method, root=task.root)
        return {"content": sorted({_content(reader) for _ in range(task.passes)})}
    except BaseException as error:
        return {
            "error": type(error).__name__,
            "on_purpose": isinstance(error, BMGDError),
            "message": str(error),
            "traceback": traceback.format_exc(),
        }


def _content(reader: Any) -> str:
    whole = hashlib.sha256(reader.digest.encode())
    for sample in reader:
        for key, value in sample.items():
            whole.update(
                f"{key} {value if isinstance(value, (int, str)) else value.shape}".encode()
            )
            if not isinstance(value, (int, str)):
                whole.update(value.dtype.str.encode() + value.tobytes())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
