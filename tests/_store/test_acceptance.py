"""Doubts about stores are shown at every opening until they are accepted."""

from __future__ import annotations

import copy
import dataclasses
import json
import multiprocessing
import shlex
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from bmgd_data import CorruptArchiveError, Reader, facts
from bmgd_data._store import acceptance
from bmgd_data.cli import app

pytestmark = pytest.mark.filterwarnings("ignore:.*was read, with notes")


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(acceptance, "_told", set())
    for variable in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def local(tmp_path, write_7z, nuclei):
    """Makes a folder with the archives of some conditions, each changed by a function."""

    def make(**changes):
        for name, change in changes.items():
            condition = next(c for c in facts.CONDITIONS if c.name == name.lstrip("_"))
            files = nuclei(f"{condition.pa} Pa")
            if change is not None:
                change(files)
            write_7z(tmp_path / "source" / condition.archive, files)
        return tmp_path / "source"

    return make


def twice(files):
    """Replace the second pair by the first."""
    first, second = list(files)[:2]
    files[second] = files[first]
    masks = [name for name in files if "/mask/" in name]
    files[masks[1]] = files[masks[0]]


def next_one(files):
    """Give every image the mask of the next one."""
    masks = [name for name in files if "/mask/" in name]
    blobs = [files[name] for name in masks]
    files.update(zip(masks, blobs[1:] + blobs[:1], strict=True))


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "500"})


def told(*arguments, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reader = Reader(*arguments, **options)
    return reader, [str(w.message) for w in caught if "may be wrong" in str(w.message)]


def test_right_data_has_none(local):
    source = local(_250Pa=None, _950Pa=None)
    reader, lines = told("all", [250, 950], source=source)
    assert reader.doubts == lines == []
    assert "Doubt" not in repr(reader)
    assert run("verify", "--source", source, "--stiffness", 950).exit_code == 0


def test_a_doubt_is_a_warning_once_per_process_and_shown_in_repr(local):
    source = local(_950Pa=twice)
    reader, lines = told("all", 950, source=source)
    assert len(lines) == 1
    assert "950Pa: duplicates: 1 images" in lines[0]
    assert "  Doubt: 950Pa: duplicates" in repr(reader)
    assert told("train", 950, source=source)[1] == []
    acceptance._told.clear()  # as in the next process
    assert len(told("train", 950, source=source)[1]) == 1
    acceptance._told.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert copy.copy(reader).doubts == reader.doubts


@pytest.mark.parametrize(("rank", "speaks"), [("0", True), ("1", False)])
@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK"])
def test_only_one_rank_warns(local, monkeypatch, variable, rank, speaks):
    monkeypatch.setenv(variable, rank)
    assert bool(told("all", 950, source=local(_950Pa=twice))[1]) is speaks


def test_workers_are_silent(local, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    assert told("all", 950, source=local(_950Pa=twice))[1] == []


def test_verify_fails_until_the_doubt_is_accepted(local):
    source = local(_950Pa=twice)
    first = run("verify", "--source", source, "--stiffness", 950)
    assert first.exit_code == 1
    assert "950Pa: duplicates: 1 images" in first.output
    command = first.output.split("If they are right: `")[1].split("`")[0]
    assert command == f"bmgd verify --stiffness 950Pa --source {source} --accept"
    accepted = run(*shlex.split(command)[1:])
    assert accepted.exit_code == 0, accepted.output
    assert "accepted from now on" in accepted.output
    assert run("verify", "--source", source, "--stiffness", 950).exit_code == 0
    acceptance._told.clear()
    reader, lines = told("all", 950, source=source)
    assert reader.doubts == lines == []
    content = json.loads((reader._paths[0] / "accepted.json").read_text())
    assert content["key"] == reader._parts[0].store.index.key


def test_acceptance_holds_for_this_data_only(local, tmp_path):
    source = local(_950Pa=twice)
    run("verify", "--source", source, "--stiffness", 950, "--accept")
    (reader, _) = told("all", 950, source=source)
    path = reader._paths[0] / "accepted.json"
    content = json.loads(path.read_text())
    for broken in (content | {"key": "another"}, content | {"accepted": []}, [], "x"):
        path.write_text(json.dumps(broken))
        assert len(reader.doubts) == 1
    path.write_text("{")
    assert len(reader.doubts) == 1


def test_maintainers_accept_by_archive_and_code(local, monkeypatch):
    reader, _ = told("all", 950, source=local(_950Pa=twice))
    key = reader._parts[0].store.index.key
    for accepted, left in (({key: ("duplicates",)}, 0), ({key: ("scales",)}, 1), ({}, 1)):
        monkeypatch.setattr(facts, "ACCEPTED", accepted)
        assert len(reader.doubts) == left


def test_masks_of_other_images_are_served_only_after_acceptance(local):
    source = local(_950Pa=next_one)
    with pytest.raises(CorruptArchiveError, match="mismatch") as caught:
        Reader("all", 950, source=source)
    command = str(caught.value).splitlines()[-1].strip()
    assert command == f"bmgd verify --stiffness 950Pa --source {source} --accept"
    with pytest.raises(CorruptArchiveError, match="mismatch"):
        Reader("all", 950, source=source)
    doubted = run("verify", "--source", source, "--stiffness", 950)
    assert doubted.exit_code == 1
    assert "in doubt" in doubted.output
    assert run(*shlex.split(command)[1:]).exit_code == 0
    assert len(Reader("all", 950, source=source)) == 10


def test_the_command_names_a_root_other_than_the_default(local, tmp_path):
    source, root = local(_950Pa=next_one), tmp_path / "an other"
    with pytest.raises(CorruptArchiveError, match="mismatch") as caught:
        Reader("all", 950, source=source, root=root)
    command = str(caught.value).splitlines()[-1].strip()
    assert run(*shlex.split(command)[1:]).exit_code == 0
    assert len(Reader("all", 950, source=source, root=root)) == 10


def eight_bits(tiff):
    def change(files):
        for name, blob in files.items():
            if "/image/" in name:
                import io

                import tifffile

                files[name] = tiff((tifffile.imread(io.BytesIO(blob)) // 16).astype(np.uint8))

    return change


def test_scales_that_differ_between_stiffnesses(local, tiff):
    source = local(_250Pa=None, _950Pa=eight_bits(tiff))
    for alone in (250, 950):
        assert told("all", alone, source=source)[0].doubts == []
    reader, lines = told("all", [250, 950], source=source)
    assert len(lines) == 1
    assert "250Pa and 950Pa: scales: images are on a scale of 0..4095 in one" in lines[0]
    options = ("--source", source, "--stiffness", 250, "--stiffness", 950)
    assert run("verify", *options).exit_code == 1
    assert run("verify", *options, "--accept").exit_code == 0
    assert reader.doubts == []
    assert run("verify", *options).exit_code == 0


def test_one_image_in_two_stiffnesses(local):
    kept = {}

    def keep(files):
        kept.update({name.split("/", 1)[1]: blob for name, blob in files.items()})

    def take(files):
        for name in files:
            if name.endswith("003.tif"):
                files[name] = kept[name.split("/", 1)[1]]

    source = local(_250Pa=keep, _950Pa=take)
    reader, _ = told("all", [250, 950], source=source)
    (line,) = reader.doubts
    assert "duplicates: 1 images appear more than once" in line
    places = dict(zip(reader.names, reader.splits, strict=True))
    for name in ("250Pa/003", "950Pa/003"):
        assert f"{name} ({places[name]})" in line


def test_uniform_images_are_not_duplicates(local):
    reader, _ = told("all", 950, source=local(_950Pa=None))
    store = reader._parts[0].store
    store.index = dataclasses.replace(store.index, image_digests=[""] * len(store))
    assert list(acceptance._between(store, store)) == []


def test_a_read_only_place_is_reported(local, monkeypatch):
    source = local(_950Pa=twice)
    told("all", 950, source=source)

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(acceptance.disk, "write_json", forbidden)
    found = run("verify", "--source", source, "--stiffness", 950, "--accept")
    assert found.exit_code == 1
    assert "Cannot write below" in found.output


def test_download_shows_doubts(local):
    source = local(_950Pa=twice)
    assert (
        "Some samples may be wrong"
        in run("download", "--source", source, "--stiffness", 950).output
    )
