"""The commands that show what BMGD is: `bmgd demo` on generated data, `bmgd info` without data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer import Option

import bmgd_data
from bmgd_data import facts
from bmgd_data.cli.console import say, show, writing
from bmgd_data.cli.options import READER, takes, writable

if TYPE_CHECKING:
    from bmgd_data.reader import Reader

_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_BATCH: Final = 8
_COUNTED: Final = ("stiffness", ">images", ">nuclei by {}", ">per image")
_PAPER: Final = (">paper: images", ">paper: nuclei", ">paper: per image")


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
    method = reader.instance_method
    say(f"{len(reader)} images, from archives to samples ({captions(reader)['note']}).")
    titles = [title.format(method) for title in _COUNTED + _PAPER]
    show(titles, counts(reader), total=True)
    say(f"Nuclei: in the masks, told apart by {method} (--instances); in the paper, by hand.")
    say("\nA batch of the train split:")
    for name in ("images", "masks", "instances"):
        array = getattr(train, name)[:_BATCH]
        say(f"  {name:<10}{array.shape} {array.dtype}, {int(array.min())} to {int(array.max())}")
    draw(reader, out)
    say(f"\nPicture: {out}\nData: {reader.root}\n\nGo on in Python with\n")
    for line in next_lines(reader, data):
        say(f"  {line}")


def counts(reader: Reader) -> list[list[str]]:
    """A row for each stiffness, with the paper's counts, and a row of totals."""
    stiffness, nuclei = reader.stiffness_pa, reader.n_nuclei
    pairs = [(c.name, nuclei[stiffness == c.pa], c.images, c.nuclei) for c in reader.conditions]
    pairs.append(("all", nuclei, sum(p[2] for p in pairs), sum(p[3] for p in pairs)))
    return [
        [name, *_counted(len(ours), int(ours.sum())), *_counted(images, theirs)]
        for name, ours, images, theirs in pairs
    ]


def _counted(images: int, nuclei: int) -> list[str]:
    return [str(images), str(nuclei), f"{nuclei / max(images, 1):.2f}"]


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

    rows = [[c.name, c.archive, *_counted(c.images, c.nuclei)] for c in facts.CONDITIONS]
    rows.append(["all", "", *_counted(facts.IMAGES, facts.NUCLEI)])
    show(("stiffness", "archive", ">images", ">nuclei", ">nuclei/image"), rows, total=True)
    sizes = ", ".join(f"{size} {name}" for name, size in facts.SPLIT_SIZES.items())
    say(f"The paper's split: {sizes}; which image is where is not published.\n")

    say("The paper's baselines: U-Nets with these encoders, scores in percent.")
    show(
        ("encoder", ">F1", ">IoU", ">validation loss"),
        [[b.encoder, f"{b.f1:.2f}", f"{b.iou:.2f}", f"{b.val_loss:.5f}"] for b in facts.BASELINES],
    )
    say(
        "Loss, optimiser, schedule, batch size and epochs are not published, nor whether the "
        "scores are of validation or test; so the losses cannot be compared with others.\n"
    )
    say(f"Cite: {facts.CITATION} BibTeX: `bmgd info --bibtex`.")
    say(f"Data: {facts.REPOSITORY}")
    say(f"Authors' code: {facts.AUTHORS_CODE}")
    say(f"Licence of the data: {facts.DATA_LICENSE}.")
    say(f"Licence of this package's code: {facts.CODE_LICENSE}.")
