"""README and CITATION.cff agree with `facts`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmgd_data import facts, splits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def rows(text, first):
    """Cells of every Markdown table row whose first cell is `first`."""
    lines = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines if line[0].strip() == first]


def test_totals_are_the_sums():
    assert sum(c.images for c in facts.CONDITIONS) == facts.IMAGES == 819
    assert sum(c.nuclei for c in facts.CONDITIONS) == facts.NUCLEI == 9561
    assert sum(facts.SPLIT_SIZES.values()) == facts.IMAGES
    assert sum(c.val for c in facts.CONDITIONS) == facts.SPLIT_SIZES["val"] == 82
    assert set(facts.SPLIT_SIZES) == set(splits.SPLITS)


def test_conditions_ascend_and_name_their_archives():
    assert [c.pa for c in facts.CONDITIONS] == sorted(c.pa for c in facts.CONDITIONS)
    for condition in facts.CONDITIONS:
        assert condition.name == f"{condition.pa}Pa"
        assert condition.archive == f"{condition.pa} Pa.7z"


def test_iou_follows_from_f1():
    """Scores pooled over pixels obey IoU = F1 / (2 - F1); the paper's do, to rounding."""
    for row in facts.BASELINES:
        assert row.iou == pytest.approx(100 * row.f1 / (200 - row.f1), abs=0.02), row.encoder


def test_digests_are_of_known_archives():
    assert set(facts.SHA256) <= {c.archive for c in facts.CONDITIONS}
    assert all(len(digest) == 64 for digest in facts.SHA256.values())


@pytest.mark.parametrize("condition", facts.CONDITIONS, ids=lambda c: c.name)
def test_readme_table_of_conditions(condition):
    expected = [str(condition.images), str(condition.nuclei)]
    expected += [f"{condition.nuclei / condition.images:.2f}"]
    assert rows(README, f"{condition.pa} Pa") == [[f"{condition.pa} Pa", *expected]]


def test_readme_totals_and_split():
    per_image = f"{facts.NUCLEI / facts.IMAGES:.2f}"
    assert rows(README, "all") == [["all", str(facts.IMAGES), str(facts.NUCLEI), per_image]]
    assert " / ".join(map(str, facts.SPLIT_SIZES.values())) in README
    assert f"{facts.IMAGES} DAPI images" in README
    assert f"{facts.NUCLEI:,} hand-annotated nuclei" in README


def test_citations_agree():
    for text in (README, CITATION, facts.CITATION, facts.BIBTEX):
        assert facts.DOI in text
    assert facts.PAPER_URL in CITATION
    assert facts.REPOSITORY in CITATION
    assert f"license: {facts.CODE_LICENSE}" in CITATION
    assert facts.DATA_LICENSE.split(";")[0] in README


def test_version_is_stated_once_and_repeated_rightly():
    import bmgd_data

    assert f"version: {bmgd_data.__version__}" in CITATION
