"""The commands that write data for other frameworks and tools: `bmgd tfds`, `bmgd export`."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer import Argument, Option
from typer.core import TyperCommand

from bmgd_data.cli.console import say
from bmgd_data.cli.options import (
    READER,
    VIEW,
    one_of,
    opened,
    said,
    split_names,
    takes,
    valid_config,
    valid_split,
)
from bmgd_data.facts import parse_stiffness
from bmgd_data.splits import SPLITS

if TYPE_CHECKING:
    from bmgd_data.reader import Reader

_TOUCHING: Final = ": --instances watershed separates touching ones"


def _formats() -> list[str]:
    from bmgd_data.export import FORMATS  # takes long to import

    return list(FORMATS)


class FormatsBelow(TyperCommand):
    """Its help ends with the table of formats, which only the help needs to import."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """List the formats."""
        from bmgd_data.export import FORMATS

        together = " (all in one folder)"
        with formatter.section("Formats"):
            formatter.write_dl(
                [(name, f.about + together * (not f.divided)) for name, f in FORMATS.items()]
            )
        super().format_epilog(ctx, formatter)


def _new(dest: Path) -> Path:
    if os.path.lexists(dest):
        raise typer.BadParameter(f"{dest} exists already. Name a folder that is not there yet.")
    return dest


@takes("split", *READER, *VIEW)
def export(
    form: Annotated[
        str,
        Argument(metavar="FORMAT", **one_of(_formats), help="One of those below."),
    ],
    dest: Annotated[Path, Argument(metavar="DEST", callback=_new, help="The folder to make.")],
    *,
    split: Annotated[
        str | None,
        Option(
            metavar="SPLIT",
            callback=valid_split,
            autocompletion=split_names,
            help=f"{said('split')} Default: the first three, each in a folder of its own; all in "
            "one where the format says so.",
        ),
    ] = None,
    data: dict[str, Any],
) -> None:
    """Write the samples as folders that other tools read."""
    from bmgd_data import export as exports

    layout = exports.FORMATS[form]
    whole = opened(**data)
    if split or not layout.divided:
        readers: Reader | dict[str, Reader] = whole.subset(split or "all")
    else:  # whole groups may leave a split empty
        readers = {name: reader for name in SPLITS if (reader := whole.subset(name))}
    made = exports.export(readers, form, dest)
    say(f"Written to {made}: {layout.layout}.")
    say("index.csv lists the sample of each file.")
    method = data["instances"]
    say(f"Nuclei are told apart by {method}" + _TOUCHING * (method == "components") + ".")


@takes(*READER)
def tfds(
    *,
    stiffness: Annotated[
        str,
        Option(
            metavar="PASCAL",
            callback=valid_config,
            help='The config: "all", or one stiffness as elsewhere.',
        ),
    ] = "all",
    data_dir: Annotated[
        Path | None,
        Option(
            metavar="FOLDER", help="Folder that TFDS keeps data in. Default: that of tfds.load."
        ),
    ] = None,
    form: Annotated[
        str,
        Option(
            "--format",
            metavar="FORMAT",
            **one_of(lambda: ["tfrecord", "array_record"]),
            help="tfrecord for tfds.load, array_record for tfds.data_source.",
        ),
    ] = "tfrecord",
    data: dict[str, Any],
) -> None:
    """Write records for TensorFlow Datasets, which loads them without importing this package."""
    from bmgd_data.tfds import prepare

    new = data_dir is not None and not data_dir.exists()
    folder = prepare(stiffness, data_dir=data_dir, file_format=form, **data)
    verb = "load" if form == "tfrecord" else "data_source"
    config = "" if stiffness == "all" else f"/{parse_stiffness(stiffness)[0].name}"
    place = f"the new folder {folder}" if new else folder
    say(f"Written to {place}. Load it in any process with\n\n  import tensorflow_datasets as tfds")
    say(f'  tfds.{verb}("bmgd{config}", split="train", data_dir="{folder}")')
