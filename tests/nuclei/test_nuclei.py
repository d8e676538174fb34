from __future__ import annotations

import csv
import math
import runpy
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from skimage.measure import perimeter_crofton, regionprops

from bmgd_data import Reader
from bmgd_data.export import write_canonical
from bmgd_data.nuclei import Table, expanded_level, measure, nuclei
from common import TINY

FINE = {"pixel_size_um": 1.0}


def one(mask: np.ndarray, image: np.ndarray | None = None, **options: float) -> dict[str, float]:
    """The only nucleus of an image."""
    grey = np.full(mask.shape, 100, np.uint16) if image is None else image
    columns = measure(grey, mask.astype(np.uint16), **{**FINE, **options})
    assert {len(values) for values in columns.values()} == {1}
    return {name: values[0] for name, values in columns.items()}


def ellipse(a: float, b: float, angle: float = 0.0, side: int = 201) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side // 2
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


def rectangle(height: int, width: int) -> np.ndarray:
    return np.pad(np.ones((height, width), bool), 3)


# --------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("radius", [8, 20, 60])
def test_discs(radius):
    found = one(ellipse(radius, radius))
    assert found["area_um2"] == pytest.approx(np.pi * radius**2, rel=0.03)
    assert found["perimeter_um"] == pytest.approx(2 * np.pi * radius, rel=0.4 / radius)
    assert found["major_axis_um"] == pytest.approx(2 * radius, rel=0.02)
    assert found["feret_um"] == pytest.approx(2 * radius + 1, rel=0.02)
    assert found["aspect_ratio"] == pytest.approx(1)
    assert found["eccentricity"] == pytest.approx(0, abs=1e-6)
    assert found["form_factor"] == pytest.approx(1, abs=1 / radius)
    assert found["solidity"] == pytest.approx(1, abs=1 / radius)
    assert (found["centroid_y_um"], found["centroid_x_um"]) == (100.5, 100.5)


@pytest.mark.parametrize("angle", [0, 0.4, np.pi / 4, np.pi / 2])
def test_ellipses_at_every_angle(angle):
    found = one(ellipse(60, 30, angle))
    assert found["area_um2"] == pytest.approx(np.pi * 60 * 30, rel=0.01)
    assert found["major_axis_um"] == pytest.approx(120, rel=0.01)
    assert found["minor_axis_um"] == pytest.approx(60, rel=0.01)
    assert found["aspect_ratio"] == pytest.approx(2, rel=0.01)
    assert found["eccentricity"] == pytest.approx(math.sqrt(0.75), rel=0.01)
    assert found["feret_um"] == pytest.approx(120, rel=0.02)
    ramanujan = np.pi * (3 * 90 - math.sqrt((3 * 60 + 30) * (60 + 3 * 30)))
    assert found["perimeter_um"] == pytest.approx(ramanujan, rel=0.03)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1), (3, 7), (20, 10)])
def test_rectangles_are_exact(height, width):
    """Of n x m pixels the moments are n^2 / 12 and m^2 / 12, and nothing of the hull is empty."""
    found = one(rectangle(height, width))
    long, short = max(height, width), min(height, width)
    assert found["area_um2"] == height * width
    assert found["major_axis_um"] == pytest.approx(4 * long / math.sqrt(12))
    assert found["minor_axis_um"] == pytest.approx(4 * short / math.sqrt(12))
    assert found["aspect_ratio"] == pytest.approx(long / short)
    assert found["eccentricity"] == pytest.approx(math.sqrt(1 - (short / long) ** 2))
    assert found["solidity"] == 1
    assert found["feret_um"] == pytest.approx(math.hypot(height, width))
    assert found["centroid_x_um"] == pytest.approx(3 + width / 2)
    # Lines cross a rectangle 2 n and 2 m times along the axes, 2 (n + m - 1) times along diagonals.
    crossings = 2 * (height + width) + 2 * 2 * (height + width - 1) / math.sqrt(2)
    assert found["perimeter_um"] == pytest.approx(np.pi / 8 * crossings)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2)])
def test_the_smallest_nuclei_have_every_value_but_a_neighbour(shape):
    found = one(rectangle(*shape))
    assert math.isnan(found.pop("nearest_um"))
    assert np.isfinite(list(found.values())).all()
    assert found["std_raw"] == 0


def test_lengths_and_areas_grow_with_the_pixel():
    small, large = one(ellipse(30, 12, 0.3)), one(ellipse(30, 12, 0.3), pixel_size_um=0.5)
    for name in small:
        power = 2 if name.endswith("um2") else 1 if name.endswith("um") else 0
        assert large[name] == pytest.approx(small[name] * 0.5**power, nan_ok=True), name


# -------------------------------------------------------------------------------- several in one image


@pytest.fixture(scope="module")
def phantom(tiny_root):
    return Reader("all", source=TINY, root=tiny_root, instances="watershed")


def test_other_tools_measure_the_same(phantom):
    sample = max(phantom, key=lambda sample: sample["n_nuclei"])
    columns = measure(sample["image"], sample["instances"], **FINE)
    for row, region in enumerate(regionprops(sample["instances"], sample["image"])):
        inside = sample["instances"] == region.label
        points = np.argwhere(inside)
        corners = np.concatenate([points + step for step in ((0, 0), (0, 1), (1, 0), (1, 1))])
        expected = {
            "label": region.label,
            "area_um2": region.area,
            "centroid_y_um": region.centroid[0] + 0.5,
            "centroid_x_um": region.centroid[1] + 0.5,
            "perimeter_um": perimeter_crofton(np.pad(inside, 1), directions=4),
            # scikit-image treats pixels as points.
            "major_axis_um": math.sqrt(region.axis_major_length**2 + 16 / 12),
            "minor_axis_um": math.sqrt(region.axis_minor_length**2 + 16 / 12),
            "feret_um": pdist(corners).max(),
            "mean_raw": sample["image"][inside].mean(),
            "std_raw": sample["image"][inside].std(),
            "total_raw": sample["image"][inside].sum(),
        }
        for name, value in expected.items():
            assert columns[name][row] == pytest.approx(value), name


def test_neighbours_and_borders():
    labels = np.zeros((20, 30), np.uint16)
    labels[5:8, 5:8] = 1
    labels[8:10, 8:10] = 2  # by a corner
    labels[0:2, 20:22] = 4  # 3 is left out
    labels[12, 29] = 7
    columns = measure(np.ones(labels.shape, np.uint16), labels, pixel_size_um=2)
    assert columns["label"].tolist() == [1, 2, 4, 7]
    assert columns["touches_other"].tolist() == [True, True, False, False]
    assert columns["touches_border"].tolist() == [False, False, True, True]
    assert columns["nearest_um"][:2] == pytest.approx(2 * math.hypot(2.5, 2.5))
    assert columns["nearest_um"][3] == pytest.approx(2 * math.hypot(11.5, 8.5))


def test_fractions_are_of_the_full_scale():
    image = np.array([[100, 300], [0, 0]], np.uint16)
    found = one(np.array([[1, 1], [0, 0]]), image, full_scale=400)
    assert (found["mean_raw"], found["std_raw"], found["total_raw"]) == (200, 100, 400)
    assert (found["mean_fraction"], found["std_fraction"], found["total_fraction"]) == (
        0.5,
        0.25,
        1,
    )


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(4, 3\)"):
        measure(np.ones((3, 4)), np.ones((4, 3), int))


# ------------------------------------------------------------------------------------------ the table


@pytest.fixture(scope="module")
def table(phantom):
    return nuclei(phantom)


def test_there_is_a_row_for_every_nucleus(phantom, table):
    assert len(table) == phantom.n_nuclei.sum()
    names = [
        name for name, n in zip(phantom.names, phantom.n_nuclei, strict=True) for _ in range(n)
    ]
    assert table["name"].tolist() == names
    assert table["area_um2"].sum() == pytest.approx(np.asarray(phantom.masks).sum() * 0.25**2)
    splits = dict(zip(phantom.names, phantom.splits, strict=True))
    groups = dict(zip(phantom.names, phantom.groups.tolist(), strict=True))
    assert table["group"].tolist() == [groups[name] for name in names]
    row = next(iter(table))
    assert row["split"] == splits[row["name"]]
    assert row["stiffness_pa"] == 250
    assert set(table["instances"]) == {"watershed"}


def test_a_reader_without_samples_gives_an_empty_table(phantom, table):
    empty = nuclei(phantom[:0])
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
    assert empty.summary() == []


def test_memory_does_not_grow_with_the_images(phantom):
    def peak(reader):
        tracemalloc.start()
        nuclei(reader)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    nuclei(phantom[:1])  # imports what it needs
    assert peak(phantom[:14]) - peak(phantom[:2]) < 12 * phantom[0]["image"].nbytes / 2


def test_csv_holds_all_rows_and_no_nan(table, tmp_path):
    table.to_csv(tmp_path / "new" / "nuclei.csv")
    with (tmp_path / "new" / "nuclei.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table)
    assert list(rows[0]) == list(table.columns)
    assert [float(row["area_um2"]) for row in rows] == pytest.approx(
        table["area_um2"].tolist(), 1e-5
    )
    alone = np.isnan(table["nearest_um"])
    assert [row["nearest_um"] == "" for row in rows] == alone.tolist()


def test_no_program_takes_a_cell_for_another_value(table, tmp_path):
    odd = {**table.columns, "area_um2": np.full(len(table), 13.005)}
    Table(odd, "components", 0.25).to_csv(tmp_path / "a.tsv")
    with (tmp_path / "a.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["area_um2"] for row in rows} == {"13.0050"}
    assert [row["touches_border"] == "TRUE" for row in rows] == table["touches_border"].tolist()
    assert {row["touches_border"] for row in rows} <= {"TRUE", "FALSE"}


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (np.ones((4, 4), bool), "not bool"),
        (np.full((4, 4), -1), "not -1"),
        (np.zeros((0, 0), int), "no pixel"),
    ],
)
def test_labels_that_are_none(labels, why):
    with pytest.raises(ValueError, match=why):
        measure(np.zeros(labels.shape, np.uint16), labels)


@pytest.mark.filterwarnings("ignore:.*24 x 24 pixels")
def test_nuclei_at_the_border_are_left_out_and_counted(tmp_path):
    masks = np.zeros((2, 24, 24), bool)
    masks[:, 0:4, 3:9] = masks[0, 8:12, 8:12] = True
    pairs = [(str(n), np.uint16(900 * mask + 100), mask) for n, mask in enumerate(masks)]
    reader = Reader("all", "250Pa", source=write_canonical(tmp_path / "s", "250Pa", pairs))
    whole, inner = nuclei(reader), nuclei(reader, exclude_border=True)
    assert whole["touches_border"].tolist() == [True, False, True]
    for name, values in inner.columns.items():  # the one that is left out is still the nearest
        assert values.tolist() == whole[name][~whole["touches_border"]].tolist(), name
    assert (whole.excluded, inner.excluded) == (None, 2)
    assert "2 nuclei at the border of their image are left out." in inner.notes
    assert "left out" not in " ".join(whole.notes)


def test_large_numbers_take_no_memory():
    small = np.kron([[0, 1], [2, 2]], np.ones((3, 3), int))
    image = np.arange(36, dtype=np.uint16).reshape(6, 6)
    large = measure(image, np.array([0, 7, 2**40])[small])
    assert large.pop("label").tolist() == [7, 2**40]
    for name, values in large.items():
        np.testing.assert_array_equal(values, measure(image, small)[name])


def test_pandas_takes_it_unchanged(table):
    pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert list(frame.columns) == list(table.columns)
    assert frame["touches_border"].dtype == bool


def test_it_shows_its_notes(table):
    told = repr(table)
    assert "separated by watershed" in told
    assert "sections" in told
    assert "no measure of DNA" in told
    assert "p =" not in told


def test_an_unknown_column_lists_the_valid_ones(table):
    with pytest.raises(ValueError, match=r"'size'.*area_um2"):
        table["size"]
    with pytest.raises(ValueError, match="holds no numbers"):
        table.summary("split")


# --------------------------------------------------------------------------------------- the bootstrap


def made(values: list[list[float]]) -> Table:
    """One stiffness; an inner list is an image, and every two images a group."""
    name = np.repeat([f"250Pa/{n}" for n in range(len(values))], [len(v) for v in values])
    flat = np.concatenate(values)
    group = np.repeat(np.arange(len(values)) // 2, [len(v) for v in values])
    columns = {
        "name": name,
        "stiffness_pa": np.full(len(flat), 250),
        "label": np.arange(len(flat)),
        "group": group,
        "area_um2": flat,
    }
    return Table(columns, "components", 0.25)


def test_summary_is_of_numpy():
    (row,) = made([[1, 2], [3, math.nan, 10]]).summary("area_um2")
    assert row == (250, 1, 2, 4, *np.quantile([1, 2, 3, 10], [0.25, 0.5, 0.75]))


def test_medians_are_of_whole_units():
    table = made([[1.0] * 5, [1.0] * 5, [9.0] * 5, [9.0] * 5])
    groups = table.bootstrap("area_um2", "group", draws=400)[250]
    # Of two groups, two draws give 1 and 1, 1 and 9 (lower median 1) or 9 and 9.
    assert set(groups) == {1.0, 9.0}
    assert (groups == 9).mean() == pytest.approx(0.25, abs=0.08)


def test_similar_nuclei_widen_the_interval_only_if_drawn_together():
    rng = np.random.default_rng(1)
    images = [list(rng.normal(centre, 0.1, 20)) for centre in rng.normal(10, 2, 15) for _ in "ab"]
    width = {
        unit: np.ptp(np.quantile(made(images).bootstrap("area_um2", unit)[250], [0.025, 0.975]))
        for unit in ("nucleus", "image", "group")
    }
    assert width["nucleus"] < width["image"] < width["group"]


def test_equal_seeds_draw_the_same_and_others_do_not():
    table = made([[1.0, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]])
    draws = [table.bootstrap("area_um2", "image", seed=seed)[250].tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_the_level_is_that_of_the_r_package():
    """What resample 0.6 gives: z(level) * sqrt((n - 1) / n) is t(0.025) of n - 1 degrees."""
    for units in (7, 10, 20, 100):
        level = expanded_level(units)
        shrunk = stats.norm.ppf(level) * math.sqrt((units - 1) / units)
        assert shrunk == pytest.approx(stats.t.ppf(0.025, units - 1))
    assert expanded_level(10**9) == pytest.approx(0.025)


@pytest.mark.parametrize(("images", "has_interval"), [(8, False), (10, True)])
def test_below_five_groups_there_is_no_interval(images, has_interval):
    table = made([[1.0, 2, 3]] * images)
    assert (250 in table.intervals()) == has_interval


def test_with_five_or_six_groups_it_spans_their_medians():
    assert made([[n, n + 2.0] for n in range(10)]).intervals()[250] == (1.5, 9.5)


@pytest.mark.parametrize("groups", [7, 40])
def test_from_seven_groups_on_its_quantiles_are_further_out(groups):
    rng = np.random.default_rng(0)
    table = made([list(rng.normal(centre, 1, 9)) for centre in rng.normal(9, 2, 2 * groups)])
    drawn, level = table.bootstrap(draws=5000)[250], expanded_level(groups)
    ends = table.intervals()[250]
    assert ends == pytest.approx(tuple(np.quantile(drawn, [level, 1 - level])))
    assert np.ptp(ends) > np.ptp(np.quantile(drawn, [0.025, 0.975]))


def test_the_simulation_of_the_docs_draws_as_the_table_does():
    script = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "intervals.py"))
    rng = np.random.default_rng(0)
    table = made([list(rng.normal(9, 1, rng.integers(1, 9))) for _ in range(14)])
    again = np.random.default_rng([0, 250])
    times = [np.bincount(again.integers(7, size=7), minlength=7) for _ in range(5000)]
    order = np.argsort(table["area_um2"])
    values, group = table["area_um2"][order], table["group"][order]
    drawn = script["medians"](values, group, np.array(times))
    assert drawn.tolist() == table.bootstrap(draws=5000)[250].tolist()
    ours, *_ = script["intervals"](values, group, np.array(times))
    assert tuple(ours) == table.intervals()[250]


def test_intervals_of_nuclei_are_far_too_narrow():
    rng = np.random.default_rng(1)
    table = made([list(rng.normal(c, 0.1, 20)) for c in rng.normal(10, 2, 15) for _ in "ab"])
    assert np.ptp(table.intervals(unit="nucleus")[250]) < np.ptp(table.intervals()[250])


def test_draws_of_a_stiffness_do_not_depend_on_others():
    rng = np.random.default_rng(0)
    one = made([list(rng.normal(9, 1, 5)) for _ in range(12)])
    both = {name: np.concatenate([values, values]) for name, values in one.columns.items()}
    both["stiffness_pa"] = np.repeat([100, 250], len(one))
    two = Table(both, "components", 0.25)
    assert two.bootstrap()[250].tolist() == one.bootstrap()[250].tolist()


def test_a_stiffness_without_values_has_no_median():
    """As with one nucleus in each image, which has no nearest other one."""
    medians = made([[math.nan], [math.nan]]).bootstrap("area_um2", draws=3)[250]
    assert medians.shape == (3,)
    assert np.isnan(medians).all()


def test_an_unknown_unit_lists_the_valid_ones(table):
    with pytest.raises(ValueError, match=r"'colony'.*'group', 'image', 'nucleus'"):
        table.bootstrap("area_um2", "colony")
