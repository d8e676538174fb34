"""What a file is by its first bytes: a whole .7z, or something that came in its place."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError

if TYPE_CHECKING:
    from pathlib import Path

FETCH_AGAIN: Final = "Fetch it again: `bmgd download`, or copy it anew if it is your own file."


_MAGIC: Final = b"7z\xbc\xaf\x27\x1c"
START_HEADER: Final = struct.Struct("<6sBBIQQI")


def check_whole(path: Path, name: str = "") -> None:
    """Tell a whole .7z file from anything else by its first bytes and its length.

    The start header tells where the archive ends (7zFormat.txt of the 7-Zip distribution), so that
    a cut file is known at once. The contents are not decoded.

    Args:
        path: The file.
        name: What to call it in errors, if not by its path.

    Raises:
        CorruptArchiveError: The file cannot be read.
        DamagedArchiveError: An empty or cut file, an HTML page, a git-LFS pointer, or anything else
            that is no .7z; the message says which.
    """
    name = name or str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise CorruptArchiveError(
            f"{name} cannot be read ({error.strerror}). Check the disk and the rights."
        ) from error
    if not head.startswith(_MAGIC):
        raise DamagedArchiveError(f"{name} is not a 7z archive: {_what_it_is(head)}")
    if len(head) < START_HEADER.size:
        raise DamagedArchiveError(f"{name} is cut off after {size} bytes. {FETCH_AGAIN}")
    _, _, _, crc, offset, length, _ = START_HEADER.unpack_from(head)
    if zlib.crc32(head[12:32]) != crc:
        raise DamagedArchiveError(f"{name} has a damaged start header. {FETCH_AGAIN}")
    whole = START_HEADER.size + offset + length
    if size < whole:
        raise DamagedArchiveError(f"{name} is cut off: {size} of {whole} bytes. {FETCH_AGAIN}")


def _what_it_is(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return f"it is empty. {FETCH_AGAIN}"
    if text.startswith(b"version https://git-lfs"):
        return (
            "it is a git-LFS pointer, a note in place of the file. Take the file itself, through "
            "`git lfs pull` or a download from the web page, and give its folder as source=."
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return (
            "it is a web page, which servers send in place of a file when they are busy, or ask "
            "for a login. Try again later, or download by hand and give the folder as source=."
        )
    return f"it begins with {head[:8]!r}. {FETCH_AGAIN}"
