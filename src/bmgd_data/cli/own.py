"""The command for images of one's own: `bmgd segment`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated, Any

import typer
from typer import Argument, Option

from bmgd_data.cli import console
from bmgd_data.cli.options import one_of, takes


def _methods() -> list[str]:
    from bmgd_data import own  # imports numpy

    return list(own.METHODS)


@takes()
def segment(
    files: Annotated[
        list[Path], Argument(metavar="FILES", help="TIFF or Zeiss .lsm files, or folders of them.")
    ],
    *,
    out: Annotated[Path, Option(metavar="FOLDER", help="Folder for what is written.")],
    channel: Annotated[
        int | None,
        Option(metavar="N", min=0, help="Channel of the nuclei, from 0; needed if there are more."),
    ] = None,
    pixel_size: Annotated[
        float | None,
        Option(
            metavar="UM",
            min=0.001,
            help="Width and height of a pixel in micrometres. Default: what the file says.",
        ),
    ] = None,
    diameter: Annotated[
        float | None,
        Option(
            metavar="D",
            min=0.001,
            help="Usual diameter of a nucleus, in micrometres if the size "
            "of a pixel is known, else in pixels. Default: estimated from each plane.",
        ),
    ] = None,
    instances: Annotated[
        str,
        Option(
            metavar="METHOD",
            **one_of(_methods),
            help='"watershed" separates touching nuclei, "components" does not.',
        ),
    ] = "watershed",
    rois: Annotated[
        bool, Option("--rois", help="Also write outlines for ImageJ and Fiji; needs roifile.")
    ] = False,
    jobs: Annotated[
        int, Option("--jobs", "-j", metavar="N", min=1, help="Images at a time, each in a process.")
    ] = 1,
    scheduler: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="Work on dask.distributed workers: tcp://HOST:8786, or "
            '"local". They need the same paths.',
        ),
    ] = None,
    part: Annotated[
        str,
        Option(
            metavar="I/N",
            help="Only the I-th of N shares of the images, as in a job array: 1/8 to 8/8.",
        ),
    ] = "1/1",
    resume: Annotated[
        bool,
        Option("--resume", help="Leave out images that the same settings have been applied to."),
    ] = False,
    data: dict[str, Any],
) -> None:
    """Find the nuclei in images of your own, without a network: masks, tables, pictures.

    Each image gets a mask, an instance mask, a table with a row for each nucleus, and a picture.
    nuclei.csv and overview.html join those of all images.
    """
    from bmgd_data import own

    del data
    batch = own.Batch(own.Threshold(diameter, instances), out, channel, None, pixel_size, rois)
    if own.segment_files(
        files,
        batch,
        part=part,
        resume=resume,
        processes=jobs,
        scheduler=scheduler,
        say=console.say,
        complain=console.complain,
    ):
        raise typer.Exit(1)
