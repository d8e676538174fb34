"""Refuses a .7z whose header declares more memory than is given, before py7zr allocates it.

A header is itself packed, so a few hundred bytes may declare millions of members, or hold a bomb.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from py7zr.archiveinfo import Header, HeaderStreamsInfo, StreamsInfo, read_uint64
from py7zr.properties import PROPERTY

from bmgd_data._container.first_bytes import START_HEADER
from bmgd_data._container.members import MAX_LISTING_BYTES, MAX_MEMBERS, encrypted, refuse_above
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
_PACKERS: Final = (_LZMA2, _LZMA, b"\x04\x01", b"\x04\x02", b"\x04\xf7")
"""Beginnings of the method ids of compressors: LZMA, Deflate, BZip2, Zstandard, Brotli and others.
Filters (BCJ, delta) and copying are not among them."""


def check(file: BinaryIO, path: Path) -> None:
    """Refuse an encrypted archive, and absurd numbers, sizes or dictionaries in the header.

    The start header must be whole. The file is left at its start. On a damaged header, whatever
    py7zr raises comes through.
    """

    class Glance(Header):
        """Decodes the header as py7zr does, but does not make a record for each member."""

        def _extract_header_info(self, fp: BinaryIO) -> None:
            kind = fp.read(1)
            if kind == PROPERTY.MAIN_STREAMS_INFO:
                streams = StreamsInfo.retrieve(fp)
                _refuse_coders(streams, path)
                count = streams.unpackinfo.numfolders
                refuse_above(MAX_MEMBERS, count, "packed streams", path)
                kind = fp.read(1)
            number = read_uint64(fp) if kind == PROPERTY.FILES_INFO else 0
            refuse_above(MAX_MEMBERS, number, "members", path)

    start = START_HEADER.unpack(file.read(START_HEADER.size))
    offset, length = start[4:6]
    refuse_above(MAX_LISTING_BYTES, length, "bytes of listing", path)
    file.seek(START_HEADER.size + offset)
    raw = file.read(length)
    if raw.startswith(_ENCODED):
        streams = HeaderStreamsInfo.retrieve(io.BytesIO(raw[1:]))
        _refuse_coders(streams, path)
        unpacked = sum(max(folder.unpacksizes) for folder in streams.unpackinfo.folders)
        refuse_above(MAX_LISTING_BYTES, unpacked, "bytes of listing", path)
    Glance.retrieve(file, io.BytesIO(raw), START_HEADER.size)
    file.seek(0)


def is_lzma(streams: Any) -> bool:
    """Whether everything is packed with LZMA or LZMA2 and nothing else, filters included."""
    return all(coder["method"] in (_LZMA, _LZMA2) for coder in _coders(streams))


def largest_dictionary(streams: Any) -> int:
    """The largest dictionary, in bytes, that the archive declares."""
    return max(map(_dictionary, _coders(streams)), default=0)


def _coders(streams: Any) -> list[dict[str, Any]]:
    """All coders; py7zr has no streams for an archive without any packed data."""
    folders = streams.unpackinfo.folders if streams else []
    return [coder for folder in folders for coder in folder.coders]


def _refuse_coders(streams: Any, path: Path) -> None:
    for folder in streams.unpackinfo.folders:
        methods = [coder["method"] for coder in folder.coders]
        if _AES in methods:
            raise encrypted(path)
        for method in _NOT_READ.keys() & methods:
            raise CorruptArchiveError(
                f"{path} is packed with {_NOT_READ[method]}. Unpack it with 7-Zip and give the "
                "unpacked folder as source=."
            )
        # Each compressor may multiply what comes out by a thousand: chained ones serve only
        # decompression bombs.
        if sum(method.startswith(_PACKERS) for method in methods) > 1:
            raise CorruptArchiveError(
                f"{path} is refused: it is packed several times over. No data set needs that; "
                "check where the archive comes from."
            )
    declared = largest_dictionary(streams)
    refuse_above(MAX_DICTIONARY_BYTES, declared, "bytes of dictionary", path)


def _dictionary(coder: dict[str, Any]) -> int:
    """Dictionary size from a coder's properties; method ids and layouts as in 7zFormat.txt."""
    method, properties = coder["method"], coder.get("properties") or b""
    if method == _LZMA2 and properties:  # mantissa and exponent in one byte
        bits = properties[0]
        return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)  # noqa: PLR2004
    if method == _LZMA and len(properties) >= 5:  # noqa: PLR2004
        return int.from_bytes(properties[1:5], "little")  # the first byte holds other parameters
    return 0
