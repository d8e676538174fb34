"""The files of a stiffness are found, also if programs or users changed their names."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from bmgd_data import facts
from bmgd_data._origin import locate
from bmgd_data.errors import DatasetNotFoundError

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


def test_a_missing_condition_lists_what_is_there(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="found: nothing"):
        locate.find(tmp_path, C250)
    (tmp_path / "950 Pa.7z").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetNotFoundError, match=r"'250 Pa.7z'.*found: 950 Pa.7z, notes.txt"):
        locate.find(tmp_path, C250)
