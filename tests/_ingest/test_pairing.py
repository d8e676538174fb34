"""What the paths alone say; the whole way to samples is in test_matrix.py."""

from __future__ import annotations

import random

import pytest

from bmgd_data import facts
from bmgd_data._ingest import pairing
from bmgd_data._ingest.pairing import Pair

CONDITION = next(c for c in facts.CONDITIONS if c.name == "950Pa")


def read(*paths):
    return pairing.read(paths, CONDITION)


def pairs(count):
    return [f"950 Pa/{role}/{i:02d}.tif" for role in ("image", "mask") for i in range(count)]


def test_upstream_layout():
    found = read(*pairs(54))
    assert found.notes == found.damage == []
    assert len(found.pairs) == 54
    assert found.pairs["950Pa/07"] == Pair("950 Pa/image/07.tif", "950 Pa/mask/07.tif", None)


def test_names_ascend_by_code_point_whatever_the_order_of_the_files():
    names = ["10", "2", "B", "a", "ä", "細"]
    paths = [f"{role}/{name}.tif" for role in ("image", "mask") for name in names]
    random.Random(0).shuffle(paths)
    assert list(read(*paths).pairs) == [f"950Pa/{name}" for name in names]


def test_another_count_than_the_papers_is_noted():
    assert read(*pairs(3)).notes == ["3 image/mask pairs, where the paper counts 54"]


def test_exact_names_come_before_suffixes():
    found = read("image/a.tif", "image/a_mask.tif", "mask/a.tif", "mask/a_mask.tif")
    assert found.pairs["950Pa/a"].mask == "mask/a.tif"
    assert found.pairs["950Pa/a_mask"].mask == "mask/a_mask.tif"
    assert found.damage == []


def test_third_folder_of_labels_does_not_change_names():
    """Also where it lies on another level than images and masks."""
    for labels in ("950 Pa/labels", "950 Pa labels", "labels", "950 Pa/extra/labels"):
        found = read("950 Pa/image/a.tif", "950 Pa/mask/a.tif", f"{labels}/a.tif")
        assert found.pairs == {
            "950Pa/a": Pair("950 Pa/image/a.tif", "950 Pa/mask/a.tif", f"{labels}/a.tif")
        }


def test_label_folder_serves_as_masks_where_there_are_none():
    found = read("950 Pa/image/a.tif", "950 Pa/labels/a_label.tif")
    assert found.pairs == {"950Pa/a": Pair("950 Pa/image/a.tif", "950 Pa/labels/a_label.tif", None)}


def test_colonies_whose_images_are_in_one_only():
    found = read("1/image/a.tif", "1/mask/a.tif", "2/mask/a.tif")
    assert found.pairs == {"950Pa/a": Pair("1/image/a.tif", "1/mask/a.tif", None)}
    assert "1 mask files without an image, e.g. 2/mask/a.tif" in found.notes


def test_the_nearest_telling_folder_decides():
    found = read("images and masks/image/a.tif", "images and masks/mask/a.tif")
    assert list(found.pairs) == ["950Pa/a"]


def test_two_label_files_of_one_name_are_noted_not_damage():
    found = read("image/a.tif", "mask/a.tif", "labels/a.tif", "labels/a.png")
    assert found.damage == []
    assert any("files with one name: labels/a.png, labels/a.tif" in note for note in found.notes)


def test_a_series_tells_what_it_holds_where_nothing_above_does():
    found = read("950 Pa/Image 1/a.tif", "950 Pa/Mask 1/a.tif")
    assert found.pairs == {"950Pa/a": Pair("950 Pa/Image 1/a.tif", "950 Pa/Mask 1/a.tif", None)}


@pytest.mark.parametrize("other", ["raw/a.tif", "950 Pa/Ground_Truth/a.tif", "950 Pa/gt/c/a.tif"])
def test_other_folders_of_a_role_are_extras_where_a_plain_one_is(other):
    found = read("950 Pa/Image/a.tif", "950 Pa/Masks/a.tif", other)
    assert found.pairs == {"950Pa/a": Pair("950 Pa/Image/a.tif", "950 Pa/Masks/a.tif", None)}
    assert found.damage == []
    folder = other.rpartition("/")[0]
    assert f"1 images in other folders left out: {folder}" in found.notes


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("image/image_1.tif", "mask/mask_1.tif"),
        ("image/1.tif", "mask/Mask of 1.tif"),
        ("image/Image 1.tif", "mask/Mask of Image 1.tif"),
        ("image/c/Image 1_raw.tif", "mask/c/Image 1_mask.tif"),
        ("image/c/img-1.tif", "mask/c/GT-1_seg.tif"),
        ("image_1.tif", "mask_1.tif"),
        ("gt_1.tif", "mask/gt_1.tif"),
    ],
)
def test_words_at_either_end_of_a_name(image, mask):
    found = read(image, mask)
    assert list(found.pairs.values()) == [Pair(image, mask, None)]


def test_the_name_that_needs_least_taken_off_is_meant():
    found = read(
        "image/1.tif", "image/Image 1.tif", "mask/Mask of 1.tif", "mask/Mask of Image 1.tif"
    )
    assert {pair.image: pair.mask for pair in found.pairs.values()} == {
        "image/1.tif": "mask/Mask of 1.tif",
        "image/Image 1.tif": "mask/Mask of Image 1.tif",
    }


def test_a_mask_that_fits_several_images_is_damage():
    found = read("image/a_img.tif", "image/a_raw.tif", "mask/a_mask.tif")
    assert found.pairs == {}
    assert found.damage == ["mask/a_mask.tif may belong to any of a_img, a_raw"]
    exact = read("image/a_img.tif", "image/a_raw.tif", "mask/a_raw_mask.tif")
    assert list(exact.pairs) == ["950Pa/a_raw"]


def test_twins_of_both_roles_are_named():
    found = read("image/a.tif", "image/a.png", "mask/a.tif", "mask/a.png")
    assert found.damage == [
        "files with one name: image/a.png, image/a.tif",
        "files with one name: mask/a.png, mask/a.tif",
    ]


@pytest.mark.parametrize("twin", ["image/a.png", "image/a.TIF", "mask/a_mask.tif", "mask/a.tiff"])
def test_two_files_of_one_name_are_damage(twin):
    (damage,) = read("image/a.tif", "mask/a.tif", twin).damage
    assert "files with one name: " in damage
    assert twin in damage


def test_equal_names_that_differ_in_the_suffix_only_by_a_dot_are_two():
    found = read("image/a.b.tif", "image/a.tif", "mask/a.b.tif", "mask/a.tif")
    assert list(found.pairs) == ["950Pa/a", "950Pa/a.b"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("image/Thumbs.db", False),
        ("image/.DS_Store", False),
        ("image/._b.tif", False),
        ("__MACOSX/image/b.tif", False),
        ("image/desktop.ini", False),
        ("image/b.czi", False),
        ("image/b", False),
        ("image/b.tif", True),
        ("image/b.PNG", True),
    ],
)
def test_junk(path, kept):
    found = read("image/a.tif", "mask/a.tif", "mask/b.tif", path)
    assert ("950Pa/b" in found.pairs) is kept
    assert any(path in note for note in found.notes) is not kept
