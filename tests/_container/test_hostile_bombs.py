"""Small files that unpack to gigabytes: refused, or read in bounded memory, time and disk.

Each is read in a process of its own, which may use 4 GB; its peak is measured.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

import hostile
from bmgd_data._container import members
from bmgd_data._container.sevenzip import SevenZip
from bmgd_data._ingest import build, rows
from bmgd_data.errors import CorruptArchiveError, StorageError

in_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM in /proc")

N = "950 Pa/image/a.tif"
COPY, DEFLATE, ZSTD, LZMA = b"\0", b"\x04\x01\x08", b"\x04\xf7\x11\x01", b"\x03\x01\x01"
MB = 2**20

CHILD = """
import json, resource, sys, time, warnings
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import imagecodecs, numpy, py7zr, skimage.measure, tifffile
from bmgd_data import BMGDError, Reader

def memory(what):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith(what))

before, start = memory("VmRSS"), time.process_time()
try:
    told = f"read {len(Reader('all', 950, source=sys.argv[2], root=sys.argv[3]))}"
except BMGDError as error:
    told = str(error)
print(json.dumps([told, memory("VmHWM") - before, time.process_time() - start]))
"""


def exploded(tmp_path: Path, blob: bytes) -> tuple[str, int]:
    """The message of reading an archive, and the peak in MB; nothing stays on disk."""
    source, root = tmp_path / "source", tmp_path / "root"
    source.mkdir()
    (source / "950 Pa.7z").write_bytes(blob)
    here = Path(__file__).parent
    command = [sys.executable, "-c", CHILD, str(here), str(source), str(root)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    told, peak, seconds = json.loads(ended.stdout)
    print(f"{len(blob)} bytes: {peak} MB, {seconds:.1f} s: {told[:200]}")
    assert not list((root / "stores").glob("*"))
    return told, peak


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


def packed(head: bytes) -> bytes:
    """A header that is itself packed."""
    blob = deflated(head)
    return hostile.sealed(
        blob, b"\x17" + hostile.streams(len(blob), [hostile.coder(DEFLATE)], [len(head)])
    )


def several_times(*, listing: bool) -> bytes:
    """Deflate in Deflate: the 70 kB unpack to 64 MB."""
    inner = deflated(bytes(64 * MB))
    outer = deflated(inner)
    coders, sizes = [hostile.coder(DEFLATE)] * 2, [len(inner), 64 * MB]
    if listing:
        return hostile.sealed(outer, b"\x17" + hostile.streams(len(outer), coders, sizes))
    head = b"\x01\x04" + hostile.streams(len(outer), coders, sizes, [64 * MB])
    return hostile.sealed(outer, head + hostile.listing([N]) + b"\0")


def zstd_zeros(members: int, size: int) -> bytes:
    """Zstandard stores 128 kB of zeros in four bytes (RFC 8878, RLE blocks)."""
    blocks = members * size // (128 << 10)
    block = struct.pack("<I", 0b10 | (128 << 10) << 3)[:3] + b"\0"
    last = struct.pack("<I", 0b11 | (128 << 10) << 3)[:3] + b"\0"
    frame = b"\x28\xb5\x2f\xfd\x00\x88" + block * (blocks - 1) + last
    coder = hostile.coder(ZSTD, bytes([1, 5, 3, 0, 0]))
    sizes = [size] * members
    names = [f"950 Pa/{role}/{i}.tif" for i in range(members // 2) for role in ("image", "mask")]
    head = b"\x01\x04" + hostile.streams(len(frame), [coder], [members * size], sizes)
    return hostile.sealed(frame, head + hostile.listing(names) + b"\0")


def of_one(coder: bytes, sizes: list[int]) -> bytes:
    """A tiny archive that declares these sizes."""
    names = [f"950 Pa/image/{i}.tif" for i in range(len(sizes))]
    head = b"\x01\x04" + hostile.streams(9, [coder], [sum(sizes)], sizes)
    return hostile.sealed(bytes(9), head + hostile.listing(names) + b"\0")


def many_members() -> bytes:
    return packed(b"\x01\x05" + hostile.number(2**23) + b"\0" + bytes(2**23))


def many_streams() -> bytes:
    count = 100_001
    folders = b"\x07\x0b" + hostile.number(count) + b"\0" + b"\x01\0" * count
    return packed(b"\x01\x04" + folders + b"\x0c" + bytes(count + 9))


def many_owners() -> bytes:
    """Thousands of images and masks whose names differ in separators only."""
    between = ["".join(marks) for marks in itertools.product(" ._-", repeat=6)]
    return hostile.of_names(
        [f"950 Pa/{role}/a{m}{role}.tif" for m in between for role in ("image", "mask")]
    )


def declared(size: int) -> bytes:
    """An archive whose listing declares that size."""
    return hostile.sealed(b"x", b"\x17" + hostile.streams(1, [hostile.coder(DEFLATE)], [size]))


def dictionary(size: int) -> bytes:
    """An archive whose listing needs a dictionary of that size."""
    coder = hostile.coder(LZMA, b"\x5d" + size.to_bytes(4, "little"))
    return hostile.sealed(bytes(9), b"\x17" + hostile.streams(9, [coder], [9]))


BOMBS = {
    "packed twice": (lambda: several_times(listing=False), "packed several times over", 20),
    "listing packed twice": (lambda: several_times(listing=True), "packed several times over", 20),
    "8 million members": (many_members, "8,388,608 members, where at most 100,000", 60),
    "packed streams": (many_streams, "100,001 packed streams, where at most 100,000", 150),
    "a large listing": (
        lambda: declared(17 * MB),
        "17,825,792 bytes of listing, where at most 16,777,216",
        20,
    ),
    "the listing's dictionary": (
        lambda: dictionary(2**31),
        "2,147,483,648 bytes of dictionary, where",
        20,
    ),
    "one member": (
        lambda: of_one(hostile.coder(COPY), [257 * MB]),
        ", where 0 to 268435456 are read",
        20,
    ),
    "all members": (
        lambda: of_one(hostile.coder(COPY), [256 * MB] * 65),
        "17,448,304,640 bytes of files, where at most 17,179,869,184 are read",
        20,
    ),
    "owners": (many_owners, "an empty file", 60),
    "real zeros, and no image": (lambda: zstd_zeros(16, 32 * MB), "16 fault(s) found", 450),
}


@in_proc
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(bomb, tmp_path):
    make, says, most = BOMBS[bomb]
    blob = make()
    assert len(blob) < MB
    told, peak = exploded(tmp_path, blob)
    assert says in told
    assert peak < most, "MB"


@in_proc
@pytest.mark.slow
def test_a_large_bomb(tmp_path):
    """128 kB that unpack to 4 GB, each of its sixteen members as large as the limit allows."""
    told, peak = exploded(tmp_path, zstd_zeros(16, members.MAX_MEMBER_BYTES))
    assert "16 fault(s) found" in told
    assert peak < 1300, "MB"


def test_large_files_do_not_pile_up():
    """While one is worked on, small ones wait, and the next large one is not read."""
    done, more = threading.Event(), threading.Event()

    def work(path, data):
        if path == "first":
            done.wait(10)

    def hand_over_all(hand_over):
        for path in ("first", *map(str, range(9))):
            hand_over(path, b"small")
        more.set()
        hand_over("large", bytes(build._WAITING_BYTES))
        assert done.is_set(), "the large file waits until those before it are done"

    with build._in_background(work) as hand_over:
        reading = threading.Thread(target=hand_over_all, args=(hand_over,))
        reading.start()
        assert more.wait(10)
        reading.join(0.2)
        assert reading.is_alive()
        done.set()
        reading.join(10)
        assert not reading.is_alive()


def test_arrays_are_bounded(monkeypatch):
    """A few kB of compressed images may hold more pixels than any disk."""
    monkeypatch.setattr(rows, "MAX_BYTES", 2 * 7 * 256 - 1)
    outcome = hostile.tried(hostile.archives()["LZMA2 solid"])
    assert isinstance(outcome, StorageError)
    assert "2 images of 16 x 16 pixels would take 0 GB, where at most 0 GB" in str(outcome)
    monkeypatch.setattr(rows, "MAX_BYTES", 2 * 7 * 256)
    assert len(hostile.tried(hostile.archives()["LZMA2 solid"])) == 2


def test_duplicate_names_are_found_in_linear_time(tmp_path):
    """Twenty thousand names, each twice; comparing each with all takes minutes."""
    names = [f"950 Pa/image/{i}.{end}" for i in range(20_000) for end in ("tif", "png")]
    path = tmp_path / "950 Pa.7z"
    path.write_bytes(hostile.of_names(names))
    from bmgd_data._ingest import pairing
    from bmgd_data.facts import CONDITIONS

    start = os.times().user
    with SevenZip(path) as archive:
        plan = pairing.pair_up((member.path for member in archive.members), CONDITIONS[1])
    assert "and 19999 more names" in plan.damage[0]
    assert os.times().user - start < 8


@pytest.mark.parametrize("mark", [" ._-", "_", "_of_", "_mask", "_binary"])
def test_long_names_take_no_longer_than_their_length(mark):
    from bmgd_data._ingest import pairing
    from bmgd_data.facts import CONDITIONS

    start = os.times().user
    for name in (mark * 1000 + "x", "mask" + mark * 1000 + "/x", mark * 1000):
        pairing.pair_up([f"image/{name}.tif", f"mask/{name}x.tif"], CONDITIONS[1])
    assert os.times().user - start < 4


def test_a_refusal_is_not_called_damage(tmp_path):
    """Fetching a bomb again does not help, so no message advises it."""
    path = tmp_path / "950 Pa.7z"
    path.write_bytes(several_times(listing=False))
    with pytest.raises(CorruptArchiveError) as caught:
        SevenZip(path)
    assert type(caught.value) is CorruptArchiveError
