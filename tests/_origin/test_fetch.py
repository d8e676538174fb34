from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pooch
import pytest

from bmgd_data._origin import fetch
from bmgd_data._system import progress
from bmgd_data.errors import (
    ChecksumError,
    CorruptArchiveError,
    DatasetNotFoundError,
    DownloadError,
    StorageError,
)
from serving import answering, refuse, send, stall  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

NAME = "950 Pa.7z"


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses between tries, in seconds."""
    taken: list[float] = []
    monkeypatch.setattr("pooch.core.time.sleep", taken.append)
    return taken


@pytest.fixture
def packed(tmp_path, write_7z, nuclei) -> bytes:
    return write_7z(tmp_path / "made.7z", nuclei()).read_bytes()


@pytest.fixture
def final(tmp_path) -> Path:
    return tmp_path / "archives" / "some-source" / NAME


@pytest.fixture
def older(final) -> Path:
    """An archive that is there already."""
    final.parent.mkdir(parents=True)
    final.write_bytes(b"older")
    return final


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def get(url: str, final: Path, check=lambda _key: None) -> str:
    with progress.bar("fetching", in_bytes=True) as bar:
        return fetch.download(url, final, check, bar)


def test_the_archive_arrives_whole_and_alone(answer, packed, final):
    assert get(answer(send(packed))[0] + NAME, final) == (hashlib.sha256(packed).hexdigest())
    assert final.read_bytes() == packed
    assert names(final.parent) == [NAME]


def test_requests_have_a_user_agent_and_timeouts(answer, packed, final, monkeypatch):
    import requests

    (url, server), timeouts = answer(send(packed)), []
    real = requests.get
    monkeypatch.setattr(
        requests, "get", lambda *a, **k: (timeouts.append(k["timeout"]), real(*a, **k))[1]
    )
    get(url + NAME, final)
    headers = server.asked[0][1]
    assert headers["User-Agent"].startswith("bmgd-data/")
    assert "doi.org" in headers["User-Agent"]
    assert headers["Accept-Encoding"] == "identity"
    assert timeouts == [(fetch.CONNECT_TIMEOUT_S, fetch.READ_TIMEOUT_S)]


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_refusal_is_retried(answer, packed, final, pauses, status):
    url, server = answer(refuse(status), refuse(status), send(packed))
    get(url + NAME, final)
    assert final.read_bytes() == packed
    assert len(server.asked) == 3
    assert pauses == [1, 2]


@pytest.mark.parametrize("status", [403, 429, 500])
def test_a_lasting_refusal_is_reported_with_its_status(answer, older, status):
    url, server = answer(refuse(status))
    with pytest.raises(DownloadError, match=f"answered {status} .*3 retries.*by hand") as raised:
        get(url + NAME, older)
    assert ("refusing for now" in str(raised.value)) == (status != 500)
    assert len(server.asked) == 1 + fetch.RETRIES
    assert older.read_bytes() == b"older"


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_file_is_not_retried(answer, older, status):
    url, server = answer(refuse(status))
    with pytest.raises(DatasetNotFoundError, match=rf"There is no .*{status}.*mirror.*by hand"):
        get(url + NAME, older)
    assert len(server.asked) == 1
    assert older.read_bytes() == b"older"


def lfs_pointer(data: bytes) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 9\n".encode()


@pytest.mark.parametrize(
    ("arrives", "says"),
    [
        (lambda _: b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "it is a web page"),
        (lambda _: b"<html>", "it is a web page"),
        (lfs_pointer, "it is a git-LFS pointer"),
        (lambda _: b"", "it is empty"),
        (lambda data: data[:-40], "cut off: [0-9]+ of [0-9]+ bytes"),
        (lambda data: data[:20], "cut off after 20 bytes"),
        (lambda data: b"PK\x03\x04" + data, "a zip archive"),
    ],
    ids=["page", "short page", "pointer", "empty", "cut", "cut header", "zip"],
)
def test_other_files_do_not_replace_an_archive(answer, packed, older, arrives, says):
    url = answer(send(arrives(packed)))[0] + NAME
    with pytest.raises(CorruptArchiveError, match=says) as raised:
        get(url, older)
    assert url in str(raised.value)
    assert older.read_bytes() == b"older"
    assert names(older.parent) == [NAME]


def test_a_cut_connection_is_retried_and_then_reported(answer, packed, older):
    half = send(packed[: len(packed) // 2], length=len(packed))
    url, server = answer(half)
    with pytest.raises(DownloadError, match=r"IncompleteRead.*3 retries"):
        get(url + NAME, older)
    assert len(server.asked) == 1 + fetch.RETRIES
    assert older.read_bytes() == b"older"
    assert names(older.parent) == [NAME]

    get(answer(half, send(packed))[0] + NAME, older)
    assert older.read_bytes() == packed


def test_a_stalled_connection_ends(answer, packed, older, monkeypatch):
    monkeypatch.setattr(fetch, "READ_TIMEOUT_S", 0.1)
    with pytest.raises(DownloadError, match=r"failed .*[Tt]imed out.*3 retries"):
        get(answer(stall(packed, 2))[0] + NAME, older)
    assert older.read_bytes() == b"older"


def test_redirects_are_followed_up_to_a_limit(answer, packed, final):
    url, server = answer(send(b"", 302, Location="/there"), send(packed))
    get(url + NAME, final)
    assert [path for path, _ in server.asked] == ["/950%20Pa.7z", "/there"]
    with pytest.raises(DownloadError, match="TooManyRedirects: Exceeded 30"):
        get(answer(send(b"", 302, Location="/round"))[0] + NAME, final)


def test_an_invalid_length_is_a_download_error(answer, packed, final):
    def garbled(to):
        to.send_response(200)
        to.send_header("Content-Length", "many")
        to.end_headers()

    with pytest.raises(DownloadError, match="many"):
        get(answer(garbled)[0] + NAME, final)


def test_missing_certificates(final, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/certificates.pem")
    with (
        pytest.raises(DownloadError, match=r"certificates\.pem.*REQUESTS_CA_BUNDLE and CURL"),
        progress.bar("fetching") as bar,
    ):
        fetch.download("https://127.0.0.1:9/x.7z", final, lambda _: None, bar)


def test_without_a_server_nothing_is_left(final, tmp_path):
    with pytest.raises(DownloadError, match=r"refused.*3 retries.*by hand"):
        get("http://127.0.0.1:9/" + NAME, final)
    assert names(tmp_path) == []


def test_another_archive_is_refused_after_one_download(answer, packed, older):
    def refused(key: str) -> None:
        assert key == hashlib.sha256(packed).hexdigest()
        raise ChecksumError("not this one")

    url, server = answer(send(packed))
    with pytest.raises(ChecksumError, match="not this one"):
        get(url + NAME, older, refused)
    assert len(server.asked) == 1
    assert older.read_bytes() == b"older"
    assert names(older.parent) == [NAME]


def test_free_space_is_checked_before_the_download(answer, packed, older, monkeypatch):
    usage = shutil.disk_usage(older.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(packed) - 1))
    with pytest.raises(StorageError, match=r"needed for the download.*BMGD_HOME"):
        get(answer(send(packed))[0] + NAME, older)
    assert older.read_bytes() == b"older"
    assert names(older.parent) == [NAME]


def test_a_folder_that_pooch_may_not_write_to(final, monkeypatch):
    """The error of pooch has no errno."""

    def refuse_folder(*_, **__):
        raise PermissionError("no data cache folder")

    monkeypatch.setattr("pooch.core.make_local_storage", refuse_folder)
    with pytest.raises(StorageError, match=r"Cannot write below .*Permission denied.*BMGD_HOME"):
        get("http://127.0.0.1:9/" + NAME, final)


def test_the_log_of_pooch_is_hidden_only_during_a_download(answer, packed, final, caplog):
    logger = pooch.get_logger()
    logger.addHandler(caplog.handler)
    try:
        get(answer(refuse(500), send(packed))[0] + NAME, final)
        assert not caplog.records
        logger.info("of another user of pooch")
        assert len(caplog.records) == 1
        assert not logger.filters
    finally:
        logger.removeHandler(caplog.handler)


def test_nothing_is_printed_and_the_bar_counts_all_bytes(answer, packed, final, capfd):
    counted: list[int] = []

    class Bar:
        def __call__(self, steps: int) -> None:
            counted[-1] += steps

        def start_over(self, total: int) -> None:
            counted.append(0)
            assert total == len(packed)

    fetch.download(answer(send(packed))[0] + NAME, final, lambda _key: None, Bar())
    assert counted[-1] == len(packed)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_archives_have_the_mode_of_the_umask(answer, packed, final, umask, mode):
    before = os.umask(umask)
    try:
        get(answer(send(packed))[0] + NAME, final)
    finally:
        os.umask(before)
    assert final.stat().st_mode & 0o777 == mode


def test_fetching_is_not_imported_before_it_is_needed():
    code = "import sys, bmgd_data.reader; print({'pooch', 'requests', 'py7zr'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
