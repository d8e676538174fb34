"""The commands that measure: `bmgd evaluate`, `bmgd nuclei`, `bmgd report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.filesize import decimal as size

from bmgd_data import facts
from bmgd_data.cli import console
from bmgd_data.cli.console import say
from bmgd_data.cli.options import READER, NewFile, takes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS: Final = (
    *("stiffness", ">groups", ">images", ">nuclei"),
    *(">median area, um2", ">quartiles", ">95 % by chance"),
)
_FEW: Final = 5
"""Of fewer groups, samples drawn with replacement tell nothing."""


@takes("split", *READER, split="test")
def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Holds the predictions as <sample name>.tif, .tiff or .png, such as "
            "1200Pa/<stem>.tif, or named as `bmgd export` and then Cellpose, StarDist or ilastik "
            "name them: binary masks, instance labels, or TIFF of probabilities.",
        ),
    ],
    *,
    json_file: Annotated[
        Path | None,
        NewFile(
            "--json",
            help="Also write the scores there, with what makes them checkable: digests of data and "
            "predictions, scheme, split. - prints it instead.",
        ),
    ] = None,
    data: dict[str, Any],
) -> None:
    """Score predictions: pixels and nuclei, overall and by stiffness."""
    from bmgd_data.metrics import Evaluator

    evaluator = Evaluator(**data)
    evaluator.add_folder(folder)
    if json_file != Path("-"):
        table = evaluator.table()
        console.show(*table.cells())
        for note in table.notes:
            say(note)
    if json_file:
        console.write(json_file, json.dumps(evaluator.to_dict(), indent=1) + "\n")


@takes("split", *READER, instances="watershed")
def nuclei(
    *,
    out: Annotated[
        Path,
        NewFile(
            help="The file to be written: comma-separated values.",
        ),
    ] = Path("nuclei.csv"),
    pixel_size: Annotated[
        float,
        typer.Option(metavar="UM", min=0.001, help="Width and height of a pixel in micrometres."),
    ] = facts.PIXEL_SIZE_UM,
    data: dict[str, Any],
) -> None:
    """Measure every nucleus and write one row each: area, shape, brightness, neighbours."""
    from bmgd_data import nuclei as measuring
    from bmgd_data.reader import Reader

    table = measuring.nuclei(Reader(**data), pixel_size_um=pixel_size)
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


@takes(*READER, instances="watershed")
def report(
    *,
    out: Annotated[
        Path,
        NewFile(help="The HTML file to be written."),
    ] = Path("report.html"),
    data: dict[str, Any],
) -> None:
    """Write one page that shows what the data is and whether masks and images belong together."""
    from bmgd_data.reader import Reader
    from bmgd_data.report import write

    write(Reader("all", **data), out)
    in_bytes = size(out.stat().st_size)
    say(f"Written to {out}: {in_bytes}, with all its pictures. Open it in a browser.")


def _interval(medians: NDArray[np.float64]) -> str:
    from numpy import quantile

    low, high = quantile(medians, [0.025, 0.975])
    return f"{low:.1f} to {high:.1f}"
