"""The command `bmgd leaks`, as its users meet it."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import tifffile
from test_cli import bmgd

from bmgd_data import Reader, __version__, leaks
from bmgd_data.metrics import Evaluator
from common import TINY


@pytest.fixture
def data(tiny_root) -> tuple[str, ...]:
    return ("--source", TINY, "--root", str(tiny_root), "--quiet")


@pytest.fixture
def reader(tiny_root):
    return Reader("all", 950, source=TINY, root=tiny_root)


def test_it_shows_groups_and_schemes(data):
    result = bmgd("leaks", *data)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["250Pa", "12", "3", "5", "pixels"] in [line[:5] for line in lines]
    assert ["random", "40", "4", "4", "4", "of", "4", "4", "of", "4", "0"] in [
        line[:11] for line in lines
    ]
    assert ["grouped", "40", "0", "8", "0", "of", "0", "0", "of", "8", "0"] in [
        line[:11] for line in lines
    ]
    assert ["250Pa", "look-alike"] in [line[:2] for line in lines]
    assert result.stderr.count("more than a quarter") == 4


def test_json_has_what_the_library_measures(data, reader, tmp_path):
    path = tmp_path / "leaks.json"
    bmgd("leaks", *data, "--stiffness", "950", "--json", path)
    content = json.loads(path.read_text())
    assert content["bmgd_data"] == __version__
    assert content["data"]["digest"] == reader.digest
    measured = json.loads(json.dumps(leaks.measure(reader).to_dict()))
    assert {key: content[key] for key in measured} == measured
    printed = bmgd("leaks", *data, "--stiffness", "950", "--json", "-").stdout
    assert json.loads(printed) == content


def test_csv_holds_the_membership_and_works_as_a_scheme(data, reader, tmp_path):
    printed = bmgd("leaks", *data, "--stiffness", "950", "--scheme", "grouped", "--csv", "-").stdout
    grouped = reader.under("grouped")
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [row["name"] for row in rows] == grouped.names
    assert [row["split"] for row in rows] == grouped.splits
    assert [int(row["group"]) for row in rows] == grouped.groups.tolist()
    path = tmp_path / "membership.csv"
    path.write_text(printed)
    assert reader.under(path).splits == grouped.splits
    shown = bmgd("leaks", *data, "--stiffness", "950", "--scheme", path).stdout
    assert "given by membership.csv" in shown


def test_a_csv_that_does_not_fit_and_a_file_that_cannot_be_written(data, tmp_path):
    path = tmp_path / "colonies.csv"
    path.write_text("name,group\n950Pa/other,1\n")
    result = bmgd("leaks", *data, "--stiffness", "950", "--scheme", path, code=2)
    assert "do not fit the 12 images of 950Pa: 12 images have no group" in result.stderr
    (out := tmp_path / "a.csv").mkdir()
    result = bmgd("leaks", *data, "--stiffness", "950", "--csv", out, code=1)
    assert f"Cannot write {out} (Is a directory). Name another file." in result.stderr


def test_verify_shows_the_schemes(data):
    shown = bmgd("verify", *data).stdout
    assert "F1 of copying" in shown
    assert shown.index("grouped") < shown.index("read again")


def test_evaluate_writes_scores_that_can_be_checked(data, tiny_root, tmp_path):
    test = Reader("test", 950, source=TINY, root=tiny_root)
    for sample in test:
        file = tmp_path / "out" / f"{sample['name']}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, sample["mask"].astype(np.uint8), photometric="minisblack")
    command = ("evaluate", tmp_path / "out", *data, "--stiffness", "950")
    shown = bmgd(*command, "--json", tmp_path / "scores.json").stdout
    assert "of them like one of train" in shown
    assert "1 of the 1 images look like one of train" in shown
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["bmgd_data"] == __version__
    assert content["data"]["digest"] == test.digest
    assert (content["data"]["scheme"], content["split"]) == ("random", "test")
    assert content["data"]["instance_method"] == "components"
    assert (content["stiffness"], content["images"]) == (["950Pa"], 1)
    assert content["look_alikes_in_train"] == 1
    assert content["scores"]["all"]["pixels"]["pooled"]["f1"] == 1
    assert content["scores"]["950Pa"]["alike"] == 1
    assert len(content["predictions_sha256"]) == 64

    def digest(prediction):
        evaluator = Evaluator("test", 950, source=TINY, root=tiny_root)
        evaluator.add(test.names[0], prediction)
        return evaluator.to_dict()["predictions_sha256"]

    mask = test[0]["mask"].astype(np.uint8)
    assert digest(mask) == content["predictions_sha256"]
    assert digest(mask.T) != digest(mask)
    assert digest(mask.astype(">u2")) == digest(mask.astype("<u2")) != digest(mask)


def test_the_train_split_has_no_such_line(tiny_root):
    evaluator = Evaluator("train", 950, source=TINY, root=tiny_root)
    for sample in evaluator.reader:
        evaluator.add(sample["name"], sample["mask"])
    assert evaluator.to_dict()["look_alikes_in_train"] is None
    assert "like one of train" not in evaluator.table().to_markdown()
