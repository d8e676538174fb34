"""What a file is by its first bytes: a whole .7z, or something else in its place."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from bmgd_data._container import folder
from bmgd_data.errors import DamagedArchiveError

if TYPE_CHECKING:
    from pathlib import Path

FETCH_AGAIN: Final = "Fetch it again: `bmgd download`, or copy it again if it is your own file."

SEVEN_ZIP: Final = b"7z\xbc\xaf\x27\x1c"
ZIP: Final = b"PK\x03\x04"
START_HEADER: Final = struct.Struct("<6sBBIQQI")

_UNPACK: Final = "Unpack it and give the unpacked folder as source=."
_OTHERS: Final = (
    (
        (b"version https://git-lfs",),
        (
            "a git-LFS pointer, a note in place of the file. Get the file itself by `git lfs pull` "
            "or from the web page, and give its folder as source=."
        ),
    ),
    (
        (b"<!doctype", b"<html", b"<?xml"),
        (
            "a web page, which servers send in place of a file when they are busy, or ask for a "
            "login. Try again later, or download by hand and give the folder as source=."
        ),
    ),
    ((b"PK",), f"a zip archive. {_UNPACK}"),
    ((b"Rar!",), f"a RAR archive. {_UNPACK}"),
    ((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"), f"a tar.gz or alike. {_UNPACK}"),
    ((b"ustar",), f"a tar archive. {_UNPACK}"),
    (
        (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!"),
        (
            "a program, perhaps an archive that unpacks itself. Run it if you trust it, or unpack "
            "it with 7-Zip, and give the unpacked folder as source=."
        ),
    ),
)
"""First bytes of other files in place of an archive, and what they are."""
_TAR_MAGIC_AT: Final = 257


def check_whole(path: Path, name: str = "") -> None:
    """Refuse anything but a whole .7z file, by its first bytes and its length.

    The start header says where the archive ends (7zFormat.txt of the 7-Zip distribution), so a cut
    file is detected without decoding the contents. `name` replaces the path in errors.

    Raises:
        CorruptArchiveError: The file cannot be read.
        DamagedArchiveError: It is cut, or no .7z; the message says what it is.
    """
    name = name or str(path)
    head = magic(path)
    with folder.readable(path):
        size = path.stat().st_size
    if not head.startswith(SEVEN_ZIP):
        raise DamagedArchiveError(f"{name} is not a 7z archive: {what_it_is(head)}")
    if len(head) < START_HEADER.size:
        raise DamagedArchiveError(f"{name} is cut off after {size} bytes. {FETCH_AGAIN}")
    _, _, _, crc, offset, length, _ = START_HEADER.unpack_from(head)
    if zlib.crc32(head[12:32]) != crc:
        raise DamagedArchiveError(f"{name} has a damaged start header. {FETCH_AGAIN}")
    whole = START_HEADER.size + offset + length
    if size < whole:
        raise DamagedArchiveError(f"{name} is cut off: {size} of {whole} bytes. {FETCH_AGAIN}")


def magic(path: Path) -> bytes:
    """Read enough of a file to recognise its kind; raises CorruptArchiveError."""
    with folder.readable(path), path.open("rb") as file:
        return file.read(512)


def what_it_is(head: bytes) -> str:
    """Say what a file with these first bytes is, if it is no archive, and what to do."""
    if not head:
        return f"it is empty. {FETCH_AGAIN}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginnings, what in _OTHERS:
        if any(each.startswith(beginnings) for each in (head, text, head[_TAR_MAGIC_AT:])):
            return f"it is {what}"
    return f"it begins with {head[:8]!r}. {FETCH_AGAIN}"
