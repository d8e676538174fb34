"""Hugging Face imagefolder: PNG files, and a metadata.jsonl that makes columns of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bmgd_data.export.pictures import Layout, write_one

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.parts import Part

LAYOUT: Final[Layout] = {
    "image": "images/{stem}.png",
    "mask": "masks/{stem}.png",
    "instances": "instances/{stem}.png",
}
_COLUMNS: Final = {
    "image": "file_name",
    "mask": "mask_file_name",
    "instances": "instances_file_name",
}
_FACTS: Final = ("name", "stiffness_pa", "n_nuclei", "pixel_size_um")


def write(part: Part, folder: Path) -> list[str]:
    """Write 16-bit images and instance masks, 1-bit masks, and ``metadata.jsonl``.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    files = []
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for entry in part:
            written = write_one(entry, folder, LAYOUT)
            row = {_COLUMNS[key]: file for key, file in written.items()}
            row |= {key: entry.record[key] for key in _FACTS}
            metadata.write(json.dumps(row, ensure_ascii=False) + "\n")
            files.append(written["image"])
    return files
