"""Members out of a .7z, as a stream; with sevenzip_header.py, the only module that knows py7zr.

Nothing is written to disk here. Memory is the archive's declared dictionary, py7zr's buffers (about
16 MB) and one member.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data._container import sevenzip_header
from bmgd_data._container.first_bytes import FETCH_AGAIN, check_whole
from bmgd_data._container.rehearsal import rehearse
from bmgd_data.errors import STEERING, CorruptArchiveError, DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from py7zr import SevenZipFile

    Sink = Callable[[str, bytes], None]

MAX_MEMBERS: Final = 100_000
MAX_MEMBER_BYTES: Final = 256 * 2**20
MAX_BYTES: Final = 16 * 2**30
"""Of all members together; BMGD's are about 0.2 GB."""

_SIP_BYTES: Final = 2**10
_LONGEST: Final = 200  # letters of py7zr's message, or of a name, which may be hostile

_HOSTILE: Final = (
    (re.compile(r"^[/\\]|^[a-zA-Z]:"), "has an absolute path"),
    (re.compile(r"(^|[/\\])\.\.([/\\]|$)"), "leads upwards"),
    (STEERING, "has control characters in its name"),
    (re.compile(r"^[./\\]*$"), "has no name"),
    (re.compile(r".{1025}"), "has a name of more than 1024 letters"),
)


class Member(NamedTuple):
    """A file as an archive or folder lists it."""

    path: str
    """Relative, parted by ``/``."""
    size: int
    """Bytes, uncompressed."""


class Archive:
    """A .7z file whose listing has been looked at and found harmless.

    Args:
        path: The file.

    Raises:
        CorruptArchiveError: Encrypted, or hostile: absolute or upward paths, links, duplicate
            names, absurd numbers, sizes or dictionaries.
        DamagedArchiveError: Not a whole .7z.
    """

    def __init__(self, path: Path) -> None:
        check_whole(path)
        self.path = path
        with self._open() as (_, seven):
            streams = seven.header.main_streams
            self.dictionary_bytes = sevenzip_header.memory_of(streams, path)
            self.members = _harmless(seven, path)
            self._fragile = sevenzip_header.has_ppmd(streams)

    def stream(self, sink: Sink) -> None:
        """Decode every member, in the archive's order, and check it against its CRC.

        Args:
            sink: Called with a member's path and bytes; what it raises comes through.

        Raises:
            CorruptArchiveError: Packed in a way that py7zr does not read.
            DamagedArchiveError: The stream is damaged; says where, and how many were good.
        """
        if self._fragile:
            rehearse(self.path, sum(member.size for member in self.members))
        self.decode(sink)

    def decode(self, sink: Sink) -> None:
        """What `stream` does, in this process even where damaged data would ruin it."""
        # py7zr refuses members that a symlink below this path, or else below the working folder,
        # would lead out of it. Nothing is written, and nothing can lie below a regular file. Not
        # below the archive: were it removed meanwhile, py7zr would make a folder of its name.
        base = Path(__file__).resolve()
        handover = _handover(sink, base)
        try:
            with self._open() as (file, seven):
                file.sip = _SIP_BYTES
                handover.folders = {
                    _normalised(entry.filename): entry.folder for entry in seven.files
                }
                seven.extractall(path=base, factory=handover)
        except CorruptArchiveError as error:
            if handover.failure is not None:
                raise handover.failure from None
            if not isinstance(error, DamagedArchiveError):
                raise
            where = f" at {handover.at!r}" if handover.at else ""
            raise DamagedArchiveError(
                f"{self.path} is damaged{where}, after {handover.good} good files of "
                f"{len(self.members)} ({type(error.__cause__).__name__}). {FETCH_AGAIN}"
            ) from error.__cause__

    @contextlib.contextmanager
    def _open(self) -> Iterator[tuple[_Sipped, SevenZipFile]]:
        import py7zr
        from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError

        # A file object, not a path: py7zr then decodes one folder after the other in this thread.
        with _Sipped(io.FileIO(self.path)) as file:
            try:
                sevenzip_header.check(file, self.path, MAX_MEMBERS)
                with py7zr.SevenZipFile(file, "r") as seven:
                    yield file, seven
            except (CorruptArchiveError, MemoryError):
                raise
            except PasswordRequired as error:
                raise sevenzip_header.encrypted(self.path) from error
            except UnsupportedCompressionMethodError as error:
                raise CorruptArchiveError(
                    f"{self.path} is packed in a way that py7zr does not read. Unpack it with "
                    "7-Zip and give the unpacked folder as source=."
                ) from error
            # Besides its own errors, py7zr lets pass whatever its parser stumbles on in a damaged
            # header (IndexError, struct.error, UnicodeDecodeError, LZMAError, ...).
            except Exception as error:
                why = f"{type(error).__name__}: {error}"[:_LONGEST]
                raise DamagedArchiveError(
                    f"{self.path} cannot be read ({why}). {FETCH_AGAIN}"
                ) from error


class _Sipped(io.BufferedReader):
    """A file that gives at most `sip` bytes a read, once that is set.

    py7zr reads a megabyte of packed data for each member, and what it does not use piles up in the
    decoder's memory: 59 MB were seen of an archive of 60 MB. Some of its decoders (Zstandard,
    Deflate) unpack all they are given at once, up to 32,000 times as much.
    """

    sip: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.sip is not None and size is not None and size > self.sip:
            size = self.sip
        return super().read(size)


def _normalised(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _harmless(seven: SevenZipFile, path: Path) -> list[Member]:
    """The archive's files, or an error if any member is not what a data set holds."""
    members: dict[str, Member] = {}
    for entry in seven.files:
        name = _normalised(entry.filename)
        reason = next((why for pattern, why in _HOSTILE if pattern.search(entry.filename)), None)
        if entry.is_symlink or entry.is_junction or entry.is_socket:
            reason = "is a link or a socket"
        elif not 0 <= entry.uncompressed <= MAX_MEMBER_BYTES:
            reason = (
                f"declares a size of {entry.uncompressed} bytes, where 0 to {MAX_MEMBER_BYTES} "
                "are read"
            )
        elif name in members and not entry.is_directory:
            reason = "appears twice"
        if reason:
            raise CorruptArchiveError(
                f"{path} is refused: its member {entry.filename[:_LONGEST]!r} {reason}. No data "
                "set needs that; check where the archive comes from."
            )
        if not entry.is_directory:
            members[name] = Member(name, entry.uncompressed)
    if (whole := sum(member.size for member in members.values())) > MAX_BYTES:
        raise CorruptArchiveError(
            f"{path} is refused: it declares {whole / 2**30:.1f} GB of files, where at most "
            f"{MAX_BYTES >> 30} GB are read. Check where the archive comes from; if you trust it, "
            "unpack it and give the folder as source=."
        )
    return list(members.values())


def _handover(sink: Sink, base: Path) -> Any:  # noqa: C901 - two small classes, which need py7zr to exist
    """What py7zr asks for places to write to; hands each whole member to `sink`.

    py7zr closes a place only after the member's CRC was right.
    """
    from py7zr.io import Py7zIO, WriterFactory

    class Place(Py7zIO):
        """One member's bytes, let go when they are handed over."""

        def __init__(self, owner: Handover, path: str) -> None:
            self.owner, self.path = owner, path
            self.chunks: list[bytes] = []

        def write(self, s: bytes | bytearray) -> int:
            self.chunks.append(bytes(s))
            return len(s)

        def close(self) -> None:
            data = b"".join(self.chunks)
            self.chunks.clear()
            try:
                sink(self.path, data)
            except Exception as failure:
                self.owner.failure = failure
                raise
            self.owner.good += 1

        def read(self, size: int | None = None) -> bytes:  # noqa: ARG002
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002
            return 0

        def flush(self) -> None:
            """Nothing is held back."""

        def size(self) -> int:
            return sum(map(len, self.chunks))

    class Handover(WriterFactory):
        """Remembers how far the stream was good, and lets go of decoders that are done."""

        def __init__(self) -> None:
            self.folders: dict[str, Any] = {}
            self.folder: Any = None
            self.good = 0
            self.at: str | None = None
            self.failure: Exception | None = None

        def create(self, filename: str) -> Place:
            self.at = _normalised(PurePath(filename).relative_to(base).as_posix())
            # py7zr keeps the decoder of every folder (7z's name for what is packed in one stream),
            # with its dictionary, until the archive is closed. Empty members have no folder.
            folder = self.folders.get(self.at) or self.folder
            if folder is not self.folder and self.folder is not None:
                self.folder.decompressor = None
            self.folder = folder
            return Place(self, self.at)

    return Handover()
