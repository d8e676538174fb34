"""What `bmgd demo` shows: counts beside the paper's, a batch, a picture, and how to go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

import bmgd_data
from bmgd_data import facts
from bmgd_data.errors import StorageError
from bmgd_data.plot import captions, montage

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.reader import Reader

COUNTS: Final = (
    *("stiffness", ">images", ">nuclei", ">per image"),
    *(">paper: images", ">paper: nuclei", ">paper: per image"),
)
_BATCH: Final = 8


def counts(reader: Reader) -> list[list[str]]:
    """A row per stiffness for `COUNTS`, and one that sums up."""
    stiffness, nuclei = reader.stiffness_pa, reader.n_nuclei
    pairs = [(c.name, nuclei[stiffness == c.pa], c.images, c.nuclei) for c in reader.conditions]
    pairs.append(("all", nuclei, sum(p[2] for p in pairs), sum(p[3] for p in pairs)))
    return [
        [name, *_counted(len(ours), int(ours.sum())), *_counted(images, theirs)]
        for name, ours, images, theirs in pairs
    ]


def _counted(images: int, nuclei: int) -> list[str]:
    return [str(images), str(nuclei), f"{nuclei / max(images, 1):.2f}"]


def batch(reader: Reader) -> list[str]:
    """Read the first samples of a split as arrays, and tell what came."""
    arrays = {
        "images": reader.images[:_BATCH],
        "masks": reader.masks[:_BATCH],
        "instances": reader.instances[:_BATCH],
    }
    return [
        f"{name:<10}{array.shape} {array.dtype}, {int(array.min())} to {int(array.max())}"
        for name, array in arrays.items()
    ]


def draw(reader: Reader, path: Path) -> None:
    """Write a montage with one image of each stiffness: that with the median number of nuclei.

    Raises:
        StorageError: It cannot be written.
    """
    chosen = []
    for condition in reader.conditions:
        rows = np.flatnonzero(reader.stiffness_pa == condition.pa)
        ranked = rows[np.argsort(reader.n_nuclei[rows], kind="stable")]
        chosen += [reader[int(row)] for row in ranked[len(ranked) // 2 :][:1]]
    picture = montage(chosen, **captions(reader))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    except OSError as error:
        raise StorageError(
            f"Cannot write {path} ({error.strerror or error}). Name another file with --out."
        ) from error


def next_lines(reader: Reader, *, root_given: bool) -> list[str]:
    """Three lines of Python to go on with, for torch where it is installed."""
    name = "BMGD" if "BMGD" in bmgd_data.__all__ else "Reader"
    arguments = ['"train"']
    if len(reader.conditions) < len(facts.CONDITIONS):
        arguments.append(f"stiffness={[condition.pa for condition in reader.conditions]}")
    if reader.source.kind != "upstream":
        arguments.append(f"source={json.dumps(reader.source.public)}")
    if reader.instance_method != "components":
        arguments.append(f'instances="{reader.instance_method}"')
    if root_given:
        arguments.append(f"root={json.dumps(str(reader.root))}")
    return [
        f"from bmgd_data import {name}",
        f"train = {name}({', '.join(arguments)})",
        'print(train, train[0]["image"].shape, train[0]["n_nuclei"], sep="\\n")',
    ]
