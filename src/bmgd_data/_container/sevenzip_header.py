"""What a .7z declares, from its raw header: it is refused before py7zr allocates anything for it.

A header is itself packed, so a few hundred bytes may declare millions of members, or hold a bomb.
The format is that of 7zFormat.txt in the LZMA SDK; method ids are in its Methods.txt.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from bmgd_data._container.first_bytes import START_HEADER
from bmgd_data._container.members import MAX_LISTING_BYTES, MAX_MEMBERS, encrypted, refuse_above
from bmgd_data.errors import CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_DICTIONARY_BYTES: Final = 2**30
_MAX_CODERS: Final = 32
"""In one folder, as in 7-Zip."""

# Property ids.
_END, _HEADER, _MAIN_STREAMS, _FILES, _PACK, _FOLDERS, _SUBSTREAMS = 0, 1, 4, 5, 6, 7, 8
_SIZE, _CRC, _FOLDER, _UNPACK_SIZE, _STREAM_COUNT, _ANTI, _ENCODED = 9, 10, 11, 12, 13, 16, 23

_COPY: Final = b"\x00"
_LZMA2: Final = b"\x21"
_LZMA: Final = b"\x03\x01\x01"
_DEFLATE: Final = b"\x04\x01\x08"
_BZIP2: Final = b"\x04\x02\x02"
_AES: Final = b"\x06\xf1\x07\x01"
_PACKERS: Final = (_LZMA2, _LZMA, b"\x04\x01", b"\x04\x02", b"\x04\xf7")
"""Beginnings of the method ids of compressors: LZMA, Deflate, BZip2, Zstandard, Brotli and others.
Filters (BCJ, Delta) and copying are not among them."""
_READ: Final = {
    *(_COPY, _LZMA2, _LZMA, _DEFLATE, b"\x04\x01\x09", _BZIP2, b"\x04\xf7\x11\x01"),  # last: Zstd
    *(b"\x04", b"\x05", b"\x07", b"\x08", b"\x09"),  # BCJ, PPC, ARM, ARMT, SPARC
    *(b"\x03\x03\x01\x03", b"\x03\x03\x02\x05", b"\x03\x03\x05\x01"),  # the same, by older ids
    *(b"\x03\x03\x07\x01", b"\x03\x03\x08\x05"),
}
_READ_WITH_LZMA: Final = {b"\x03": "Delta", b"\x06": "IA64", b"\x03\x03\x04\x01": "IA64"}
"""Filters that liblzma undoes together with LZMA, and py7zr not without it."""
_ITS_PROGRAM: Final = "the program that made it (7-Zip ZS or py7zr; the usual 7-Zip cannot read it)"
_NOT_READ: Final = {
    b"\x03\x04\x01": ("PPMd, whose decoder can crash on damaged data", "7-Zip"),
    b"\x03\x03\x01\x1b": (
        "BCJ2, a filter that 7-Zip chooses for programs (.exe) among the files; it is harmless",
        "7-Zip",
    ),
    b"\x0a": ("the filter ARM64", "7-Zip"),
    b"\x0b": ("the filter RISCV", "7-Zip"),
    b"\x02\x03\x02": ("the filter SWAP2", "7-Zip"),
    b"\x02\x03\x04": ("the filter SWAP4", "7-Zip"),
    b"\x04\xf7\x11\x02": ("Brotli", _ITS_PROGRAM),
    b"\x04\xf7\x11\x04": ("LZ4", _ITS_PROGRAM),
    b"\x04\xf7\x11\x05": ("LZ5", _ITS_PROGRAM),
    b"\x04\xf7\x11\x06": ("Lizard", _ITS_PROGRAM),
}
"""Methods by id: what they are, and what unpacks them."""


class Coder(NamedTuple):
    """A compressor or filter."""

    method: bytes
    properties: bytes


class Declared(NamedTuple):
    """What an archive declares."""

    folders: list[list[Coder]]
    """The coders of each folder: 7z's name for what is packed in one stream."""

    @property
    def is_lzma(self) -> bool:
        """Whether everything is packed with LZMA or LZMA2 and nothing else, filters included."""
        return all(coder.method in (_LZMA, _LZMA2) for coders in self.folders for coder in coders)

    @property
    def dictionary_bytes(self) -> int:
        """The largest dictionary."""
        return max((_dictionary(coder) for coders in self.folders for coder in coders), default=0)


class _Streams(NamedTuple):
    folders: list[list[Coder]]
    position: int
    """Of the first packed stream, after the start header."""
    packed: list[int]
    """Sizes of the packed streams."""
    unpacked: list[list[int]]
    """Sizes of what each coder of each folder gives."""


def check(file: BinaryIO, path: Path) -> Declared:
    """Refuse what is not read, and absurd numbers, sizes or dictionaries in the header.

    The start header must be whole. The file is left at its start.

    Raises:
        CorruptArchiveError: The archive is encrypted, hostile, or packed in a way not read here.
        ValueError, EOFError, zlib.error, lzma.LZMAError, OSError: The header is damaged.
    """
    offset, length, crc = START_HEADER.unpack(file.read(START_HEADER.size))[4:7]
    refuse_above(MAX_LISTING_BYTES, length, "bytes of listing", path)
    file.seek(START_HEADER.size + offset)
    raw = file.read(length)
    if zlib.crc32(raw) != crc:
        raise ValueError("the header's checksum is wrong")
    if raw and raw[0] == _ENCODED:
        raw = _decoded(file, _streams(_Parser(raw[1:]), path), path)
    file.seek(0)
    parser, folders = _Parser(raw), []
    if not raw:  # an archive without members
        return Declared([])
    parser.expect(_HEADER)
    if (kind := parser.byte()) == _MAIN_STREAMS:
        folders = _streams(parser, path).folders
        kind = parser.byte()
    if kind == _FILES:
        _check_files(parser, path)
    elif kind != _END:
        raise ValueError(f"unknown part {kind} of the header")
    return Declared(folders)


def _decoded(file: BinaryIO, streams: _Streams, path: Path) -> bytes:
    """The header, unpacked."""
    if len(streams.folders) != 1 or len(streams.packed) != 1:
        raise ValueError("the header is in several streams")
    [[coder, *more]], [[size, *_]] = streams.folders, streams.unpacked
    refuse_above(MAX_LISTING_BYTES, max(streams.unpacked[0]), "bytes of listing", path)
    if more or coder.method not in _UNPACK:
        raise CorruptArchiveError(
            f"{path} has a listing that is packed in a way not read here. Unpack it with the "
            "program that made it, and give the unpacked folder as source=."
        )
    file.seek(START_HEADER.size + streams.position)
    packed = file.read(streams.packed[0])
    data: bytes = _UNPACK[coder.method](coder.properties).decompress(packed, size)
    if len(data) != size:
        raise ValueError("the header is cut off")
    return data


class _Stored:
    def decompress(self, data: bytes, size: int) -> bytes:
        return data[:size]


def _lzma(properties: bytes) -> lzma.LZMADecompressor:
    packed, dictionary = properties[0], int.from_bytes(properties[1:5], "little")
    bits = {"lc": packed % 9, "lp": packed // 9 % 5, "pb": packed // 45}
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), **bits}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def _lzma2(properties: bytes) -> lzma.LZMADecompressor:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": _dictionary(Coder(_LZMA2, properties))}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


_UNPACK: Final[dict[bytes, Callable[[bytes], Any]]] = {
    _COPY: lambda _: _Stored(),
    _LZMA: _lzma,
    _LZMA2: _lzma2,
    _DEFLATE: lambda _: zlib.decompressobj(-15),
    _BZIP2: lambda _: bz2.BZ2Decompressor(),
}
"""What unpacks a header, by method."""


class _Parser:
    """Reads a header's numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise EOFError("the header ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """The leading 1-bits of the first byte count the bytes that follow."""
        first = self.byte()
        more = 8 - (~first & 0xFF).bit_length()
        low = int.from_bytes(self.take(more), "little")
        return low | (first & (0x7F >> more)) << 8 * more

    def numbers(self, count: int) -> list[int]:
        return [self.number() for _ in range(count)]

    def flags(self, count: int) -> list[bool]:
        """A bit each, or one byte that says that all are set."""
        return [True] * count if self.byte() else self.bits(count)

    def bits(self, count: int) -> list[bool]:
        field = self.take((count + 7) // 8)
        return [bool(field[at // 8] & 0x80 >> at % 8) for at in range(count)]

    def checksums(self, count: int) -> list[bool]:
        """Skip checksums; whether each is there."""
        there = self.flags(count)
        self.take(4 * sum(there))
        return there

    def expect(self, kind: int) -> None:
        if (found := self.byte()) != kind:
            raise ValueError(f"part {found} of the header, where {kind} belongs")


def _streams(parser: _Parser, path: Path) -> _Streams:
    found = _Streams([], 0, [], [])
    there: list[bool] = []
    while (kind := parser.byte()) != _END:
        if kind == _PACK:
            position, packed = _packed(parser, path)
            found = found._replace(position=position, packed=packed)
        elif kind == _FOLDERS:
            folders, unpacked, there = _folders(parser, path)
            found = found._replace(folders=folders, unpacked=unpacked)
        elif kind == _SUBSTREAMS:
            _skip_substreams(parser, there, path)
        else:
            raise ValueError(f"unknown part {kind} of the streams")
    for coders in found.folders:
        _refuse_coders(coders, path)
    return found


def _packed(parser: _Parser, path: Path) -> tuple[int, list[int]]:
    """Where the packed streams begin, and their sizes."""
    position, count = parser.number(), parser.number()
    refuse_above(MAX_MEMBERS, count, "packed streams", path)
    sizes: list[int] = []
    while (kind := parser.byte()) != _END:
        if kind == _SIZE:
            sizes = parser.numbers(count)
        elif kind == _CRC:
            parser.checksums(count)
        else:
            raise ValueError(f"unknown part {kind} of the packed streams")
    return position, sizes


def _folders(parser: _Parser, path: Path) -> tuple[list[list[Coder]], list[list[int]], list[bool]]:
    """The coders of each folder, the sizes of what they give, and whether it has a checksum."""
    parser.expect(_FOLDER)
    count = parser.number()
    refuse_above(MAX_MEMBERS, count, "packed streams", path)
    parser.expect(0)  # the folders are here, and not in another stream
    found = [_folder(parser) for _ in range(count)]
    parser.expect(_UNPACK_SIZE)
    sizes = [parser.numbers(outs) for _, outs in found]
    there = [False] * count
    while (kind := parser.byte()) != _END:
        if kind != _CRC:
            raise ValueError(f"unknown part {kind} of the folders")
        there = parser.checksums(count)
    return [coders for coders, _ in found], sizes, there


def _folder(parser: _Parser) -> tuple[list[Coder], int]:
    """The coders of a folder, and how many streams they give."""
    coders, ins, outs = [], 0, 0
    count = parser.number()
    if not 0 < count <= _MAX_CODERS:
        raise ValueError(f"{count} coders of a folder")
    for _ in range(count):
        flags = parser.byte()
        method = parser.take(flags & 0x0F)
        sizes = parser.numbers(2) if flags & 0x10 else [1, 1]
        if max(sizes) > _MAX_CODERS:
            raise ValueError(f"a coder of {max(sizes)} streams")
        properties = parser.take(parser.number()) if flags & 0x20 else b""
        coders.append(Coder(method, properties))
        ins, outs = ins + sizes[0], outs + sizes[1]
    parser.numbers(2 * (outs - 1))  # which streams are bound to which
    if (open_streams := ins - outs + 1) > 1:
        parser.numbers(open_streams)
    return coders, outs


def _skip_substreams(parser: _Parser, there: list[bool], path: Path) -> None:
    counts = [1] * len(there)
    kind = parser.byte()
    if kind == _STREAM_COUNT:
        counts = parser.numbers(len(there))
        kind = parser.byte()
    refuse_above(MAX_MEMBERS, sum(counts), "members", path)
    if kind == _SIZE:
        parser.numbers(sum(max(count - 1, 0) for count in counts))
        kind = parser.byte()
    while kind != _END:
        if kind != _CRC:
            raise ValueError(f"unknown part {kind} of the members' streams")
        known = sum(crc and count == 1 for crc, count in zip(there, counts, strict=True))
        parser.checksums(sum(counts) - known)
        kind = parser.byte()


def _check_files(parser: _Parser, path: Path) -> None:
    refuse_above(MAX_MEMBERS, parser.number(), "members", path)
    while (kind := parser.byte()) != _END:
        content = parser.take(parser.number())
        if kind == _ANTI and any(content):
            raise CorruptArchiveError(
                f"{path} is a differential archive, which says what to remove from an older one. "
                "Unpack the older one with 7-Zip, then this one over it, and give the unpacked "
                "folder as source=."
            )


def _refuse_coders(coders: list[Coder], path: Path) -> None:
    methods = [coder.method for coder in coders]
    if _AES in methods:
        raise encrypted(path)
    lzma_too = bool({_LZMA, _LZMA2} & set(methods))
    for method in methods:
        if method in _READ or (method in _READ_WITH_LZMA and lzma_too):
            continue
        what, tool = _NOT_READ.get(method, (f"a method that is unknown here ({method.hex()})", ""))
        if method in _READ_WITH_LZMA:
            what, tool = f"the filter {_READ_WITH_LZMA[method]} without LZMA", "7-Zip"
        raise CorruptArchiveError(
            f"{path} is packed in a way that is not read here, with {what}. Unpack it with "
            f"{tool or 'the program that made it'}, and give the unpacked folder as source=."
        )
    # Each compressor may multiply what comes out by a thousand: chained ones serve only
    # decompression bombs.
    if sum(method.startswith(_PACKERS) for method in methods) > 1:
        raise CorruptArchiveError(
            f"{path} is refused: it is packed several times over. No data set needs that; "
            "check where the archive comes from."
        )
    declared = max(map(_dictionary, coders))
    refuse_above(MAX_DICTIONARY_BYTES, declared, "bytes of dictionary", path)


def _dictionary(coder: Coder) -> int:
    """Dictionary size from a coder's properties."""
    method, properties = coder
    if method == _LZMA2 and properties:  # mantissa and exponent in one byte
        bits = properties[0]
        return 0xFFFFFFFF if bits >= 40 else (2 | bits & 1) << (bits // 2 + 11)  # noqa: PLR2004
    if method == _LZMA and len(properties) >= 5:  # noqa: PLR2004
        return int.from_bytes(properties[1:5], "little")  # the first byte holds other parameters
    return 0
