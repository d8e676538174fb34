"""Which archive is the right one: pinned digests, and what was seen first.

A digest pinned in ``facts.SHA256``, or in the file that BMGD_CHECKSUMS names, binds whatever comes
over the network. Without one, the first archive that decoded wholly is trusted and remembered, per
source; a different one later is a `ChecksumError`.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bmgd_data import disk, facts
from bmgd_data.errors import DatasetNotFoundError

if TYPE_CHECKING:
    from bmgd_data.sources import Source

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Seen:
    """What is remembered of a condition's archive or folder in one source."""

    source: str
    key: str
    """sha256 of the archive; of a folder, over its files; of a phantom, over its parameters."""
    first_seen: str
    """Date, UTC, ISO 8601."""
    size: int = 0
    """Bytes of the archive."""
    fingerprint: str = ""
    """Of local files: path, size and time of change, so that they need not be read again."""
    before: list[str] = field(default_factory=list)
    """Keys that were trusted earlier, and replaced on request."""


def pinned(condition: facts.Condition) -> str | None:
    """The sha256 that a condition's archive must have, where anybody has said so.

    Raises:
        DatasetNotFoundError: BMGD_CHECKSUMS names a file that is not there.
        ValueError: It holds no digests.
    """
    named = os.environ.get("BMGD_CHECKSUMS")
    return (read_checksums(Path(named)) if named else facts.SHA256).get(condition.archive)


def binding(source: Source, condition: facts.Condition) -> str | None:
    """The pinned sha256, where it binds this source.

    The package's own pins bind what comes over the network; those of a BMGD_CHECKSUMS file, which
    a user named on purpose, bind local archives too.
    """
    binds = source.remote or (source.kind == "folder" and "BMGD_CHECKSUMS" in os.environ)
    return pinned(condition) if binds else None


def read_checksums(path: Path) -> dict[str, str]:
    """Read digests by archive name: as `bmgd checksums` or as ``sha256sum`` prints them.

    Raises:
        DatasetNotFoundError: No such file.
        ValueError: It holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetNotFoundError(
            f"BMGD_CHECKSUMS names {path}, which cannot be read ({error.strerror}). Correct it or "
            "unset it."
        ) from error
    try:
        found = json.loads(text)
    except ValueError:
        lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
        found = {line[-1].lstrip("*").strip(): line[0] for line in lines}
    valid = isinstance(found, dict) and all(
        isinstance(digest, str) and _SHA256.fullmatch(digest.lower()) for digest in found.values()
    )
    if not valid or not found:
        raise ValueError(
            f"{path} (BMGD_CHECKSUMS) holds no sha256 digests. It should read as `bmgd checksums` "
            'or `sha256sum *.7z` print: {"250 Pa.7z": "<64 hex digits>"} or <64 hex digits>  250 '
            "Pa.7z."
        )
    return {Path(name).name: digest.lower() for name, digest in found.items()}


def recall(note: Path) -> Seen | None:
    """What was written down, or None; an unreadable note counts as none."""
    try:
        return Seen(**json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def remember(note: Path, seen: Seen) -> None:
    """Write it down, replacing what was there."""
    disk.write_json(note, asdict(seen))


def status(source: Source, condition: facts.Condition, key: str) -> str:
    """How far a digest can be trusted, in a word or two."""
    if source.kind == "phantom":
        return "generated"
    if pin := pinned(condition):
        return "pinned" if pin == key else "not the pinned one"
    return "first-seen" if source.remote else "not compared"
