"""Refuses a .7z whose header declares more memory than is given, before py7zr takes it.

A header is itself packed, so a few hundred bytes may declare millions of members, or hold a bomb.
"""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from bmgd_data._container.first_bytes import START_HEADER
from bmgd_data._container.members import encrypted, refuse_long_listing, refuse_many
from bmgd_data.errors import CorruptArchiveError

if TYPE_CHECKING:
    from pathlib import Path

MAX_DICTIONARY_BYTES: Final = 2**30

_ENCODED: Final = b"\x17"
_AES: Final = b"\x06\xf1\x07\x01"
_LZMA2: Final = b"\x21"
_LZMA: Final = b"\x03\x01\x01"
_NOT_READ: Final = {
    b"\x03\x04\x01": "PPMd, whose decoder can crash on damaged data",
    b"\x03\x03\x01\x1b": "BCJ2, a filter that 7-Zip chooses for programs (.exe) among the files; "
    "it is harmless, but not read here",
}
_OTHER_PACKERS: Final = (b"\x04\x01", b"\x04\x02", b"\x04\xf7")
"""Beginnings of the method ids of Deflate, BZip2, Zstandard, Brotli and their kin."""


def check(file: BinaryIO, path: Path) -> None:
    """Refuse an archive whose header alone would take gigabytes; leaves the file at its start.

    Args:
        file: The archive, whose start header is known to be whole.
        path: What to call it in errors.

    Raises:
        CorruptArchiveError: Encrypted, or with absurd numbers, sizes or dictionaries.
        Exception: Whatever py7zr raises on a damaged header.
    """
    from py7zr.archiveinfo import Header, HeaderStreamsInfo, StreamsInfo, read_uint64
    from py7zr.properties import PROPERTY

    class Glance(Header):
        """Decodes the header as py7zr does, but stops short of making a record for each member."""

        def _extract_header_info(self, fp: BinaryIO) -> None:
            kind = fp.read(1)
            if kind == PROPERTY.MAIN_STREAMS_INFO:
                streams = StreamsInfo.retrieve(fp)
                memory_of(streams, path)
                refuse_many(streams.unpackinfo.numfolders, "packed streams", path)
                kind = fp.read(1)
            number = read_uint64(fp) if kind == PROPERTY.FILES_INFO else 0
            refuse_many(number, "members", path)

    start = START_HEADER.unpack(file.read(START_HEADER.size))
    offset, length = start[4:6]
    refuse_long_listing(length, path)
    file.seek(START_HEADER.size + offset)
    raw = file.read(length)
    if raw.startswith(_ENCODED):
        streams = HeaderStreamsInfo.retrieve(io.BytesIO(raw[1:]))
        memory_of(streams, path)
        unpacked = sum(max(folder.unpacksizes) for folder in streams.unpackinfo.folders)
        refuse_long_listing(unpacked, path)
    Glance.retrieve(file, io.BytesIO(raw), START_HEADER.size)
    file.seek(0)


def memory_of(streams: Any, path: Path) -> int:
    """The memory in bytes that decoding will take, as the archive declares it.

    Args:
        streams: What py7zr read of it, or None for an archive without any packed data.
        path: What to call it in errors.

    Raises:
        CorruptArchiveError: Encrypted, packed several times over, or with an absurd dictionary.
    """
    folders = [folder.coders for folder in streams.unpackinfo.folders] if streams else []
    coders = list(itertools.chain(*folders))
    methods = {coder["method"] for coder in coders}
    if _AES in methods:
        raise encrypted(path)
    for method in methods & _NOT_READ.keys():
        raise CorruptArchiveError(
            f"{path} is packed with {_NOT_READ[method]}. Unpack it with 7-Zip and give the "
            "unpacked folder as source=."
        )
    # Each compressor may multiply what comes out by a thousand: chained ones serve only
    # decompression bombs.
    if any(sum(map(_packs, folder)) > 1 for folder in folders):
        raise CorruptArchiveError(
            f"{path} is refused: it is packed several times over. No data set needs that; check "
            "where the archive comes from."
        )
    declared = max(map(_dictionary, coders), default=0)
    if declared > MAX_DICTIONARY_BYTES:
        raise CorruptArchiveError(
            f"{path} is refused: it needs a dictionary of {declared >> 20} MB, where at most "
            f"{MAX_DICTIONARY_BYTES >> 20} MB are given. Pack it again with a smaller dictionary."
        )
    return declared


def is_lzma(streams: Any) -> bool:
    """Whether everything is packed with LZMA or LZMA2 and nothing else, filters included."""
    folders = streams.unpackinfo.folders if streams else []
    return all(coder["method"] in (_LZMA, _LZMA2) for folder in folders for coder in folder.coders)


def _packs(coder: dict[str, Any]) -> bool:
    """Whether a coder makes more bytes of fewer, as filters (BCJ, delta) and copying do not."""
    method = coder["method"]
    return method in (_LZMA2, _LZMA) or method.startswith(_OTHER_PACKERS)


def _dictionary(coder: dict[str, Any]) -> int:
    """Dictionary size from a coder's properties; method ids and layouts as in 7zFormat.txt."""
    method, properties = coder["method"], coder.get("properties") or b""
    if method == _LZMA2 and properties:  # mantissa and exponent in one byte
        bits = properties[0]
        return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)  # noqa: PLR2004
    if method == _LZMA and len(properties) >= 5:  # noqa: PLR2004
        return int.from_bytes(properties[1:5], "little")  # one byte of other things, then the size
    return 0
