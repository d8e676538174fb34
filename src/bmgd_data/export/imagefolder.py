"""Hugging Face imagefolder: PNG files, and a metadata.jsonl that makes columns of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bmgd_data.export.pictures import Layout, write_one

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.parts import Part

LAYOUT: Final[Layout] = {
    "picture": "images/{stem}.png",
    "image": "images_16bit/{stem}.png",
    "mask": "masks/{stem}.png",
    "instances": "instances/{stem}.png",
}
_COLUMNS: Final = {
    "picture": "file_name",
    "image": "image_16bit_file_name",
    "mask": "mask_file_name",
    "instances": "instances_file_name",
}


def write(part: Part, folder: Path) -> list[str]:
    """Write 8- and 16-bit images, 16-bit instance masks, 1-bit masks, and ``metadata.jsonl``.

    Returns:
        The 8-bit image file of each sample, relative to `folder`.
    """
    files = []
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for entry in part:
            written = write_one(entry, folder, LAYOUT)
            row = {_COLUMNS[key]: file for key, file in written.items()}
            row |= entry.record
            metadata.write(json.dumps(row, ensure_ascii=False) + "\n")
            files.append(written["picture"])
    return files
