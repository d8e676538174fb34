"""One page that shows what the data is, and whether masks and images belong together.

    from bmgd_data import Reader
    from bmgd_data.report import write

    write(Reader("all", instances="watershed"), "report.html")

The page holds all its pictures, needs no network, and can be sent as one file. Writing it needs
matplotlib and Jinja2: ``pip install "bmgd-data[report]"``.
"""

from __future__ import annotations

import io
import re
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import __version__, _pipeline, facts, leaks, plot
from bmgd_data._card import counts
from bmgd_data._origin import trust
from bmgd_data._system import disk
from bmgd_data._system.progress import bar
from bmgd_data.errors import missing
from bmgd_data.nuclei import nuclei

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bmgd_data.nuclei import Table
    from bmgd_data.reader import Reader

__all__ = ["write"]

_WORST: Final = 12
_TILE_PX: Final = 112
_INK: Final = "#7f7e7d"
"""A colour that no chart has; the page replaces it by that of its text, light or dark."""


def write(reader: Reader, path: str | os.PathLike[str]) -> None:
    """Write the page about all samples of a reader's stiffnesses, whatever its split.

    Args:
        reader: Its instance method separates nuclei.
        path: The HTML file.

    Raises:
        MissingDependencyError: matplotlib or Jinja2 is not installed.
        StorageError: The file cannot be written.
    """
    text = _render(reader.whole)
    with disk.staged_file(Path(path)) as staged:
        staged.write_text(text, encoding="utf-8")


def _render(reader: Reader) -> str:
    try:
        import jinja2
        import matplotlib as mpl  # noqa: F401 - fails before minutes of work
    except ModuleNotFoundError as error:
        raise missing("A report", str(error.name), "report", error, instead="") from error
    source = resources.files(__name__).joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(_content(reader))


def _content(reader: Reader) -> dict[str, Any]:
    table = nuclei(reader)
    return {
        "version": __version__,
        "facts": facts,
        "reader": reader,
        "doubts": reader.doubts,
        "source": reader.source.label_for_others,
        "trust": _trust(reader),
        "counts": counts(reader),
        "charts": _charts(reader, table),
        "worst": _worst(reader),
        "extremes": _extremes(reader, table),
        "summary": table.summary("area_um2"),
        "table_notes": table.notes,
        "leaks": leaks.measure(reader),
        "tiles": _tiles(reader, table),
    }


def _trust(reader: Reader) -> list[tuple[str, str, str]]:
    """Stiffness, key and trust of each archive."""
    rows = []
    for condition in reader.conditions:
        origin = _pipeline.origin_of(_pipeline.Wanted(reader.root, reader.source, condition))
        key = reader.keys[condition.pa]
        word = origin.status(key)
        rows.append((f"{condition.pa} Pa", key, f"{word}: {trust.MEANING[word]}"))
    return rows


# ------------------------------------------------------------------------------------------ charts


def _charts(reader: Reader, table: Table) -> dict[str, dict[str, str]]:
    auc = reader.agreement["auc"]
    known = auc[~np.isnan(auc)]
    fits = f"{(known > 0.5).sum()} of {len(known)} images are above 0.5, which is chance."  # noqa: PLR2004
    full = ", ".join(f"{pa} Pa {scale}" for pa, scale in reader.full_scales.items())
    summary = table.summary("area_um2")
    medians = "; ".join(f"{row.stiffness_pa} Pa {row.median:.1f}" for row in summary)
    dots = "Every image is a dot; the table above has the means."
    drawn = (
        "95 % intervals, from groups drawn with replacement, and how narrow the same would be "
        "if images or nuclei were independent."
    )
    areas = f"Medians in square micrometres: {medians}."
    scales = f"Full scale: {full}."
    return {
        "agreement": _chart("Agreement of masks and images", fits, partial(plot.agreement, auc)),
        "per_image": _chart("Nuclei per image", dots, partial(plot.nuclei_per_image, reader)),
        "grey": _chart("Grey values by stiffness", scales, partial(plot.grey_values, reader)),
        "ecdf": _chart("Areas of nuclei by stiffness", areas, partial(plot.area_ecdf, table)),
        "intervals": _chart(
            "How far chance moves the medians", drawn, partial(plot.intervals, table)
        ),
    }


def _chart(title: str, text: str, draw: Callable[..., object]) -> dict[str, str]:
    """A chart as SVG with text, in the colour of the page's text, and the same bytes each time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    name = title.replace(" ", "-")
    style: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    )
    style |= {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 11}
    with mpl.rc_context(style):
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        draw(ax=figure.subplots())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = "<svg" + buffer.getvalue().partition("<svg")[2].replace(_INK, "currentColor")
    svg = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)  # unique in the page
    opening = r'<svg viewBox="\1" aria-hidden="true">'
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', opening, svg)
    return {"title": title, "text": text, "svg": svg}


# ---------------------------------------------------------------------------------------- pictures


def _worst(reader: Reader) -> list[tuple[str, str]]:
    """The pairs that fit least, as pictures with a caption."""
    found = reader.agreement
    margin = np.abs(found["own"]) - found["turned"]
    rows = [row for row in np.argsort(margin, kind="stable").tolist() if not np.isnan(margin[row])]
    pictures = []
    for row in rows[:_WORST]:
        sample = reader[row]
        alt = f"{sample['name']} with the outline of its mask"
        told = (
            f"{sample['name']}: {found['auc'][row]:.2f}; correlation {found['own'][row]:.2f}, "
            f"turned {found['turned'][row]:.2f}"
        )
        pictures.append((plot.as_html(plot.outlined(sample, 256), alt), told))
    return pictures


def _extremes(reader: Reader, table: Table) -> str:
    if not len(table):
        return ""
    alt = "The smallest and the largest nuclei with their outlines"
    return plot.as_html(np.asarray(plot.extremes(reader, table)), alt)


def _tiles(reader: Reader, table: Table) -> list[dict[str, Any]]:
    """All images, small, with their places in each order; equal ones are in the order of names."""
    auc, counts = reader.agreement["auc"], reader.n_nuclei
    by_image = np.split(table["area_um2"], np.cumsum(counts)[:-1])
    areas = np.array([np.median(each) if len(each) else np.nan for each in by_image])
    orders = {
        "name": np.arange(len(reader)),
        "agreement": _places(auc),
        "few": _places(counts),
        "many": _places(-counts),
        "small": _places(areas),
        "large": _places(-areas),
    }
    tiles = []
    with bar("drawing", len(reader)) as progress:
        for row, (sample, split) in enumerate(zip(reader, reader.splits, strict=True)):
            alt = f"{sample['name']}, nuclei outlined"
            tiles.append(
                {
                    "picture": plot.as_html(plot.outlined(sample, _TILE_PX), alt, quality=70),
                    "name": sample["name"],
                    "split": split,
                    "nuclei": sample["n_nuclei"],
                    "auc": _text(auc[row], 2),
                    "area": _text(areas[row], 1),
                    "order": {name: places[row] for name, places in orders.items()},
                }
            )
            progress(1)
    return tiles


def _places(values: NDArray[Any]) -> NDArray[np.intp]:
    """The place of each value when they are sorted; NaN come last."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def _text(value: float, digits: int) -> str:
    return "unknown" if np.isnan(value) else f"{value:.{digits}f}"
