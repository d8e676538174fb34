"""Members of a .zip, as a stream, under the limits of a .7z. Only this module knows zipfile."""

from __future__ import annotations

import contextlib
import stat
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from bmgd_data._container import folder, members
from bmgd_data._container.first_bytes import FETCH_AGAIN
from bmgd_data._container.members import Entry, Files, Member
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bmgd_data._container.members import Sink

_ENCRYPTED: Final = 0x1
_END: Final = struct.Struct("<4s4H2LH")
_END_RECORDS: Final = (
    (_END, b"PK\x05\x06", slice(4, 6)),
    (struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06", slice(7, 9)),
)
"""Layout and signature of the end record, plain and zip64, and the slice of its fields that are the
number of members and the length of the listing (APPNOTE.TXT, 4.3)."""
_SEE_64: Final = 0xFFFFFFFF
"""The length in a plain record of a zip64 archive."""
_LONGEST_COMMENT: Final = 2**16
_CHUNK_BYTES: Final = 2**20
_METHODS: Final = (ZIP_STORED, ZIP_DEFLATED)
"""Those that zipfile unpacks in bounded steps."""
_NAMES: Final = {9: "Deflate64", 12: "BZip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
"""Of other methods (APPNOTE.TXT, 4.4.5)."""


class Zip(Files):
    """A .zip file whose listing is checked.

    With `below`, only the members below this folder; their paths begin with that folder's name.
    """

    unpacks = "zipfile -e"

    def __init__(self, path: Path, below: str = "") -> None:
        self.path = path
        above = below.rpartition("/")[0]
        self._cut = len(above) + 1 if above else 0
        with _opened(path) as archive:
            listed = members.harmless(map(_entry, archive.infolist()), path)
        self.members = [
            Member(member.path[self._cut :], member.size)
            for member in listed
            if not below or member.path.startswith(f"{below}/")
        ]

    def stream(self, sink: Sink) -> None:
        """Decode every member, in the archive's order, and check it against its CRC."""
        wanted = {member.path for member in self.members}
        with _opened(self.path) as archive:
            for info in archive.infolist():
                path = members.normalised(info.filename)[self._cut :]
                if path in wanted and not info.is_dir():
                    with _told(self.path, info.filename):
                        data = b"".join(_chunks(archive, info))
                    sink(path, data)


def unpack(path: Path, member: str, write: Callable[[bytes], object]) -> None:
    """Write one member, chunk by chunk; raises as `Zip.stream`."""
    with _opened(path) as archive:
        info = next(i for i in archive.infolist() if members.normalised(i.filename) == member)
        with _told(path, member):
            for chunk in _chunks(archive, info):
                write(chunk)


def _chunks(archive: ZipFile, info: ZipInfo) -> Iterator[bytes]:
    """A member's bytes. Read whole, zipfile unpacks more than the member declares."""
    if info.compress_type not in _METHODS:
        method = _NAMES.get(info.compress_type, f"compression method {info.compress_type}")
        raise NotImplementedError(method)
    with archive.open(info) as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk


def _entry(info: ZipInfo) -> Entry:
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_link = kind not in (0, stat.S_IFREG, stat.S_IFDIR)
    return Entry(info.filename, info.file_size, info.is_dir(), is_link)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[ZipFile]:
    with contextlib.ExitStack() as stack:
        with _told(path, ""):
            file = stack.enter_context(path.open("rb"))
            _refuse_large_listing(file, path)
            archive = stack.enter_context(ZipFile(file))
        if any(info.flag_bits & _ENCRYPTED for info in archive.infolist()):
            raise members.encrypted(path)
        yield archive


@contextlib.contextmanager
def _told(path: Path, member: str) -> Iterator[None]:
    where = f" at {member[: members.LONGEST]!r}" if member else ""
    try:
        with folder.readable(path):
            yield
    except NotImplementedError as error:
        raise CorruptArchiveError(
            f"{path} is packed in a way that is not read here ({error}). Unpack it and give the "
            "unpacked folder as source=."
        ) from error
    except (BadZipFile, EOFError, zlib.error, ValueError, LookupError, struct.error) as error:
        raise DamagedArchiveError(
            f"{path} is damaged{where} ({type(error).__name__}: {error}). {FETCH_AGAIN}"
        ) from error


def _refuse_large_listing(file: BinaryIO, path: Path) -> None:
    """Check the end record before zipfile reads the listing into memory."""
    file.seek(max(0, file.seek(0, 2) - _LONGEST_COMMENT - _END.size))
    tail = file.read()
    file.seek(0)
    for record, beginning, numbers in _END_RECORDS:
        at = tail.rfind(beginning)
        if at >= 0 and len(tail) >= at + record.size:
            number, length = record.unpack_from(tail, at)[numbers]
            members.refuse_above(members.MAX_MEMBERS, number, "members", path)
            if length != _SEE_64:
                members.refuse_above(members.MAX_LISTING_BYTES, length, "bytes of listing", path)
