"""What `Archive` promises by itself; forms, packings and hostile files are in test_matrix.py."""

from __future__ import annotations

import contextlib
import os
import tracemalloc

import py7zr
import pytest

from bmgd_data._container.sevenzip import Archive, Member
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError


@pytest.fixture
def path(tmp_path, write_7z):
    return write_7z(tmp_path / "a.7z", {"x/a.tif": b"A" * 9, "x/empty": b"", "x/b.tif": b"B" * 5})


def test_members_are_listed_and_streamed_in_order(path):
    archive = Archive(path)
    assert archive.members == [Member("x/a.tif", 9), Member("x/empty", 0), Member("x/b.tif", 5)]
    came = []
    archive.stream(lambda name, data: came.append((name, data)))
    assert came == [("x/a.tif", b"A" * 9), ("x/empty", b""), ("x/b.tif", b"B" * 5)]
    archive.stream(lambda name, data: came.append((name, data)))
    assert len(came) == 6, "it can be streamed again"


def test_the_declared_dictionary(tmp_path, write_7z):
    filters = [{"id": py7zr.FILTER_LZMA2, "dict_size": 1 << 20}]
    path = write_7z(tmp_path / "a.7z", {"a": b"x"}, filters=filters)
    assert Archive(path).dictionary_bytes == 1 << 20


@pytest.mark.parametrize("failure", [ValueError, OSError, CorruptArchiveError, MemoryError])
def test_what_the_sink_raises_comes_through(path, failure):
    raised = failure("from the sink")

    def sink(name, data):
        raise raised

    with pytest.raises(failure) as caught:
        Archive(path).stream(sink)
    assert caught.value is raised


def test_interrupts_come_through(path):
    def sink(name, data):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Archive(path).stream(sink)


def test_members_are_let_go_once_handed_over(tmp_path, write_7z):
    size, count = 2**20, 48
    filters = [{"id": py7zr.FILTER_LZMA2, "dict_size": 1 << 20}]
    path = write_7z(
        tmp_path / "a.7z", {str(i): bytes([i]) * size for i in range(count)}, filters=filters
    )
    archive = Archive(path)
    tracemalloc.start()
    try:
        archive.stream(lambda name, data: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < count * size / 2


@pytest.mark.parametrize("where", ["a link that leads away", "gone"])
def test_the_working_folder_has_no_say(tmp_path, monkeypatch, path, where):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    if where == "gone":
        work.rmdir()
    else:
        (work / "x").symlink_to(tmp_path)
    came = []
    Archive(path).stream(lambda name, _data: came.append(name))
    assert came == ["x/a.tif", "x/empty", "x/b.tif"]


@pytest.mark.skipif(os.name != "posix", reason="open files cannot be removed")
def test_an_archive_that_is_removed_meanwhile_does_not_come_back_as_a_folder(path, monkeypatch):
    real = Archive._open

    @contextlib.contextmanager
    def opened_then_removed(archive):
        with real(archive) as pair:
            path.unlink()
            yield pair

    archive = Archive(path)
    monkeypatch.setattr(Archive, "_open", opened_then_removed)
    came = []
    archive.stream(lambda name, _data: came.append(name))
    assert came == ["x/a.tif", "x/empty", "x/b.tif"]
    assert not path.exists()


def test_decoders_are_let_go_once_their_folder_is_done(tmp_path, monkeypatch):
    """py7zr keeps one a folder, with its dictionary; seen on an archive that is not solid."""
    path = tmp_path / "a.7z"
    for name in "abcd":
        with py7zr.SevenZipFile(path, "a" if path.exists() else "w") as out:
            out.writestr(name.encode() * 9, name)
            out.writestr(b"", f"{name}-empty")
    opened = []
    real = Archive._open

    @contextlib.contextmanager
    def spy(self):
        with real(self) as (file, seven):
            opened.append(seven)
            yield file, seven

    monkeypatch.setattr(Archive, "_open", spy)
    archive, alive = Archive(path), []

    def sink(name, data):
        folders = opened[-1].header.main_streams.unpackinfo.folders
        assert len(folders) == 4
        alive.append(sum(folder.decompressor is not None for folder in folders))

    archive.stream(sink)
    assert len(alive) == 8
    assert max(alive) == 1


def test_folders_are_no_members(tmp_path):
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "a").write_bytes(b"a")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as out:
        out.writeall(tmp_path / "tree", "tree")
    assert Archive(tmp_path / "a.7z").members == [Member("tree/a", 1)]


def test_damage_is_told_from_what_fetching_again_does_not_mend(tmp_path, write_7z):
    path = write_7z(tmp_path / "a.7z", {"a": b"x" * 99}, filters=[{"id": py7zr.FILTER_COPY}])
    blob = bytearray(path.read_bytes())
    blob[40] ^= 1
    path.write_bytes(blob)
    with pytest.raises(DamagedArchiveError, match="is damaged at 'a'"):
        Archive(path).stream(lambda name, data: None)
    refused = write_7z(tmp_path / "b.7z", {"a": b"x"}, password="open")  # noqa: S106
    with pytest.raises(CorruptArchiveError, match="encrypted") as caught:
        Archive(refused)
    assert not isinstance(caught.value, DamagedArchiveError)


def test_an_archive_of_nothing_has_no_members(tmp_path, write_7z):
    archive = Archive(write_7z(tmp_path / "a.7z", {}))
    assert archive.members == []
    archive.stream(lambda name, data: pytest.fail(name))
