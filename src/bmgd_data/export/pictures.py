"""Formats that are image files in folders: a table says which file holds what."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import facts
from bmgd_data._system import image_files
from bmgd_data.export.names import safe_file_name

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.parts import Entry, Part

Layout = dict[str, str]
"""Path by key of the sample; the suffix chooses the encoder.

``{stem}`` is the file name without suffix, ``{condition}`` upstream's name of the stiffness, and
``{below}`` what follows the first slash of the stem.
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
    files = {key: path.format(**fields) for key, path in layout.items()}
    for key, file in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            path.write_bytes(image_files.png(arrays[key]))
        else:
            path.write_bytes(image_files.tiff(arrays[key], facts.PIXEL_SIZE_UM, _info(entry)))
    return files


def as_upstream(name: str) -> str:
    """The path of a sample with each of its parts made a valid file name, little else changed."""
    return "/".join(safe_file_name(part, loose=True) for part in PurePosixPath(name).parts)


def _info(entry: Entry) -> str:
    facts_of_it = {**entry.record, "licence": facts.DATA_LICENSE, "cite": facts.CITATION}
    return "\n".join(f"{key}: {value}" for key, value in facts_of_it.items())
