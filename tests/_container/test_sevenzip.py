"""`SevenZip` alone; forms, packings and hostile files are in test_matrix.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import tracemalloc

import py7zr
import pytest

import hostile
from bmgd_data._container.members import Member
from bmgd_data._container.sevenzip import SevenZip
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError


def stream(path, sink):
    with SevenZip(path) as archive:
        archive.stream(sink)


def members(path):
    with SevenZip(path) as archive:
        return archive.members


@pytest.fixture
def path(tmp_path, write_7z):
    return write_7z(tmp_path / "a.7z", {"x/a.tif": b"A" * 9, "x/empty": b"", "x/b.tif": b"B" * 5})


def test_members_are_listed_and_streamed_in_order(path):
    came = []
    with SevenZip(path) as archive:
        assert archive.members == [Member("x/a.tif", 9), Member("x/empty", 0), Member("x/b.tif", 5)]
        archive.stream(lambda name, data: came.append((name, data)))
        assert came == [("x/a.tif", b"A" * 9), ("x/empty", b""), ("x/b.tif", b"B" * 5)]
        archive.stream(lambda name, data: came.append((name, data)))
    assert len(came) == 6, "it can be streamed again"


def test_the_declared_dictionary(tmp_path, write_7z):
    filters = [{"id": py7zr.FILTER_LZMA2, "dict_size": 1 << 20}]
    path = write_7z(tmp_path / "a.7z", {"a": b"x"}, filters=filters)
    with SevenZip(path) as archive:
        assert archive.dictionary_bytes == 1 << 20


@pytest.mark.parametrize("failure", [ValueError, OSError, CorruptArchiveError, MemoryError])
def test_what_the_sink_raises_comes_through(path, failure):
    raised = failure("from the sink")

    def sink(name, data):
        raise raised

    with pytest.raises(failure) as caught:
        stream(path, sink)
    assert caught.value is raised


def test_interrupts_come_through(path):
    def sink(name, data):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(path, sink)


def test_members_are_freed_after_they_are_passed_on(tmp_path, write_7z):
    size, count = 2**20, 48
    filters = [{"id": py7zr.FILTER_LZMA2, "dict_size": 1 << 20}]
    path = write_7z(
        tmp_path / "a.7z", {str(i): bytes([i]) * size for i in range(count)}, filters=filters
    )
    tracemalloc.start()
    try:
        stream(path, lambda name, data: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < count * size / 2


@pytest.mark.parametrize("where", ["a link that leads away", "gone"])
def test_the_working_folder_does_not_matter(tmp_path, monkeypatch, path, where):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    if where == "gone":
        work.rmdir()
    else:
        (work / "x").symlink_to(tmp_path)
    came = []
    stream(path, lambda name, _data: came.append(name))
    assert came == ["x/a.tif", "x/empty", "x/b.tif"]


@pytest.mark.skipif(os.name != "posix", reason="open files cannot be removed")
def test_an_archive_that_is_removed_meanwhile_does_not_come_back_as_a_folder(path):
    came = []
    with SevenZip(path) as archive:
        path.unlink()
        archive.stream(lambda name, _data: came.append(name))
    assert came == ["x/a.tif", "x/empty", "x/b.tif"]
    assert not path.exists()


def test_folders_are_not_members(tmp_path):
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "a").write_bytes(b"a")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as out:
        out.writeall(tmp_path / "tree", "tree")
    assert members(tmp_path / "a.7z") == [Member("tree/a", 1)]


def test_damage_is_distinguished_from_what_fetching_again_does_not_repair(tmp_path, write_7z):
    path = write_7z(tmp_path / "a.7z", {"a": b"x" * 99}, filters=[{"id": py7zr.FILTER_COPY}])
    blob = bytearray(path.read_bytes())
    blob[40] ^= 1
    path.write_bytes(blob)
    with pytest.raises(DamagedArchiveError, match="is damaged at 'a'"):
        stream(path, lambda name, data: None)
    refused = write_7z(tmp_path / "b.7z", {"a": b"x"}, password="open")  # noqa: S106
    with pytest.raises(CorruptArchiveError, match="encrypted") as caught:
        SevenZip(refused)
    assert not isinstance(caught.value, DamagedArchiveError)


def test_an_empty_archive_has_no_members(tmp_path, write_7z):
    with SevenZip(write_7z(tmp_path / "a.7z", {})) as archive:
        assert archive.members == []
        archive.stream(lambda name, data: pytest.fail(name))


@pytest.mark.parametrize(
    ("filters", "sip"),
    [
        ([{"id": py7zr.FILTER_LZMA2, "preset": 1}], 16384),
        ([{"id": py7zr.FILTER_LZMA, "preset": 1}], 16384),
        ([{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA, "preset": 1}], 1024),
        ([{"id": py7zr.FILTER_ZSTD, "level": 3}], 1024),
        ([{"id": py7zr.FILTER_DEFLATE}], 1024),
        ([{"id": py7zr.FILTER_COPY}], 1024),
    ],
)
def test_only_lzma_is_read_in_larger_sips(filters, sip, tmp_path, write_7z):
    """Zstandard and Deflate unpack all of a sip at once, however much that is."""
    content = os.urandom(20_000)
    path = write_7z(tmp_path / "a.7z", {"a": content}, filters=filters)
    came = []
    with SevenZip(path) as archive:
        archive.stream(lambda name, data: came.append(data))
        assert archive._file.sip == sip
    assert came == [content]


# ------------------------------------------------------------------------- ways that are not read

LZMA2, BZIP2, COPY, DEFLATE = b"\x21", b"\x04\x02\x02", b"\0", b"\x04\x01\x08"
DELTA, IA64, ARM64, RISCV, SWAP2 = b"\x03", b"\x06", b"\x0a", b"\x0b", b"\x02\x03\x02"
BROTLI, LZ4 = b"\x04\xf7\x11\x02", b"\x04\xf7\x11\x04"


@pytest.mark.parametrize(
    ("methods", "says", "tool"),
    [
        ([DELTA, BZIP2], "the filter Delta without LZMA", "7-Zip"),
        ([DELTA, DEFLATE], "the filter Delta without LZMA", "7-Zip"),
        ([DELTA, COPY], "the filter Delta without LZMA", "7-Zip"),
        ([IA64, COPY], "the filter IA64 without LZMA", "7-Zip"),
        ([ARM64, LZMA2], "the filter ARM64", "7-Zip"),
        ([RISCV, LZMA2], "the filter RISCV", "7-Zip"),
        ([SWAP2, LZMA2], "the filter SWAP2", "7-Zip"),
        ([BROTLI], "Brotli", "the program that made it (7-Zip ZS"),
        ([LZ4], "LZ4", "the program that made it (7-Zip ZS"),
        ([b"\x7f\x01"], "a method that is unknown here (7f01)", "the program that made it,"),
    ],
)
def test_a_whole_archive_is_not_called_damaged(methods, says, tool, tmp_path):
    """7-Zip 26 packs the filters, 7-Zip ZS the others; headers are enough to refuse them."""
    coders = [hostile.coder(method, b"\x18" if method == LZMA2 else b"") for method in methods]
    streams = hostile.streams(9, coders, [9] * len(coders), [9])
    path = tmp_path / "950 Pa.7z"
    path.write_bytes(
        hostile.sealed(bytes(9), b"\x01\x04" + streams + hostile.listing(["a"]) + b"\0")
    )
    with pytest.raises(CorruptArchiveError, match=r"in a way that is not read here") as caught:
        SevenZip(path)
    assert type(caught.value) is CorruptArchiveError
    assert f"with {says}" in str(caught.value)
    assert f"Unpack it with {tool}" in str(caught.value)


def test_a_differential_archive_is_said_to_be_one(tmp_path):
    """It has anti-items: `7z u -up0q3r2x2y2z0w2!update.7z` writes them."""
    anti = b"\x10\x01\x80"  # property, its bytes, a bit for each empty stream
    listing = hostile.listing(["a"])
    assert listing.endswith(b"\0")
    path = tmp_path / "950 Pa.7z"
    path.write_bytes(hostile.sealed(b"", b"\x01" + listing[:-1] + anti + b"\0\0"))
    with pytest.raises(CorruptArchiveError, match="is a differential archive") as caught:
        SevenZip(path)
    assert type(caught.value) is CorruptArchiveError


@pytest.mark.skipif(shutil.which("7zz") is None, reason="needs 7-Zip, Debian's package 7zip")
@pytest.mark.parametrize(
    ("options", "read"),
    [
        *(([f"-m0={one}"], True) for one in ("LZMA2", "LZMA", "BZip2", "Deflate", "Copy")),
        *((["-m0=BCJ", f"-m1={one}"], True) for one in ("LZMA2", "BZip2")),
        (["-m0=Delta:2", "-m1=LZMA2"], True),
        (["-mhc=off"], True),
        (["-ms=off"], True),
        (["-m0=Delta:2", "-m1=BZip2"], False),
        (["-m0=ARM64", "-m1=LZMA2"], False),
        (["-m0=PPMd"], False),
    ],
)
def test_what_7_zip_packs_is_read_or_refused(options, read, tmp_path):
    content = {f"x/{n}.tif": bytes([n]) * 999 + os.urandom(99) for n in range(5)} | {"x/e": b""}
    for name, data in content.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    command = ["7zz", "a", "-bd", *options, "a.7z", "x"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    came = {}
    if read:
        stream(tmp_path / "a.7z", came.__setitem__)
        assert came == content
    else:
        with pytest.raises(CorruptArchiveError, match="not read here"):
            SevenZip(tmp_path / "a.7z")
