"""A bar chart of the ratios; needs matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Row

_SHADES: Final = ("#9ecae1", "#3182bd", "#08519c")
_WIDEST: Final = 3  # longer bars are cut off


def draw(path: Path, rows: list[Row], caption: str) -> None:
    """Draw each comparison of ours with a reference as a bar per scale, with spread and aim.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.is_ratio and not row.against.startswith("itself")]
    labels = list(dict.fromkeys((row.what, row.against) for row in rows))
    scales = sorted({row.times for row in rows})
    height = 0.8 / len(scales)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 1.2 + 0.55 * len(labels)), layout="constrained")
        axes = figure.add_subplot()
        for number, times in enumerate(scales):
            those = [row for row in rows if row.times == times]
            places = [
                labels.index((row.what, row.against)) + (number - (len(scales) - 1) / 2) * height
                for row in those
            ]
            middle = [row.figure.median for row in those]
            spread = [
                [row.figure.median - row.figure.low for row in those],
                [row.figure.high - row.figure.median for row in those],
            ]
            shade = _SHADES[number % len(_SHADES)]
            bars = axes.barh(
                places,
                middle,
                height,
                color=shade,
                label=f"{times}x images",
                xerr=spread,
                error_kw={"elinewidth": 0.8, "ecolor": "0.4"},
            )
            axes.bar_label(bars, fmt="%.2f", padding=4, fontsize=7)
        for row in rows:
            if row.aim:
                place = labels.index((row.what, row.against))
                axes.plot(
                    *([row.aim.bound] * 2, [place - 0.45, place + 0.45]), color="#d94801", lw=2
                )
        axes.plot([], [], color="#d94801", lw=2, label="aim")
        axes.axvline(1, color="0.3", lw=0.8, ls=":")
        axes.set_yticks(range(len(labels)), [f"{what}\nby {against}" for what, against in labels])
        axes.invert_yaxis()
        axes.set_xlim(0, min(_WIDEST, 1.1 * max(row.figure.high for row in rows)))
        axes.set_xlabel(
            "ours / theirs: speed, more is better; for build and open it is time, less is better"
        )
        axes.set_title(caption, loc="left", fontsize=9)
        axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 1))
        figure.savefig(path, dpi=150)
