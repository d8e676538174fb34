from __future__ import annotations

import numpy as np
import pytest

from bmgd_data import Reader, leaks
from bmgd_data.export import write_canonical
from bmgd_data.splits import groups
from colonies import cartoon
from common import TINY


@pytest.fixture
def reader(tiny_root):
    """Twelve images a stiffness: colonies of five, five and two slices."""
    return Reader("test", root=tiny_root, source=TINY)


@pytest.fixture(scope="module")
def measured(tiny_root):
    return leaks.measure(Reader("test", root=tiny_root, source=TINY))


def test_groups_of_each_stiffness(measured):
    assert [each.stiffness for each in measured.stiffnesses] == [
        "250Pa",
        "950Pa",
        "1200Pa",
        "1800Pa",
    ]
    for each in measured.stiffnesses:
        assert (each.images, each.sizes) == (12, [5, 5, 2])
        assert (each.evidence, each.pattern) == ("pixels", "")
        assert each.inside > 0.6
        assert each.between < 0.2


def test_at_random_all_have_look_alikes_and_by_groups_none(measured):
    random, grouped = measured.schemes
    assert (random.scheme, random.train) == ("random", 40)
    assert random.val == random.test == (4, 4, 0)
    assert (grouped.scheme, grouped.train) == ("grouped", 40)
    assert grouped.val == (0, 0, 0)
    assert grouped.test == (8, 0, 0)


def test_copying_scores_higher_where_a_split_leaks(measured):
    random, grouped = measured.schemes
    assert random.copied_f1 > grouped.copied_f1 + 0.2


def test_copied_f1_uses_the_most_similar_image_of_train(reader, measured):
    """Computed again the long way, over all stiffnesses at once."""
    whole = reader.whole
    alike = groups.likeness(groups.describe(np.asarray(whole.images)))
    train = np.flatnonzero([split == "train" for split in whole.splits])
    hits = total = 0
    for row in (row for row, split in enumerate(whole.splits) if split == "test"):
        mask = whole.masks[row]
        copy = whole.masks[int(train[alike[row, train].argmax()])]
        hits += (mask & copy).sum()
        total += mask.sum() + copy.sum()
    assert measured.schemes[0].copied_f1 == 2 * hits / total


def test_an_image_in_two_stiffnesses_is_a_leak_across(tmp_path, tiff, write_7z, nuclei):
    files = nuclei("250 Pa", count=10, side=64)
    write_7z(tmp_path / "source" / "250 Pa.7z", files)
    moved = {
        path.replace("250 Pa", "950 Pa").replace(".tif", "b.tif"): blob
        for path, blob in files.items()
    }
    write_7z(tmp_path / "source" / "950 Pa.7z", moved)
    with pytest.warns() as told:
        reader = Reader("all", [250, 950], source=tmp_path / "source")
    assert "duplicates: 10 images appear more than once" in str(told[-1].message)
    random = leaks.measure(reader).schemes[0]
    assert random.test == (2, 0, 2)


def test_a_large_group_is_reported(measured):
    assert len(measured.remarks()) == 4
    assert measured.remarks()[0].startswith("250Pa: one group holds 5 of 12 images")
    small = measured.stiffnesses[0]._replace(sizes=[3] * 4)
    assert leaks.Leaks((small,), ()).remarks() == []


def test_known_groups_are_measured_too(reader):
    known = {name: name[-1] for name in reader.whole.names if name.startswith("950Pa")}
    own = leaks.measure(reader.whole.of(reader.conditions[1]).under(known))
    assert [each.scheme for each in own.schemes[:2]] == ["random", "grouped"]
    assert own.schemes[2].scheme.startswith("grouped by a mapping, ")
    assert own.schemes[2].test.within > 0, "these groups cut through colonies"
    assert own.stiffnesses[0].evidence == "given"
    assert own.stiffnesses[0].sizes == [2, 2] + [1] * 8


def test_exposed_agrees_with_the_report(reader, measured):
    assert leaks.exposed(reader).sum() == measured.schemes[0].test.within == 4
    for split in ("val", "test"):
        near = leaks.exposed(reader.under("random", split))
        assert (near.dtype, len(near)) == (bool, 4)
    assert not leaks.exposed(reader.under("grouped", "test")).any()
    assert leaks.exposed(reader[1:3]).tolist() == leaks.exposed(reader)[1:3].tolist()


def test_exposed_to_training_images_of_a_fold(reader):
    """Colonies of five, five and two slices, in the order of the names."""
    whole = reader.whole.of(reader.conditions[0])
    near = leaks.exposed(whole, train=[whole.names[4], whole.names[10]])
    assert near[[3, 11]].all(), "the neighbours of the two"
    assert not near[5:10].any(), "another colony"
    assert not leaks.exposed(whole, train=[]).any()


def test_stiffnesses_whose_images_differ_in_size_are_not_compared(tmp_path, write_7z, nuclei):
    write_7z(tmp_path / "source" / "250 Pa.7z", nuclei("250 Pa", count=10, side=64))
    write_7z(tmp_path / "source" / "950 Pa.7z", nuclei("950 Pa", count=10, side=80))
    with pytest.warns(match="with notes"):
        reader = Reader("all", [250, 950], source=tmp_path / "source")
    assert leaks.measure(reader).schemes[0].test.images == 2


def test_under_and_of_and_whole(reader):
    assert len(reader.whole) == 48
    assert reader.whole.split == "all"
    grouped = reader.under("grouped", "validation")
    assert (grouped.scheme, grouped.split, len(grouped)) == ("grouped", "val", 0)
    part = reader.of(reader.conditions[2])
    assert part.names == [name for name in reader.names if name.startswith("1200Pa/")]
    assert part[0]["name"] == part.names[0]
    assert part.images.shape == (1, 256, 256)
    assert part.digest == Reader("test", 1200, root=reader.root, source=TINY).digest
    assert (reader.scheme, len(reader)) == ("random", 4)


def test_kinds_and_pairs_of_copies_are_told(tmp_path):
    """Six images, three of them also mirrored, and one twice; in one split or in several."""
    images = cartoon(6, 1, side=128, seed=2).images
    copies = [*images[:3, :, ::-1], images[4]]
    stack = np.concatenate([images, copies])
    items = [(f"{number:02d}", image, image > 700) for number, image in enumerate(stack)]
    source = write_canonical(tmp_path / "source", "250Pa", items)
    with pytest.warns(match=r"duplicates|with notes"):
        reader = Reader("all", 250, source=source, root=tmp_path / "root")
    measured = leaks.measure(reader)
    told = [(count, *pair[:4]) for count, pair in measured.kinds()]
    assert told[0] == (1, "250Pa", "look-alike", "250Pa/04", "250Pa/09")
    assert told[1][:3] == (3, "250Pa", "mirrored left to right")
    assert {(pair.one[-2:], pair.other[-2:]) for pair in measured.pairs} == {
        *(("00", "06"), ("01", "07"), ("02", "08"), ("04", "09"))
    }
    assert "3 pairs of images are copies, mirrored left to right" in measured.remarks()[0]
    assert measured.to_dict()["pairs"][0]["one"] == "250Pa/04"
