from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmgd_data._system import home
from bmgd_data.errors import StorageError


def test_an_argument_beats_the_environment_and_both_the_default(tmp_path, monkeypatch):
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


HOLD = """
import sys
from bmgd_data._system import home
from pathlib import Path
with home.lock(Path(sys.argv[1]), "work"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_and_a_killed_one_lets_go(tmp_path, caplog):
    from filelock import FileLock, Timeout

    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with home.lock(tmp_path, "other work"):
            pass
        with pytest.raises(Timeout):
            FileLock(tmp_path / "locks" / "work.lock").acquire(timeout=0)
        holder.kill()
    with home.lock(tmp_path, "work"):
        pass


def test_locks_are_as_open_to_colleagues_as_their_folder(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o2775)
    before = os.umask(0)
    try:
        with home.lock(tmp_path, "work"):
            assert (tmp_path / "locks" / "work.lock").stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(before)


def test_a_file_system_without_locks_is_explained(tmp_path, monkeypatch):
    def acquire(*_: object, **__: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with (
        pytest.raises(StorageError, match=r"support flock\)\. Set BMGD_HOME"),
        home.lock(tmp_path, "work"),
    ):
        pass


def test_a_root_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"Cannot write to .*BMGD_HOME.*`bmgd download`"),
        home.lock(tmp_path / "file", "work"),
    ):
        pass
