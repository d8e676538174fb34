"""Groups and instance masks in a store: computed once, kept, sealed."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bmgd_data import _pipeline, instances
from bmgd_data._origin import sources
from bmgd_data._store import derived
from bmgd_data._store.store import Store
from bmgd_data._system import locks
from bmgd_data.errors import BMGDWarning, CorruptArchiveError, StorageError
from bmgd_data.facts import parse_stiffness
from bmgd_data.reader import Reader
from bmgd_data.splits import groups
from common import TINY

if TYPE_CHECKING:
    from pathlib import Path

(CONDITION,) = parse_stiffness(950)
TRUTH = [0] * 5 + [1] * 5 + [2] * 2


@pytest.fixture
def opened(tiny_root, tmp_path):
    """A store of its own, without groups."""
    place = _pipeline.Wanted(tiny_root, sources.resolve("phantom:size=0.02"), CONDITION)
    path = _pipeline.open_store(place).path
    folder = tmp_path / "stores" / path.name
    shutil.copytree(path, folder, ignore=shutil.ignore_patterns("groups-*", "watershed*"))
    return Store(folder)


def test_instances_are_kept_beside_the_others(opened, tmp_path, monkeypatch):
    steps: list[int] = []

    @contextlib.contextmanager
    def bar(title: str, total: int):
        assert (title, total) == ("instances='watershed' of 950Pa", 12)
        yield steps.append

    monkeypatch.setattr(derived, "bar", bar)
    before, found = opened.index, derived.labelled(opened, "watershed", tmp_path)
    assert steps == [1] * 12
    again = Store(opened.path)
    assert again.methods() == ["components", "watershed"]
    np.testing.assert_array_equal(again.instances("watershed").labels, found.labels)
    assert again.instances("watershed").counts == found.counts
    expected = [instances.watershed(mask) for mask in again.masks]
    np.testing.assert_array_equal(found.labels, expected)
    assert again.verify() == []
    assert again.index == before, "the digest of the data stays"
    derived.labelled(opened, "watershed", tmp_path)
    assert len(steps) == 12, "computed once"


def test_groups_are_computed_once_and_kept(opened, tmp_path, monkeypatch):
    assert derived.grouped(opened, tmp_path).numbers.tolist() == TRUTH
    monkeypatch.delattr(groups, "find")
    again = derived.grouped(opened, tmp_path)
    assert again.numbers.tolist() == TRUTH
    assert again.evidence == "pixels"
    assert opened.verify() == []
    assert opened.methods() == ["components"]


def test_groups_of_another_version_are_computed_again(opened, tmp_path, monkeypatch):
    derived.grouped(opened, tmp_path)
    monkeypatch.setattr(groups, "VERSION", groups.VERSION + 1)
    monkeypatch.setattr(groups, "find", lambda names, images, progress: _own(len(names)))
    assert derived.grouped(opened, tmp_path).numbers.tolist() == list(range(12))


def _own(count: int) -> groups.Groups:
    none = groups.Pairs.of(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    return groups.Groups(np.arange(count, dtype=np.int32), "pixels", "", 0.0, 0.0, none)


def test_on_a_read_only_root_they_are_computed_in_memory_with_one_warning(
    opened, tmp_path, monkeypatch
):
    monkeypatch.setattr(locks, "lock", _refused)
    with pytest.warns(BMGDWarning, match=r"groups are computed in memory") as caught:
        assert derived.grouped(opened, tmp_path).numbers.tolist() == TRUTH
    assert len(caught) == 1
    assert not list(opened.path.glob("*groups*"))
    with pytest.warns(BMGDWarning, match="instances='watershed' are computed in memory"):
        found = derived.labelled(opened, "watershed", tmp_path)
    assert not opened.has("watershed")
    assert not found.labels.flags.writeable


def test_what_cannot_be_kept_is_computed_once_and_given_to_workers(tmp_path, monkeypatch):
    Reader("train", 950, source=TINY, root=tmp_path)
    monkeypatch.setattr(locks, "lock", _refused)
    with pytest.warns(BMGDWarning, match="`bmgd download --instances watershed --root ") as told:
        reader = Reader("train", 950, source=TINY, root=tmp_path, instances="watershed")
    assert len(told) == 1
    monkeypatch.setitem(instances.DERIVED, "watershed", None)  # no more computing
    again = Reader("train", 950, source=TINY, root=tmp_path, instances="watershed")
    pickled = pickle.dumps(reader)
    derived._COMPUTED.clear()  # as in a worker that was spawned
    worker = pickle.loads(pickled)  # noqa: S301 - made above
    for other in (again, worker):
        np.testing.assert_array_equal(other.instances, reader.instances)
        with pytest.raises(ValueError, match="read-only"):
            other[0]["instances"][0, 0] = 1
    assert "_computed" not in worker.__dict__


def _refused(root: Path, name: str) -> None:
    raise StorageError(f"Cannot write to {root}")


def test_changed_groups_are_reported(opened, tmp_path):
    derived.grouped(opened, tmp_path)
    (index,) = opened.path.glob("groups-v*/index.json")
    content = json.loads(index.read_text())
    content["numbers"][0] = 2
    index.write_text(json.dumps(content))
    with pytest.raises(CorruptArchiveError, match=r"groups-v\d+/index.json has changed"):
        derived.grouped(opened, tmp_path)
    (fault,) = opened.verify()
    assert "groups-v" in fault
