from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError, StorageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_staged_folder_appears_complete_at_the_end(tmp_path):
    final = tmp_path / "deep" / "final"
    with disk.staged(final) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("a")
        assert not final.exists()
        assert folder.parent == final.parent, "on the same file system"
    assert (final / "sub" / "a").read_text() == "a"
    assert names(final.parent) == ["final"]


def test_a_staged_folder_vanishes_when_the_block_fails(tmp_path):
    with contextlib.suppress(KeyError), disk.staged(tmp_path / "final") as folder:
        (folder / "a").write_text("a")
        raise KeyError
    assert names(tmp_path) == []


def test_the_first_of_two_staged_folders_wins(tmp_path):
    final = tmp_path / "final"
    with disk.staged(final) as second:
        with disk.staged(final) as first:
            (first / "a").write_text("first")
        (second / "a").write_text("second")
    assert (final / "a").read_text() == "first"
    assert names(tmp_path) == ["final"]


def test_a_file_in_the_way_of_a_staged_folder_is_an_error(tmp_path):
    (tmp_path / "final").write_text("a file")
    with pytest.raises(OSError, match="final"), disk.staged(tmp_path / "final") as folder:
        (folder / "a").write_text("a")
    assert names(tmp_path) == ["final"]


def test_everything_is_synced_before_the_rename(tmp_path, monkeypatch):
    """A power cut must not leave empty files under the final name."""
    synced = []
    real = disk.fsync
    monkeypatch.setattr(disk, "fsync", lambda path: (synced.append(path), real(path)))
    with disk.staged(tmp_path / "final") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("a")
    assert set(synced[:-1]) == {folder, folder / "sub", folder / "sub" / "a"}
    assert synced[-1] == tmp_path


def test_a_file_that_cannot_be_synced_fails_the_whole_folder(tmp_path, monkeypatch):
    def broken(path):
        if path.name == "b":
            raise OSError(errno.EIO, "broken", str(path))

    monkeypatch.setattr(disk, "fsync", broken)
    with pytest.raises(OSError, match="broken"), disk.staged(tmp_path / "final") as folder:
        (folder / "b").write_text("b")
    assert names(tmp_path) == []


def test_a_staged_file_replaces_the_old_one_or_leaves_it(tmp_path):
    final = tmp_path / "deep" / "a.txt"
    with disk.staged_file(final) as partial:
        partial.write_text("one")
    with contextlib.suppress(KeyError), disk.staged_file(final) as partial:
        partial.write_text("half")
        raise KeyError
    assert final.read_text() == "one"
    with disk.staged_file(final) as partial:
        partial.write_text("two")
    assert final.read_text() == "two"
    assert names(final.parent) == ["a.txt"]


KILLED = """
import os, pathlib, sys
from bmgd_data._system import disk
final = pathlib.Path(sys.argv[1])
with disk.staged(final) as folder:
    (folder / "a").write_text("a")
    with disk.staged_file(final.with_name("[x]*.json")) as partial:
        partial.write_text("{")
        os._exit(9)
"""


def test_sweep_removes_what_a_killed_process_left_and_nothing_else(tmp_path):
    final = tmp_path / "1200Pa-ab-v1"
    (tmp_path / ".1200Pa-abc-v1-0-other.partial").mkdir()
    (tmp_path / ".1200Pa-ab-v10-other.partial").mkdir()
    (tmp_path / "1200Pa-ab-v1-mine").mkdir()
    others = names(tmp_path)
    done = subprocess.run([sys.executable, "-c", KILLED, str(final)], check=False)
    assert done.returncode == 9
    assert len(names(tmp_path)) == len(others) + 2, "the kill came in the middle"
    disk.sweep(final)
    disk.sweep(tmp_path / "[x]*.json")
    assert names(tmp_path) == others


def test_json_is_readable_and_keeps_all_characters(tmp_path):
    path = tmp_path / "a.json"
    disk.write_json(path, {"name": "größe 細胞", "counts": [1, 2]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "größe 細胞", "counts": [1, 2]}
    assert "größe 細胞" in path.read_text(encoding="utf-8")


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert disk.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_sha256_of_plain_data_is_the_same_for_equal_data():
    assert disk.sha256_of({"b": 1, "a": ["ä"]}) == disk.sha256_of({"a": ["ä"], "b": 1})
    assert disk.sha256_of([1, 2]) != disk.sha256_of([2, 1])
    assert disk.sha256_of(["a", 1]) == hashlib.sha256(b'["a",1]').hexdigest()


def test_require_space_checks_the_nearest_existing_folder(tmp_path):
    disk.require_space(tmp_path / "not" / "yet", 1, "to test")
    assert names(tmp_path) == []
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(StorageError, match=r"MB are needed to test, but .* free.*BMGD_HOME"):
        disk.require_space(tmp_path / "not" / "yet", free * 2, "to test")


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG]
)
def test_errors_of_the_disk_are_explained(tmp_path, code):
    with (
        pytest.raises(StorageError, match=rf"{os.strerror(code)}.*BMGD_HOME") as caught,
        disk.staged(tmp_path / "final"),
    ):
        raise OSError(code, os.strerror(code))
    assert str(tmp_path) in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [StorageError("as it is"), CorruptArchiveError("as it is"), OSError(errno.EIO, "as it is")],
)
def test_other_errors_pass_unchanged(error):
    with pytest.raises(type(error), match="as it is") as caught, disk.explained("folder"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("late", [1, 99])
def test_a_mount_that_shows_files_late(late, tmp_path, monkeypatch):
    """rclone 1.60 shows a renamed folder empty for seconds."""
    real, waits = Path.rename, []
    monkeypatch.setattr(Path, "rename", lambda self, to: real(self, hidden) and to.mkdir())
    hidden = tmp_path / "hidden"

    def sleep(pause):
        waits.append(pause)
        if len(waits) == late:
            shutil.copy(hidden / "a", final / "a")

    monkeypatch.setattr(disk.time, "sleep", sleep)
    final = tmp_path / "final"
    expected = pytest.raises(StorageError, match=r"shows its files late\. Read again in")
    with contextlib.nullcontext() if late == 1 else expected, disk.staged(final) as folder:
        (folder / "a").write_text("a")
    assert len(waits) == min(late, 5)


def test_a_folder_of_a_lower_layer_is_removed_without_a_rename(tmp_path, monkeypatch):
    """overlayfs cannot rename it: EXDEV."""
    (tmp_path / "store" / "inner").mkdir(parents=True)

    def refused(self, _to):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))

    monkeypatch.setattr(Path, "rename", refused)
    disk.discard(tmp_path / "store")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_targets_of_links_are_left_alone(tmp_path):
    (elsewhere := tmp_path / "elsewhere" / "inner").mkdir(parents=True)
    elsewhere.chmod(0o755)
    (tmp_path / ".final-01234567.partial").symlink_to(elsewhere.parent)
    (tmp_path / ".final-89abcdef.partial").mkdir()
    (tmp_path / ".final-89abcdef.partial" / "link").symlink_to(elsewhere)
    disk.sweep(tmp_path / "final")
    assert names(tmp_path) == ["elsewhere"]
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


def test_a_failed_discard_can_be_repeated(tmp_path, monkeypatch):
    def refused(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    (tmp_path / "store" / "inner").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", refused)
        with pytest.raises(StorageError, match=r"store.* cannot be removed: Permission denied"):
            disk.discard(tmp_path / "store")
        (left,) = tmp_path.iterdir()
        with pytest.raises(StorageError, match=left.name):
            disk.discard(left)
        assert list(tmp_path.iterdir()) == [left]
    disk.discard(left)
    assert names(tmp_path) == []


def test_only_files_below_the_folder_are_reported_as_removed(tmp_path):
    """A folder beside it whose name begins alike is another folder."""
    (tmp_path / "root").mkdir()
    with (
        pytest.raises(StorageError, match="was removed"),
        disk.explained(tmp_path / "root"),
    ):
        io.FileIO(tmp_path / "root" / "gone")  # names the file by a Path
    with pytest.raises(FileNotFoundError), disk.explained(tmp_path / "root"):
        (tmp_path / "root-other").read_bytes()


def test_a_folder_that_is_removed_while_it_is_made(tmp_path):
    """mkdir(exist_ok=True) raises FileExistsError for a folder that is then removed."""
    with pytest.raises(StorageError, match="was removed"), disk.explained(tmp_path):
        raise FileExistsError(errno.EEXIST, "File exists", str(tmp_path / "gone"))


@pytest.mark.parametrize("below", ["file/a.txt", "file/deep/a.txt", "folder"])
def test_a_file_in_the_way_is_named_and_left(tmp_path, below):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    before = names(tmp_path)
    blocking = tmp_path / below.split("/")[0]
    with (
        pytest.raises(StorageError, match=rf"^{blocking} is in the way .*another destination"),
        disk.staged_file(tmp_path / below) as partial,
    ):
        partial.touch()
    assert names(tmp_path) == before


def test_folders_made_by_a_failed_write_are_removed_and_others_stay(tmp_path):
    def fail(final: Path, beside: Path | None = None) -> None:
        with contextlib.suppress(KeyError), disk.staged_file(final):
            if beside:
                beside.touch()
            raise KeyError

    fail(tmp_path / "a" / "b" / "c.txt")
    assert names(tmp_path) == []
    (tmp_path / "a").mkdir()
    fail(tmp_path / "a" / "b" / "c.txt")
    assert names(tmp_path) == ["a"]
    fail(tmp_path / "a" / "b" / "c.txt", beside=tmp_path / "a" / "b" / "of another process")
    assert names(tmp_path / "a" / "b") == ["of another process"]


def test_a_really_full_disk_is_explained(tmp_path):
    """Writes to /dev/full fail as on a full disk."""
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full on this system")

    def fill() -> None:
        with disk.staged(tmp_path / "final") as folder:
            (folder / "a").symlink_to("/dev/full")
            (folder / "a").write_bytes(b"x")

    with pytest.raises(StorageError, match="No space left"):
        fill()
    assert names(tmp_path) == []


def test_size_of(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "sub" / "b").write_bytes(b"4567")
    assert disk.size_of(tmp_path) == 7
