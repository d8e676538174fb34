"""The commands that write what other frameworks and tools read: `bmgd tfds`, `bmgd export`."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from bmgd_data.cli.console import say
from bmgd_data.cli.options import (
    SPLIT_HELP,
    Download,
    Instances,
    Quiet,
    Root,
    Scheme,
    Source,
    Stiffness,
    valid_config,
    valid_split,
)
from bmgd_data.conditions import parse_stiffness
from bmgd_data.splits import SPLITS


class Format(StrEnum):
    """Of `bmgd export`; ``bmgd_data.export.FORMATS`` says what each holds."""

    TIFF = "tiff"
    CELLPOSE = "cellpose"
    FOLDERS = "folders"
    ROIS = "rois"
    COCO = "coco"
    IMAGEFOLDER = "imagefolder"
    WEBDATASET = "webdataset"
    PARQUET = "parquet"


class Records(StrEnum):
    """Of `bmgd tfds`."""

    TFRECORD = "tfrecord"
    ARRAY_RECORD = "array_record"


def export(
    form: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            help="tiff (as upstream), cellpose, folders (StarDist and others), rois (ImageJ and "
            "Fiji), coco, imagefolder (Hugging Face), webdataset or parquet (with Croissant).",
        ),
    ],
    dest: Annotated[Path, typer.Argument(help="The folder to be made.")],
    *,
    split: Annotated[
        str | None,
        typer.Option(
            callback=valid_split,
            help=f"{SPLIT_HELP} Default: the first three, each in a folder of its own; for tiff "
            "and rois, all in one.",
        ),
    ] = None,
    stiffness: Stiffness = None,
    root: Root = None,
    source: Source = None,
    download: Download = True,
    scheme: Scheme = "random",
    instances: Instances = "components",
    _quiet: Quiet = False,
) -> None:
    """Write the samples as folders that other tools read."""
    from bmgd_data import export as exports
    from bmgd_data.reader import Reader

    read = partial(
        Reader,
        stiffness=stiffness,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
    )
    layout = exports.FORMATS[form.value]
    if split or not layout.divided:
        readers: Reader | dict[str, Reader] = read(split or "all")
    else:  # whole groups may leave a split empty, which the Reader says
        readers = {name: reader for name in SPLITS if (reader := read(name))}
    made = exports.export(readers, form.value, dest)
    say(f"Written to {made}: {layout.layout}.")
    say("index.csv there tells which file is which sample.")
    if instances == "components":
        say("Nuclei are told apart by components: --instances watershed separates touching ones.")


def tfds(
    *,
    stiffness: Annotated[
        str,
        typer.Option(
            callback=valid_config, help='The config: "all", or one stiffness as elsewhere.'
        ),
    ] = "all",
    data_dir: Annotated[
        Path | None, typer.Option(help="TFDS's folder. Default: as tfds.load takes it.")
    ] = None,
    form: Annotated[
        Records,
        typer.Option("--format", help="tfrecord for tfds.load, array_record for tfds.data_source."),
    ] = Records.TFRECORD,
    root: Root = None,
    source: Source = None,
    download: Download = True,
    scheme: Scheme = "random",
    instances: Instances = "components",
    _quiet: Quiet = False,
) -> None:
    """Write records for TensorFlow Datasets, which loads them without this package's import."""
    from bmgd_data.tfds import prepare

    folder = prepare(
        stiffness,
        data_dir=data_dir,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
        file_format=form.value,
    )
    verb = "load" if form is Records.TFRECORD else "data_source"
    config = "" if stiffness == "all" else f"/{parse_stiffness(stiffness)[0].name}"
    say("Written. In any process now:\n\n  import tensorflow_datasets as tfds")
    say(f'  tfds.{verb}("bmgd{config}", split="train", data_dir="{folder}")')
