"""`bmgd leaks`: groups of look-alike images, and how many of them each scheme separates."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from bmgd_data import __version__
from bmgd_data._card import provenance
from bmgd_data.cli.console import remark, say, show, write
from bmgd_data.cli.options import READER, NewFile, takes

if TYPE_CHECKING:
    from bmgd_data.leaks import Leaks
    from bmgd_data.reader import Reader

_GROUPS: Final = (
    *("stiffness", ">images", ">groups", ">largest", "evidence"),
    *(">likeness inside", ">between"),
)
_KINDS: Final = ("stiffness", "kind", ">pairs", ">likeness", "the most alike")
_SCHEMES: Final = (
    *("scheme", ">train", ">val", ">test", ">val look-alikes", ">test look-alikes"),
    *(">across stiffnesses", ">F1 of copying, %"),
)
NOTES: Final = """\
Look-alikes: images of the split that look like one of train, of the same stiffness.
Across stiffnesses: images of val and test that look like one of train, of another stiffness.
F1 of copying: test score of a "model" that copies the mask of the most similar train image."""


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
        show(_GROUPS, _groups(measured))
        say("Likeness: median over pairs of images, 0 to 1. Evidence: what shows the groups.")
        if measured.pairs:
            show(_KINDS, _kinds(measured))
        show_schemes(measured)
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


def show_schemes(measured: Leaks) -> None:
    """Print how many look-alikes each scheme puts on both sides."""
    rows = [
        [
            each.scheme,
            *map(str, (each.train, each.val.images, each.test.images)),
            *(f"{part.within} of {part.images}" for part in (each.val, each.test)),
            str(each.val.across + each.test.across),
            "-" if each.copied_f1 is None else f"{100 * each.copied_f1:.1f}",
        ]
        for each in measured.schemes
    ]
    show(_SCHEMES, rows)
    say(NOTES)


def _groups(measured: Leaks) -> list[list[str]]:
    return [
        [
            each.stiffness,
            *map(str, (each.images, len(each.sizes), each.sizes[0] if each.sizes else 0)),
            f"{each.evidence} {each.pattern}".strip(),
            *("-" if value is None else f"{value:.2f}" for value in (each.inside, each.between)),
        ]
        for each in measured.stiffnesses
    ]


def _kinds(measured: Leaks) -> list[list[str]]:
    return [
        [
            pair.stiffness,
            pair.kind,
            str(count),
            f"{pair.likeness:.2f}",
            " and ".join(name.split("/", 1)[-1] for name in (pair.one, pair.other)),
        ]
        for count, pair in measured.kinds()
    ]
