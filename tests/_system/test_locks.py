from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from bmgd_data._system import locks
from bmgd_data.errors import BMGDWarning, StorageError, printable

HOLD = """
import sys
from bmgd_data._system import locks
from pathlib import Path
with locks.lock(Path(sys.argv[1]), "work"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_and_a_killed_one_releases_the_lock(tmp_path, caplog):
    from filelock import FileLock, Timeout

    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with locks.lock(tmp_path, "other work"):
            pass
        with pytest.raises(Timeout):
            FileLock(tmp_path / "locks" / "work.lock").acquire(timeout=0)
        holder.kill()
    with locks.lock(tmp_path, "work"):
        pass


def test_locks_have_the_permissions_of_their_folder(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o2775)
    before = os.umask(0)
    try:
        with locks.lock(tmp_path, "work"):
            assert (tmp_path / "locks" / "work.lock").stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("FileSystem does not appear to support flock"),
        *(OSError(number, os.strerror(number)) for number in (errno.ENOLCK, errno.EOPNOTSUPP)),
    ],
    ids=lambda error: type(error).__name__ + str(getattr(error, "errno", "")),
)
def test_without_locks_the_work_is_done_with_one_warning(tmp_path, monkeypatch, error):
    def acquire(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with (
        pytest.warns(BMGDWarning, match="has no locks, so the work is done without") as warned,
        locks.lock(tmp_path, "work") as alone,
    ):
        assert alone is False
    assert len(warned) == 1


def test_waiting_is_logged_and_ends(tmp_path, monkeypatch, caplog):
    """A suspended holder, or a lock file left on another host, must not stop the work."""
    tmp_path /= "a\u202eb"  # steers a terminal
    monkeypatch.setattr(locks, "SAY_AFTER_S", 0.05)
    monkeypatch.setattr(locks, "GIVE_UP_AFTER_S", 0.2)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.warns(BMGDWarning, match=r"work\.lock has been held .*without a lock"),
            locks.lock(tmp_path, "work") as alone,
        ):
            assert alone is False
        holder.kill()
    path = printable(str(tmp_path / "locks" / "work.lock"))
    assert f"to prepare work, at {path}." in caplog.text
    assert "\u202e" not in caplog.text
    with locks.lock(tmp_path, "work") as alone:
        assert alone is True


def test_a_root_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match=r"Cannot write to .*BMGD_HOME.*`bmgd download`"),
        locks.lock(tmp_path / "file", "work"),
    ):
        pass
