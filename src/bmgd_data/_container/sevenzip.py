"""Members out of a .7z, as a stream; with sevenzip_header.py, the only module that knows py7zr.

Nothing is written to disk here. Memory is the archive's declared dictionary, py7zr's buffers (about
16 MB) and one member.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from bmgd_data._container import members, sevenzip_header
from bmgd_data._container.first_bytes import FETCH_AGAIN, check_whole
from bmgd_data._container.members import Entry, Files
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from py7zr import SevenZipFile

    from bmgd_data._container.members import Sink

_SIP_BYTES: Final = 2**14
"""Packed bytes a read, for LZMA, whose decoder gives out only what is asked for. A sixteenth of it
for others, at the cost of 15 to 25 % more time."""


class SevenZip(Files):
    """An open .7z file whose listing was checked and found harmless. Its header is parsed once.

    Args:
        path: The file.

    Raises:
        CorruptArchiveError: Encrypted, packed in a way that is not read, or hostile: absolute or
            upward paths, links, duplicate names, absurd numbers, sizes or dictionaries.
        DamagedArchiveError: Not a whole .7z.
    """

    def __init__(self, path: Path) -> None:
        check_whole(path)
        self.path = path
        # A file object, not a path: py7zr then decodes one folder after the other in this thread.
        self._file = _Sipped(io.FileIO(path))
        try:
            with self._explained():
                self._seven = self._open()
                streams = self._seven.header.main_streams
                self.dictionary_bytes = sevenzip_header.memory_of(streams, path)
                self.members = members.harmless(map(_entry, self._seven.files), path)
        except BaseException:
            self._file.close()
            raise

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._seven.close()
        self._file.close()

    def stream(self, sink: Sink) -> None:
        """Decode every member, in the archive's order, and check it against its CRC."""
        # py7zr refuses members that a symlink below this path would lead out of it, so it is one
        # where nothing can lie: a regular file. Not the archive: py7zr would make a folder of its
        # name if it were removed meanwhile.
        base = Path(__file__).resolve()
        folders = {members.normalised(each.filename): each.folder for each in self._seven.files}
        handover = _handover(sink, base, folders)
        lzma = sevenzip_header.is_lzma(self._seven.header.main_streams)
        self._file.sip = _SIP_BYTES if lzma else _SIP_BYTES // 16
        try:
            with self._explained():
                self._seven.reset()
                self._seven.extractall(path=base, factory=handover)
            handover.release()
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

    def _open(self) -> SevenZipFile:
        import py7zr

        sevenzip_header.check(self._file, self.path)
        return py7zr.SevenZipFile(self._file, "r")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what py7zr raises into errors that say what to do."""
        from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError

        try:
            yield
        except (CorruptArchiveError, MemoryError):
            raise
        except PasswordRequired as error:
            raise members.encrypted(self.path) from error
        except UnsupportedCompressionMethodError as error:
            raise CorruptArchiveError(
                f"{self.path} is packed in a way that py7zr does not read. Unpack it with 7-Zip "
                "and give the unpacked folder as source=."
            ) from error
        # Besides its own errors, py7zr lets pass whatever its parser stumbles on in a damaged
        # header (IndexError, struct.error, UnicodeDecodeError, LZMAError, ...).
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[: members.LONGEST]
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


def _entry(file: Any) -> Entry:
    is_link = file.is_symlink or file.is_junction or file.is_socket
    return Entry(file.filename, file.uncompressed, file.is_directory, is_link)


def _handover(  # noqa: C901 - a class of small methods, which needs py7zr to exist
    sink: Sink, base: Path, folders: dict[str, Any]
) -> Any:
    """Where py7zr writes one member after the other; hands each whole one to `sink`.

    py7zr closes it only after the member's CRC was right.
    """
    from py7zr.io import Py7zIO, WriterFactory

    class Handover(WriterFactory, Py7zIO):
        """Remembers how far the stream was good, and lets go of decoders that are done."""

        def __init__(self) -> None:
            self.at = ""
            self.good = 0
            self.failure: Exception | None = None
            self._chunks: list[bytes] = []
            self._folder: Any = None

        def create(self, filename: str) -> Handover:
            self.at = members.normalised(PurePath(filename).relative_to(base).as_posix())
            self._chunks.clear()
            # py7zr keeps the decoder of every folder (7z's name for what is packed in one stream),
            # with its dictionary, until the archive is closed. Empty members have no folder.
            folder = folders.get(self.at) or self._folder
            if folder is not self._folder:
                self.release()
            self._folder = folder
            return self

        def release(self) -> None:
            """Let go of the decoder and its dictionary, which py7zr holds in a cycle."""
            if self._folder is not None:
                self._folder.decompressor = None

        def write(self, s: bytes | bytearray) -> int:
            self._chunks.append(bytes(s))
            return len(s)

        def close(self) -> None:
            data = b"".join(self._chunks)
            self._chunks.clear()
            try:
                sink(self.at, data)
            except Exception as failure:
                self.failure = failure
                raise
            self.good += 1

        def size(self) -> int:
            return sum(map(len, self._chunks))

        def read(self, size: int | None = None) -> bytes:  # noqa: ARG002
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002
            return 0

        def flush(self) -> None:
            """Nothing is held back."""

    return Handover()
