"""Known groups and memberships that users give."""

from __future__ import annotations

import pytest

from bmgd_data import Reader, facts, splits
from bmgd_data.errors import BMGDWarning
from common import TINY

SOFT = facts.CONDITIONS[0]


# ---------------------------------------------------------------------------------- known groups


def test_a_name_is_a_scheme():
    assert splits.resolve_scheme("random") == ("random", "random", None, None)
    assert splits.resolve_scheme("grouped").grouped
    assert not splits.resolve_scheme("random").grouped


def test_known_groups_from_a_csv_and_a_mapping_are_the_same(tmp_path):
    path = tmp_path / "colonies.csv"
    path.write_text("\ufeffgroup,microscope,name\n7,A,250Pa/a\n8,B,250Pa/b\n", encoding="utf-8")
    scheme = splits.resolve_scheme(path)
    assert scheme.known == {"250Pa/a": "7", "250Pa/b": "8"}
    assert scheme == splits.resolve_scheme(str(path))
    other = splits.resolve_scheme({"250Pa/b": 8, "250Pa/a": 7})
    assert (other.known, other.rule) == (scheme.known, "grouped")
    assert scheme.name.split(",") == ["grouped by colonies.csv", other.name.split(",")[1]]
    changed = splits.resolve_scheme({"250Pa/b": 8, "250Pa/a": 8})
    assert changed.name != other.name, "another membership, another name"


def test_known_groups_of_one_condition():
    known = {"250Pa/a": "x", "250Pa/b": "y", "950Pa/a": "z"}
    assert splits.known_of(known, ["250Pa/b", "250Pa/a"], SOFT) == ["y", "x"]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"250Pa/a": "x"}, r"1 images have no group: '250Pa/b'"),
        (
            {"250Pa/a": "x", "250Pa/b": "y", "250Pa/c": "y"},
            r"1 names with a group are of no image: '250Pa/c'",
        ),
    ],
)
def test_missing_and_unknown_names_are_named(known, said):
    with pytest.raises(ValueError, match=f"do not fit the 2 images of 250Pa: {said}"):
        splits.known_of(known, ["250Pa/a", "250Pa/b"], SOFT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name,colony\n250Pa/a,1\n",
            "columns 'name', 'colony'. It needs the column name, and group",
        ),
        ("", "cannot be read"),
        ("name,group\n250Pa/a,\n", "1 have no group: .250Pa/a .row 1"),
        ("name,group\n250Pa/a,1\n250Pa/a,2\n", "1 have two groups: '250Pa/a'"),
        ("name,group\na.tif,1\n", r"1 are no sample names, which look like '1200Pa/001': 'a.tif'"),
        (None, "cannot be read: .*No such file"),
        (b"\xff\xfe\x00", "cannot be read: .*utf-8"),
    ],
)
def test_a_csv_that_cannot_be_used(tmp_path, text, said):
    path = tmp_path / "groups.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"(?s)groups.csv.*{said}"):
        splits.resolve_scheme(str(path))


def test_a_group_in_two_stiffnesses_is_warned_about():
    with pytest.warns(BMGDWarning, match=r"1 groups of a mapping hold images of several .* 'x'"):
        splits.resolve_scheme({"250Pa/a": "x", "950Pa/a": "x", "950Pa/b": "y"})


# ------------------------------------------------------------------------------------ memberships

WORDS = ("train", "val", "test", "validation", "Valid", "none")


@pytest.fixture(scope="module")
def names(tiny_root):
    return Reader("all", source=TINY, root=tiny_root).names


def read(scheme, split, root):
    return Reader(split, source=TINY, root=root, scheme=scheme).names


def meant(names):
    """A split for each name, and the names of each of ours."""
    given = {name: WORDS[row % len(WORDS)] for row, name in enumerate(names)}
    of = {"train": ("train",), "val": ("val", "validation", "Valid"), "test": ("test",)}
    return given, {s: [n for n in names if given[n] in words] for s, words in of.items()}


@pytest.mark.parametrize("form", ["mapping", "csv", "semicolons", "frame", "series"])
def test_a_membership_is_honoured_to_the_image(form, names, tiny_root, tmp_path):
    given, expected = meant(names)
    scheme = given
    if form in ("csv", "semicolons"):
        scheme, between = tmp_path / "mine.csv", ";" if form == "semicolons" else ","
        lines = [
            between.join(row) for row in [("Split", "name"), *((s, n) for n, s in given.items())]
        ]
        scheme.write_text("\n".join(lines), encoding="utf-8-sig")
    elif form in ("frame", "series"):
        pandas = pytest.importorskip("pandas")
        scheme = pandas.Series(given)
        if form == "frame":
            scheme = pandas.DataFrame({"name": list(given), "split": list(given.values())})
    for split, own in expected.items():
        assert read(scheme, split, tiny_root) == own
    everything = Reader("all", source=TINY, root=tiny_root, scheme=scheme)
    assert everything.names == [name for name in names if given[name] != "none"]
    assert everything.scheme.startswith("given by ")
    assert everything.whole.names == names


def test_groups_beside_a_membership_are_kept_in_folds(names, tiny_root, tmp_path):
    path = tmp_path / "both.csv"
    rows = [f"{name},{name[:4]}{row % 4},{WORDS[row % 3]}" for row, name in enumerate(names)]
    path.write_text("\n".join(["name,group,split", *rows]))
    reader = Reader("test", source=TINY, root=tiny_root, scheme=path)
    assert reader.names == names[2::3]
    whole = Reader("all", source=TINY, root=tiny_root, scheme=path).fold(0, 3)
    assert len(set(zip(whole.groups.tolist(), whole.splits, strict=True))) == len(set(whole.groups))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: None}, r"1 have no split .write none to leave an image out.*row 1"),
        ({3: float("nan")}, "no split.*row 4"),
        ({2: "NA"}, "no split.*row 3"),
        ({2: "holdout"}, "all groups or all splits: 47 are splits.*'holdout'"),
    ],
)
def test_splits_that_are_missing_or_no_splits_are_refused(names, change, said):
    given, _ = meant(names)
    given |= {names[row]: value for row, value in change.items()}
    with pytest.raises(ValueError, match=f"(?s){said}"):
        splits.resolve_scheme(given)


@pytest.mark.parametrize("missing", [None, float("nan"), "", "NaN", "None"])
def test_a_missing_group_is_no_group(missing):
    with pytest.raises(ValueError, match=r"1 have no group: '250Pa/b \(row 2\)'"):
        splits.resolve_scheme({"250Pa/a": "colony", "250Pa/b": missing})


def test_a_file_with_another_word_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("name,split\n250Pa/a,train\n250Pa/b,evaluation\n250Pa/a,test\n")
    with pytest.raises(ValueError, match=r"is none of train, val.*250Pa/b .evaluation.*two splits"):
        splits.resolve_scheme(path)


def test_a_membership_must_fit_the_images(names, tiny_root):
    given = dict.fromkeys(names[1:], "train")
    with pytest.raises(ValueError, match="1 images have no split: '250Pa/generated_0001'"):
        read(given, "train", tiny_root)
    with pytest.raises(ValueError, match="1 names with a split are of no image: '250Pa/z'"):
        read(given | {names[0]: "test", "250Pa/z": "val"}, "train", tiny_root)
