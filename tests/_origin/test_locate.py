"""The files of a stiffness are found, also if programs or users changed their names."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from bmgd_data import facts
from bmgd_data._origin import locate
from bmgd_data.errors import DamagedArchiveError, DatasetNotFoundError

if TYPE_CHECKING:
    from pathlib import Path

C250, C950, C1200 = facts.CONDITIONS[:3]
SPELLINGS = [
    *("950 Pa", "950Pa", "950_pa", "950-PA", "950.Pa", "950%20Pa", "950+Pa"),
    *("950 Pa (1)", "950.Pa.(2)", "950 Pa - Copy", "950%20Pa(1)"),
]


@pytest.fixture
def archive(tmp_path, write_7z):
    """An archive of this name below tmp_path."""

    def make(name: str, inside: str = "950 Pa") -> Path:
        return write_7z(tmp_path / name, {f"{inside}/image/a.tif": b"x"})

    return make


@pytest.mark.parametrize("name", SPELLINGS)
def test_any_spelling_of_an_archive_or_a_folder(tmp_path, archive, name):
    path = archive(f"{name}.7z")
    assert locate.find(tmp_path, C950) == locate.Found(path)
    assert locate.find(path, C950) == locate.Found(path)
    path.unlink()
    (tmp_path / name / "image").mkdir(parents=True)
    assert locate.find(tmp_path, C950) == locate.Found(tmp_path / name)
    assert locate.find(tmp_path / name, C950) == locate.Found(tmp_path / name)


@pytest.mark.parametrize("name", ["950 Pa labels", "1950 Pa", "950", "950 Pascal", "old 950 Pa"])
def test_other_names_do_not_count(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(DatasetNotFoundError, match=f"found: {name}"):
        locate.find(tmp_path, C950)


def test_folders_in_between(tmp_path, archive):
    path = archive("Breast-Mammary-Gland-Dataset-BMGD-main/Breast-main/950 Pa.7z")
    assert locate.find(tmp_path, C950).path == path
    nearer = archive("Breast-Mammary-Gland-Dataset-BMGD-main/950 Pa.7z")
    assert locate.find(tmp_path, C950).path == nearer


def test_files_side_by_side_give_a_notice(tmp_path, archive):
    path = archive("950 Pa.7z")
    assert locate.find(tmp_path, C950).notice == ""
    (tmp_path / "950 Pa").mkdir()
    found = locate.find(tmp_path, C950)
    assert found.path == path
    assert f"{path} is read, and {tmp_path / '950 Pa'} beside it is not" in found.notice
    # The advice works.
    assert locate.find(tmp_path / "950 Pa", C950).path == tmp_path / "950 Pa"
    archive("950 Pa (1).7z")
    assert locate.find(tmp_path, C950).path == path


def test_a_zip_of_the_repository(tmp_path, archive):
    inner = archive("950 Pa.7z")
    path = tmp_path / "data" / "Breast-main.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as out:
        out.write(inner, "Breast-main/950 Pa.7z")
        out.writestr("Breast-main/1200 Pa/image/a.tif", b"x")
        out.writestr("__MACOSX/Breast-main/._250 Pa.7z", b"x")
    for named in (path, path.parent):
        assert locate.find(named, C950) == locate.Found(path, "Breast-main/950 Pa.7z")
        assert locate.find(named, C1200) == locate.Found(path, "Breast-main/1200 Pa")
        with pytest.raises(DatasetNotFoundError):
            locate.find(named, C250)
    assert not locate.find(path, C950).unpacked
    assert locate.find(path, C1200).unpacked


def test_a_zip_of_one_stiffness(tmp_path):
    path = tmp_path / "950 Pa.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("image/a.tif", b"x")
    assert locate.find(tmp_path, C950) == locate.Found(path)
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("950 Pa/image/a.tif", b"x")
    assert locate.find(tmp_path, C950).path == path


def test_an_archive_of_another_stiffness_or_of_none(tmp_path, archive):
    path = archive("950 Pa.7z")
    with pytest.raises(DatasetNotFoundError, match=r"holds '950Pa' and not '250Pa'\. Ask for"):
        locate.find(path, C250)
    assert locate.find(archive("data.7z"), C950).path == tmp_path / "data.7z"
    nameless = archive("more.7z", inside="stuff")
    with pytest.raises(DatasetNotFoundError, match=r"Rename it to '950 Pa\.7z'"):
        locate.find(nameless, C950)
    assert locate.find(nameless.replace(tmp_path / "950 Pa.7z"), C950).path == path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("950 Pa.7z.001", "one volume of several. Join them by unpacking .* 7-Zip"),
        ("950 Pa.7z.crdownload", "an unfinished download"),
        ("950 Pa.7z.part", "an unfinished download"),
        ("950 Pa.rar", "Unpack it and give the unpacked folder as source="),
        ("950 Pa.tar.gz", "Unpack it and give the unpacked folder as source="),
    ],
)
def test_files_that_are_not_read_are_explained(tmp_path, name, says):
    (tmp_path / name).write_bytes(b"Rar!")
    for named in (tmp_path, tmp_path / name):
        with pytest.raises(DatasetNotFoundError, match=f"{name} .*{says}"):
            locate.find(named, C950)
    # The advice works: unpacked beside it, the folder is found.
    (tmp_path / "950 Pa").mkdir()
    assert locate.find(tmp_path, C950).path == tmp_path / "950 Pa"


def test_an_archive_of_all_in_a_folder_is_found(tmp_path, write_7z):
    """Also beside an archive that cannot be read, which is named only if nothing else is found."""
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    with pytest.raises(DamagedArchiveError, match=r"a\.7z is cut off"):
        locate.find(tmp_path, C950)
    members = {f"{c.archive[:-3]}/image/a.tif": b"x" for c in facts.CONDITIONS}
    path = write_7z(tmp_path / "BMGD.7z", members)
    assert [locate.find(tmp_path, c) for c in (C250, C1200)] == [locate.Found(path)] * 2


def test_a_zip_of_zips(tmp_path):
    blob = io.BytesIO()
    with zipfile.ZipFile(blob, "w") as out:
        out.writestr("950 Pa/image/a.tif", b"x")
    with zipfile.ZipFile(path := tmp_path / "data.zip", "w") as out:
        out.writestr("950 Pa.zip", blob.getvalue())
    for named in (path, tmp_path):
        found = locate.find(named, C950)
        assert found == locate.Found(path, "950 Pa.zip")
        assert (found.nested, found.unpacked) == (True, True)


@pytest.mark.parametrize(
    ("volumes", "says"), [(3, "one volume of several"), (1, "a whole archive")]
)
def test_volumes_of_a_real_archive(volumes, says, tmp_path, archive):
    """A volume holds the bytes that follow those of the one before."""
    whole = (made := archive("950 Pa.7z")).read_bytes()
    made.unlink()
    size = -(-len(whole) // volumes)
    for n in range(volumes):
        path = tmp_path / f"950 Pa.7z.00{n + 1}"
        path.write_bytes(whole[n * size : (n + 1) * size])
    with pytest.raises(DatasetNotFoundError, match=says):
        locate.find(tmp_path, C950)
    first = tmp_path / "950 Pa.7z.001"
    if volumes > 1:
        with pytest.raises(DatasetNotFoundError, match=says):
            locate.find(first, C950)
    else:
        assert locate.find(first, C950).path == first
        assert locate.find(first.rename(tmp_path / first.stem), C950).path.exists()


@pytest.mark.parametrize("named", ["", "950 Pa.zip", "950 Pa.z01"])
def test_a_split_zip(named, tmp_path):
    """`zip -s`: the last part bears the ending .zip, and begins anywhere."""
    (tmp_path / "950 Pa.z01").write_bytes(b"PK\x07\x08PK\x03\x04")
    (tmp_path / "950 Pa.zip").write_bytes(b"anything")
    with pytest.raises(DatasetNotFoundError, match=r"z01 is one part of a split zip\. Join"):
        locate.find(tmp_path / named, C950)


@pytest.mark.parametrize("head", [b"MZ\x90\0", b"\x7fELF\2\1\1", b"#!/bin/sh\n"])
def test_a_program_is_not_called_damage(head, tmp_path):
    (path := tmp_path / "950 Pa.run").write_bytes(head + bytes(99))
    with pytest.raises(DamagedArchiveError, match=r"a program, perhaps .* unpacks itself") as told:
        locate.find(path, C950)
    assert "etch it again" not in str(told.value)
    (exe := path.rename(tmp_path / "950 Pa.exe")).touch()
    for named in (exe, tmp_path):
        with pytest.raises(DatasetNotFoundError, match=r"is a program, perhaps"):
            locate.find(named, C950)


def test_a_missing_condition_lists_what_is_there(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="found: nothing"):
        locate.find(tmp_path, C250)
    (tmp_path / "950 Pa.7z").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetNotFoundError, match=r"'250 Pa.7z'.*found: 950 Pa.7z, notes.txt"):
        locate.find(tmp_path, C250)
