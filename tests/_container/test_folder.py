from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from bmgd_data._container import folder
from bmgd_data.errors import CorruptArchiveError
from common import as_nobody


def test_a_folder_is_read_as_an_archive_is(tmp_path):
    path = tmp_path / "950 Pa"
    (path / "image").mkdir(parents=True)
    (path / "image" / "b.tif").write_bytes(b"bb")
    (path / "image" / "a.tif").write_bytes(b"a")
    files = folder.Folder(path, folder.files_of(path))
    got: list[tuple[str, bytes]] = []
    files.stream(lambda path, data: got.append((path, data)))
    assert got == [("950 Pa/image/a.tif", b"a"), ("950 Pa/image/b.tif", b"bb")]
    assert files.members == [("950 Pa/image/a.tif", 1), ("950 Pa/image/b.tif", 2)]
    (path / "image" / "a.tif").unlink()
    with pytest.raises(CorruptArchiveError, match=r"a\.tif cannot be read"):
        files.stream(lambda *_: None)


@pytest.fixture
def unpacked(tmp_path) -> Path:
    path = tmp_path / "950 Pa"
    for role in ("image", "mask"):
        (path / role).mkdir(parents=True)
        (path / role / "a.tif").write_bytes(role.encode())
    return path


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_a_subfolder_without_permission_is_an_error():
    code = "print(folder.files_of(Path(sys.argv[1])))"
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        (Path(place) / "950 Pa" / "image").mkdir(parents=True)
        closed = Path(place) / "950 Pa" / "image"
        closed.chmod(0)
        errors = as_nobody(code, closed.parent).stderr
        closed.chmod(0o700)
    assert f"CorruptArchiveError: {closed} cannot be read (Permission denied)" in errors


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_followed_but_not_in_circles(unpacked, tmp_path):
    (unpacked / "mask").rename(tmp_path / "elsewhere")
    (unpacked / "mask").symlink_to("../elsewhere")
    (unpacked / "image" / "up").symlink_to("..")
    (tmp_path / "elsewhere" / "across").symlink_to(unpacked / "image")
    assert list(folder.files_of(unpacked)) == [
        "950 Pa/image/a.tif",
        "950 Pa/mask/a.tif",
        "950 Pa/mask/across/a.tif",
    ]
    (unpacked / "image" / "b.tif").symlink_to("nowhere")
    with pytest.raises(CorruptArchiveError, match=r"b\.tif cannot be read \(No such file"):
        folder.files_of(unpacked)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_name_that_is_not_unicode(unpacked):
    path = os.fsencode(unpacked / "image") + b"/\xb5m.tif"
    Path(os.fsdecode(path)).touch()
    with pytest.raises(CorruptArchiveError, match=r"image/\\udcb5m\.tif' in .*Rename that file"):
        folder.files_of(unpacked)


@pytest.mark.parametrize(
    "junk",
    [".DS_Store", "image/Thumbs.db", "mask/._a.tif", "desktop.ini", "__MACOSX/950 Pa/b.tif"],
)
def test_junk_does_not_change_a_folder(unpacked, junk):
    before = folder.files_of(unpacked)
    (unpacked / junk).parent.mkdir(parents=True, exist_ok=True)
    (unpacked / junk).touch()
    assert folder.files_of(unpacked) == before
    (unpacked / "notes.txt").touch()
    assert folder.files_of(unpacked) != before


def test_the_digest_of_a_folder(tmp_path):
    """It depends on names and contents, not on the time of change or the place."""
    digests = []
    for place, name, data in (
        ("one", "a.tif", b"a"),
        ("two", "a.tif", b"a"),
        ("three", "b.tif", b"a"),
        ("four", "a.tif", b"b"),
    ):
        path = tmp_path / place / "950 Pa"
        path.mkdir(parents=True)
        (path / name).write_bytes(data)
        digests.append(folder.digest(folder.files_of(path)))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_fingerprint_sees_a_change_of_content_size_or_name(tmp_path):
    file = tmp_path / "950 Pa.7z"
    file.write_bytes(b"one")
    os.utime(file, ns=(0, 1))
    prints = [folder.fingerprint(folder.files_of(file))]
    assert folder.fingerprint(folder.files_of(file)) == prints[0]
    os.utime(file, ns=(0, 2))
    prints.append(folder.fingerprint(folder.files_of(file)))
    file.write_bytes(b"four")
    os.utime(file, ns=(0, 2))
    prints.append(folder.fingerprint(folder.files_of(file)))
    other = file.rename(tmp_path / "950Pa.7z")
    prints.append(folder.fingerprint(folder.files_of(other)))
    assert len(set(prints)) == 4
