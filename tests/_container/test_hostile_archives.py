"""Archives with generated damage and generated names: read right, or refused with the right error.

Hand-made cases are in test_matrix.py.
"""

from __future__ import annotations

import sys
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hostile
from bmgd_data import Reader
from bmgd_data._container import rehearsal
from bmgd_data._container.sevenzip import Archive
from bmgd_data._ingest import pairing
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError
from bmgd_data.facts import CONDITIONS


@pytest.mark.parametrize("title", hostile.archives())
def test_undamaged(title):
    outcome = hostile.tried(hostile.archives()[title])
    if title == "encrypted":
        assert isinstance(outcome, CorruptArchiveError)
        assert "is encrypted" in str(outcome)
    else:
        assert outcome.names == ["950Pa/a", "950Pa/b"]


@hostile.quick
@given(hostile.damaged_archives())
def test_damaged_archives(blob):
    hostile.tried(blob)


@pytest.mark.slow
@hostile.long
@given(hostile.damaged_archives())
def test_many_damaged_archives(blob):
    hostile.tried(blob)


# -------------------------------------------------------------------------------------------- names


@hostile.quick
@given(hostile.listings())
def test_names(names):
    """Harmless ones are read, or told to be no pairs; hostile ones are refused."""
    hostile.tried(hostile.of_pairs(names))


@pytest.mark.slow
@hostile.long
@given(hostile.listings(), st.booleans())
def test_many_names(names, empty):
    hostile.tried(hostile.of_names(names) if empty else hostile.of_pairs(names))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("950 Pa/image/a\x85.tif", "'950 Pa/image/a\\x85.tif' has control characters"),
        ("950 Pa/image/\x9b2J.tif", "control characters"),
        ("950 Pa/image/\u200ffit.tif", "control characters"),
        ("950 Pa/image/\u061cfit.tif", "control characters"),
        ("950 Pa/image/\u2028.tif", "control characters"),
        ("950 Pa/image/\ufeff.tif", "control characters"),
        ("950 Pa/image/\ud800.tif", "cannot be read (UnicodeDecodeError"),
        ("", "'' has no name"),
        ("./", "'./' has no name"),
        ("950 Pa/image/" + "a" * 1012, "aa' has a name of more than 1024 letters"),
    ],
)
def test_refused_names(name, says):
    outcome = hostile.tried(hostile.of_pairs([name]))
    assert isinstance(outcome, CorruptArchiveError)
    assert says in str(outcome)
    assert len(str(outcome)) < 600


@pytest.mark.parametrize("name", ["CON", "aux.", "A", "a ", "é", "細胞", "[red]", "%s", "a" * 1000])
def test_strange_names_are_names(name):
    """Nothing is unpacked under them; `a` lies beside, which differs from `A` in case alone."""
    paths = [f"950 Pa/{role}/{each}.tif" for role in ("image", "mask") for each in ("a", name)]
    reader = hostile.tried(hostile.of_pairs(paths))
    assert isinstance(reader, Reader), reader
    assert reader.names == sorted(["950Pa/a", f"950Pa/{name}"])


def test_names_in_folders_are_spelled_out(tmp_path):
    """Unlike an archive's, they may hold control characters: a Mac leaves "Icon\\r" there."""
    folder = tmp_path / "source" / "950 Pa"
    for name in ("image/a.tif", "mask/a.tif", "image/\x1b[2J.tif", "image/\u202eb.tif", "Icon\r"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(hostile.tif(hostile.MASK))
    reader = hostile.attempt(tmp_path / "source", tmp_path / "root")
    assert reader.names == ["950Pa/a"]
    (folder / "mask/\x1b[2J.tif").write_bytes(b"II")
    assert "mask/\\x1b[2J.tif: not decodable" in str(
        hostile.attempt(tmp_path / "source", tmp_path / "root2")
    )


@settings(hostile.quick, max_examples=200)
@given(hostile.listings())
def test_layouts(paths):
    """Whatever the paths are, each file has one part at most, and messages are harmless."""
    paths = [str(PurePosixPath(path)) for path in paths]  # as containers list them
    plan = pairing.read(paths, CONDITIONS[1])
    used = [path for pair in plan.pairs.values() for path in pair if path]
    assert len(used) == len(set(used))
    assert set(used) <= set(paths)
    assert list(plan.pairs) == sorted(plan.pairs)
    assert not any(hostile.STEERING.search(line) for line in plan.notes + plan.damage)
    assert plan.pairs or plan.damage


# --------------------------------------------------------------------------------------------- PPMd


def test_damaged_ppmd():
    """Its decoder aborts the process that decodes such, at the latest at the hundredth."""
    packed, header = hostile.unsealed(hostile.archives()["PPMd solid"])
    for at in (0, len(packed) // 2):
        blob = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        assert isinstance(hostile.tried(hostile.sealed(blob, header)), DamagedArchiveError)


def test_what_a_rehearsal_meets_is_told(tmp_path, monkeypatch):
    path = tmp_path / "a.7z"
    packed, header = hostile.unsealed(hostile.archives()["PPMd solid"])
    path.write_bytes(hostile.sealed(packed[:-300] + bytes(300), header))
    archive = Archive(path)
    with pytest.raises(DamagedArchiveError, match=r"after \d good files of 5"):
        archive.stream(lambda name, data: pytest.fail("decoded here"))
    # From here on nobody can tell damage from a lack of memory, so that nothing is to be deleted.
    for code, says in (
        ("import os; os.abort()", "failed with status"),
        ("raise MemoryError('a lot')", "failed with status 1: MemoryError: a lot"),
    ):
        monkeypatch.setattr(rehearsal, "_CHILD", code)
        with pytest.raises(CorruptArchiveError, match=says) as told:
            archive.stream(lambda name, data: pytest.fail("decoded here"))
        assert not isinstance(told.value, DamagedArchiveError)
    monkeypatch.setattr(rehearsal, "_CHILD", "import time; time.sleep(99)")
    with pytest.raises(CorruptArchiveError, match="did not end"):
        rehearsal.rehearse(path, int(-59.9e6))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(CorruptArchiveError, match="could not be started"):
        rehearsal.rehearse(path, 0)


def test_a_rehearsal_leaves_refusals_to_the_archive(monkeypatch, tmp_path):
    """They are no damage; so it passes over them, and decoding tells."""
    path = tmp_path / "a.7z"
    path.write_bytes(hostile.archives()["PPMd solid"])
    refuse = "raise CorruptArchiveError('refused')"
    code = rehearsal._CHILD.replace("    Archive(", f"    {refuse}\n    Archive(")
    assert refuse in code
    monkeypatch.setattr(rehearsal, "_CHILD", code)
    names = []
    Archive(path).stream(lambda name, data: names.append(name))
    assert names


def test_a_listing_packed_with_ppmd_is_refused():
    ppmd = hostile.coder(b"\x03\x04\x01", b"\x06" + (1 << 16).to_bytes(4, "little"))
    outcome = hostile.tried(hostile.sealed(bytes(9), b"\x17" + hostile.streams(9, [ppmd], [9])))
    assert "its listing is packed with PPMd" in str(outcome)
