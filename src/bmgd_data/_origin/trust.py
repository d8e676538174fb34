"""Which archive is the right one: pinned digests, and what was seen first.

A digest pinned in ``facts.SHA256``, or in the file that BMGD_CHECKSUMS names, binds downloads; the
file binds local archives too. Without a pin, the first archive that decodes completely is trusted
and noted, per source; a different one later is a `ChecksumError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bmgd_data import facts
from bmgd_data._origin.sources import command
from bmgd_data._system import disk
from bmgd_data.errors import ChecksumError, DatasetNotFoundError, StorageError

if TYPE_CHECKING:
    from bmgd_data._origin.sources import Source, Wanted

MEANING: Final = {
    "pinned": "the archive's sha256 is the one that is pinned",
    "not the pinned one": "the archive's sha256 differs from the one that is pinned",
    "first-seen": "no sha256 is pinned; the first archive that came is trusted, and later ones are "
    "compared with it",
    "not compared": "local files; there was no published sha256 to compare them with",
    "generated": "made by this package; not BMGD",
}
"""The words of `status`, explained."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Seen:
    """The note on a condition's archive or folder in one source."""

    source: str
    key: str
    """sha256 of the archive; of a folder, over its files; of a phantom, over its parameters."""
    first_seen: str
    """Date, UTC, ISO 8601."""
    size: int = 0
    """Bytes of the archive."""
    fingerprint: str = ""
    """Path, size and modification time of local files, so that unchanged ones are not read."""
    before: list[str] = field(default_factory=list)
    """Keys that were trusted earlier: replaced on request, or of a folder that was edited."""
    unpacked: bool = False
    """Whether it is a folder, which may change, and not an archive."""


def recall(note: Path) -> Seen | None:
    """Read a note; None if there is none. Fields of a newer version are ignored.

    A note that cannot be read is a StorageError, since without it any archive would be trusted.
    """
    known = {item.name for item in fields(Seen)}
    try:
        content = json.loads(note.read_text(encoding="utf-8"))
        seen = Seen(**{name: content[name] for name in known & content.keys()})
        if not _SHA256.fullmatch(seen.key):
            raise ValueError(f"no sha256: {seen.key!r}")  # noqa: TRY301
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # On another user's root nothing can be noted; pinned and generated data is read.
        if isinstance(error, PermissionError) and not os.access(note.parent, os.W_OK):
            return None
        raise StorageError(  # it may be whole: no advice to remove it
            f"{note}, which says what archive is trusted, cannot be read ({error.strerror}). Check "
            "its permissions, and whether its disk is still connected."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{note}, which says what archive is trusted, cannot be read "
            f"({type(error).__name__}: {error}). Remove it to trust the next archive instead."
        ) from error
    return seen


def kept_instead(wanted: Wanted) -> str:
    """A sentence on other sources of the same condition that are kept in the root, or nothing."""
    found = set()
    for note in sorted((wanted.root / "sources").glob(f"*/{wanted.condition.name}.json")):
        generated = note.parent.name.startswith("phantom-")
        if note != wanted.note and not generated and (seen := _recalled(note)):
            found.add(seen.source)
    if not found:
        return ""
    first, *more = sorted(found)
    too = f" (also {', '.join(more)})" if more else ""
    return f"But data of {first} is there{too}: give source={first!r}, or set BMGD_SOURCE to it."


def _recalled(note: Path) -> Seen | None:
    with contextlib.suppress(StorageError):
        return recall(note)
    return None


def remember(note: Path, before: Seen | None, now: Seen) -> None:
    """Write a note; the keys that were trusted before are kept."""
    if before is not None:
        changed = [before.key] if before.key != now.key else []
        first = now.first_seen if changed else before.first_seen
        now = replace(now, first_seen=first, before=[*before.before, *changed])
    disk.write_json(note, asdict(now))


def compare(wanted: Wanted, seen: Seen | None, key: str, where: str) -> None:
    """Raise ChecksumError unless `key` is the expected one, or none is expected.

    `seen` is the note, or None to accept any archive that no pin forbids; `where` is the path or
    address of the archive.
    """
    pin, right = binding(wanted.source, wanted.condition), expected(wanted, seen)
    if right in (None, key):
        return
    if pin is not None and pin == _named().get(wanted.condition.archive):
        says = f"{os.environ['BMGD_CHECKSUMS']} (BMGD_CHECKSUMS) names"
        then = "Get that one, or correct the file if this one is right."
    elif pin is not None or seen is None:
        says = "this version of bmgd-data pins"
        then = (
            "If upstream has published a new version, look for a newer bmgd-data, or write the new "
            "digest in a file and set BMGD_CHECKSUMS to it."
        )
    else:
        says = f"was seen first, on {seen.first_seen}"
        then = (
            f"Get that one, or take this one with `{command('download', [wanted])} "
            "--accept-changed`; the old data is kept."
        )
    raise ChecksumError(
        f"{where} is not the archive that {says}: its sha256 is {key}, not {right}. {then}"
    )


def expected(wanted: Wanted, seen: Seen | None) -> str | None:
    """The key that an archive must have: the binding pin, or else what was seen first."""
    return binding(wanted.source, wanted.condition) or (seen.key if seen else None)


def binding(source: Source, condition: facts.Condition) -> str | None:
    """The pinned sha256, if it binds this source.

    The package's own pins bind downloads; those of a BMGD_CHECKSUMS file, which a user chose, bind
    local archives too.
    """
    if source.generated:
        return None
    return pinned(condition) if source.remote else _named().get(condition.archive)


def pinned(condition: facts.Condition) -> str | None:
    """The pinned sha256 of a condition's archive; BMGD_CHECKSUMS overrides ``facts.SHA256``."""
    return _named().get(condition.archive) or facts.SHA256.get(condition.archive)


def _named() -> dict[str, str]:
    path = os.environ.get("BMGD_CHECKSUMS")
    return read_checksums(Path(path).expanduser()) if path else {}


def read_checksums(path: Path) -> dict[str, str]:
    """Read digests by archive name, as `bmgd checksums` or ``sha256sum`` prints them.

    Spaces, underscores and case in the names do not matter, and other files are ignored.

    Raises:
        DatasetNotFoundError: No such file.
        ValueError: It names no archive's digest, or holds anything but digests.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise DatasetNotFoundError(
            f"BMGD_CHECKSUMS names {path}, which cannot be read ({error.strerror}). Correct it or "
            "unset it."
        ) from error
    try:
        content = json.loads(text)
        digests = content if isinstance(content, dict) else {}
    except ValueError:
        digests = {line[65:].lstrip(" *"): line[:64] for line in text.splitlines() if line.strip()}
    found = {}
    valid = True
    for name, digest in digests.items():
        lower = str(digest).lower()
        valid &= bool(_SHA256.fullmatch(lower))
        file = Path(name)
        if file.suffix.lower() == ".7z" and (condition := facts.named_by(file.stem)):
            found[condition.archive] = lower
    if not valid or not found:
        raise ValueError(
            f"{path} (BMGD_CHECKSUMS) does not hold sha256 digests of the archives. It should read "
            'as `bmgd checksums` or `sha256sum *.7z` print: {"250 Pa.7z": "<64 hex digits>"} or '
            "<64 hex digits>  250 Pa.7z."
        )
    return found


def status(source: Source, condition: facts.Condition, key: str, *, unpacked: bool) -> str:
    """How far a key can be trusted: a word of `MEANING`.

    `unpacked`: it is the key of a folder, which cannot be compared with an archive's digest.
    """
    if source.generated:
        return "generated"
    if not unpacked and (pin := pinned(condition)):
        return "pinned" if pin == key else "not the pinned one"
    return "first-seen" if source.remote else "not compared"
