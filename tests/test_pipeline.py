"""Fetching, trust and building together: real archives, a real server, real folders."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import socket
import traceback
import warnings
import zipfile
from base64 import b64encode
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import py7zr
import pytest

from bmgd_data import _pipeline, facts, upkeep
from bmgd_data._container import folder, sevenzip_header
from bmgd_data._container.sevenzip import SevenZip
from bmgd_data._ingest import build
from bmgd_data._origin import locate, sources, trust
from bmgd_data._store import derived
from bmgd_data._system import disk, home
from bmgd_data.errors import (
    BMGDError,
    BMGDWarning,
    ChecksumError,
    CorruptArchiveError,
    DatasetNotFoundError,
    DownloadError,
    StorageError,
)
from bmgd_data.instances import DERIVED, VERSIONS
from serving import answering, refuse, send  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.* was read, with notes")

C950 = facts.CONDITIONS[1]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)


@pytest.fixture
def make(tmp_path, write_7z, nuclei):
    """An archive with `count` pairs, as bytes; another number gives another archive."""

    def packed(count: int = 10) -> bytes:
        path = write_7z(tmp_path / "made" / f"{count}.7z", nuclei(count=count))
        return path.read_bytes()

    return packed


@pytest.fixture
def broken(tmp_path, write_7z, nuclei) -> bytes:
    """An archive whose first bytes, header and length are right; one bit of the content is wrong."""
    path = write_7z(tmp_path / "made" / "broken.7z", nuclei(), filters=[{"id": py7zr.FILTER_COPY}])
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with SevenZip(path):
        return bytes(data)


@pytest.fixture
def one_image(monkeypatch) -> str:
    """A generated source that is ready at once."""
    from bmgd_data import phantom

    monkeypatch.setattr(phantom, "MIN_IMAGES", 1)
    return "phantom:size=0.02"


@pytest.fixture
def unplugged(monkeypatch):
    """Any use of the network is an error."""

    def refuse_it(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse_it)
    monkeypatch.setattr(socket, "getaddrinfo", refuse_it)


def place(source: str | Path | None = None, condition: facts.Condition = C950) -> _pipeline.Wanted:
    return _pipeline.Wanted(home.root(), sources.resolve(source), condition)


def read(source: str | Path | None = None, **options: bool) -> str:
    """The key of the opened store."""
    return _pipeline.open_store(place(source), **options).index.key


def note(source: str | Path | None = None) -> trust.Seen | None:
    return trust.recall(place(source).note)


def stores() -> set[str]:
    return {path.name for path in home.root().glob("stores/*")}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------------- first-seen and changed


def test_the_first_archive_is_trusted_and_remembered(answer, make):
    data = make()
    url, server = answer(send(data))
    assert read(url) == sha256(data)
    seen = note(url)
    assert (seen.source, seen.key, seen.size, seen.before) == (url, sha256(data), len(data), [])
    assert read(url) == sha256(data)
    assert len(server.asked) == 1
    assert server.asked[0][0] == "/950%20Pa.7z"


def test_another_archive_later_is_an_error_until_it_is_accepted(answer, make):
    old, new = make(10), make(11)
    url, server = answer(send(old), send(new))
    read(url)
    place(url).archive.unlink()
    shutil.rmtree(home.root() / "stores")
    with pytest.raises(ChecksumError, match=rf"{sha256(new)}, not {sha256(old)}.*accept-changed"):
        read(url)
    assert note(url).key == sha256(old)
    assert not place(url).archive.exists()
    assert len(server.asked) == 2

    assert read(url, accept_changed=True) == sha256(new)
    assert note(url).key == sha256(new)
    assert note(url).before == [sha256(old)]
    assert read(url) == sha256(new)
    assert len(server.asked) == 3


def test_accepting_keeps_the_old_store(answer, make):
    old, new = make(10), make(11)
    url, _ = answer(send(old), send(new))
    first = _pipeline.open_store(place(url))
    second = _pipeline.open_store(place(url), accept_changed=True)
    assert (len(first), len(second)) == (10, 11)
    assert stores() == {first.path.name, second.path.name}
    assert first.verify() == []


def test_accepting_an_unchanged_archive_changes_nothing(answer, make):
    url, server = answer(send(make()))
    read(url)
    before = note(url)
    inode = place(url).store(before.key).stat().st_ino
    read(url, accept_changed=True)
    assert note(url) == before
    assert place(url).store(before.key).stat().st_ino == inode
    assert len(server.asked) == 2


def test_a_digest_is_recorded_only_after_the_whole_archive_decoded(answer, make, broken):
    data = make()
    url, server = answer(send(broken), send(data))
    with pytest.raises(CorruptArchiveError, match="is damaged at"):
        read(url)
    assert note(url) is None
    assert not place(url).archive.exists()
    assert stores() == set()
    assert read(url) == sha256(data)
    assert len(server.asked) == 2


def test_an_intact_archive_with_a_bad_member_is_kept(answer, write_7z, nuclei, tmp_path):
    """Its CRCs are right, so fetching it again would not help; users may want to look at it."""
    members = nuclei() | {"950 Pa/mask/003.tif": b"no TIFF"}
    data = write_7z(tmp_path / "made" / "950 Pa.7z", members).read_bytes()
    url, server = answer(send(data))
    for _ in range(2):
        with pytest.raises(CorruptArchiveError) as caught:
            read(url)
        assert f'py7zr x "{place(url).archive}"' in str(caught.value)
    assert place(url).archive.read_bytes() == data
    assert note(url) is None
    assert len(server.asked) == 1


def test_a_damaged_archive_cannot_be_accepted(answer, make, broken):
    data = make()
    url, _ = answer(send(data), send(broken))
    read(url)
    with pytest.raises(CorruptArchiveError):
        read(url, accept_changed=True)
    assert note(url).key == sha256(data)
    assert read(url) == sha256(data)


def test_a_failed_download_leaves_the_older_archive(answer, make):
    data = make()
    url, _ = answer(send(data), send(b"<html>busy</html>"))
    read(url)
    with pytest.raises(CorruptArchiveError, match="web page"):
        read(url, accept_changed=True)
    assert place(url).archive.read_bytes() == data
    assert read(url) == sha256(data)


# ---------------------------------------------------------------- files that were removed or changed


def test_a_store_that_was_deleted_is_rebuilt_from_the_kept_archive(answer, make):
    url, server = answer(send(make()))
    key = read(url)
    shutil.rmtree(place(url).store(key))
    assert read(url, download=False) == key
    assert len(server.asked) == 1


def test_user_and_password_are_sent_but_not_stored(answer, make):
    bare, server = answer(send(make()), refuse(404), refuse(404), refuse(401))
    url = bare.replace("//", "//me:se%2Fcret@")
    read(url)
    assert server.asked[0][1]["Authorization"] == "Basic " + b64encode(b"me:se/cret").decode()
    assert note(url).source == bare
    assert place(url).note == place(bare).note
    for error in (DatasetNotFoundError, DownloadError):
        with pytest.raises(error, match=r"127\.0\.0\.1") as raised:
            read(url, accept_changed=True)
        assert "cret" not in "".join(traceback.format_exception_only(raised.value))
    assert not any(b"cret" in path.read_bytes() for path in home.root().rglob("*.json"))


def test_a_garbled_note_trusts_nothing(answer, make):
    url, _ = answer(send(make()), send(make(11)))
    read(url)
    place(url).note.write_text("{")
    for accept in (False, True):
        with pytest.raises(StorageError, match=r"950Pa\.json, which says.*Remove it"):
            read(url, accept_changed=accept)
    assert {each.kind for each in upkeep.kept()} == {*home.KINDS} - {"records"}


def test_a_lost_note_is_written_again_from_the_kept_archive(answer, make):
    url, server = answer(send(make()))
    key = read(url)
    inode = place(url).store(key).stat().st_ino
    place(url).note.unlink()
    assert read(url, download=False) == key
    assert note(url).key == key
    assert place(url).store(key).stat().st_ino == inode
    assert len(server.asked) == 1


def test_without_note_and_archive_a_store_has_no_known_source(answer, make):
    url, server = answer(send(make()))
    key = read(url)
    inode = place(url).store(key).stat().st_ino
    place(url).note.unlink()
    place(url).archive.unlink()
    with pytest.raises(DatasetNotFoundError, match="nothing is fetched"):
        read(url, download=False)
    assert read(url) == key
    assert len(server.asked) == 2
    assert place(url).store(key).stat().st_ino == inode


def test_a_damaged_kept_archive_is_fetched_again(answer, make):
    data = make()
    url, server = answer(send(data))
    key = read(url)
    shutil.rmtree(place(url).store(key))
    place(url).archive.write_bytes(data[:-1])
    with pytest.raises(ChecksumError, match=r"sources.*950 Pa\.7z is not the archive"):
        read(url, download=False)
    assert read(url) == key
    assert place(url).archive.read_bytes() == data
    assert len(server.asked) == 2


def test_two_sources_with_one_archive_share_the_store_but_not_the_trust(answer, make, tmp_path):
    data = make()
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "950 Pa.7z").write_bytes(data)
    one, two = answer(send(data))[0], answer(send(data))[0]
    for source in (one, two, tmp_path / "local"):
        assert read(source) == sha256(data)
        assert note(source).key == sha256(data)
    assert len(stores()) == 1
    (tmp_path / "local" / "950 Pa.7z").write_bytes(make(11))
    with pytest.raises(ChecksumError):
        read(tmp_path / "local")


def test_a_renamed_store_is_not_served_under_another_key(answer, make):
    one, two = answer(send(make(10)))[0], answer(send(make(11)))[0]
    paths = [place(source).store(read(source)) for source in (one, two)]
    shutil.rmtree(paths[0])
    paths[1].rename(paths[0])
    with pytest.raises(CorruptArchiveError, match=r"was built from .*Remove that folder"):
        read(one)
    shutil.rmtree(paths[0])
    assert len(_pipeline.open_store(place(one))) == 10


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"shape": 3}'])
def test_a_garbled_index_is_reported(answer, make, text):
    url, _ = answer(send(make()))
    index = place(url).store(read(url)) / "index.json"
    index.write_text(text)
    with pytest.raises(CorruptArchiveError, match=r"index\.json.*Remove that folder"):
        read(url)
    shutil.rmtree(index.parent)
    read(url, download=False)


@pytest.mark.parametrize("size", [0, 60, 5000])
@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "components/labels.npy"])
def test_a_truncated_array_is_reported(answer, make, name, size):
    from bmgd_data import Reader

    url, _ = answer(send(make()))
    with (place(url).store(read(url)) / name).open("r+b") as file:
        file.truncate(size)
    with pytest.raises(CorruptArchiveError, match=r"npy.*Remove that folder"):
        Reader("all", 950, source=url)


# ------------------------------------------------------------------------------------------- pins


@pytest.mark.parametrize("case", ["url, json", "url, sha256sum", "folder, sha256sum"])
def test_the_pins_of_a_file_bind_addresses_and_local_archives(
    answer, make, tmp_path, monkeypatch, case
):
    right, wrong = make(10), make(11)
    kind, form = case.split(", ")
    if kind == "url":
        source, server = answer(send(wrong), send(right))
    else:
        source = tmp_path / "local"
        source.mkdir()
        (source / "950 Pa.7z").write_bytes(wrong)
    pins = tmp_path / "pins"
    key = sha256(right)
    pins.write_text(json.dumps({"950 Pa.7z": key}) if form == "json" else f"{key}  950 Pa.7z\n")
    monkeypatch.setenv("BMGD_CHECKSUMS", str(pins))
    for accept in (False, True) if kind == "folder" else (False,):
        with pytest.raises(ChecksumError, match=rf"pins \(BMGD_CHECKSUMS\) names.*not {key}"):
            read(source, accept_changed=accept)
    assert note(source) is None
    if kind == "folder":
        (source / "950 Pa.7z").write_bytes(right)
    else:
        assert len(server.asked) == 1
    assert read(source) == key


def test_a_pin_opens_the_store_without_a_note(answer, make, monkeypatch):
    data = make()
    url, server = answer(send(data))
    read(url)
    monkeypatch.setattr(facts, "SHA256", {"950 Pa.7z": sha256(data)})
    assert read("http://127.0.0.1:9/") == sha256(data)
    assert len(server.asked) == 1


def test_the_packages_pins_bind_upstream_and_mirrors_but_no_local_folder(
    answer, make, tmp_path, monkeypatch
):
    right, wrong = make(10), make(11)
    url, _ = answer(send(wrong))
    monkeypatch.setattr(facts, "UPSTREAM", url)
    mirror, _ = answer(send(wrong))
    monkeypatch.setattr(facts, "SHA256", {"950 Pa.7z": sha256(right)})
    for source in ("upstream", mirror):
        for accept in (False, True):
            with pytest.raises(ChecksumError, match="bmgd-data pins"):
                read(source, accept_changed=accept)
    assert list(home.root().glob("sources/*/*")) == []
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "950 Pa.7z").write_bytes(wrong)
    assert read(tmp_path / "local") == sha256(wrong)


def test_a_damaged_pinned_archive_is_fetched_once(answer, broken, monkeypatch):
    url, server = answer(send(broken))
    monkeypatch.setattr(facts, "SHA256", {"950 Pa.7z": sha256(broken)})
    for _ in range(2):
        with pytest.raises(CorruptArchiveError, match="damaged"):
            read(url)
    assert len(server.asked) == 1


def test_a_mirror_that_differs_from_upstream_is_reported(answer, make, monkeypatch):
    first, other = make(10), make(11)
    monkeypatch.setattr(facts, "UPSTREAM", answer(send(first))[0])
    read("upstream")
    same, differs = answer(send(first))[0], answer(send(other))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(same)
    with pytest.warns(BMGDWarning, match=rf"mirror {differs}.*{sha256(other)}.*{sha256(first)}"):
        assert read(differs) == sha256(other)


# ------------------------------------------------------------------------------------ no network


@pytest.mark.parametrize("how", ["download=False", "BMGD_OFFLINE"])
def test_without_the_network_only_existing_data_is_read(answer, make, monkeypatch, how):
    url, server = answer(send(make()))
    options = {"download": False} if how == "download=False" else {}
    if not options:
        monkeypatch.setenv("BMGD_OFFLINE", "1")
    for accept in (False, True):
        with pytest.raises(DatasetNotFoundError, match=rf"nothing is fetched \({how}.*BMGD_HOME"):
            read(url, accept_changed=accept, **options)
    assert server.asked == []
    monkeypatch.delenv("BMGD_OFFLINE", raising=False)
    key = read(url)
    monkeypatch.setenv("BMGD_OFFLINE", "1")
    assert read(url) == key
    assert len(server.asked) == 1


@pytest.mark.parametrize("how", ["download=False", "BMGD_OFFLINE"])
def test_data_that_cannot_be_fetched_again_is_not_called_missing(answer, make, monkeypatch, how):
    url, server = answer(send(make()))
    key = read(url)
    if how == "BMGD_OFFLINE":
        monkeypatch.setenv("BMGD_OFFLINE", "1")
    with pytest.raises(DatasetNotFoundError, match=rf"fetched again \({how}.*untouched") as caught:
        read(url, accept_changed=True, download=how != "download=False")
    assert "is not in" not in str(caught.value)
    assert read(url, download=False) == key
    assert len(server.asked) == 1


@pytest.mark.usefixtures("unplugged")
def test_local_and_generated_data_never_touch_the_network(make, tmp_path, one_image):
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "950 Pa.7z").write_bytes(make())
    read(tmp_path / "local")
    read(one_image)


def test_a_missing_file_at_the_server(answer):
    url, server = answer(refuse(404))
    with pytest.raises(DatasetNotFoundError, match=r"There is no .*950%20Pa\.7z"):
        read(url)
    assert [path for path, _ in server.asked] == ["/950%20Pa.7z", "/950.Pa.7z"]
    assert list(home.root().glob("sources/*")) == []


@pytest.mark.parametrize("beginning", ["page", "broken", "refused"])
def test_a_failed_download_leaves_nothing_behind(answer, broken, beginning):
    sent = {"page": send(b"<html>"), "broken": send(broken), "refused": refuse(500)}
    with pytest.raises(BMGDError):
        read(answer(sent[beginning])[0])
    assert not home.root().exists()


def test_a_release_page_has_dots_in_its_names(tmp_path, make, serve):
    assets = tmp_path / "owner" / "repo" / "releases" / "download" / "v1"
    assets.mkdir(parents=True)
    data = make()
    (assets / "950.Pa.7z").write_bytes(data)
    url = serve(tmp_path) + "owner/repo/releases/download/v1/"
    assert read(url) == sha256(data)


def test_a_page_in_place_of_a_404_does_not_hide_the_other_name(answer, make):
    data = make()
    url, server = answer(send(b"<html>Not found</html>"), send(data))
    assert read(url) == sha256(data)
    assert [path for path, _ in server.asked] == ["/950%20Pa.7z", "/950.Pa.7z"]


def test_a_length_that_is_sent_twice_counts_once(answer, make):
    """RFC 9110, 8.6."""
    data = make()
    url, _ = answer(send(data, **{"Content-Length": str(len(data))}))
    assert read(url) == sha256(data)


def test_a_failed_download_names_what_is_kept_instead(answer, make, local):
    """With one error: the cause is in the message."""
    read(local)
    url, _ = answer(refuse(500))
    hint = rf"But data of {re.escape(str(local))} is there: give source="
    with pytest.raises(DownloadError, match=hint) as told:
        read(url)
    shown = "".join(traceback.format_exception(told.value))
    assert shown.count("Traceback") == 1
    with pytest.raises(DatasetNotFoundError, match=rf"download=False\). {hint}"):
        read(url, download=False)
    read("phantom:size=0.02")
    with pytest.raises(DatasetNotFoundError, match=hint) as told:
        read("upstream", download=False)
    assert "phantom" not in str(told.value)


# ---------------------------------------------------------------------------------- local sources


@pytest.fixture
def local(tmp_path, make) -> Path:
    """A folder with one archive."""
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "950Pa.7z").write_bytes(make())
    return folder


@pytest.fixture
def unpacked(tmp_path, nuclei) -> Path:
    """A folder with one unpacked condition."""
    folder = tmp_path / "unpacked"
    for name, data in nuclei().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_archive_and_unpacked_folder_give_the_same_samples(local, unpacked):
    one, two = (_pipeline.open_store(place(source)) for source in (local, unpacked))
    assert one.index.digest == two.index.digest
    assert one.path != two.path


def test_local_files_that_look_unchanged_are_not_read_again(local, monkeypatch):
    key = read(local)
    with monkeypatch.context() as patched:
        patched.setattr(disk, "sha256", lambda _: pytest.fail("was read again"))
        assert read(local) == key
    (local / "950Pa.7z").touch()
    read(local)
    monkeypatch.setattr(disk, "sha256", lambda _: pytest.fail("was read again"))
    assert read(local) == key


@pytest.mark.parametrize("kind", ["local", "unpacked"])
def test_local_files_are_hashed_once_a_call(kind, request, monkeypatch):
    source = request.getfixturevalue(kind)
    hashed = []
    real = disk.sha256
    monkeypatch.setattr(disk, "sha256", lambda path: (hashed.append(path), real(path))[1])
    read(source)
    for file in source.rglob("*"):
        file.touch()
    read(source)
    of_the_source = [path for path in hashed if path.is_relative_to(source)]
    assert len(of_the_source) == 2 * sum(path.is_file() for path in source.rglob("*"))


@pytest.mark.parametrize("kind", ["local", "unpacked"])
def test_local_files_that_change_while_they_are_read(kind, request, monkeypatch):
    """Otherwise the new samples would be stored under the key of the old files."""
    source = request.getfixturevalue(kind)
    real = build.build

    def build_and_edit(files, *rest, **options):
        next(path for path in source.rglob("*") if path.is_file()).touch()
        return real(files, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(build, "build", build_and_edit)
        with pytest.raises(CorruptArchiveError, match=r"changed while it was read\. Run it again"):
            read(source)
    assert stores() == set()
    assert note(source) is None
    read(source)


def test_a_changed_local_archive_is_an_error_until_it_is_accepted(local, make):
    old = read(local)
    (local / "950Pa.7z").write_bytes(make(11))
    command = rf"bmgd download --stiffness 950Pa --source '?{local}'? --accept-changed"
    with pytest.raises(ChecksumError, match=rf"950Pa\.7z is not.*{command}"):
        read(local)
    new = read(local, accept_changed=True)
    assert read(local) == new != old
    assert note(local).before == [old]
    assert len(stores()) == 2


def test_a_folder_that_was_edited_is_read_again_without_an_error(unpacked):
    old = read(unpacked)
    mask = unpacked / "950 Pa" / "mask" / "000.tif"
    kept = mask.read_bytes()
    mask.write_bytes((unpacked / "950 Pa" / "mask" / "001.tif").read_bytes())
    new = read(unpacked)
    assert new != old
    assert note(unpacked).before == [old]
    mask.write_bytes(kept)
    assert read(unpacked) == old
    assert len(stores()) == 2


def test_an_archive_beside_a_folder_read_before_is_not_a_changed_archive(unpacked, make):
    read(unpacked)
    data = make()
    (unpacked / "950 Pa.7z").write_bytes(data)
    with pytest.warns(BMGDWarning, match=r"950 Pa\.7z is read, and .*950 Pa beside it is not"):
        assert read(unpacked) == sha256(data)
    (unpacked / "950 Pa.7z").write_bytes(make(11))
    with pytest.raises(ChecksumError), pytest.warns(BMGDWarning, match="beside it"):
        read(unpacked)


@pytest.mark.parametrize("kind", ["local", "unpacked"])
def test_how_often_a_local_source_is_looked_at(kind, request, monkeypatch):
    """Before the lock, under it, and after reading; it is read once."""
    source = request.getfixturevalue(kind)
    calls = Counter()

    def counted(where, name):
        real = getattr(where, name)

        def count(*args, **options):
            calls[name] += 1
            return real(*args, **options)

        monkeypatch.setattr(where, name, count)

    for where, name in (
        (locate, "find"),
        (folder, "files_of"),
        (folder, "fingerprint"),
        (folder, "digest" if kind == "unpacked" else "sha256"),
        (sevenzip_header, "check"),
    ):
        counted(where, name)
    read(source)
    looks = dict.fromkeys(("find", "files_of", "fingerprint"), 3)
    once = {"digest": 1} if kind == "unpacked" else {"sha256": 1, "check": 1}
    assert calls == looks | once
    calls.clear()
    read(source)
    assert calls == dict.fromkeys(looks, 1), "a known store costs one look"


@pytest.mark.parametrize("kept", [0.5, 1.0])
def test_messages_name_the_archive_within_a_zip_and_not_its_copy(tmp_path, kept):
    """Cut in half, it is damaged; whole, it holds an image that is none."""
    blob = io.BytesIO()
    with zipfile.ZipFile(blob, "w") as inner:
        for folder in ("image", "mask"):
            inner.writestr(f"950 Pa/{folder}/a.tif", b"no picture")
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as outer:
        outer.writestr("in/950 Pa.zip", blob.getvalue()[: round(kept * blob.tell())])
    with pytest.raises(CorruptArchiveError) as raised:
        _pipeline.open_store(place(path))
    text = str(raised.value)
    assert text.startswith(f"Unpack {path} first; within it: in/950 Pa.zip ")
    assert str(home.root()) not in text


@pytest.mark.parametrize("inside", ["Breast-main/950 Pa.7z", "Breast-main/950 Pa/"])
def test_a_zip_of_the_repository(tmp_path, make, nuclei, inside):
    """As GitHub's "Download ZIP" gives it; a .7z within has the same key as upstream's."""
    data = make()
    members = {inside: data} if inside.endswith(".7z") else {}
    if not members:
        members = {f"Breast-main/{name}": blob for name, blob in nuclei().items()}
    path = tmp_path / "download" / "Breast-main.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as out:
        for name, blob in members.items():
            out.writestr(name, blob)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "950 Pa.7z").write_bytes(data)
    of_archive = _pipeline.open_store(place(plain)).index
    for named in (path, path.parent):
        index = _pipeline.open_store(place(named)).index
        assert (index.names, index.digests) == (of_archive.names, of_archive.digests)
        assert (index.key == of_archive.key) == inside.endswith(".7z")
    left = {each.suffix for each in home.root().rglob("*") if each.is_file()}
    assert left <= {".json", ".npy", ".lock"}


@pytest.mark.parametrize("name", ["950.Pa.7z", "950%20Pa.7z", "950 Pa (1).7z"])
def test_one_archive_is_a_source(tmp_path, make, name):
    data = make()
    (tmp_path / name).write_bytes(data)
    assert read(tmp_path / name) == sha256(data)


def test_a_damaged_local_archive_stays_where_it_is(local, broken):
    (local / "950Pa.7z").write_bytes(broken)
    with pytest.raises(CorruptArchiveError, match=r"950Pa\.7z is damaged at .*good files of 20"):
        read(local)
    assert (local / "950Pa.7z").read_bytes() == broken
    assert note(local) is None
    assert stores() == set()


def test_notes_are_shown_once(local):
    with pytest.warns(BMGDWarning, match=r"with notes: 10 image/mask pairs.*bmgd verify"):
        read(local)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(local)


# ---------------------------------------------------------------------------------- generated data


def test_archives_of_an_earlier_generator_are_not_used(monkeypatch, one_image):
    from bmgd_data import phantom

    old = read(one_image)
    inode = place(one_image).archive.stat().st_ino
    monkeypatch.setattr(phantom, "GENERATOR_VERSION", phantom.GENERATOR_VERSION + 1)
    assert read(one_image) != old
    assert place(one_image).archive.stat().st_ino != inode


def test_a_generated_store_needs_no_archive(one_image):
    key = read(one_image)
    place(one_image).archive.unlink()
    place(one_image).note.unlink()
    assert read(one_image) == key
    assert note(one_image).key == key
    assert not place(one_image).archive.exists()


# --------------------------------------------------------------------------------- instance masks


def test_labels_are_computed_once(local, monkeypatch):
    opened = _pipeline.open_store(place(local))
    found = derived.labelled(opened, "watershed", home.root())
    assert opened.methods() == ["components", "watershed"]
    assert opened.verify() == []
    monkeypatch.setitem(DERIVED, "watershed", lambda _: pytest.fail("computed again"))
    again = derived.labelled(opened, "watershed", home.root())
    assert (again.labels == found.labels).all()
    assert again.counts == found.counts


def test_labels_of_another_version_are_computed_again(local, monkeypatch):
    opened = _pipeline.open_store(place(local))
    found = derived.labelled(opened, "watershed", home.root())
    monkeypatch.setitem(VERSIONS, "watershed", 99)
    monkeypatch.setitem(DERIVED, "watershed", lambda mask: mask.astype(np.uint16))
    assert not opened.has("watershed")
    again = derived.labelled(opened, "watershed", home.root())
    assert again.labels.max() == 1 < found.labels.max()
    assert opened.verify() == []
    monkeypatch.setitem(VERSIONS, "watershed", 2)
    older = derived.labelled(opened, "watershed", home.root())
    assert older.digest == found.digest, "each version of the package reads its own"


def test_provided_labels_that_were_not_provided(local):
    opened = _pipeline.open_store(place(local))
    with pytest.raises(DatasetNotFoundError, match=r"950Pa has no.*'components'.*'watershed'"):
        derived.labelled(opened, "provided", home.root())


def test_a_root_that_is_a_file(tmp_path, local, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BMGD_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="BMGD_HOME"):
        read(local)
