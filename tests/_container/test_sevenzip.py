"""`SevenZip` alone; forms, packings and hostile files are in test_matrix.py."""

from __future__ import annotations

import os
import tracemalloc

import py7zr
import pytest

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


def test_the_header_is_parsed_once(path, monkeypatch):
    opened, real = [], SevenZip._open

    def counted(archive):
        opened.append(archive)
        return real(archive)

    monkeypatch.setattr(SevenZip, "_open", counted)
    with SevenZip(path) as archive:
        archive.stream(lambda name, data: None)
    assert len(opened) == 1


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


def test_decoders_are_freed_after_their_folder(tmp_path):
    """py7zr keeps one per folder, with its dictionary; visible in an archive that is not solid."""
    path = tmp_path / "a.7z"
    for name in "abcd":
        with py7zr.SevenZipFile(path, "a" if path.exists() else "w") as out:
            out.writestr(name.encode() * 9, name)
            out.writestr(b"", f"{name}-empty")
    alive = []
    with SevenZip(path) as archive:

        def sink(name, data):
            folders = archive._seven.header.main_streams.unpackinfo.folders
            assert len(folders) == 4
            alive.append(sum(folder.decompressor is not None for folder in folders))

        archive.stream(sink)
        sink("", b"")
    assert len(alive) == 9
    assert max(alive) == 1
    assert alive[-1] == 0


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
