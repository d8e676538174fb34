"""A .zip is read as a .7z is, under the same limits."""

from __future__ import annotations

import io
import stat
import struct
import zipfile

import pytest

from bmgd_data import _container
from bmgd_data._container import members
from bmgd_data._container import zip as zips
from bmgd_data._container.members import Member
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError

FILES = {"top/950 Pa/image/a.tif": b"A" * 9, "top/950 Pa/mask/a.tif": b"B" * 5, "top/x": b""}


def packed(path, files=FILES, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("top/", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read(path, below=""):
    came = {}
    with zips.Zip(path, below) as archive:
        listed = dict(archive.members)
        archive.stream(lambda name, data: came.update({name: data}))
    assert {name: len(data) for name, data in came.items()} == listed
    return came


def test_all_of_it_and_one_folder_of_it(tmp_path):
    path = packed(tmp_path / "a.zip")
    assert read(path) == FILES
    assert read(path, "top/950 Pa") == {
        name.removeprefix("top/"): data for name, data in FILES.items() if "950" in name
    }


def test_one_member_in_pieces(tmp_path):
    path, came = packed(tmp_path / "a.zip", {"a.7z": b"x" * (zips._CHUNK_BYTES + 1)}), []
    zips.unpack(path, "a.7z", came.append)
    assert len(came) == 2
    assert b"".join(came) == b"x" * (zips._CHUNK_BYTES + 1)


def test_an_archive_is_opened_by_its_first_bytes(tmp_path, write_7z):
    renamed = packed(tmp_path / "a.zip").rename(tmp_path / "a.7z")
    assert isinstance(_container.open_archive(renamed), zips.Zip)
    with _container.open_archive(write_7z(tmp_path / "b.zip", {"a": b"x"})) as archive:
        assert archive.members == [Member("a", 1)]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"Rar!\x1a\x07", "a RAR archive. Unpack it and give the unpacked folder as source="),
        (b"\x1f\x8b\x08", r"tar\.gz .*Unpack it"),
        (b"\0" * 257 + b"ustar", "a tar archive. Unpack it"),
        (b"", "it is empty"),
    ],
)
def test_the_message_says_what_a_file_is_that_is_no_archive(tmp_path, head, says):
    (tmp_path / "950 Pa.7z").write_bytes(head)
    with pytest.raises(DamagedArchiveError, match=says):
        _container.open_archive(tmp_path / "950 Pa.7z")


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:/x", "a\x1b[2J"])
def test_hostile_names(tmp_path, name):
    with pytest.raises(CorruptArchiveError, match="is refused: its member"):
        zips.Zip(packed(tmp_path / "a.zip", {name: b"x"}))


def test_links_and_duplicate_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        link = zipfile.ZipInfo("a")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(CorruptArchiveError, match="is a link"):
        zips.Zip(tmp_path / "link.zip")
    with zipfile.ZipFile(tmp_path / "twins.zip", "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(CorruptArchiveError, match="appears twice"):
        zips.Zip(tmp_path / "twins.zip")


def test_a_member_that_unpacks_to_more_than_it_declares(tmp_path):
    """A few kB may unpack to gigabytes; only the declared size is unpacked."""
    path = packed(tmp_path / "a.zip", {"a": bytes(2**24)})
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.rindex(signature)
        data[start + at : start + at + 4] = struct.pack("<L", 99)
    path.write_bytes(data)
    came = []
    with pytest.raises(DamagedArchiveError, match="is damaged at 'a'"), zips.Zip(path) as archive:
        archive.stream(lambda name, data: came.append(len(data)))
    assert sum(came) <= 99


@pytest.mark.parametrize("limit", ["MAX_MEMBERS", "MAX_MEMBER_BYTES", "MAX_BYTES"])
def test_limits_hold(tmp_path, monkeypatch, limit):
    path = packed(tmp_path / "a.zip")
    monkeypatch.setattr(
        members, limit, {"MAX_MEMBERS": 2, "MAX_MEMBER_BYTES": 8, "MAX_BYTES": 9}[limit]
    )
    with pytest.raises(CorruptArchiveError, match="is refused"):
        zips.Zip(path)


def test_a_long_listing_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MAX_LISTING_BYTES", 99)
    with pytest.raises(CorruptArchiveError, match="bytes of listing"):
        zips.Zip(packed(tmp_path / "a.zip"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bounds_are_refused_with_advice(tmp_path, method):
    path = packed(tmp_path / "a.zip", method=method)
    with (
        pytest.raises(CorruptArchiveError, match="Unpack it and give the unpacked folder"),
        zips.Zip(path) as archive,
    ):
        archive.stream(lambda name, data: None)


def test_damage_is_found_at_every_byte(tmp_path):
    """Each byte of a small zip is changed in turn: members are right, or a CorruptArchiveError."""
    whole = packed(tmp_path / "a.zip", {"a": b"x" * 20, "b": b"y"}).read_bytes()
    for at in range(len(whole)):
        blob = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        (tmp_path / "b.zip").write_bytes(blob)
        came = {}
        try:
            with _container.open_archive(tmp_path / "b.zip") as archive:
                archive.stream(lambda name, data, came=came: came.update({name: data}))
        except CorruptArchiveError:
            continue
        assert set(came.values()) <= {b"x" * 20, b"y"}, at


def test_a_cut_zip_is_refused(tmp_path):
    whole = packed(tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[:-30])
    with pytest.raises(DamagedArchiveError, match="Fetch it again"):
        zips.Zip(tmp_path / "b.zip")


def test_an_encrypted_zip(tmp_path):
    data = bytearray(packed(tmp_path / "a.zip").read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(CorruptArchiveError, match=r"is encrypted\. Ask for an open one"):
        zips.Zip(tmp_path / "a.zip")


def test_a_zip_with_a_comment_and_one_in_another_file(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"x")
        archive.comment = b"0123456789abcdef"  # as GitHub writes the commit
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    assert read(tmp_path / "a.zip") == {"a": b"x"}
