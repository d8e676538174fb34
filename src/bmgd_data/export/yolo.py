"""YOLO segmentation: 8-bit pictures, a text file of polygons for each, and data.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from bmgd_data.export.outlines import inside_pixels, is_outer, outlines
from bmgd_data.export.pictures import write_one
from bmgd_data.splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.export.pictures import Part
    from bmgd_data.reader import Reader

_PICTURE: Final = {"picture": "images/{stem}.png"}


def write(part: Part, folder: Path) -> list[str]:
    """Write ``images/*.png`` and ``labels/*.txt``; an image without nuclei has an empty text.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    (folder / "labels").mkdir()
    files = []
    for entry in part:
        files.append(write_one(entry, folder, _PICTURE)["picture"])
        labels = entry.sample["instances"]
        size = labels.shape[::-1]
        lines = []
        for _, found in outlines(labels):
            outer = [inside_pixels(line) for line in found if is_outer(line)]
            shares = (_joined(outer) / size).ravel()
            lines.append(" ".join(["0", *(f"{share:.7f}" for share in shares)]) + "\n")
        path = folder / "labels" / f"{entry.stem}.txt"
        path.write_text("".join(lines), encoding="ascii", newline="\n")
    return files


def describe(readers: Mapping[str, Reader], folder: Path) -> None:
    """Write ``data.yaml``, whose folders are relative to its own."""
    lines = []
    for name, reader in readers.items():
        split = {"all": "train", "validation": "val"}.get(
            name or reader.split, name or reader.split
        )
        if split in SPLITS:  # ultralytics knows no others
            lines.append(f"{split}: {name}/images" if name else f"{split}: images")
    text = "\n".join([*lines, "names:", "  0: nucleus"]) + "\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8", newline="\n")


def _joined(pieces: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Several polygons as one, by lines there and back from the first point of the first one."""
    start = pieces[0][:1]
    path = [pieces[0]]
    for piece in pieces[1:]:
        path += [start, piece, piece[:1]]
    return np.concatenate([*path, start] if path[1:] else path)
