"""Archives, images and names as vandals and bad disks leave them, for hypothesis to try."""

from __future__ import annotations

import functools
import io
import itertools
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import py7zr
import tifffile
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image
from py7zr.archiveinfo import write_uint64

from bmgd_data import Reader
from bmgd_data.errors import STEERING, BMGDError, BMGDWarning
from common import packs_bits

quick = settings(derandomize=True, deadline=None, max_examples=60)
"""The same examples each time: for the default tests."""

long = settings(derandomize=True, deadline=None, max_examples=1500)
"""Others each time: for the slow ones."""

# ---------------------------------------------------------------------------------------- undamaged

SIDE = 16
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 4096, (SIDE, SIDE)).astype(np.uint16)
MASK = (IMAGE > 3000).astype(np.uint8) * 255
METHODS = {
    "LZMA2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "LZMA": [{"id": py7zr.FILTER_LZMA, "preset": 1}],
    "BZip2": [{"id": py7zr.FILTER_BZIP2}],
    "Deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "Zstandard": [{"id": py7zr.FILTER_ZSTD, "level": 1}],
    "Brotli": [{"id": py7zr.FILTER_BROTLI, "level": 1}],
    "Copy": [{"id": py7zr.FILTER_COPY}],
    "BCJ": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "delta": [{"id": py7zr.FILTER_DELTA}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
}


def tif(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


def drawn(array: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def members(**changed: bytes) -> dict[str, bytes]:
    """Two pairs; `image` and `mask` replace the first one's files."""
    first = {"image": tif(IMAGE), "mask": tif(MASK), **changed}
    return {
        "950 Pa/image/a.tif": first["image"],
        "950 Pa/image/b.tif": tif(IMAGE.T),
        "950 Pa/Thumbs.db": b"junk",
        "950 Pa/mask/a.tif": first["mask"],
        "950 Pa/mask/b.tif": tif(MASK.T),
    }


@functools.cache
def archives() -> dict[str, bytes]:
    """One of every method, solid and not, with its listing packed and plain."""
    made = {}
    for method, solid, packed in itertools.product(METHODS, (True, False), (True, False)):
        buffer = io.BytesIO()
        files = members().items()
        for part in [files] if solid else [[item] for item in files]:
            mode = "a" if buffer.getvalue() else "w"
            buffer.seek(0)
            with py7zr.SevenZipFile(buffer, mode, filters=METHODS[method]) as out:
                out.set_encoded_header_mode(packed)
                for name, data in part:
                    out.writestr(data, name)
        title = f"{method}{' solid' * solid}{' packed listing' * packed}"
        made[title] = buffer.getvalue()
    aes = coder(b"\x06\xf1\x07\x01", b"\x53\x07" + bytes(8))
    made["encrypted"] = sealed(bytes(64), b"\x17" + streams(64, [aes], [64]))
    return made


@functools.cache
def pictures() -> dict[str, bytes]:
    """Image files of many kinds by a name that has their suffix."""
    grey = MASK
    colour = np.dstack([grey] * 3)
    forms = {
        "plain.tif": tif(IMAGE),
        "lzw.tif": tif(IMAGE, compression="lzw", predictor=True, rowsperstrip=5),
        "deflate.tif": tif(IMAGE, compression="deflate"),
        "zstd.tif": tif(IMAGE, compression="zstd"),
        "lzma.tif": tif(IMAGE, compression="lzma"),
        "packbits.tif": tif(IMAGE, compression="packbits"),
        "tiles.tif": tif(IMAGE, tile=(16, 16), compression="lzw"),
        "big.tif": tif(IMAGE, bigtiff=True, byteorder=">"),
        "imagej.tif": tif(IMAGE, imagej=True),
        "ome.tif": tif(IMAGE, ome=True),
        "rgb.tif": tif(colour, photometric="rgb"),
        "planes.tif": tif(np.stack([grey] * 3), photometric="rgb", planarconfig="separate"),
        "white.tif": tif(MASK, photometric="miniswhite"),
        **({"bits12.tif": tif(IMAGE, bitspersample=12)} if packs_bits() else {}),
        "bool.tif": tif(MASK > 0),
        "group4.tif": drawn(MASK > 0, "tiff", compression="group4"),
        "pages.tif": tif(np.stack([IMAGE] * 3)),
        "16.png": drawn(IMAGE, "png"),
        "8.png": drawn(grey, "png"),
        "1.png": drawn(MASK > 0, "png"),
        "rgb.png": drawn(colour, "png"),
        "8.bmp": drawn(grey, "bmp"),
        "8.jpg": drawn(grey, "jpeg"),
    }
    for dtype in ("int8", "int16", "int32", "uint32", "uint64", "float16", "float32", "complex64"):
        forms[f"{dtype}.tif"] = tif(MASK.astype(dtype))
    forms["nan.tif"] = tif(np.where(MASK, np.nan, 1).astype(np.float32))
    return forms


# ------------------------------------------------------------------------------------------ damaged


@st.composite
def damaged(draw: st.DrawFn, blob: bytes, start: int = 0, most: int = 4) -> bytes:
    """Bits flipped, runs overwritten, removed, doubled or put in, the end cut; from `start` on."""
    blob = bytearray(blob)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(start, max(start, len(blob) - 1)))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64]))
        how = draw(st.sampled_from(["flip", "flip", "value", "run", "cut", "put", "double", "end"]))
        if how == "flip":
            blob[at : at + 1] = bytes(
                byte ^ 1 << draw(st.integers(0, 7)) for byte in blob[at : at + 1]
            )
        elif how == "value":  # the numbers that parsers stumble over
            number = draw(
                st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
            )
            blob[at : at + 4] = struct.pack("<I", number)
        elif how == "run":
            blob[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif how == "cut":
            del blob[at : at + length]
        elif how == "put":
            blob[at:at] = draw(st.binary(min_size=1, max_size=length))
        elif how == "double":
            blob[at:at] = blob[at : at + length]
        else:
            del blob[at:]
    return bytes(blob)


def sealed(packed: bytes, header: bytes) -> bytes:
    """A .7z with a start header that is right, whatever the rest is."""
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return (
        b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + packed + header
    )


def unsealed(blob: bytes) -> tuple[bytes, bytes]:
    """What is packed, and the header."""
    offset, length = struct.unpack_from("<QQ", blob, 12)
    return blob[32 : 32 + offset], blob[32 + offset : 32 + offset + length]


@st.composite
def damaged_archives(draw: st.DrawFn) -> bytes:
    """Archives with damage anywhere; mostly with checksums that hide it from the first look."""
    one, other = (draw(st.sampled_from(list(archives().values()))) for _ in range(2))
    packed, header = unsealed(one)
    how = draw(st.sampled_from(["whole", "packed", "header", "header", "splice", "random"]))
    if how == "whole":
        return draw(damaged(one))
    if how == "packed":
        return sealed(draw(damaged(packed)), header)
    if how == "header":
        return sealed(packed, draw(damaged(header)))
    if how == "splice":
        return sealed(packed, unsealed(other)[1])
    noise = st.binary(max_size=200)
    start = draw(st.sampled_from([b"", one[:8], one[:32], one[:-40]]))
    return draw(st.one_of(st.builds(start.__add__, noise), st.builds(sealed, noise, noise)))


@st.composite
def damaged_pictures(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file name and bytes; half the time, damage is where the tags are."""
    name = draw(st.sampled_from(list(pictures())))
    blob = pictures()[name]
    return name, draw(damaged(blob[: draw(st.sampled_from([250, len(blob)]))])) + blob[250:]


# -------------------------------------------------------------------------------------------- built


def number(value: int) -> bytes:
    """As 7z writes numbers."""
    buffer = io.BytesIO()
    write_uint64(buffer, value)
    return buffer.getvalue()


def coder(method: bytes, properties: bytes = b"") -> bytes:
    mark = bytes([len(method) | (0x20 if properties else 0)])
    return mark + method + (number(len(properties)) + properties if properties else b"")


def streams(packed: int, coders: list[bytes], unpacked: list[int], files: list[int] = ()) -> bytes:
    """What a header says of one packed stream: its coders, the size behind each, and the files'."""
    chain = b"".join(number(i + 1) + number(i) for i in range(len(coders) - 1))
    folder = number(len(coders)) + b"".join(coders) + chain
    sizes = b"".join(map(number, unpacked))
    parts = b"".join(map(number, files[:-1]))
    inside = b"\x0d" + number(len(files)) + (b"\x09" + parts if parts else b"")
    return (
        b"\x06\0\x01\x09" + number(packed) + b"\0"
        b"\x07\x0b\x01\0" + folder + b"\x0c" + sizes + b"\0"
        b"\x08" + (inside if files else b"") + b"\0\0"
    )  # fmt: skip


def listing(names: list[str], *, empty: bool = False) -> bytes:
    """What a header says of files."""
    nothing = b"\xff" * -(-len(names) // 8) if empty else b""
    encoded = b"\0" + b"".join(n.encode("utf-16-le", "surrogatepass") + b"\0\0" for n in names)
    return (
        b"\x05" + number(len(names))
        + (b"\x0e" + number(len(nothing)) + nothing if empty else b"")
        + b"\x11" + number(len(encoded)) + encoded + b"\0"
    )  # fmt: skip


def of_names(names: list[str]) -> bytes:
    """A .7z of empty files with these names, which no 7z program would pack."""
    return sealed(b"", b"\x01" + listing(names, empty=True) + b"\0")


def of_pairs(names: list[str], blob: bytes = b"") -> bytes:
    """A .7z of stored files, all with the same bytes."""
    blob = blob or tif(MASK)
    sizes = [len(blob)] * len(names)
    packed = blob * len(names)
    head = b"\x04" + streams(len(packed), [coder(b"\0")], [len(packed)], sizes)
    return sealed(packed, b"\x01" + head + listing(names) + b"\0")


STRANGE = ["~", "...", "CON", "aux.tif", "nul", "A", "é", "e\u0301", "a" * 300, " ", "a.", "a "]
STRANGE += [
    "%s{}",
    "<b>",
    "[red]",
    "細胞",
    "Image 2",
    "mask_",
    "._a",
    "__MACOSX",
    ".tif",
    "a\u200db",
]
HOSTILE = ["..", "", "C:", "c:\\x", "\\\\host\\share", "/", "a\nb", "a\rb", "\x1b[2J", "\x9b2J"]
HOSTILE += ["\u202efit.tif", "\u200f", "\u2028", "\ud800", "\ufeff", "_" * 1100]


def names(*strange: str) -> st.SearchStrategy[str]:
    """Paths of members, ordinary ones and with these parts."""
    plain = ["950 Pa", "image", "mask", "labels", "image", "mask", "a", "b"]
    part = st.one_of(*[st.sampled_from(plain)] * 3, st.sampled_from(strange))
    slash = st.sampled_from(["/", "/", "/", "\\", "//"])
    ending = st.sampled_from([".tif", ".tif", ".png", "", "_mask.tif"])
    parts = st.lists(st.tuples(part, slash), min_size=0, max_size=5)
    return st.builds(
        lambda p, last, end: "".join(map("".join, p)) + last + end, parts, part, ending
    )


def listings() -> st.SearchStrategy[list[str]]:
    """Paths of one archive with a pair in it; half of the archives have hostile ones too."""
    pair = st.sampled_from([[], ["950 Pa/image/c.tif", "950 Pa/mask/c.tif"]])
    some = st.one_of(names(*STRANGE), names(*STRANGE, *HOSTILE))
    text = st.text(st.characters(exclude_characters="\0"), max_size=8)
    lists = st.one_of(st.lists(names(*STRANGE)), st.lists(st.one_of(some, text), min_size=1))
    return st.builds(list.__add__, pair, lists)


# ----------------------------------------------------------------------------------------- promises


def attempt(source: Path, root: Path) -> Reader | BMGDError:
    """Read a source, and see that it goes well or fails as it should, leaving nothing behind."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            outcome = Reader("all", 950, source=source, root=root)
        except BMGDError as error:
            outcome = error
    texts = [str(warning.message) for warning in told]
    assert all(warning.category is BMGDWarning for warning in told), texts
    if isinstance(outcome, BMGDError):
        texts.append(str(outcome))
        assert not list((root / "stores").glob("*")) + list((root / "sources").glob("*"))
    else:
        check(outcome)
    assert not [path for path in root.rglob("*") if "partial" in path.name], "leftovers"
    for text in texts:
        assert not STEERING.search(text.replace("\n", "")), f"steers a terminal: {text!r}"
    return outcome


def check(reader: Reader) -> None:
    """What was accepted is whole."""
    shape = reader.images.shape
    assert len(reader) == len(reader.names) == shape[0] > 0
    for array, dtype in ((reader.images, "u2"), (reader.masks, "?"), (reader.instances, "u2")):
        assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert (np.asarray(reader.instances) > 0).tolist() == np.asarray(reader.masks).tolist()
    assert reader.n_nuclei.tolist() == np.asarray(reader.instances).max((1, 2)).tolist()


def tried(blob: bytes) -> Reader | BMGDError:
    """Read bytes as the archive of 950 Pa, in a folder of their own of which nothing else changes."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        beside = Path(folder) / "a" / "b"
        (beside / "source").mkdir(parents=True)
        (beside / "source" / "950 Pa.7z").write_bytes(blob)
        before = around(Path(folder))
        outcome = attempt(beside / "source", beside / "root")
        assert around(Path(folder)) - {"a/b/root"} == before, "something lies outside the root"
        return outcome


def around(folder: Path) -> set[str]:
    """Everything in a folder, but what lies below a root."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {path for path in found if "/root/" not in path}
