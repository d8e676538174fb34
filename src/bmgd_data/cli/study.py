"""The commands for people who look at the data: `bmgd nuclei`, `bmgd report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bmgd_data import facts
from bmgd_data.cli import console
from bmgd_data.cli.console import say
from bmgd_data.cli.options import (  # noqa: TC001 - typer reads them
    Download,
    Instances,
    Quiet,
    Root,
    Scheme,
    Source,
    Split,
    Stiffness,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS: Final = (
    *("stiffness", ">groups", ">images", ">nuclei"),
    *(">median area, um2", ">quartiles", ">95 % by chance"),
)
_FEW: Final = 5
"""Of fewer groups, samples drawn with replacement tell nothing."""


def nuclei(  # noqa: PLR0917 - typer passes them by name
    out: Annotated[
        Path, typer.Option(help="The file to be written: comma-separated values.")
    ] = Path("nuclei.csv"),
    split: Split = "all",
    stiffness: Stiffness = None,
    root: Root = None,
    source: Source = None,
    download: Download = True,
    scheme: Scheme = "random",
    instances: Instances = "watershed",
    pixel_size: Annotated[
        float, typer.Option(min=1e-6, help="Width and height of a pixel in micrometres.")
    ] = facts.PIXEL_SIZE_UM,
    _quiet: Quiet = False,
) -> None:
    """Measure every nucleus and write one row each: area, shape, brightness, neighbours."""
    from bmgd_data import nuclei as measuring
    from bmgd_data.reader import Reader

    reader = Reader(
        split,
        stiffness,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
    )
    table = measuring.nuclei(reader, pixel_size_um=pixel_size)
    table.to_csv(out)
    draws = table.bootstrap("area_um2", "group")
    rows = [
        [
            f"{row.stiffness_pa} Pa",
            str(row.groups),
            str(row.images),
            str(row.nuclei),
            f"{row.median:.1f}",
            f"{row.lower_quartile:.1f} to {row.upper_quartile:.1f}",
            _interval(draws[row.stiffness_pa]) if row.groups >= _FEW else "too few groups",
        ]
        for row in table.summary("area_um2")
    ]
    console.show(_COLUMNS, rows)
    say("By chance: where the median lies in 95 % of samples of groups drawn with replacement.")
    for note in table.notes:
        say(note)
    say(f"\nWritten to {out}: {len(table)} rows, {len(table.columns)} columns.")


def report(  # noqa: PLR0917 - typer passes them by name
    out: Annotated[Path, typer.Option(help="The HTML file to be written.")] = Path("report.html"),
    stiffness: Stiffness = None,
    root: Root = None,
    source: Source = None,
    download: Download = True,
    scheme: Scheme = "random",
    instances: Instances = "watershed",
    _quiet: Quiet = False,
) -> None:
    """Write one page that shows what the data is and whether masks and images belong together."""
    from bmgd_data.reader import Reader
    from bmgd_data.report import write

    reader = Reader(
        "all",
        stiffness,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
    )
    write(reader, out)
    size = console.size(out.stat().st_size)
    say(f"Written to {out}: {size}, with all its pictures. Open it in a browser.")


def _interval(medians: NDArray[np.float64]) -> str:
    from numpy import quantile

    low, high = quantile(medians, [0.025, 0.975])
    return f"{low:.1f} to {high:.1f}"
