"""What every container provides: a checked listing, and a stream of (path, bytes)."""

from __future__ import annotations

import abc
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from bmgd_data.errors import STEERING, CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Sink = Callable[[str, bytes], None]
    """Called with a member's path and bytes."""

MAX_MEMBERS: Final = 100_000
MAX_MEMBER_BYTES: Final = 256 * 2**20
MAX_BYTES: Final = 16 * 2**30
"""Of all members together; BMGD's are about 0.2 GB."""
MAX_LISTING_BYTES: Final = 16 * 2**20
"""Names, sizes and times of 100,000 members with names of 60 characters; py7zr needs up to about
100 times as much memory to hold them."""

LONGEST: Final = 200  # characters shown of a name or message that may be hostile

_HOSTILE: Final = (
    (re.compile(r"^[/\\]|^[a-zA-Z]:"), "has an absolute path"),
    (re.compile(r"(^|[/\\])\.\.([/\\]|$)"), "leads upwards"),
    (STEERING, "has control characters in its name"),
    (re.compile(r"^[./\\]*$"), "has no name"),
    (re.compile(r".{1025}"), "has a name of more than 1024 characters"),
)


class Member(NamedTuple):
    """A file as an archive or folder lists it."""

    path: str
    """Relative, separated by ``/``."""
    size: int
    """Bytes, uncompressed."""


class Files(abc.ABC):
    unpacks: str = ""
    """The module of Python that unpacks it, as words of a command line; empty for a folder."""
    path: Path
    members: list[Member]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - most leave nothing open
        """Close what is open."""

    @abc.abstractmethod
    def stream(self, sink: Sink) -> None:
        """Pass every member's path and bytes to `sink`; errors that it raises come through.

        Raises:
            CorruptArchiveError: A member cannot be read.
            DamagedArchiveError: The data of a member is damaged; says which.
        """


class Entry(NamedTuple):
    """A line of an archive's listing, as the archive writes it."""

    name: str
    size: int
    is_folder: bool
    is_link: bool


def normalised(name: str) -> str:
    """A member's name as a path separated by ``/``."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def harmless(entries: Iterable[Entry], path: Path) -> list[Member]:
    """The files of an archive's listing; refuses members that no data set needs."""
    members: dict[str, Member] = {}
    for entry in entries:
        name = normalised(entry.name)
        reason = next((why for pattern, why in _HOSTILE if pattern.search(entry.name)), None)
        if entry.is_link:
            reason = "is a link or a socket"
        elif not 0 <= entry.size <= MAX_MEMBER_BYTES:
            reason = f"declares {entry.size} bytes, where 0 to {MAX_MEMBER_BYTES} are read"
        elif name in members and not entry.is_folder:
            reason = "appears twice"
        if reason:
            raise CorruptArchiveError(
                f"{path} is refused: its member {entry.name[:LONGEST]!r} {reason}. No data set "
                "needs that; check where the archive comes from."
            )
        if not entry.is_folder:
            members[name] = Member(name, entry.size)
    refuse_above(MAX_MEMBERS, len(members), "members", path)
    whole = sum(member.size for member in members.values())
    refuse_above(MAX_BYTES, whole, "bytes of files", path)
    return list(members.values())


def refuse_above(most: int, number: int, what: str, path: Path) -> None:
    """Refuse an archive that declares more of something than is read."""
    if number > most:
        raise CorruptArchiveError(
            f"{path} is refused: it declares {number:,} {what}, where at most {most:,} are read. "
            "If you trust it, unpack it and give the folder as source=."
        )


def encrypted(path: Path) -> CorruptArchiveError:
    return CorruptArchiveError(
        f"{path} is encrypted. Ask for an open one, or unpack it and give the unpacked folder as "
        "source=."
    )
