"""The commands that measure: `bmgd evaluate`, `bmgd nuclei`, `bmgd report`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from rich.filesize import decimal as size
from typer import Argument, BadParameter, Exit, Option

from bmgd_data import facts
from bmgd_data._tables import Grid
from bmgd_data.cli import console
from bmgd_data.cli.console import say
from bmgd_data.cli.options import READER, VIEW, NewFile, opened, takes, writable

_COLUMNS: Final = (
    *("stiffness", ">groups", ">images", ">nuclei"),
    *(">median area, um2", ">quartiles", ">95 % interval"),
)


class _Reading(StrEnum):
    mask = "mask"
    labels = "labels"
    probability = "probability"


def _table_file(path: Path) -> Path:
    """A callback that refuses, before all is measured, what is no file of a table."""
    from bmgd_data.nuclei import files  # imports numpy

    if path.is_dir():
        raise BadParameter(f"{path} is a folder. Name a file, such as {path / 'nuclei.csv'}.")
    try:
        files.ready(path)
    except ValueError as error:
        raise BadParameter(str(error)) from error
    writable(path)
    return path


@takes("split", *READER, *VIEW, split="test")
def evaluate(
    folder: Annotated[
        Path,
        Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Folder of predictions: <sample name>.tif, .png, .npy, .zip (ImageJ ROIs) or "
            ".geojson (QuPath), such as 1200Pa/<stem>.tif, or named as `bmgd export` and then "
            "Cellpose, StarDist or ilastik name them: binary masks, instance labels, or TIFF of "
            "probabilities.",
        ),
    ],
    *,
    reading: Annotated[
        _Reading | None,
        Option("--as", help="What the predictions are, if it is not seen in them."),
    ] = None,
    json_file: Annotated[
        Path | None,
        NewFile(
            "--json",
            help="Also write the scores to this file, with what is needed to check them: digests "
            "of data and predictions, scheme, split. - prints it instead.",
        ),
    ] = None,
    data: dict[str, Any],
) -> None:
    """Score predictions: pixels and nuclei, overall and by stiffness.

    The exit code is 1 if the predictions may not be what they seem; a note says why.
    """
    from bmgd_data.metrics import Evaluator

    evaluator = Evaluator(opened(**data), reading=reading and reading.value)
    evaluator.add_folder(folder)
    if json_file != Path("-"):
        console.show(evaluator.table().grid())
    if json_file:
        console.write(json_file, json.dumps(evaluator.to_dict(), indent=1) + "\n")
    if evaluator.doubts:
        raise Exit(1)


@takes("split", *READER, *VIEW, instances="watershed")
def nuclei(
    *,
    out: Annotated[
        Path,
        NewFile(
            help="The file to write: .csv (commas), .tsv (tabs), .xlsx (a workbook) or .parquet.",
            callback=_table_file,
        ),
    ] = Path("nuclei.csv"),
    pixel_size: Annotated[
        float, Option(metavar="UM", min=0.001, help="Width and height of a pixel in micrometres.")
    ] = facts.PIXEL_SIZE_UM,
    exclude_border: Annotated[
        bool,
        Option("--exclude-border", help="Leave out nuclei that touch the border of their image."),
    ] = False,
    data: dict[str, Any],
) -> None:
    """Measure every nucleus; write one row for each: area, shape, brightness, neighbours."""
    from bmgd_data import nuclei as measuring

    table = measuring.nuclei(
        opened(**data), pixel_size_um=pixel_size, exclude_border=exclude_border
    )
    table.save(out)
    ends = table.intervals("area_um2")
    rows = []
    for row in table.summary("area_um2"):
        interval = "too few groups"
        if row.stiffness_pa in ends:
            interval = "{:.1f} to {:.1f}".format(*ends[row.stiffness_pa])
        rows.append(
            [
                f"{row.stiffness_pa} Pa",
                *map(str, (row.groups, row.images, row.nuclei)),
                f"{row.median:.1f}",
                f"{row.lower_quartile:.1f} to {row.upper_quartile:.1f}",
                interval,
            ]
        )
    console.show(Grid(_COLUMNS, rows))
    say("95 % interval: of the median, from groups drawn with replacement.")
    for note in table.notes:
        say(note)
    say(f"\nWritten to {out}: {len(table)} rows, {len(table.columns)} columns.")


@takes(*READER, instances="watershed")
def report(
    *,
    out: Annotated[Path, NewFile(help="The HTML file to write.")] = Path("report.html"),
    data: dict[str, Any],
) -> None:
    """Write a page that shows the data, and whether masks and images belong together."""
    from bmgd_data.report import write

    write(opened(**data), out)
    say(f"Written to {out}: {size(out.stat().st_size)}, with all pictures. Open it in a browser.")
