from __future__ import annotations

from pathlib import Path

import pytest

from bmgd_data import facts
from bmgd_data._origin import remote, sources
from bmgd_data.errors import DatasetNotFoundError

C250, C950 = facts.CONDITIONS[:2]


@pytest.mark.parametrize("text", [None, "upstream", facts.UPSTREAM, facts.UPSTREAM.rstrip("/")])
def test_upstream(text):
    source = sources.resolve(text)
    assert (source.kind, source.label, source.remote) == ("upstream", "upstream", True)
    assert remote.urls(source, C250) == [f"{facts.REPOSITORY}/raw/main/250%20Pa.7z"]


def test_an_argument_overrides_the_environment(monkeypatch, tmp_path):
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


@pytest.mark.parametrize("text", ["http://host/data", "HTTPS://host:8/data/"])
def test_a_mirror_is_a_base_address(text):
    source = sources.resolve(text)
    assert (source.kind, source.remote) == ("mirror", True)
    base = text.rstrip("/")
    assert remote.urls(source, C950) == [f"{base}/950%20Pa.7z", f"{base}/950.Pa.7z"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_is_the_same_with_and_without_the_last_slash(slash):
    assert sources.resolve("http://host/data" + slash) == sources.resolve("http://host/data")


def test_user_and_password_of_a_mirror_are_only_for_fetching():
    source = sources.resolve("http://me:se%2Fcret@host:8/data")
    assert remote.auth(source) == ("me", "se/cret")
    bare = sources.resolve("http://host:8/data")
    assert remote.auth(bare) is None
    assert (source.label, source.slug, remote.urls(source, C950)) == (
        bare.label,
        bare.slug,
        remote.urls(bare, C950),
    )
    assert repr(source) == repr(bare)
    assert remote.auth(sources.resolve("http://token@host/")) == ("token", "")


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


def test_every_way_to_name_a_folder(tmp_path, monkeypatch):
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
def test_an_invalid_address(text):
    with pytest.raises(ValueError, match="Valid: 'upstream', 'phantom'"):
        sources.resolve(text)


def test_an_invalid_phantom():
    with pytest.raises(ValueError, match="Valid:"):
        sources.resolve("phantom:colour=red")


@pytest.mark.parametrize("path", ["/nowhere", "~nosuchuser/data"])
def test_a_missing_path_lists_the_valid_sources(path):
    with pytest.raises(DatasetNotFoundError, match=rf"'{path}' does not exist.*base URL.*unpacked"):
        sources.resolve(path)


def test_an_archive_is_a_source(tmp_path):
    (tmp_path / "250 Pa.7z").touch()
    assert sources.resolve(tmp_path / "250 Pa.7z").kind == "folder"


def test_the_label_for_others_holds_no_path(tmp_path):
    assert str(tmp_path) not in sources.resolve(tmp_path).label_for_others
    assert sources.resolve("phantom").label_for_others == "phantom (generated)"


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
