"""Formats that are image files in folders: a table says which file holds what."""

from __future__ import annotations

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

_CONDITION_FOLDERS: Final = {c.pa: c.archive.removesuffix(".7z") for c in facts.CONDITIONS}


def write(part: Part, folder: Path, layout: Layout) -> list[str]:
    """Write every sample as the layout says.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    return [write_one(entry, folder, layout)["image"] for entry in part]


upstream = partial(write, layout=UPSTREAM)
cellpose = partial(write, layout=CELLPOSE)
folders = partial(write, layout=FOLDERS)


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

    Of 16 bits, Pillow's ``convert("RGB")`` makes white nuclei, since it clips, and OpenCV's default
    a black image, since it divides by 256.
    """
    return np.rint(np.minimum(image, white) * (255 / white)).astype(np.uint8)


def _info(entry: Entry) -> str:
    facts_of_it = {**entry.record, "licence": facts.DATA_LICENSE, "cite": facts.CITATION}
    return "\n".join(f"{key}: {value}" for key, value in facts_of_it.items())
