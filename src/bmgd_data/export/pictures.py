"""Formats that are image files in folders: a table says which file holds what."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import facts
from bmgd_data._system import image_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.export.parts import Entry, Part

Layout = dict[str, str]
"""Path by key of the sample, or "picture"; the suffix chooses the encoder.

A picture is the image in 8 bits (`in_8_bits`). ``{stem}`` is the file name without suffix,
``{condition}`` upstream's name of the stiffness, ``{below}`` what follows the first slash of the
stem.
"""

UPSTREAM: Final[Layout] = {
    "image": "{condition}/image/{below}.tif",
    "mask": "{condition}/mask/{below}.tif",
    "instances": "{condition}/instances/{below}.tif",
}
CELLPOSE: Final[Layout] = {"image": "{stem}_img.tif", "instances": "{stem}_masks.tif"}
FOLDERS: Final[Layout] = {
    "image": "images/{stem}.tif",
    "instances": "masks/{stem}.tif",  # what StarDist's notebooks read as label images
    "mask": "foreground/{stem}.tif",
}

IMAGEFOLDER: Final[Layout] = {
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
"""Of Hugging Face's metadata.jsonl, which makes columns of the files."""

_CONDITION_FOLDERS: Final = {c.pa: c.folder for c in facts.CONDITIONS}


def write(part: Part, folder: Path, layout: Layout) -> list[str]:
    """Write every sample as the layout says.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    return [write_one(entry, folder, layout)["image"] for entry in part]


upstream = partial(write, layout=UPSTREAM)
cellpose = partial(write, layout=CELLPOSE)
folders = partial(write, layout=FOLDERS)


def imagefolder(part: Part, folder: Path) -> list[str]:
    """Write 8- and 16-bit images, 16-bit instance masks, 1-bit masks, and ``metadata.jsonl``.

    Returns:
        The 8-bit image file of each sample, relative to `folder`.
    """
    files = []
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for entry in part:
            written = write_one(entry, folder, IMAGEFOLDER)
            row = {_COLUMNS[key]: file for key, file in written.items()} | entry.record
            metadata.write(json.dumps(row, ensure_ascii=False) + "\n")
            files.append(written["picture"])
    return files


def write_one(entry: Entry, folder: Path, layout: Layout) -> dict[str, str]:
    """Write one sample.

    Returns:
        The file of each key of the layout, relative to `folder`.
    """
    fields = {
        "stem": entry.stem,
        "below": entry.stem.partition("/")[2],
        "condition": _CONDITION_FOLDERS[entry.sample["stiffness_pa"]],
    }
    arrays: dict[str, Any] = dict(entry.sample)
    if "picture" in layout:
        arrays["picture"] = in_8_bits(arrays["image"], entry.white)
    files = {key: path.format(**fields) for key, path in layout.items()}
    for key, file in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            path.write_bytes(image_files.encode_png(arrays[key]))
        else:
            path.write_bytes(
                image_files.encode_tiff(arrays[key], facts.PIXEL_SIZE_UM, _info(entry))
            )
    return files


def in_8_bits(image: NDArray[np.uint16], white: int) -> NDArray[np.uint8]:
    """Grey values as 8 bits on a scale that does not depend on the image: 0 is 0, `white` is 255.

    With 16 bits, Pillow's ``convert("RGB")`` clips nuclei to white, and OpenCV's default divides by
    256, so that the image is black.
    """
    return np.rint(np.minimum(image, white) * (255 / white)).astype(np.uint8)


def _info(entry: Entry) -> str:
    facts_of_it = {**entry.record, "licence": facts.DATA_LICENSE, "cite": facts.CITATION}
    return "\n".join(f"{key}: {value}" for key, value in facts_of_it.items())
