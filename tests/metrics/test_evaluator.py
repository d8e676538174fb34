from __future__ import annotations

import contextlib
import json
import tracemalloc
import unicodedata
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from bmgd_data import Reader
from bmgd_data.instances import components, watershed
from bmgd_data.metrics import (
    Evaluator,
    ImageCounts,
    count_instances,
    count_pixels,
    tabulate,
)
from bmgd_data.metrics.instance import score_instances
from bmgd_data.metrics.pixel import score_pixels
from common import TINY

PARTS = ["250Pa", "950Pa", "1200Pa", "1800Pa"]

pytestmark = pytest.mark.filterwarnings("ignore:.*where the paper counts")  # 12 images, not 54


@pytest.fixture(scope="module")
def tiny(tiny_root):
    """Arguments that give Reader and Evaluator the same samples."""
    return {"source": TINY, "root": tiny_root}


@pytest.fixture(scope="module")
def masks(tiny) -> dict[str, np.ndarray]:
    """A prediction for each of the samples, off by some pixels."""
    return {s["name"]: np.roll(s["mask"], 2, axis=0) for s in Reader("all", **tiny)}


def scored(evaluator, predictions):
    for name in evaluator.reader.names:
        evaluator.add(name, predictions[name])
    return evaluator.table()


def write(folder: Path, predictions, names, suffix=".tif") -> Path:
    for name in names:
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        array = predictions[name]
        array = array.astype(np.uint8) * np.uint8(255) if array.dtype == bool else array
        (tifffile.imwrite if "tif" in suffix.lower() else iio.imwrite)(path, array)
    return folder


# -------------------------------------------------------------------------------------- the scores


@pytest.mark.parametrize(
    ("method", "derive"), [("components", components), ("watershed", watershed)]
)
def test_each_part_and_all_are_scored_as_by_hand(method, derive, tiny, masks):
    """Binary predictions get their instances by the method that the Reader has."""
    table = scored(Evaluator("all", batch_size=5, instances=method, **tiny), masks)
    assert [row.part for row in table.rows] == [*PARTS, "all"]
    for row in table.rows:
        stiffness = None if row.part == "all" else row.part
        reader = Reader("all", stiffness, instances=method, **tiny)
        predicted = [masks[name] for name in reader.names]
        assert row.images == len(reader) == (48 if row.part == "all" else 12)
        pixels = list(map(count_pixels, reader.masks, predicted))
        assert row.pixels == score_pixels(pixels, batch_size=5)
        instances = list(map(count_instances, reader.instances, map(derive, predicted)))
        assert row.instances == score_instances(instances)
        assert row is table.part(row.part)
    assert table.part("all").instances.pooled.f1 > 0.5
    assert any(f"48 binary, instances by {method}" in note for note in table.notes)


def test_the_masks_themselves_score_full_marks(tiny):
    evaluator = Evaluator("val", "1200", **tiny)
    table = scored(evaluator, {s["name"]: s["mask"] for s in evaluator.reader})
    for row in table.rows:
        assert row.pixels.pooled == row.pixels.image == (1,) * 4
        assert row.instances.pooled == row.instances.image == (1,) * 10
    assert [row.part for row in table.rows] == ["1200Pa", "all"]


def test_order_does_not_matter(tiny, masks):
    """Batches are of the Reader's order, whatever order predictions come in."""
    chances = {
        name: mask * np.float32(0.5 + 0.5 * (n % 2)) for n, (name, mask) in enumerate(masks.items())
    }
    tables = []
    for names in (list(masks), list(masks)[::-1]):
        evaluator = Evaluator("all", batch_size=2, threshold=0.25, **tiny)
        for name in names:
            evaluator.add(name, chances[name])
        tables.append(evaluator.table())
    assert tables[0] == tables[1]
    assert tables[0].part("all").pixels.soft.f1 < tables[0].part("all").pixels.pooled.f1


def test_probabilities_pass_a_threshold(tiny, masks):
    evaluator = Evaluator("val", threshold=0.75, **tiny)
    chances = {name: np.where(mask, 0.8, 0.7) for name, mask in masks.items()}
    table = scored(evaluator, chances)
    binary = scored(Evaluator("val", **tiny), masks)
    for one, other in zip(table.rows, binary.rows, strict=True):
        assert one.instances == other.instances
        assert one.pixels.pooled == other.pixels.pooled
        assert one.pixels.soft != other.pixels.soft
    assert "above 0.75" in " ".join(table.notes)


def test_integers_are_labels(tiny):
    """Labels are not changed: touching nuclei stay separate though components would join them."""
    evaluator = Evaluator("all", instances="watershed", **tiny)
    table = scored(
        evaluator, {s["name"]: s["instances"].astype(np.int32) * 5 for s in evaluator.reader}
    )
    assert table.part("all").instances.pooled == (1,) * 10
    assert "48 given as labels" in " ".join(table.notes)
    joined = {s["name"]: components(s["mask"]) for s in evaluator.reader}
    assert (
        scored(Evaluator("all", instances="watershed", **tiny), joined)
        .part("all")
        .instances.pooled.f1
        < 1
    )


@pytest.mark.parametrize("value", [1, 255])
def test_integers_of_one_value_throughout_are_binary(value, tiny, masks):
    binary = scored(Evaluator("val", **tiny), masks)
    numbers = {name: mask.astype(np.uint8) * np.uint8(value) for name, mask in masks.items()}
    assert scored(Evaluator("val", **tiny), numbers) == binary


def test_two_values_are_labels(tiny):
    """Two nuclei that touch: components would make one of them."""
    evaluator = Evaluator("val", "250", **tiny)
    (sample,) = evaluator.reader
    touching = np.zeros_like(sample["instances"])
    touching[:3], touching[3:6] = 1, 2
    table = scored(evaluator, {sample["name"]: touching})
    assert table.part("all").instances.found == 2


def test_no_threshold_touches_binary_predictions(tiny, masks):
    rows = [scored(Evaluator("val", threshold=t, **tiny), masks).rows for t in (0.5, 1)]
    assert rows[0] == rows[1]


def test_one_nucleus_among_label_images_is_one_nucleus(tiny):
    """Alone, a label image of one value would be split into its components."""
    evaluator = Evaluator("val", **tiny)
    first, *others = evaluator.reader
    two_spots = np.zeros_like(first["instances"])
    two_spots[:3, :3] = two_spots[-3:, -3:] = 1
    predictions = {s["name"]: s["instances"] for s in others} | {first["name"]: two_spots}
    found = sum(s["n_nuclei"] for s in others)
    assert scored(evaluator, predictions).part("all").instances.found == found + 1
    predictions = {s["name"]: s["mask"] for s in others} | {first["name"]: two_spots}
    assert scored(Evaluator("val", **tiny), predictions).part("all").instances.found == found + 2


def test_the_notes_tell_the_data_and_how_predictions_were_read(tiny):
    reader = Reader("val", **tiny)
    binary = {sample["name"]: sample["mask"] for sample in reader}
    labels = {sample["name"]: sample["instances"] for sample in reader}
    first = reader.names[0]
    by = "instances by components"
    for predictions, ways in (
        (binary, f"4 binary, {by}"),
        (labels, "4 given as labels"),
        (binary | {first: labels[first]}, f"1 given as labels; 3 binary, {by}"),
        (labels | {first: binary[first]}, f"3 given as labels; 1 binary, {by}"),
    ):
        table = scored(Evaluator("val", **tiny), predictions)
        version = f"version {reader.digest[:12]}; true instances: components"
        assert table.notes[:2] == (
            f"Data: split 'val' (random) of {reader.source.label}, {version}.",
            f"Predictions: {ways}. Foreground: labels, or above 0.5.",
        )
        assert table.part("all").instances.pooled.f1 == 1


def test_where_instances_are_provided_binary_predictions_are_split(tmp_path, nuclei, tiff):
    """The provided labels separate touching nuclei, so those of a binary mask must do so too."""
    disks = np.hypot(*np.ogrid[-10:22, -10:26]) < 8
    disks |= np.roll(disks, 14, axis=1)
    labels = watershed(disks)
    assert (components(disks).max(), labels.max()) == (1, 2)
    for level, name in enumerate(nuclei(count=10), 500):  # no image occurs twice
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiff((disks if "/mask/" in name else labels + level).astype(np.uint16)))
        if "/mask/" in name:
            label = Path(str(path).replace("mask", "label"))
            label.parent.mkdir(exist_ok=True)
            label.write_bytes(tiff(labels))
    evaluator = Evaluator("val", "950", source=tmp_path / "data", instances="provided")
    table = scored(evaluator, dict.fromkeys(evaluator.reader.names, disks))
    assert table.part("all").instances.pooled.f1 == 1
    assert "1 binary, instances by watershed" in " ".join(table.notes)
    assert "true instances: provided" in " ".join(table.notes)


# ------------------------------------------------------------------------------- what it refuses


def test_misfits_are_refused_at_once(tiny, masks):
    evaluator = Evaluator("val", **tiny)
    name, mask = evaluator.reader.names[0], masks[evaluator.reader.names[0]]
    other = Reader("test", **tiny).names[0]
    with pytest.raises(ValueError, match=f"'{other}' is no sample of split 'val'.*'{name}'"):
        evaluator.add(other, mask)
    for bad, message in (
        (mask[:-1], r"shape \(256, 256\), but prediction \(255, 256\)"),
        (np.stack([mask] * 2), r"shape \(2, 256, 256\), not \(H, W\)"),
        (mask * 2.5, "value 2.5, and floats must be probabilities"),
        (-1 * mask, "negative label -1"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: .*{message}"):
            evaluator.add(name, bad)
    evaluator.add(name, mask)
    with pytest.raises(ValueError, match=f"'{name}' was added before"):
        evaluator.add(name, mask)


def test_a_table_needs_a_prediction_for_each_sample(tiny, masks):
    evaluator = Evaluator("all", **tiny)
    names = evaluator.reader.names
    evaluator.add(names[0], masks[names[0]])
    with pytest.raises(ValueError, match="47 of 48 predictions are missing") as caught:
        evaluator.table()
    assert ", ".join(names[1:11]) + " and 37 more" in str(caught.value)
    with pytest.raises(ValueError, match=r"^Predictions were added before"):
        evaluator.add_folder(".")


def test_an_empty_split_is_nothing_to_score(tmp_path, nuclei):
    for name, data in nuclei(count=1).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(ValueError, match="split 'val' holds no images"):
        Evaluator("val", "950", source=tmp_path)


def test_the_default_split_is_test(tiny):
    assert Evaluator(**tiny).reader.names == Reader("test", **tiny).names


def test_wrong_arguments_are_those_of_the_reader(tiny):
    with pytest.raises(ValueError, match="'train', 'val'"):
        Evaluator("tset", **tiny)
    with pytest.raises(TypeError, match="colour"):
        Evaluator(colour="blue", **tiny)


# -------------------------------------------------------------------------------------- in a folder


@pytest.mark.parametrize("suffix", [".tif", ".png", ".TIFF", ".PNG"])
def test_a_folder_scores_as_its_arrays(suffix, tiny, masks, tmp_path):
    evaluator = Evaluator("val", **tiny)
    evaluator.add_folder(write(tmp_path, masks, evaluator.reader.names, suffix))
    assert evaluator.table() == scored(Evaluator("val", **tiny), masks)


def test_the_bar_takes_a_step_for_each_file(tiny, masks, tmp_path, monkeypatch):
    steps = []

    @contextlib.contextmanager
    def bar(what, total):
        steps.append((what, total))
        yield steps.append

    monkeypatch.setattr("bmgd_data.metrics.evaluator.bar", bar)
    scorer = Evaluator("val", **tiny)
    scorer.add_folder(write(tmp_path, masks, scorer.reader.names))
    assert steps == [("scoring", 4), 1, 1, 1, 1]


@pytest.mark.parametrize("kind", ["labels", "labels16", "floats", "full", "palette"])
def test_kinds_of_files(kind, tiny, masks, tmp_path):
    evaluator = Evaluator("val", "250", **tiny)
    (name,) = evaluator.reader.names
    mask = masks[name]
    array = {
        "labels": components(mask).astype(np.uint8),
        "labels16": components(mask) * np.uint16(300),
        "floats": np.where(mask, 0.9, 0.2).astype(np.float32),
        "full": np.full(mask.shape, 255, np.uint8),
        "palette": np.stack([components(mask).astype(np.uint8)] * 3, axis=-1) * np.uint8(9),
    }[kind]
    path = tmp_path / f"{name}{'.png' if kind in ('labels16', 'palette') else '.tif'}"
    path.parent.mkdir()
    iio.imwrite(path, array)
    evaluator.add_folder(tmp_path)
    expected = Evaluator("val", "250", **tiny)
    expected.add(name, components(mask) if kind in ("labels16", "palette") else array)
    assert evaluator.table() == expected.table()


def test_all_that_is_wrong_with_a_folder_is_one_error(tiny, masks, tmp_path):
    evaluator = Evaluator("val", **tiny)
    small, broken, twice, lost = evaluator.reader.names
    predictions = masks | {small: masks[small][:100], "250Pa/unknown": masks[small]}
    write(tmp_path, predictions, [small, twice, "250Pa/unknown"])
    write(tmp_path, predictions, [twice], ".png")
    (tmp_path / f"{broken}.tif").parent.mkdir(exist_ok=True)
    (tmp_path / f"{broken}.tif").write_text("no image")
    with pytest.raises(ValueError, match="cannot be scored") as caught:
        evaluator.add_folder(tmp_path)
    message = str(caught.value)
    assert f"1 of 4 predictions are missing: {lost}." in message
    assert str(tmp_path / f"{lost}.tif") in message
    assert "1 files are of no sample that is scored: 250Pa/unknown." in message
    assert f"1 samples have several files: {twice} ({twice}.png, {twice}.tif)." in message
    assert "2 do not fit their samples:" in message
    assert f"{small}: truth has shape (256, 256), but prediction (100, 256)" in message
    assert f"{tmp_path / broken}.tif: neither TIFF" in message
    (tmp_path / "250Pa/unknown.tif").unlink()
    (tmp_path / f"{twice}.png").unlink()
    evaluator.add_folder(write(tmp_path, masks, evaluator.reader.names))  # nothing had been added
    assert evaluator.table().part("all").images == 4


def test_many_misfits_are_counted_and_ten_are_listed(tiny, masks, tmp_path):
    evaluator = Evaluator("all", **tiny)
    write(
        tmp_path,
        dict.fromkeys(evaluator.reader.names, np.ones((2, 2), bool)),
        evaluator.reader.names,
    )
    with pytest.raises(ValueError, match="48 do not fit") as caught:
        evaluator.add_folder(tmp_path)
    assert str(caught.value).count("truth has shape") == 10
    assert "and 38 more" in str(caught.value)
    write(tmp_path, masks, evaluator.reader.names[10:])
    with pytest.raises(ValueError, match="10 do not fit") as caught:
        evaluator.add_folder(tmp_path)
    first, *others = str(caught.value).splitlines()
    assert first == f"{tmp_path} cannot be scored:"
    assert [line for line in others if "truth has shape" not in line] == [
        "10 do not fit their samples:"
    ]


def test_other_files_and_folders_are_ignored(tiny, masks, tmp_path):
    """Other files, and the folders of stiffnesses that were not asked for."""
    names = Reader("val", **tiny).names
    write(tmp_path, masks, names)
    for other in ("scores.json", "250Pa/._x.tif", ".thumbs/x.png", "__MACOSX/x.tif", "250Pa/x.txt"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_text("")
    evaluator = Evaluator("val", [250, 1200], **tiny)
    evaluator.add_folder(tmp_path)
    assert [row.part for row in evaluator.table().rows] == ["250Pa", "1200Pa", "all"]


def test_no_folder(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"nowhere is not a folder.*250Pa/.*\.tif"):
        Evaluator("val", **tiny).add_folder(tmp_path / "nowhere")


def test_names_with_dots_and_marks(tmp_path, nuclei):
    """A stem's dots are no suffix, and a Mac's spelling of a letter is the same letter."""
    for name, data in nuclei(count=10).items():
        folder, stem = name.rsplit("/", 1)
        path = tmp_path / "data" / folder / f"Kölonie 0.5 µm {stem}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    evaluator = Evaluator("all", "950", source=tmp_path / "data")
    for sample in evaluator.reader:
        path = tmp_path / "out" / unicodedata.normalize("NFD", f"{sample['name']}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(path, sample["mask"].astype(np.uint8))
    evaluator.add_folder(tmp_path / "out")
    assert evaluator.table().part("all").instances.pooled.f1 == 1


# ------------------------------------------------------------------------------------------- results


def test_memory_does_not_grow_with_the_images(tiny, masks):
    evaluator = Evaluator("all", **tiny)
    names = evaluator.reader.names
    evaluator.add(names[0], masks[names[0]])
    tracemalloc.start()
    for name in names[1:]:
        evaluator.add(name, masks[name])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 47 * 4_000  # an image's masks are 65,536 bytes and more


def test_to_dict_is_plain_and_whole(tiny, masks):
    table = scored(Evaluator("val", batch_size=3, **tiny), masks)
    plain = table.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == ["scores", "batch_size", "notes"]
    assert list(plain["scores"]) == [*PARTS, "all"]
    assert plain["batch_size"] == 3
    row = table.part("1200Pa")
    mine = plain["scores"]["1200Pa"]
    assert mine["pixels"]["pooled"] == row.pixels.pooled._asdict()
    assert mine["instances"]["image"]["pq"] == row.instances.image.pq
    assert plain["notes"] == list(table.notes)
    valid = ", ".join(map(repr, [*PARTS, "all"]))
    with pytest.raises(ValueError, match=rf"^No part '1200'. Valid: {valid}\.$"):
        table.part("1200")


def test_to_markdown():
    """Every line shows the score that it names."""
    truth, found = np.array([[1, 1, 1, 1, 0, 2, 2, 2]]), np.array([[1, 1, 1, 0, 0, 0, 0, 3]])
    counts = ImageCounts("250Pa", count_pixels(truth, found), count_instances(truth, found))
    blank = np.zeros((1, 8), int)
    empty = ImageCounts("950Pa", count_pixels(blank, blank), count_instances(blank, blank))
    table = tabulate([counts, empty], batch_size=1, notes=["A note."])
    lines = table.to_markdown().splitlines()
    assert lines[0] == "| score, ratios in % | 250Pa | 950Pa | all |"
    assert lines[1] == "| --- | ---: | ---: | ---: |"
    assert lines[-2:] == ["", "- A note."]
    bare = tabulate([counts, empty], batch_size=1).to_markdown()
    assert bare == "\n".join(lines[:-2]) + "\n"
    shown = dict(line.strip("| ").split(" | ", 1) for line in lines[2:-2])
    half = "50.00 | 100.00 | 50.00"
    assert shown == {
        "images": "1 | 1 | 2",
        "nuclei": "2 | 0 | 2",
        "nuclei predicted": "2 | 0 | 2",
        "pixel F1, pooled": "72.73 | 100.00 | 72.73",
        "pixel IoU, pooled": "57.14 | 100.00 | 57.14",
        "pixel precision, pooled": "100.00 | 100.00 | 100.00",
        "pixel recall, pooled": "57.14 | 100.00 | 57.14",
        "pixel F1, per image": "72.73 | 100.00 | 86.36",
        "pixel IoU, per image": "57.14 | 100.00 | 78.57",
        "pixel F1, soft, batches of 1": "72.73 | 100.00 | 86.36",
        "pixel IoU, soft, batches of 1": "57.14 | 100.00 | 78.57",
        "instance F1 = RQ, pooled": half,
        "instance precision, pooled": half,
        "instance recall, pooled": half,
        "instance AP at 0.5, pooled": "33.33 | 100.00 | 33.33",
        "instance AP at 0.75, pooled": "0.00 | 100.00 | 0.00",
        "instance AP 0.5:0.95, pooled": "16.67 | 100.00 | 16.67",
        "SQ, pooled": "75.00 | 100.00 | 75.00",
        "PQ, pooled": "37.50 | 100.00 | 37.50",
        "AJI, pooled": "57.14 | 100.00 | 57.14",
        "instance F1, per image": "50.00 | 100.00 | 75.00",
        "instance AP 0.5:0.95, per image": "16.67 | 100.00 | 58.33",
        "PQ, per image": "37.50 | 100.00 | 68.75",
        "AJI, per image": "57.14 | 100.00 | 78.57",
        "count error (absolute), per image": "0.00 | 0.00 | 0.00",
        "count bias (signed), per image": "+0.00 | +0.00 | +0.00",
    }


def test_a_table_of_nothing():
    with pytest.raises(ValueError, match="Nothing to score"):
        tabulate([])
    blank = np.zeros((1, 8), int)
    with pytest.raises(ValueError, match="called 'all'"):
        tabulate([ImageCounts("all", count_pixels(blank, blank), count_instances(blank, blank))])


def test_importing_the_scores_loads_no_heavy_package():
    import subprocess
    import sys

    code = (
        "import sys, bmgd_data.metrics; "
        "sys.exit(bool({'skimage', 'scipy', 'torch', 'tifffile', 'rich'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_table_prints_as_a_table(tiny, masks):
    table = scored(Evaluator("val", **tiny), {n: masks[n] for n in Reader("val", **tiny).names})
    first, *lines = repr(table).splitlines()
    assert first.split()[-1] == "all"
    assert str(table) == repr(table)
    score = f"{100 * table.part('all').instances.pooled.pq:.2f}"
    assert any(line.startswith("PQ, pooled") and line.endswith(score) for line in lines)
    assert len({len(line) for line in [first, *lines[:20]]}) == 1
    assert '<th scope="row">PQ, pooled</th>' in table._repr_html_()
