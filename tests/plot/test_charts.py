from __future__ import annotations

import numpy as np
import pytest

from bmgd_data import Reader, plot
from bmgd_data.nuclei import Table, nuclei
from common import TINY

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _closed(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root, instances="watershed")


@pytest.fixture(scope="module")
def table(reader):
    return nuclei(reader)


def lines(ax) -> dict[str, np.ndarray]:
    return {str(line.get_label()): line.get_xydata() for line in ax.get_lines()}


def test_ecdf_rises_from_one_nucleus_to_all(table):
    drawn = lines(plot.area_ecdf(table))
    assert len(drawn) == 4
    areas = np.sort(table["area_um2"][table["stiffness_pa"] == 950])
    points = drawn[f"950 Pa, {len(areas)} nuclei"]
    np.testing.assert_array_equal(points[:, 0], areas)
    np.testing.assert_allclose(points[:, 1], np.arange(1, len(areas) + 1) / len(areas))


def test_nuclei_per_image_stand_beside_the_papers_mean(reader):
    ax = plot.nuclei_per_image(reader)
    points = [line.get_xydata() for line in ax.get_lines()]
    drawn = np.concatenate([p[:, 1] for p in points if len(p) > 1])
    assert sorted(drawn) == sorted(reader.n_nuclei)
    paper = [p[0, 1] for p in points if len(p) == 1]
    assert paper == pytest.approx([11.98, 8.39, 13.49, 10.83], abs=0.01)
    assert "nuclei by watershed" in ax.get_legend().get_texts()[0].get_text()


def test_intervals_are_those_of_the_table_and_only_groups_have_95_percent(table):
    images = np.unique(table["name"], return_inverse=True)[1]
    group = np.where(table["stiffness_pa"] == 1800, images, table["stiffness_pa"])
    table = Table({**table.columns, "group": group}, "watershed", 0.25)
    ax = plot.intervals(table)
    bars = [tuple(path[:, 0]) for bar in ax.collections for path in bar.get_segments()]
    units = ("nucleus", "image", "group")
    np.testing.assert_allclose(
        bars, [ends for unit in units for ends in table.intervals("area_um2", unit).values()]
    )
    words = [text.get_text() for text in ax.texts]
    assert sum("95 %" in each for each in words) == 1
    assert words.count("no interval: fewer than 5 groups") == 3
    assert words.count("images: too narrow") == words.count("nuclei: too narrow") == 4
    assert "95" not in ax.get_xlabel()


def test_grey_values_are_shares_of_all_pixels(reader):
    ax = plot.grey_values(reader)
    steps = {patch.get_label(): patch.get_data() for patch in ax.patches}
    images = np.asarray(reader.images)[reader.stiffness_pa == 1800]
    counts, edges = np.histogram(images, bins=128, range=(0, 4096))
    np.testing.assert_allclose(steps["1800 Pa"].values, counts / counts.sum())
    np.testing.assert_array_equal(steps["1800 Pa"].edges, edges)


def test_agreement_leaves_out_what_is_not_known():
    ax = plot.agreement(np.array([0.9, 0.91, np.nan, 0.1]))
    assert sum(patch.get_height() for patch in ax.patches) == 3


def test_a_chart_is_drawn_on_the_axes_it_is_given(table):
    ax = pyplot.figure().subplots()
    assert plot.area_ecdf(table, ax=ax) is ax


def test_every_stiffness_has_its_own_colour():
    from bmgd_data import facts
    from bmgd_data.plot import charts

    assert len(set(charts.COLOURS.values())) == len(facts.CONDITIONS)
    assert set(charts.COLOURS) == {condition.pa for condition in facts.CONDITIONS}
