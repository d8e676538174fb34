"""Charts of what was measured.

Each draws on the axes ``ax``, or on new ones for None, and returns them. Each raises
MissingDependencyError if matplotlib is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data.errors import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from bmgd_data.nuclei import Table
    from bmgd_data.reader import Reader

COLOURS: Final = {250: "#0072b2", 950: "#d55e00", 1200: "#009e73", 1800: "#cc79a7"}
"""By stiffness: of Okabe and Ito's palette, which colour-blind people can tell apart."""
_PAPER: Final[dict[str, Any]] = {
    "marker": "D",
    "ls": "",
    "ms": 8,
    "mfc": "none",
    "mew": 1.8,
    "color": "0.35",
}
_LINES: Final[dict[int, dict[str, Any]]] = {
    pa: {"color": COLOURS[pa], "ls": dashes}
    for pa, dashes in {250: "-", 950: "--", 1200: "-.", 1800: (0, (4, 1, 1, 1, 1, 1))}.items()
}
_LABELS: Final = {
    "area_um2": "area of the section, µm²",
    "mean_raw": "mean grey value",
    "feret_um": "largest diameter, µm",
}
_UNITS: Final = {
    "nucleus": "nuclei: too narrow",
    "image": "images: too narrow",
    "group": "groups: 95 %",
}
"""What is drawn again, and what its bar is."""


def area_ecdf(table: Table, column: str = "area_um2", *, ax: Axes | None = None) -> Axes:
    """Draw the share of nuclei up to each value, by stiffness (the empirical distribution).

    Args:
        table: What ``nuclei.nuclei`` gives.
        column: Its numbers.
        ax: Axes to draw on, which are returned; None makes new ones.
    """
    ax = _axes(ax)
    values = table[column]
    for pa in np.unique(table["stiffness_pa"]).tolist():
        chosen = np.sort(values[(table["stiffness_pa"] == pa) & ~np.isnan(values)])
        share = np.arange(1, len(chosen) + 1) / max(len(chosen), 1)
        label = f"{pa} Pa, {len(chosen)} nuclei"
        ax.step(chosen, share, where="post", label=label, **_LINES[pa])
    if values.size and np.nanmin(values) > 0:
        ax.set_xscale("log")
    ax.set(xlabel=_LABELS.get(column, column), ylabel="share of nuclei", ylim=(0, 1))
    ax.legend(title=f"nuclei by {table.instance_method}", frameon=False)
    return ax


def nuclei_per_image(reader: Reader, *, ax: Axes | None = None) -> Axes:
    """Draw the nuclei of each image by stiffness, with their mean and the paper's.

    Args:
        reader: Its instance method counts the nuclei.
        ax: Axes to draw on, which are returned; None makes new ones.
    """
    ax, rng = _axes(ax), np.random.default_rng(0)
    stiffness, counts = reader.stiffness_pa, reader.n_nuclei
    for place, condition in enumerate(reader.conditions):
        ours = counts[stiffness == condition.pa]
        beside = place + rng.uniform(-0.28, 0.28, len(ours))  # so that equal counts can be seen
        ax.plot(beside, ours, ".", ms=4, alpha=0.5, color=COLOURS[condition.pa])
        if len(ours):
            ax.hlines(ours.mean(), place - 0.38, place + 0.38, lw=2, color=COLOURS[condition.pa])
        ax.plot(place, condition.nuclei / condition.images, **_PAPER)
    ax.plot([], [], "-", lw=2, color="gray", label=f"mean, nuclei by {reader.instance_method}")
    ax.plot([], [], label="mean in the paper, by hand", **_PAPER)
    ax.set_xticks(range(len(reader.conditions)), [f"{c.pa} Pa" for c in reader.conditions])
    ax.set(ylabel="nuclei in an image", xlim=(-0.6, len(reader.conditions) - 0.4))
    ax.set_ylim(0, 1.25 * max(ax.get_ylim()[1], 1))  # room for the legend
    ax.legend(frameon=False, loc="upper center")
    return ax


def intervals(table: Table, column: str = "area_um2", *, ax: Axes | None = None) -> Axes:
    """Draw how far chance moves a median: a 95 % interval over groups, and two that are none.

    Only groups are independent of one another. The same computed over nuclei and images is too
    narrow; it is drawn thin, to show by how much. Fewer than five groups have no interval, and a
    note instead.

    Args:
        table: What ``nuclei.nuclei`` gives.
        column: Its numbers.
        ax: Axes to draw on, which are returned; None makes new ones.
    """
    ax = _axes(ax)
    rows = table.summary(column)
    for row, (unit, words) in enumerate(_UNITS.items()):
        ends = table.intervals(column, unit)
        for number, each in enumerate(rows):
            if not each.nuclei:
                continue
            place, colour = number + (row - 1) * 0.22, COLOURS[each.stiffness_pa]
            low, high = ends.get(each.stiffness_pa, (each.median, each.median))
            if each.stiffness_pa in ends:
                ax.hlines(place, low, high, lw=4 if unit == "group" else 1.5, color=colour)
                ax.plot(each.median, place, "o", ms=4, color=colour)
                said = words
            else:
                said = f"no interval: fewer than {table.FEW_GROUPS} {words.partition(':')[0]}"
            end = (high, place)
            ax.annotate(said, end, (5, 0), textcoords="offset points", va="center", size=8)
    ax.set_yticks(range(len(rows)), [f"{each.stiffness_pa} Pa" for each in rows])
    ax.invert_yaxis()
    ax.margins(x=0.25)
    ax.set(xlabel=f"median {_LABELS.get(column, column)}")
    return ax


def grey_values(reader: Reader, *, ax: Axes | None = None) -> Axes:
    """Draw how often each grey value occurs, by stiffness, as a share of all pixels.

    Args:
        reader: All its images are read, one at a time.
        ax: Axes to draw on, which are returned; None makes new ones.
    """
    ax = _axes(ax)
    bins, stiffness = 128, reader.stiffness_pa
    scale = max(reader.full_scales.values()) + 1
    edges = np.linspace(0, scale, bins + 1)
    for pa in np.unique(stiffness).tolist():
        found = np.zeros(bins)
        for row in np.flatnonzero(stiffness == pa).tolist():
            each = np.bincount(reader[row]["image"].ravel(), minlength=scale)
            found += np.add.reduceat(each, edges[:-1].astype(int))
        share = found / found.sum()
        ax.stairs(share, edges, label=f"{pa} Pa", lw=1.5, **_LINES[pa])
    ax.set_yscale("log")
    ax.set(xlabel=f"grey value (full scale {scale - 1})", ylabel="share of pixels", xlim=(0, scale))
    ax.legend(frameon=False)
    return ax


def agreement(values: NDArray[np.float64], *, ax: Axes | None = None) -> Axes:
    """Draw how well masks fit their images, as a histogram of one value per image.

    Args:
        values: (N,) the chance that a pixel in the mask is brighter than one outside; NaN if an
            image or a mask is uniform.
        ax: Axes to draw on, which are returned; None makes new ones.
    """
    ax = _axes(ax)
    ax.hist(values[~np.isnan(values)], bins=np.linspace(0, 1, 51).tolist(), color="#0072b2")
    ax.axvline(0.5, color="gray", lw=1, ls="--")
    ax.set(xlabel="chance that a pixel in the mask is brighter", ylabel="images", xlim=(0, 1))
    return ax


def _axes(ax: Axes | None) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt
    except ModuleNotFoundError as error:
        raise missing("A chart", "matplotlib", "plot", error, instead="") from error
    return plt.subplots(figsize=(6.4, 4), layout="constrained")[1]
