from __future__ import annotations

import struct
import zlib

import pytest

from bmgd_data._container.first_bytes import check_whole
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError


@pytest.fixture
def path(tmp_path, write_7z):
    """A whole archive."""
    return write_7z(tmp_path / "250 Pa.7z", {"a.txt": b"a" * 1000})


def test_check_whole_uses_the_name_it_is_given(tmp_path):
    (tmp_path / "part").write_bytes(b"<html>")
    with pytest.raises(CorruptArchiveError, match=r"^250 Pa.7z is not a 7z archive: it is a web"):
        check_whole(tmp_path / "part", "250 Pa.7z")


def test_check_whole_accepts_whole_archives_and_trailing_bytes(path):
    check_whole(path)
    path.write_bytes(path.read_bytes() + b"signature")
    check_whole(path)


def test_check_whole_of_a_missing_file(tmp_path):
    with pytest.raises(CorruptArchiveError, match=r"cannot be read .*No such file") as caught:
        check_whole(tmp_path / "none.7z")
    assert not isinstance(caught.value, DamagedArchiveError)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>busy</html>", "it is a web page"),
        (b"\n  <html>login</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-LFS pointer"),
        (b"PK\x03\x04 a zip", "a zip archive. Unpack it"),
        (b"7z\xbc\xaf\x27\x1c", "cut off after 6 bytes"),
    ],
)
def test_the_message_says_what_the_file_is(head, says, tmp_path):
    (tmp_path / "a.7z").write_bytes(head)
    with pytest.raises(DamagedArchiveError, match=says):
        check_whole(tmp_path / "a.7z")


@pytest.mark.parametrize("missing", [1, 20, 60])
def test_a_cut_archive_is_detected_by_its_length(missing, path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-missing])
    with pytest.raises(DamagedArchiveError, match=rf"{len(whole) - missing} of {len(whole)} bytes"):
        check_whole(path)


def test_a_damaged_start_header_is_detected_by_its_crc(path):
    data = bytearray(path.read_bytes())
    (offset,) = struct.unpack_from("<Q", data, 12)
    struct.pack_into("<Q", data, 12, offset + 1)
    path.write_bytes(data)
    with pytest.raises(DamagedArchiveError, match="damaged start header"):
        check_whole(path)
    struct.pack_into("<I", data, 8, zlib.crc32(data[12:32]))
    path.write_bytes(data)
    with pytest.raises(CorruptArchiveError, match="cut off"):
        check_whole(path)
