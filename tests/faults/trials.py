"""Rounds of one fault, and the judgement of their results.

Only what can be told for sure is called right: the digest of every byte of every sample is the one
of a run that nothing disturbed.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

import roots
from bmgd_data._store import store
from bmgd_data.errors import CorruptArchiveError
from host import Task
from readers import METHODS, Outcome, Undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

PARTS = {
    "archives": "sources/*/*.7z",
    "notes": "sources/*/*.json",
    "stores": "stores/*",
    "locks": "locks/*",
}
"""What a root holds, by kind."""

KINDS: Final = ("url", "archive", "unpacked", "phantom")
"""Of sources; the first three have the same samples."""
NEXT_STEP: Final = re.compile(
    r"(?:[.;,?)]\s|\bor )"
    r"(ask|check|choose|fetch|free|get|give|look for|remove|run|set|take|try|unpack)\b",
    re.IGNORECASE,
)
"""How each message's "what to do next" begins."""


@dataclass
class Tally:
    """Results of one fault."""

    fault: str
    tried: int = 0
    """Rounds."""
    survived: int = 0
    """Rounds after which the next run gave the right samples."""
    told: int = 0
    """Rounds after which it refused instead, and was right once its advice was taken."""
    killed: int = 0
    """Runs that were killed before their end."""
    refused: int = 0
    """Runs that ended in a BMGDError which says what happened, where, and what to do next."""
    unclear: int = 0
    """Runs that ended in any other way: another error, a message without advice, a hang."""
    wrong: int = 0
    """Runs that gave any other byte."""
    leftovers: int = 0
    """Rounds after which something lay about, or a lock was held, or a store was not as built."""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


class Trial:
    """The rounds of one fault, and the judgement of their results.

    Args:
        temporary: Where readers make temporary files.
        root: Where they read to.
        seed: With the fault's name and the round's number, decides every moment.
        rounds: How many.
        record: Told in the end how they went.
    """

    def __init__(
        self,
        temporary: Path,
        root: Path,
        seed: int,
        rounds: int,
        record: Callable[[Tally], object],
    ) -> None:
        self._temporary, self.root, self.seed = temporary, root, seed
        self._rounds, self._record = rounds, record
        self.tally = Tally("")
        self.rng = random.Random()

    def rounds(self, fault: str, share: float = 1.0) -> Iterator[int]:
        """Count them; after each the root is gone, and after the last all must have gone well.

        Args:
            fault: Its name in the table.
            share: Of the number of rounds, where one takes long.
        """
        self.tally.fault, began = fault, time.monotonic()
        try:
            for number in range(max(1, round(self._rounds * share))):
                self.rng = random.Random(f"{self.seed}/{fault}/{number}")
                self.tally.tried += 1
                yield number
                self.empty_root()
        finally:
            self.tally.seconds = time.monotonic() - began
            self._record(self.tally)
        tally = self.tally
        seen = "\n".join(tally.notes[:5])
        assert not tally.wrong + tally.leftovers + tally.unclear, f"seed {self.seed}\n{seen}"
        assert tally.survived + tally.told == tally.tried, f"seed {self.seed}\n{seen}"

    def empty_root(self) -> None:
        """Empty the root; a file system may be mounted on it."""
        if self.root.is_dir():
            for path in self.root.iterdir():
                shutil.rmtree(path)
            if not self.root.is_mount():
                self.root.rmdir()

    def copy_root(self, of: Path, parts: set[str] | None = None) -> None:
        """Start with an undisturbed root, or with some of its `PARTS`."""
        shutil.copytree(of, self.root, dirs_exist_ok=True)
        for part in PARTS.keys() - (PARTS if parts is None else parts):
            for path in self.root.glob(PARTS[part]):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def choose(
        self, undisturbed: Callable[[str], Undisturbed], kinds: Sequence[str] = KINDS
    ) -> tuple[Undisturbed, Task]:
        """A source and a method at random: what they give, and how to read so into the root."""
        right = undisturbed(self.rng.choice(kinds))
        return right, Task(right.source, str(self.root), self.rng.choice(METHODS))

    def pause(self, seconds: float) -> None:
        """Wait for a random time, at most this many seconds."""
        time.sleep(self.rng.uniform(0, seconds))

    def judge(self, outcome: Outcome, right: Undisturbed) -> bool:
        """Count the result of a run; gives whether its samples are right.

        Args:
            outcome: The run.
            right: What it should be.
        """
        methods = outcome.task.methods or [outcome.task.method]
        if outcome.ended == -signal.SIGKILL:
            self.tally.killed += 1
            return False
        if outcome.ended:
            self._note("unclear", f"it hung or crashed: exit status {outcome.ended}")
            return False
        good = 0
        for method, answer in zip(methods, outcome.answers, strict=True):
            if answer.get("content") == [right.content[method]]:
                good += 1
            elif "content" in answer:
                self._note("wrong", f"{method} gave other bytes in {outcome.task}")
            elif is_clear(answer, outcome.task):
                self.tally.refused += 1
            else:
                self._note("unclear", answer["traceback"])
        return good == len(methods)

    def judge_next(
        self,
        task: Task,
        right: Undisturbed,
        advice: Callable[[], object] | None = None,
    ) -> None:
        """Run again, undisturbed: it must give the right samples, and leave nothing behind.

        Args:
            task: What to read.
            right: What it should give.
            advice: Does as an error says. Only where this is given may the next run refuse; the
                one after that may not.
        """
        refused, outcome = self.tally.refused, right.host.read(task)
        good = self.judge(outcome, right)
        if good:
            self.tally.survived += 1
        elif advice and self.tally.refused > refused:
            advice()
            outcome = right.host.read(task)
            good = self.judge(outcome, right)
            self.tally.told += good
        if not good:
            self._note(None, f"the next run failed: {outcome.answers}")
        if found := list(self._leftovers()):
            self._note("leftovers", ", ".join(found))

    def _leftovers(self) -> Iterator[str]:
        yield from roots.leftovers(self.root)
        yield from (str(path) for path in self._temporary.iterdir())
        for path in (self.root / "locks").glob("*"):
            try:
                FileLock(path, timeout=0).acquire().lock.release()
            except Timeout:
                yield f"{path.name} is held"
        folders = list((self.root / "stores").glob("*"))
        if len({path.name[-1] for path in folders}) != len(folders):  # one of each version
            yield f"too many stores: {folders}"
        for folder in folders:
            try:
                yield from store.Store(folder).verify()
            except CorruptArchiveError as error:
                yield str(error)

    def _note(self, kind: str | None, text: str) -> None:
        if kind is not None:
            setattr(self.tally, kind, getattr(self.tally, kind) + 1)
        self.tally.notes.append(f"{self.tally.fault}, round {self.tally.tried - 1}: {text}")


def is_clear(answer: dict[str, Any], task: Task) -> bool:
    """Whether an error was raised on purpose, and says where, and what to do next."""
    message = answer["message"]
    places = (task.root, task.source, "950 Pa.7z", "950%20Pa.7z")
    somewhere = any(place in message for place in places)
    return bool(answer["on_purpose"] and somewhere and NEXT_STEP.search(message))
