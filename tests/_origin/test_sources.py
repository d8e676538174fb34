from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from bmgd_data import facts
from bmgd_data._origin import sources
from bmgd_data.errors import CorruptArchiveError, DatasetNotFoundError
from common import as_nobody

C250, C950 = facts.CONDITIONS[:2]


@pytest.mark.parametrize("text", [None, "upstream", facts.UPSTREAM, facts.UPSTREAM.rstrip("/")])
def test_upstream(text):
    source = sources.resolve(text)
    assert (source.kind, source.label, source.remote) == ("upstream", "upstream", True)
    assert source.url(C250) == f"{facts.REPOSITORY}/raw/main/250%20Pa.7z"


def test_an_argument_beats_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BMGD_SOURCE", "phantom")
    assert sources.resolve().kind == "phantom"
    assert sources.resolve(tmp_path).kind == "folder"
    monkeypatch.setenv("BMGD_SOURCE", "")
    assert sources.resolve().kind == "upstream"


def test_phantom():
    source = sources.resolve("phantom:seed=3,size=0.02")
    assert source.kind == "phantom"
    assert "generated" in source.label
    assert not source.remote
    assert source == sources.resolve("phantom:size=0.02,seed=3")
    assert source.phantom.seed == 3


@pytest.mark.parametrize("text", ["http://host/data", "HTTPS://host:8/data/"])
def test_a_mirror_is_a_base_address(text):
    source = sources.resolve(text)
    assert (source.kind, source.remote) == ("mirror", True)
    assert source.url(C950) == text.rstrip("/") + "/950%20Pa.7z"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_is_the_same_with_and_without_the_last_slash(slash):
    assert sources.resolve("http://host/data" + slash) == sources.resolve("http://host/data")


def test_user_and_password_of_a_mirror_are_for_fetching_alone():
    source = sources.resolve("http://me:se%2Fcret@host:8/data")
    assert source.auth == ("me", "se/cret")
    bare = sources.resolve("http://host:8/data")
    assert bare.auth is None
    assert (source.label, source.slug, source.url(C950)) == (bare.label, bare.slug, bare.url(C950))
    assert repr(source) == repr(bare)
    assert sources.resolve("http://token@host/").auth == ("token", "")


@pytest.mark.parametrize(
    "text",
    [
        "ftp://me:secret@host/",
        "http://me:secret@host/?x=secret",
        "http://me:secret@[host/",
        "http://me:secret@ho\u2100st/",
    ],
)
def test_a_refused_address_keeps_its_secrets(text):
    with pytest.raises(ValueError, match="base URL") as raised:
        sources.resolve(text)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("tail", ["?raw=1", "/?", "#here", "/?a=b#c"])
def test_a_mirror_with_a_query_is_refused(tail):
    with pytest.raises(ValueError, match=r"holds a '\?' or '#'.*Give the base URL alone"):
        sources.resolve("http://host/data" + tail)


def test_a_folder_by_every_way_to_name_it(tmp_path, monkeypatch):
    folder = tmp_path / "my data"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ways = [str(folder), folder, f"{folder}/", "my data", "~/my data", Path("~/my data")]
    found = {sources.resolve(way) for way in [*ways, folder.as_uri(), "my data/../my data"]}
    assert found == {sources.Source("folder", str(folder.resolve()))}


def test_a_folder_called_phantom_is_named_by_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("phantom").mkdir()
    assert sources.resolve(Path("phantom")).kind == "folder"
    assert sources.resolve("./phantom").kind == "folder"
    assert sources.resolve("phantom").kind == "phantom"


@pytest.mark.parametrize("text", ["ftp://host/data", "s3://bucket", "http://", "https:///x", ""])
def test_an_address_that_is_not_understood(text):
    with pytest.raises(ValueError, match="Valid: None for upstream, 'phantom'"):
        sources.resolve(text)


def test_a_phantom_that_is_not_understood():
    with pytest.raises(ValueError, match="Valid:"):
        sources.resolve("phantom:colour=red")


def test_nothing_there_lists_what_may_be_named(tmp_path):
    with pytest.raises(
        DatasetNotFoundError, match=r"'/nowhere' does not exist.*base URL.*unpacked"
    ):
        sources.resolve("/nowhere")
    (tmp_path / "250 Pa.7z").touch()
    with pytest.raises(DatasetNotFoundError, match="is a file, not a folder"):
        sources.resolve(tmp_path / "250 Pa.7z")


def test_different_sources_have_different_safe_slugs():
    texts = [
        "upstream",
        "phantom",
        "phantom:seed=1",
        "http://host/a",
        "http://host/a-",
        "/",
        "/usr",
    ]
    slugs = {sources.resolve(text).slug for text in texts}
    assert len(slugs) == len(texts)
    assert all(slug.replace("-", "").isalnum() and len(slug) < 60 for slug in slugs)


@pytest.mark.parametrize("name", ["950 Pa.7z", "950Pa.7z", "950_pa.7Z", "950-PA.7z"])
def test_an_archive_by_any_spelling_of_its_name(tmp_path, name):
    (tmp_path / name).touch()
    assert sources.local_files(sources.resolve(tmp_path), C950) == tmp_path / name


def test_the_archive_goes_before_the_unpacked_folder(tmp_path):
    (tmp_path / "950 Pa").mkdir()
    source = sources.resolve(tmp_path)
    assert sources.local_files(source, C950) == tmp_path / "950 Pa"
    (tmp_path / "950 Pa.7z").touch()
    assert sources.local_files(source, C950) == tmp_path / "950 Pa.7z"


def test_a_missing_condition_lists_what_is_there(tmp_path):
    source = sources.resolve(tmp_path)
    with pytest.raises(DatasetNotFoundError, match="found: nothing"):
        sources.local_files(source, C250)
    (tmp_path / "950 Pa.7z").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetNotFoundError, match=r"'250 Pa.7z'.*found: 950 Pa.7z, notes.txt"):
        sources.local_files(source, C250)


def test_a_folder_hands_over_its_files_as_an_archive_does(tmp_path):
    folder = tmp_path / "950 Pa"
    (folder / "image").mkdir(parents=True)
    (folder / "image" / "b.tif").write_bytes(b"bb")
    (folder / "image" / "a.tif").write_bytes(b"a")
    files = sources.Folder(folder)
    got: list[tuple[str, bytes]] = []
    files.stream(lambda path, data: got.append((path, data)))
    assert got == [("950 Pa/image/a.tif", b"a"), ("950 Pa/image/b.tif", b"bb")]
    assert files.members == [("950 Pa/image/a.tif", 1), ("950 Pa/image/b.tif", 2)]
    (folder / "image" / "a.tif").unlink()
    with pytest.raises(CorruptArchiveError, match=r"a\.tif cannot be read"):
        files.stream(lambda *_: None)


@pytest.fixture
def unpacked(tmp_path) -> Path:
    folder = tmp_path / "950 Pa"
    for role in ("image", "mask"):
        (folder / role).mkdir(parents=True)
        (folder / role / "a.tif").write_bytes(role.encode())
    return folder


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_a_subfolder_that_may_not_be_read_is_not_passed_over():
    code = "print(sources.files_of(Path(sys.argv[1])))"
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
    assert list(sources.files_of(unpacked)) == [
        "950 Pa/image/a.tif",
        "950 Pa/mask/a.tif",
        "950 Pa/mask/across/a.tif",
    ]
    (unpacked / "image" / "b.tif").symlink_to("nowhere")
    with pytest.raises(CorruptArchiveError, match=r"b\.tif cannot be read \(No such file"):
        sources.files_of(unpacked)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_name_that_is_no_unicode(unpacked):
    path = os.fsencode(unpacked / "image") + b"/\xb5m.tif"
    Path(os.fsdecode(path)).touch()
    with pytest.raises(CorruptArchiveError, match=r"image/\\udcb5m\.tif' in .*Rename that file"):
        sources.files_of(unpacked)


@pytest.mark.parametrize(
    "litter",
    [".DS_Store", "image/Thumbs.db", "mask/._a.tif", "desktop.ini", "__MACOSX/950 Pa/b.tif"],
)
def test_litter_does_not_change_a_folder(unpacked, litter):
    before = sources.files_of(unpacked)
    (unpacked / litter).parent.mkdir(parents=True, exist_ok=True)
    (unpacked / litter).touch()
    assert sources.files_of(unpacked) == before
    (unpacked / "notes.txt").touch()
    assert sources.files_of(unpacked) != before


def test_what_a_folder_is_known_by(tmp_path):
    """Names and contents count, the time of change and the place do not."""
    digests = []
    for place, name, data in (
        ("one", "a.tif", b"a"),
        ("two", "a.tif", b"a"),
        ("three", "b.tif", b"a"),
        ("four", "a.tif", b"b"),
    ):
        folder = tmp_path / place / "950 Pa"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(data)
        digests.append(sources.digest(folder, sources.files_of(folder)))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_the_fingerprint_sees_a_change_of_content_size_or_name(tmp_path):
    file = tmp_path / "950 Pa.7z"
    file.write_bytes(b"one")
    os.utime(file, ns=(0, 1))
    prints = [sources.fingerprint(sources.files_of(file))]
    assert sources.fingerprint(sources.files_of(file)) == prints[0]
    os.utime(file, ns=(0, 2))
    prints.append(sources.fingerprint(sources.files_of(file)))
    file.write_bytes(b"four")
    os.utime(file, ns=(0, 2))
    prints.append(sources.fingerprint(sources.files_of(file)))
    other = file.rename(tmp_path / "950Pa.7z")
    prints.append(sources.fingerprint(sources.files_of(other)))
    assert len(set(prints)) == 4
