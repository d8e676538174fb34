"""Pairs by paths alone; test_matrix.py reads whole archives."""

from __future__ import annotations

import random

import pytest

from bmgd_data import facts
from bmgd_data._ingest import pairing
from bmgd_data._ingest.pairing import Pair

CONDITION = next(c for c in facts.CONDITIONS if c.name == "950Pa")


def read(*paths):
    return pairing.pair_up(paths, CONDITION)


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


def test_a_count_other_than_the_papers_is_noted():
    assert read(*pairs(3)).notes == ["3 image/mask pairs, where the paper counts 54"]


def test_exact_names_come_before_suffixes():
    found = read("image/a.tif", "image/a_mask.tif", "mask/a.tif", "mask/a_mask.tif")
    assert found.pairs["950Pa/a"].mask == "mask/a.tif"
    assert found.pairs["950Pa/a_mask"].mask == "mask/a_mask.tif"
    assert found.damage == []


def test_third_folder_of_labels_does_not_change_names():
    """Not even on another level than images and masks."""
    for labels in ("950 Pa/labels", "950 Pa labels", "labels", "950 Pa/extra/labels"):
        found = read("950 Pa/image/a.tif", "950 Pa/mask/a.tif", f"{labels}/a.tif")
        assert found.pairs == {
            "950Pa/a": Pair("950 Pa/image/a.tif", "950 Pa/mask/a.tif", f"{labels}/a.tif")
        }


def test_a_label_folder_serves_as_masks_if_there_are_none():
    found = read("950 Pa/image/a.tif", "950 Pa/labels/a_label.tif")
    assert found.pairs == {"950Pa/a": Pair("950 Pa/image/a.tif", "950 Pa/labels/a_label.tif", None)}


def test_colonies_with_images_in_one_only():
    found = read("1/image/a.tif", "1/mask/a.tif", "2/mask/a.tif")
    assert found.pairs == {"950Pa/a": Pair("1/image/a.tif", "1/mask/a.tif", None)}
    assert found.doubts == ["partners: 1 mask files without an image left out, e.g. 2/mask/a.tif"]


def test_the_nearest_folder_with_a_role_decides():
    found = read("images and masks/image/a.tif", "images and masks/mask/a.tif")
    assert list(found.pairs) == ["950Pa/a"]


def test_two_label_files_of_one_name_are_noted_not_damage():
    found = read("image/a.tif", "mask/a.tif", "labels/a.tif", "labels/a.png")
    assert found.damage == []
    assert any("files with one name: labels/a.png, labels/a.tif" in note for note in found.notes)


def test_a_numbered_folder_decides_if_none_above_does():
    found = read("950 Pa/Image 1/a.tif", "950 Pa/Mask 1/a.tif")
    assert found.pairs == {"950Pa/a": Pair("950 Pa/Image 1/a.tif", "950 Pa/Mask 1/a.tif", None)}


@pytest.mark.parametrize("other", ["raw/a.tif", "950 Pa/Ground_Truth/a.tif", "950 Pa/gt/c/a.tif"])
def test_other_folders_of_a_role_are_left_out_beside_a_plain_one(other):
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


def test_the_shortest_affixes_are_removed():
    found = read(
        "image/1.tif", "image/Image 1.tif", "mask/Mask of 1.tif", "mask/Mask of Image 1.tif"
    )
    assert {pair.image: pair.mask for pair in found.pairs.values()} == {
        "image/1.tif": "mask/Mask of 1.tif",
        "image/Image 1.tif": "mask/Mask of Image 1.tif",
    }


def test_a_mask_that_fits_several_images_belongs_to_none():
    found = read("image/a_img.tif", "image/a_raw.tif", "mask/a_mask.tif")
    assert found.pairs == {}
    assert "no image/mask pairs found" in found.damage[0]
    exact = read("image/a_img.tif", "image/a_raw.tif", "mask/a_raw_mask.tif")
    assert list(exact.pairs) == ["950Pa/a_raw"]


def test_duplicate_names_of_both_roles_are_listed():
    found = read("image/a.tif", "image/a.png", "mask/a.tif", "mask/a.png")
    assert found.damage == [
        "files with one name: image/a.png, image/a.tif; keep one of each",
        "files with one name: mask/a.png, mask/a.tif; keep one of each",
    ]
    names = [f"image/{i}.{end}" for i in range(9) for end in ("png", "tif")]
    (damage,) = read(*names, "mask/a.tif").damage
    assert "image/0.png, image/0.tif (and 8 more names)" in damage


@pytest.mark.parametrize("twin", ["image/a.png", "image/a.TIF", "mask/a.tiff"])
def test_two_files_of_one_name_are_damage(twin):
    (damage,) = read("image/a.tif", "mask/a.tif", twin).damage
    assert "files with one name: " in damage
    assert twin in damage


NAMES = ["colA z01", "colA z02", "colB z01", "10", "11", "b.v2"]
WAYS = {
    "plain": "{}",
    "_mask": "{}_mask",
    "Cellpose": "{}_cp_masks",
    "ilastik": "{}_Simple Segmentation",
    "Fiji": "Mask of {}",
    "Fiji's second copy": "{}-1",
    "Windows' copy": "{} - Copy",
    "glued": "{}mask",
    "channel": "{}_ch01_final",
    "both ends": "GT_{}_v2",
    "upper case": "{}_MASK",
    "trailing space": "{} ",
    "twice": "{}.tif",
    "OME": "{}.ome",
}


@pytest.mark.parametrize("way", WAYS)
def test_one_rule_for_every_constant_affix(way):
    """Any addition to the names on one side or both, even if some have no partner."""
    for ours, theirs in ((WAYS[way], "{}"), ("{}", WAYS[way]), ("img_{}", WAYS[way])):
        images = [f"image/{ours.format(name)}.tif" for name in NAMES]
        masks = [f"mask/{theirs.format(name)}.tif" for name in NAMES]
        for kept in (slice(None), slice(1, None), slice(0, 3)):
            found = read(*images, *masks[kept])
            assert {(p.image, p.mask) for p in found.pairs.values()} == {
                *zip(images[kept], masks[kept], strict=True)
            }
            assert [doubt[:9] for doubt in found.doubts] == ["partners:"] * (kept != slice(None))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("image/image ({}).tif", "mask/mask ({}).tif"),
        ("image/{}_ch00.tif", "mask/{}_ch01.tif"),
        ("950 Pa/{}.tif", "950 Pa/{}_seg.tif"),
        ("950 Pa/gt_{}.tif", "950 Pa/gt_{}_mask.tif"),
        ("BMGD nuclei segmentation/{}.tif", "BMGD nuclei segmentation/{}_binary.tif"),
        ("Segmentation/950 Pa/image/{}.tif", "Segmentation/950 Pa/mask/{}.tif"),
        ("input/{}.tif", "target/{}.tif"),
        ("X/{}.tif", "Y/{}.tif"),
        ("950 Pa/x_train/{}.tif", "950 Pa/y_train/{}.tif"),
        ("imgs/{}.tif", "segs/{}.tif"),
        ("images/{}.tif", "Binarized/{}.tif"),
        ("images/{}.tif", "Labkit results/{}.tif"),
        ("DAPI/{}.tif", "DAPI nucmasks/{}.tif"),
        ("{}/image.tif", "{}/mask.tif"),
        ("colony {} image/z1.tif", "colony {} mask/z1.tif"),
        ("image/colony{}/z1.tif", "mask/colony{}_masks/z1.tif"),
        ("image/Colony {}/z1.tif", "mask/colony{}/z1.tif"),
    ],
)
def test_layouts(image, mask):
    expected = [(image.format(n), mask.format(n)) for n in ("001", "002", "010", "011")]
    found = read(*(path for pair in expected for path in pair))
    assert sorted((pair.image, pair.mask) for pair in found.pairs.values()) == expected
    assert not [doubt for doubt in found.doubts if "ch00" not in doubt]


def test_folders_without_a_role_are_read_as_masks_with_a_note():
    found = read("image/a.tif", "painted/a.tif")
    assert found.pairs == {"950Pa/a": Pair("image/a.tif", "painted/a.tif", None)}
    assert "the images in painted are read as masks; no folder is called 'mask'" in found.notes


def test_affixes_that_may_be_names_are_a_doubt_and_need_several_pairs():
    def of(numbers):
        return read(*(f"{r}/{c}_{i}.tif" for i in numbers for r, c in (("image", 1), ("mask", 2))))

    found = of("abc")
    assert found.pairs["950Pa/1_a"].mask == "mask/2_a.tif"
    (doubt,) = found.doubts
    assert doubt.startswith("names: images and masks are named differently; 3 are paired, e.g. ")
    assert of("ab").pairs == {}


def test_zero_padding_on_one_side():
    found = read(
        *(f"image/z{i}.tif" for i in range(8, 12)), *(f"mask/z{i:03d}.tif" for i in range(8, 12))
    )
    assert found.pairs["950Pa/z9"].mask == "mask/z009.tif"
    assert found.doubts == [
        "numbering: zero padding differs; 4 are paired, e.g. image/z10.tif with mask/z010.tif"
    ]


@pytest.mark.parametrize("start", [0, 2])
def test_numbers_off_by_one(start):
    found = read(
        *(f"image/{c}{i}.tif" for c in "ab" for i in range(1, 12)),
        *(f"mask/{c}{i:03d}_mask.tif" for c in "ab" for i in range(start, start + 11)),
    )
    assert len(found.pairs) == 22
    assert found.pairs["950Pa/b9"].mask == f"mask/b{9 + start - 1:03d}_mask.tif"
    (doubt,) = found.doubts
    assert doubt.startswith("numbering: the numbers of images and masks differ by one; 22 are")


def test_a_gap_at_each_end_does_not_shift_numbers():
    """Equal names come first, unless all numbers of one side are moved by one."""
    numbers = [1, 2, 3, 5, 6, 7]
    found = read(*(f"image/{i}.tif" for i in numbers[1:]), *(f"mask/{i}.tif" for i in numbers[:-1]))
    assert [(p.image[6:], p.mask[5:]) for p in found.pairs.values()] == [
        (f"{i}.tif", f"{i}.tif") for i in numbers[1:-1]
    ]


@pytest.mark.parametrize(("left", "many"), [(1, False), (3, True)])
def test_few_files_without_a_partner_are_a_note_and_many_a_doubt(left, many):
    paths = pairs(54)
    found = read(*paths[: len(paths) - left])
    lines = found.doubts if many else found.notes
    text = f"{left} images without a mask left out, e.g. 950 Pa/image/{54 - left}.tif"
    assert [line for line in lines if text in line]
    assert len(found.doubts) == many


def test_old_and_corrected_masks():
    found = read("image/a.tif", "mask/a.tif", "mask_corrected/a.tif")
    assert found.pairs["950Pa/a"].mask == "mask/a.tif"
    assert found.doubts == ["masks: read from mask, not from mask_corrected"]
    (damage,) = read("image/a.tif", "mask_old/a.tif", "mask_corrected/a.tif").damage
    assert damage.startswith("files with one name: mask_corrected/a.tif, mask_old/a.tif")


@pytest.mark.parametrize("at", ["1200 Pa/{}/a.tif", "1200pa/{}/a.tif", "950 Pa/{}/a_1200 Pa.tif"])
def test_paths_that_name_another_stiffness(at):
    found = read(at.format("image"), at.format("mask"))
    assert len(found.pairs) == 1
    assert found.doubts == [
        "stiffness: 2 images and masks are read as 950Pa, but their paths name another one, e.g. "
        + at.format("image")
    ]


def test_folders_decide_between_two_stiffnesses():
    found = read(*pairs(2), *(path.replace("950", "1200") for path in pairs(3)))
    assert list(found.pairs) == ["950Pa/00", "950Pa/01"]
    assert found.doubts == []
    assert "6 images in the folders of 1200Pa left out" in found.notes
    others = [path.replace("950", pa) for pa in ("250", "1200") for path in pairs(2)]
    assert read(*others).damage[0].startswith("folders of 1200Pa and 250Pa, none of 950Pa; put")


def test_folders_of_upstreams_own_split_are_noted():
    found = read(
        *(
            f"950 Pa/{s}/{r}/{i}.tif"
            for r in ("image", "mask")
            for s in ("train", "test")
            for i in range(3 if s == "train" else 2)
        )
    )
    assert next(iter(found.pairs)) == "950Pa/test/0"
    assert found.doubts == []
    assert "the folders are split already (3 train, 2 test); the names keep that" in found.notes


def test_without_pairs_examples_are_shown():
    (damage,) = read("950 Pa/image/a.tif", "950 Pa/mask/b.zip", "950 Pa/mask/c.zip").damage
    assert "found 950 Pa/image (1 files, e.g. a.tif), 950 Pa/mask (2 files, e.g. b.zip)" in damage
    assert damage.endswith("Files that end in .zip are not read as images.")


def test_names_with_and_without_a_second_suffix_differ():
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
