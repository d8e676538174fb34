"""A chart of the ratios; needs matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Row

_SHADES: Final = ("#3182bd", "#08306b", "#9ecae1")
_AIM: Final = "#d94801"
_PANELS: Final = {
    True: "Speed, ours / theirs: more is better",
    False: "Time, memory and disk, ours / theirs: less is better",
}
_LINE_INCHES: Final = 0.26


def draw(path: Path, rows: list[Row], caption: str) -> None:
    """Draw each ratio as a point with its spread, beside its aim, on logarithmic axes.

    Speeds are above, and what should be small below.

    Args:
        path: Where the PNG goes.
        rows: What was measured; differences, and one scale beside another, are left out.
        caption: Stands above.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.is_ratio and not row.against.startswith("itself at")]
    panels = {
        speed: [row for row in rows if (row.unit == "samples/s") == speed] for speed in _PANELS
    }
    heights = {speed: len(_labels(those)) for speed, those in panels.items() if those}
    if not heights:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        size = (10, 1.6 + 0.5 * len(heights) + _LINE_INCHES * sum(heights.values()))
        figure = Figure(figsize=size, layout="constrained")
        every = figure.subplots(
            len(heights), squeeze=False, height_ratios=[2 + lines for lines in heights.values()]
        )
        for axes, speed in zip(every[:, 0], heights, strict=True):
            _panel(axes, panels[speed], sorted({row.times for row in rows}))
            axes.set_title(_PANELS[speed], loc="left", fontsize=9)
        figure.suptitle(caption, fontsize=10)
        handles, names = every[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
        figure.savefig(path, dpi=150)


def _labels(rows: list[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row.what, row.against) for row in rows))


def _panel(axes: Any, rows: list[Row], scales: list[int]) -> None:
    labels = _labels(rows)
    axes.set_xscale("log")
    axes.axvline(1, color="0.3", lw=0.8, ls=":")
    for number, times in enumerate(scales):
        those = [row for row in rows if row.times == times]
        middle = [row.figure.median for row in those]
        shift = (number - (len(scales) - 1) / 2) * 0.3
        places = [labels.index((row.what, row.against)) + shift for row in those]
        spread = [
            [row.figure.median - row.figure.low for row in those],
            [row.figure.high - row.figure.median for row in those],
        ]
        shade = _SHADES[number % len(_SHADES)]
        axes.errorbar(
            middle, places, xerr=spread, fmt="o", ms=4, lw=1, color=shade, label=f"{times}x images"
        )
        for value, place in zip(middle, places, strict=True):
            axes.annotate(
                f"{value:.3g}",
                (1.01, place),
                xycoords=axes.get_yaxis_transform(),
                va="center",
                fontsize=6,
                color=shade,
            )
    aims = dict.fromkeys(
        (row.aim.bound, labels.index((row.what, row.against))) for row in rows if row.aim
    )
    axes.scatter(
        [bound for bound, _ in aims],
        [place for _, place in aims],
        marker="|",
        s=120,
        lw=2,
        color=_AIM,
        label="aim",
        zorder=3,
    )
    axes.set_yticks(range(len(labels)), [f"{what} by {against}" for what, against in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", color="0.93")
    axes.xaxis.set_major_formatter("{x:g}")
