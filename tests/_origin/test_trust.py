from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
from pathlib import Path

import pytest

from bmgd_data import facts
from bmgd_data._origin import sources, trust
from bmgd_data._origin.trust import Seen
from bmgd_data._system import home
from bmgd_data.errors import ChecksumError, DatasetNotFoundError, StorageError
from common import as_nobody

C250, C950 = facts.CONDITIONS[:2]
A, B, C = "a" * 64, "b" * 64, "c" * 64
SEEN = Seen("upstream", A, "2026-01-02", 7, "print", [B])

UPSTREAM = sources.resolve("upstream")
MIRROR = sources.resolve("http://host/")
PHANTOM = sources.resolve("phantom")


@pytest.fixture
def folder(tmp_path) -> sources.Source:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / C950.archive).touch()
    return sources.resolve(tmp_path / "data")


@pytest.fixture
def checksums(tmp_path, monkeypatch):
    """Write a file and have BMGD_CHECKSUMS name it."""

    def write(text: str):
        path = tmp_path / "pins"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("BMGD_CHECKSUMS", str(path))
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"250 Pa.7z": A, "950 Pa.7z": B}),
        "\ufeff" + json.dumps({"250Pa.7z": A.upper(), "some/where/950_pa.7z": B}),
        f"{A}  250 Pa.7z\n{B}  950 Pa.7z\n",
        f"{A} *250 Pa.7z\n\n{B}  data/950 Pa.7z\n{C}  instances.7z",
        f"{A.upper()}  250 Pa.7z\r\n{B}  950Pa.7z\r\n",
    ],
    ids=["json", "json other spelling", "sha256sum", "sha256sum binary", "upper case"],
)
def test_both_forms_of_a_checksum_file(checksums, text):
    assert trust.read_checksums(checksums(text)) == {"250 Pa.7z": A, "950 Pa.7z": B}
    assert trust.pinned(C250) == A
    assert trust.pinned(facts.CONDITIONS[2]) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "null", "\0", A, f"{A}\n", f"{A}  other.7z"),
        *("12  250 Pa.7z", '{"250 Pa.7z": "12"}', '{"250 Pa.7z": 3}'),
        f"{A}  250 Pa.7z\n12  950 Pa.7z",
    ],
)
def test_a_file_that_pins_nothing_is_refused(checksums, text):
    """Otherwise its user would rely on pins that do not exist."""
    checksums(text)
    with pytest.raises(
        ValueError, match=r"pins \(BMGD_CHECKSUMS\) does not hold sha256.*sha256sum"
    ):
        trust.pinned(C250)


def test_a_checksum_file_that_is_missing_or_no_text(tmp_path, monkeypatch):
    monkeypatch.setenv("BMGD_CHECKSUMS", str(tmp_path / "pins"))
    with pytest.raises(DatasetNotFoundError, match=r"BMGD_CHECKSUMS names .*pins.*unset it"):
        trust.pinned(C250)
    (tmp_path / "pins").write_bytes(b"\xff\xfe{\0")
    with pytest.raises(ValueError, match="does not hold"):
        trust.pinned(C250)


def test_which_sources_the_packages_pins_bind(monkeypatch, folder):
    monkeypatch.setattr(facts, "SHA256", {C950.archive: A})
    binds = {
        source.kind: trust.binding(source, C950) for source in (UPSTREAM, MIRROR, folder, PHANTOM)
    }
    assert binds == {"upstream": A, "mirror": A, "folder": None, "phantom": None}
    assert trust.binding(UPSTREAM, C250) is None


def test_which_sources_the_pins_of_a_file_bind(monkeypatch, folder, checksums):
    monkeypatch.setattr(facts, "SHA256", {C950.archive: A, C250.archive: C})
    checksums(f"{B}  950 Pa.7z")
    binds = {
        source.kind: trust.binding(source, C950) for source in (UPSTREAM, MIRROR, folder, PHANTOM)
    }
    assert binds == {"upstream": B, "mirror": B, "folder": B, "phantom": None}
    # Other archives stay pinned by the package.
    assert trust.binding(UPSTREAM, C250) == C
    assert trust.binding(folder, C250) is None


def test_an_empty_variable_pins_nothing(monkeypatch, folder):
    monkeypatch.setattr(facts, "SHA256", {C950.archive: A})
    monkeypatch.setenv("BMGD_CHECKSUMS", "")
    assert trust.binding(folder, C950) is None
    assert trust.binding(UPSTREAM, C950) == A


def wanted(source: sources.Source = UPSTREAM, root: Path | None = None) -> sources.Wanted:
    return sources.Wanted(home.root(root), source, C950)


def test_the_first_is_trusted_and_another_is_not(tmp_path):
    trust.compare(wanted(), None, B, "here")
    trust.compare(wanted(), SEEN, A, "here")
    with pytest.raises(ChecksumError, match=rf"^here is not .*2026-01-02.*{B}, not {A}"):
        trust.compare(wanted(), SEEN, B, "here")
    own = tmp_path / "own"
    for place, options in (
        (wanted(), ""),
        (wanted(root=own), f" --root {own}"),
        (wanted(MIRROR), " --source http://host/"),
        (wanted(sources.resolve("http://me:secret@host/")), " --source http://host/"),
        (wanted(sources.Source("folder", "/it's here")), """ --source '/it'"'"'s here'"""),
    ):
        command = f"`bmgd download --stiffness 950Pa{options} --accept-changed`"
        with pytest.raises(ChecksumError, match=re.escape(command)):
            trust.compare(place, SEEN, B, "here")


def test_a_pin_overrides_the_note_and_cannot_be_overridden(monkeypatch, checksums):
    monkeypatch.setattr(facts, "SHA256", {C950.archive: C})
    trust.compare(wanted(), SEEN, C, "here")
    for seen in (SEEN, None, dataclasses.replace(SEEN, key=C)):
        with pytest.raises(ChecksumError, match=f"bmgd-data pins.*not {C}.*newer") as raised:
            trust.compare(wanted(), seen, A, "here")
        assert "--accept-changed" not in str(raised.value)
    path = checksums(f"{B}  950 Pa.7z")
    with pytest.raises(ChecksumError, match=rf"{path} \(BMGD_CHECKSUMS\) names.*correct the file"):
        trust.compare(wanted(), SEEN, A, "here")


def test_notes_round_trip(tmp_path):
    note = tmp_path / "sources" / "x" / "950Pa.json"
    assert trust.recall(note) is None
    trust.remember(note, None, SEEN)
    assert trust.recall(note) == SEEN
    trust.remember(note, SEEN, dataclasses.replace(SEEN, key=C, first_seen="2026-02-03"))
    now = trust.recall(note)
    assert (now.key, now.first_seen, now.before) == (C, "2026-02-03", [B, A])
    trust.remember(note, now, dataclasses.replace(SEEN, key=C, first_seen="2026-03-04"))
    assert trust.recall(note) == now
    assert [path.name for path in note.parent.iterdir()] == ["950Pa.json"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "null", "\0", "\xb5", "{}", '{"key": "x"}'),
        json.dumps({"source": "upstream", "first_seen": "2026-01-02"}),
        json.dumps({"source": "upstream", "first_seen": "2026-01-02", "key": 3}),
        json.dumps({"source": "upstream", "first_seen": "2026-01-02", "key": "x"}),
    ],
)
def test_a_garbled_note_does_not_count_as_none(tmp_path, text):
    """Otherwise a changed archive would be trusted for the first time."""
    (tmp_path / "note").write_text(text, encoding="latin-1")
    with pytest.raises(StorageError, match=r"note, which says what archive is.*Remove it to trust"):
        trust.recall(tmp_path / "note")


def test_a_note_that_cannot_be_read_does_not_count_as_none(tmp_path):
    """It may be whole, on a disk that is lost: no advice to remove it."""
    (tmp_path / "note").mkdir()
    with pytest.raises(StorageError, match=r"cannot be read.*still connected") as told:
        trust.recall(tmp_path / "note")
    assert "Remove" not in str(told.value)
    (tmp_path / "file").touch()
    assert trust.recall(tmp_path / "file" / "note") is None


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
@pytest.mark.parametrize(("mode", "said"), [(0o777, "StorageError"), (0o555, "None")])
def test_a_colleagues_private_note(mode, said):
    """An error if this user could replace it; otherwise it counts as none."""
    code = (
        "try: print(trust.recall(Path(sys.argv[1])))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note"
        trust.remember(note, None, SEEN)
        note.chmod(0)
        Path(folder).chmod(mode)
        ran = as_nobody(code, note)
        Path(folder).chmod(0o700)
    assert (ran.returncode, ran.stdout.strip()) == (0, said)


def test_fields_of_a_newer_version_are_ignored(tmp_path):
    note = tmp_path / "note"
    note.write_text(json.dumps({**dataclasses.asdict(SEEN), "colour": "blue"}))
    assert trust.recall(note) == SEEN


def test_how_far_a_digest_is_trusted(monkeypatch, folder):
    def words():
        return [
            trust.status(source, C950, A, unpacked=False)
            for source in (UPSTREAM, MIRROR, folder, PHANTOM)
        ]

    assert words() == ["first-seen", "first-seen", "not compared", "generated"]
    monkeypatch.setattr(facts, "SHA256", {C950.archive: A})
    assert words() == ["pinned", "pinned", "pinned", "generated"]
    # The key of an unpacked folder cannot be compared with that of an archive.
    assert trust.status(folder, C950, A, unpacked=True) == "not compared"
    monkeypatch.setattr(facts, "SHA256", {C950.archive: B})
    assert words() == ["not the pinned one"] * 3 + ["generated"]
