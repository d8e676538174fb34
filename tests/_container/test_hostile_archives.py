"""Archives with generated damage and names: read correctly, or refused with the right error.

Hand-made cases are in test_matrix.py.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hostile
from bmgd_data import Reader
from bmgd_data._container.sevenzip import SevenZip
from bmgd_data._ingest import pairing
from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError
from bmgd_data.facts import CONDITIONS

REFUSED = {"encrypted": "is encrypted", "Brotli": "not read here, with Brotli"}


@pytest.mark.parametrize("title", hostile.archives())
def test_undamaged(title):
    outcome = hostile.tried(hostile.archives()[title])
    if refusal := next((says for word, says in REFUSED.items() if word in title), ""):
        assert type(outcome) is CorruptArchiveError
        assert refusal in str(outcome)
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
    """Harmless names are read or give no pairs; hostile names are refused."""
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
        ("950 Pa/image/" + "a" * 1012, "aa' has a name of more than 1024 characters"),
    ],
)
def test_refused_names(name, says):
    outcome = hostile.tried(hostile.of_pairs([name]))
    assert isinstance(outcome, CorruptArchiveError)
    assert says in str(outcome)
    assert len(str(outcome)) < 600


@pytest.mark.parametrize("name", ["CON", "aux.", "A", "a ", "é", "細胞", "[red]", "%s", "a" * 1000])
def test_unusual_names_are_read(name):
    """No file is created under them. Each stands beside `a`, which differs from `A` in case only."""
    paths = [f"950 Pa/{role}/{each}.tif" for role in ("image", "mask") for each in ("a", name)]
    reader = hostile.tried(hostile.of_pairs(paths))
    assert isinstance(reader, Reader), reader
    assert reader.names == sorted(["950Pa/a", f"950Pa/{name}"])


def test_names_in_folders_are_escaped(tmp_path):
    """Unlike in archives, they may hold control characters: macOS writes "Icon\\r"."""
    folder = tmp_path / "source" / "950 Pa"
    for name in ("image/a.tif", "mask/a.tif", "image/\x1b[2J.tif", "image/\u202eb.tif", "Icon\r"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(hostile.tif(hostile.MASK))
    reader = hostile.attempt(tmp_path / "source", tmp_path / "root")
    assert reader.names == ["950Pa/a"]
    (folder / "mask/\x1b[2J.tif").write_bytes(b"II")
    assert "mask/\\x1b[2J.tif: neither TIFF" in str(
        hostile.attempt(tmp_path / "source", tmp_path / "root2")
    )


@settings(hostile.quick, max_examples=200)
@given(hostile.listings())
def test_layouts(paths):
    """For any paths, each file is used at most once, and messages are harmless."""
    paths = [str(PurePosixPath(path)) for path in paths]  # as containers list them
    plan = pairing.pair_up(paths, CONDITIONS[1])
    used = [path for pair in plan.pairs.values() for path in pair if path]
    assert len(used) == len(set(used))
    assert set(used) <= set(paths)
    assert list(plan.pairs) == sorted(plan.pairs)
    assert not any(hostile.STEERING.search(line) for line in plan.notes + plan.damage)
    assert plan.pairs or plan.damage


# --------------------------------------------------------------------------------------------- PPMd


def test_ppmd_is_refused_with_advice(tmp_path, write_7z):
    """Its decoder aborts the process on damaged data."""
    ppmd = [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 16}]
    path = write_7z(tmp_path / "950 Pa.7z", {"a": b"x" * 99}, filters=ppmd)
    with pytest.raises(
        CorruptArchiveError, match=r"not read here, with PPMd.*Unpack it with 7-Zip"
    ) as told:
        SevenZip(path)
    assert not isinstance(told.value, DamagedArchiveError)


def test_bcj2_is_refused_with_advice_and_not_called_hostile():
    """7-Zip chooses it for programs beside the images."""
    bcj2 = hostile.coder(b"\x03\x03\x01\x1b", b"")
    outcome = hostile.tried(hostile.sealed(bytes(9), b"\x17" + hostile.streams(9, [bcj2], [9])))
    assert "not read here, with BCJ2" in str(outcome)
    assert "Unpack it with 7-Zip" in str(outcome)
    assert "refused" not in str(outcome)


def test_a_listing_packed_with_ppmd_is_refused():
    ppmd = hostile.coder(b"\x03\x04\x01", b"\x06" + (1 << 16).to_bytes(4, "little"))
    outcome = hostile.tried(hostile.sealed(bytes(9), b"\x17" + hostile.streams(9, [ppmd], [9])))
    assert "not read here, with PPMd" in str(outcome)
