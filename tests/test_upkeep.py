"""Fetching, verifying, listing and removing as a library; tests/cli shows it as commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bmgd_data import Reader, upkeep
from bmgd_data._system import home, locks
from bmgd_data.errors import CorruptArchiveError, DatasetNotFoundError
from common import TINY

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.filterwarnings("ignore::bmgd_data.errors.BMGDWarning")


@pytest.fixture
def prepared(tmp_path, write_7z, nuclei) -> Path:
    """A folder with one archive, which is read into the default root."""
    folder = tmp_path / "usb"
    write_7z(folder / "950 Pa.7z", nuclei())
    upkeep.download("950", source=folder)
    return folder


def test_what_commands_print_comes_as_values(prepared):
    [ready] = upkeep.download("950", source=prepared)
    assert ready[:2] == ("950Pa", 10)
    assert ready.labels_kept
    found = upkeep.verify("950", source=prepared)
    assert found.ok
    [row] = found.rows
    assert (row.images, row.state, row.trust) == (10, "ok", "not compared")
    [checksum] = upkeep.checksums(source=prepared)
    assert checksum.sha256 == ready.key
    assert {each.kind for each in upkeep.kept()} == {"stores", "notes", "locks"}
    upkeep.remove(upkeep.kept(kinds=["stores"]))
    assert not upkeep.kept(kinds=["stores"])
    with pytest.raises(ValueError, match=r"Unknown kinds \['store'\]\. Valid: archives, stores"):
        upkeep.kept(kinds=["store"])


def test_verify_says_what_is_wrong(prepared):
    (store,) = (home.root() / "stores").iterdir()
    (store / "masks.npy").unlink()
    found = upkeep.verify("950", source=prepared)
    assert not found.ok
    assert found.rows[0].state == "changed"
    assert "masks.npy is missing" in found.errors[0]


@pytest.mark.parametrize("side", ["", "watershed-v2", "groups-v1"])
def test_nothing_is_removed_under_a_process_that_makes_it(side, prepared, monkeypatch, caplog):
    """Another process holds the lock of the work, and releases it after a second."""
    monkeypatch.setattr(locks, "SAY_AFTER_S", 0.1)
    root = home.root()
    (store,) = (root / "stores").iterdir()
    hold = (
        "import sys, time, pathlib; from bmgd_data._system import home, locks\n"
        f"root = pathlib.Path({str(root)!r}); store = pathlib.Path({str(store)!r})\n"
        f"with locks.lock(root, home.lock_name(root, store / {side!r})):\n"
        "    print('held', flush=True); time.sleep(1); print(store.is_dir())"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        upkeep.remove(upkeep.kept(kinds=["stores"]))
        assert other.stdout.readline() == "True\n"
    assert "Waiting for another process" in caplog.text
    assert not store.exists()


def test_work_takes_the_locks_that_remove_waits_for(tiny_root, monkeypatch):
    """Their names are made in one place, from the path of what is made."""
    root, held = home.root(), []
    plain = locks.lock
    monkeypatch.setattr(locks, "lock", lambda at, name: held.append(name) or plain(at, name))
    reader = Reader("all", "950", source=TINY, scheme="grouped", instances="watershed")
    assert len(reader.groups) == len(reader)
    kept = {each.path for each in upkeep.kept(kinds=["notes", "stores"])}
    assert set(held) <= {name for path in kept for name in home.lock_names(root, path)}
    assert len(set(held)) == 4  # note, store, watershed, groups


def test_labels_of_a_removed_store_are_still_computed(prepared):
    reader = Reader("all", "950", source=prepared)
    shutil.rmtree(home.root() / "stores")
    assert len(set(reader.groups.tolist())) > 0
    assert not (home.root() / "stores").exists()


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_prepared_root_serves_also_when_its_source_is_gone(prepared, left):
    before = Reader("all", "950", source=prepared)
    shutil.rmtree(prepared)
    if left == "an empty folder":  # where a disk was mounted
        prepared.mkdir()
    after = Reader("all", "950", source=str(prepared), download=False)
    assert (after.images[:] == before.images[:]).all()
    assert upkeep.verify("950", source=prepared).ok
    with pytest.raises(DatasetNotFoundError, match=r"1200 ?Pa"):
        Reader("all", "1200", source=prepared)
    shutil.rmtree(home.root() / "stores")
    with pytest.raises(DatasetNotFoundError, match=r"950Pa are not kept, .* is gone or empty"):
        Reader("all", "950", source=prepared)


def test_a_source_that_is_gone_is_known_by_the_name_it_had_elsewhere(prepared, tmp_path):
    """A root that was prepared on another system, under a path of that system."""
    (slug,) = (home.root() / "sources").iterdir()
    source = r"D:\usb"
    from bmgd_data._origin.sources import Source

    slug.rename(slug.with_name(Source("folder", source).slug))
    shutil.rmtree(prepared)
    assert len(Reader("all", "950", source=source)) == 10
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        Reader("all", "950", source=r"E:\usb")


def test_what_is_kept_is_listed_by_source(prepared):
    """A store's folder does not name the source."""
    Reader("all", "1200", source=TINY)
    for named in (str(prepared), TINY, f"{TINY} (generated)"):
        found = upkeep.kept(kinds=["stores"], source=named)
        assert [each.path.name[:4] for each in found] == ["950P" if "/" in named else "1200"]
    assert not upkeep.kept(kinds=["stores"], source="phantom:full")


def test_a_store_that_is_damaged_is_an_error_of_verify_alone(prepared):
    (index,) = (home.root() / "stores").glob("*/index.json")
    index.write_text("{")
    assert "is not readable" in upkeep.verify("950", source=prepared).errors[0]
    with pytest.raises(CorruptArchiveError):
        Reader("all", "950", source=prepared)
