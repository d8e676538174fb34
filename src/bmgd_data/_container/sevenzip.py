"""Members of a .7z, as a stream. Only this module and sevenzip_header.py know py7zr.

Nothing is written to disk here. Memory is the archive's declared dictionary, py7zr's buffers (about
16 MB) and one member.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import py7zr
from py7zr.exceptions import PasswordRequired, UnsupportedCompressionMethodError
from py7zr.io import Py7zIO, WriterFactory

from bmgd_data._container import members, sevenzip_header
from bmgd_data._container.first_bytes import FETCH_AGAIN, check_whole
from bmgd_data._container.members import Entry, Files
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bmgd_data._container.members import Sink

_SIP_BYTES: Final = 2**14
"""Packed bytes per read for LZMA, whose decoder returns only what is asked for. Other decoders get
a sixteenth of it, which takes 15 to 25 % more time."""


class SevenZip(Files):
    """An open .7z file whose listing is checked. Its header is parsed once."""

    unpacks = "py7zr x"

    def __init__(self, path: Path) -> None:
        check_whole(path)
        self.path = path
        # A file object, not a path: py7zr then decodes one folder after the other in this thread.
        self._file = _Sipped(io.FileIO(path))
        try:
            with self._explained():
                declared = sevenzip_header.check(self._file, path)
                self.dictionary_bytes = declared.dictionary_bytes
                self._sip = _SIP_BYTES if declared.is_lzma else _SIP_BYTES // 16
                self._seven = py7zr.SevenZipFile(self._file, "r")
                self.members = members.harmless(map(_entry, self._seven.files), path)
        except BaseException:
            self._file.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._seven.close()
        self._file.close()

    def stream(self, sink: Sink) -> None:
        """Decode every member, in the archive's order, and check it against its CRC."""
        members_sink = _MemberSink(sink)
        self._file.sip = self._sip
        try:
            with self._explained():
                self._seven.reset()
                self._seven.extractall(path=_NOWHERE, factory=members_sink)
        except CorruptArchiveError as error:
            if members_sink.failure is not None:
                raise members_sink.failure from None
            if not isinstance(error, DamagedArchiveError):
                raise
            where = f" at {members_sink.at!r}" if members_sink.at else ""
            raise DamagedArchiveError(
                f"{self.path} is damaged{where}, after {members_sink.good} good files of "
                f"{len(self.members)} ({type(error.__cause__).__name__}). {FETCH_AGAIN}"
            ) from error.__cause__

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what py7zr raises into errors that say what to do."""
        try:
            yield
        except (CorruptArchiveError, MemoryError):
            raise
        except PasswordRequired as error:
            raise members.encrypted(self.path) from error
        except UnsupportedCompressionMethodError as error:
            raise CorruptArchiveError(
                f"{self.path} is packed in a way that is not read here. Unpack it with the program "
                "that made it, and give the unpacked folder as source=."
            ) from error
        # Besides its own errors, py7zr passes on whatever its parser raises on a damaged header
        # (IndexError, struct.error, UnicodeDecodeError, LZMAError, ...).
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[: members.LONGEST]
            raise DamagedArchiveError(
                f"{self.path} cannot be read ({why}). {FETCH_AGAIN}"
            ) from error


class _Sipped(io.BufferedReader):
    """A file that returns at most `sip` bytes per read, once that is set.

    py7zr reads a megabyte of packed data for each member, and what it does not use piles up in the
    decoder's memory: 59 MB were measured for an archive of 60 MB. Some of its decoders (Zstandard,
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


_NOWHERE: Final = Path(__file__).resolve()
"""Where py7zr believes it unpacks. It refuses members that a symlink below this path leads out of
it, so nothing may lie below: it is a regular file. It is not the archive, since py7zr makes a
folder of that name if the archive is removed meanwhile."""


class _MemberSink(WriterFactory, Py7zIO):
    """Where py7zr writes one member after the other; passes each whole one to `sink`.

    py7zr closes it only if the member's CRC is right. It knows how far the stream is good.
    """

    def __init__(self, sink: Sink) -> None:
        self.at = ""
        self.good = 0
        self.failure: Exception | None = None
        self._sink = sink
        self._chunks: list[bytes] = []

    def create(self, filename: str) -> _MemberSink:
        self.at = members.normalised(PurePath(filename).relative_to(_NOWHERE).as_posix())
        self._chunks.clear()
        return self

    def write(self, s: bytes | bytearray) -> int:
        self._chunks.append(bytes(s))
        return len(s)

    def close(self) -> None:
        data = b"".join(self._chunks)
        self._chunks.clear()
        try:
            self._sink(self.at, data)
        except Exception as failure:
            self.failure = failure
            raise
        self.good += 1

    def size(self) -> int:
        return sum(map(len, self._chunks))

    def read(self, size: int | None = None) -> bytes:  # noqa: ARG002 - py7zr requires it
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002 - py7zr requires it
        return 0

    def flush(self) -> None:
        """Nothing is held back."""
