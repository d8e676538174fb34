"""The commands that show what BMGD is: `bmgd demo` on generated data, `bmgd info` without data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer import Option

import bmgd_data
from bmgd_data import facts
from bmgd_data._card import counts, paper
from bmgd_data._tables import Grid
from bmgd_data.cli.console import say, show, writing
from bmgd_data.cli.options import READER, takes, writable

if TYPE_CHECKING:
    from bmgd_data.reader import Reader

_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_BATCH: Final = 8


def _picture(path: Path) -> Path | None:
    if path.suffix.lower() not in _ENDINGS:
        raise typer.BadParameter(f"{path} should end in {', '.join(_ENDINGS)}.")
    return writable(path)


@takes(*READER, source="phantom")
def demo(
    *,
    out: Annotated[
        Path,
        Option(metavar="FILE", callback=_picture, help="The picture to write: PNG, JPEG or TIFF."),
    ] = Path("bmgd-demo.png"),
    data: dict[str, Any],
) -> None:
    """Take generated data through the whole pipeline and draw it; no network is needed.

    "--source phantom:full" generates as many images as the paper counts.
    """
    from bmgd_data.plot import captions
    from bmgd_data.reader import Reader

    reader, train = Reader("all", **data), Reader("train", **data)
    say(f"{len(reader)} images, from archives to samples ({captions(reader)['note']}).")
    show(counts(reader), total=len(reader.conditions) > 1)
    say("\nA batch of the train split:")
    for name in ("images", "masks", "instances"):
        array = getattr(train, name)[:_BATCH]
        say(f"  {name:<10}{array.shape} {array.dtype}, {int(array.min())} to {int(array.max())}")
    draw(reader, out)
    say(f"\nPicture: {out}\nData: {reader.root}\n\nGo on in Python with\n")
    for line in next_lines(reader, data):
        say(f"  {line}")


def draw(reader: Reader, path: Path) -> None:
    """Write a montage with one image of each stiffness: the one with the median count of nuclei."""
    import numpy as np
    from PIL import Image

    from bmgd_data.plot import captions, montage

    chosen = []
    for condition in reader.conditions:
        rows = np.flatnonzero(reader.stiffness_pa == condition.pa)
        ranked = rows[np.argsort(reader.n_nuclei[rows], kind="stable")]
        chosen += [reader[int(row)] for row in ranked[len(ranked) // 2 :][:1]]
    picture = montage(chosen, **captions(reader))
    with writing(path):
        Image.fromarray(picture).save(path)


def next_lines(reader: Reader, data: dict[str, Any]) -> list[str]:
    """Lines of Python that read the same samples, for torch if it is installed."""
    name = "BMGD" if "BMGD" in bmgd_data.__all__ else "Reader"
    given: dict[str, Any] = {}
    if len(reader.conditions) < len(facts.CONDITIONS):
        given["stiffness"] = [condition.pa for condition in reader.conditions]
    if reader.source.kind != "upstream":
        given["source"] = reader.source.public
    if data["root"] is not None:
        given["root"] = str(reader.root)
    if data["scheme"] != "random":
        given["scheme"] = data["scheme"]
    given["instances"] = reader.instance_method
    arguments = "".join(f", {key}={json.dumps(value)}" for key, value in given.items())
    return [
        f"from bmgd_data import {name}",
        f'train = {name}("train"{arguments})',
        'print(train, train[0]["image"].shape, train[0]["n_nuclei"], sep="\\n")',
    ]


def info(
    bibtex: Annotated[bool, Option("--bibtex", help="Only the BibTeX entry.")] = False,
) -> None:
    """Show what the data set is, how to cite it, and the licences; needs no data."""
    if bibtex:
        say(facts.BIBTEX.rstrip())
        return
    say(f"{facts.NAME}, the {facts.LONG_NAME}\n")
    for title, text in facts.ACQUISITION.items():
        say(f"{title}: {text}")

    say(f"Archives: {', '.join(condition.archive for condition in facts.CONDITIONS)}")
    show(paper(), total=True)
    sizes = ", ".join(f"{size} {name}" for name, size in facts.SPLIT_SIZES.items())
    say(f"The paper's split: {sizes}; which image is where is not published.\n")

    say("The paper's baselines: U-Nets with these encoders, scores in percent.")
    scores = [
        [b.encoder, f"{b.f1:.2f}", f"{b.iou:.2f}", f"{b.val_loss:.5f}"] for b in facts.BASELINES
    ]
    show(Grid(("encoder", ">F1", ">IoU", ">validation loss"), scores))
    say(
        "Loss, optimiser, schedule, batch size and epochs are not published, nor whether the "
        "scores are of validation or test; so the losses cannot be compared with others.\n"
    )
    say(f"Cite: {facts.CITATION} BibTeX: `bmgd info --bibtex`.")
    say(f"Data: {facts.REPOSITORY}")
    say(f"Authors' code: {facts.AUTHORS_CODE}")
    say(f"Licence of the data: {facts.DATA_LICENSE}.")
    say(f"Licence of this package's code: {facts.CODE_LICENSE}.")
