from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bmgd_data import facts
from bmgd_data._store.store import FORMAT
from bmgd_data._system import home
from bmgd_data.errors import StorageError


def test_an_argument_overrides_the_environment_and_both_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("BMGD_HOME", str(tmp_path / "environment"))
    assert home.root(tmp_path / "argument") == tmp_path / "argument"
    assert home.root() == tmp_path / "environment"
    monkeypatch.delenv("BMGD_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert home.root().name == "bmgd"
    assert sys.platform != "linux" or home.root() == tmp_path / "bmgd"


def test_root_is_absolute_and_not_created(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert home.root("here") == tmp_path / "here"
    assert home.root("~/there") == Path.home() / "there"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "on"),
    [
        ("1", True),
        ("yes", True),
        ("true", True),
        *((no, False) for no in ("", "0", " No ", "FALSE", "off")),
    ],
)
def test_switches(monkeypatch, value, on):
    monkeypatch.setenv("BMGD_OFFLINE", value)
    assert home.offline() is on


def test_offline_is_off_by_default():
    assert home.offline() is False


def test_no_home_folder_is_explained(monkeypatch):
    def no_home(*_: object, **__: object) -> None:
        raise RuntimeError("Could not determine home directory.")

    with pytest.raises(StorageError, match="Set BMGD_HOME, or root=, to the full path"):
        home.root("~nosuchuser/data")
    monkeypatch.delenv("BMGD_HOME")
    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    with pytest.raises(StorageError, match="Set BMGD_HOME"):
        home.root()


def test_every_path_that_is_made_is_found_again(tmp_path):
    """Otherwise `bmgd clean --all` would leave something behind."""
    condition, slug = facts.CONDITIONS[1], "mirror-host-0123abcd"
    made = {
        "archives": [home.archive(tmp_path, slug, condition)],
        "notes": [home.note(tmp_path, slug, condition)],
        "stores": [home.store(tmp_path, condition, "0" * 64, FORMAT) / "index.json"],
        "records": [home.records(tmp_path, f"{slug}-watershed-tfrecord") / "bmgd" / "x"],
        "locks": [home.lock_file(tmp_path, "work")],
    }
    strange = [tmp_path / "sources" / slug / "notes.txt", tmp_path / "mine" / "a"]
    for path in [path for paths in made.values() for path in paths] + strange:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = list(home.kept(tmp_path))
    assert {kind for kind, _, _ in found} == made.keys() == home.KINDS.keys()
    covered = [file for _, _, files in found for file in files]
    for paths in made.values():
        for path in paths:
            assert any(path.is_relative_to(file) for file in covered), path
    assert not any(path.is_relative_to(file) for path in strange for file in covered)
