"""`bmgd leaks`: groups of look-alike images, and how many of them each scheme separates."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bmgd_data import __version__
from bmgd_data._card import provenance
from bmgd_data.cli.console import remark, show, write
from bmgd_data.cli.options import READER, NewFile, takes

if TYPE_CHECKING:
    from bmgd_data.reader import Reader


@takes(*(name for name in READER if name != "instances"))
def leaks(
    *,
    json_file: Annotated[
        Path | None,
        NewFile("--json", help="Also write all of it to this file. - prints it instead."),
    ] = None,
    csv_file: Annotated[
        Path | None,
        NewFile(
            "--csv",
            help="Also write name, group and split of each image under --scheme, to publish the "
            "membership; as a scheme, the file's groups are kept whole. - prints it instead.",
        ),
    ] = None,
    data: dict[str, Any],
) -> None:
    """Show which images look alike or are copies, and how many each scheme puts on both sides.

    The tables have every scheme, and the groups of --scheme if it has known ones.
    """
    from bmgd_data.leaks import measure
    from bmgd_data.reader import Reader

    reader = Reader("all", **data)
    measured = measure(reader)
    if Path("-") not in (json_file, csv_file):
        for grid in measured.grids():
            show(grid)
        for text in measured.remarks():
            remark(text, "warning")
    if json_file:
        about = {"bmgd_data": __version__, "data": provenance(reader)}
        write(json_file, json.dumps({**about, **measured.to_dict()}, indent=1) + "\n")
    if csv_file:
        write(csv_file, membership(reader))


def membership(reader: Reader) -> str:
    """Name, group and split of each image, as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("name", "group", "split"))
    table.writerows(zip(reader.names, reader.groups.tolist(), reader.splits, strict=True))
    return text.getvalue()
