"""COCO: images beside two JSON files, one with exact run-length masks and one with polygons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import facts
from bmgd_data.export.outlines import is_outer, outlines
from bmgd_data.export.pictures import Layout, write_one

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.export.parts import Entry, Part

LAYOUT: Final[Layout] = {
    "picture": "images/{stem}.png",
    "image": "images_16bit/{stem}.png",
}
CATEGORY: Final = {"id": 1, "name": "nucleus", "supercategory": "cell"}


def write(part: Part, folder: Path) -> list[str]:
    """Write 8- and 16-bit images, ``annotations_rle.json`` and ``annotations_polygons.json``.

    Returns:
        The 8-bit image file of each sample, relative to `folder`.
    """
    images: list[dict[str, Any]] = []
    annotations: dict[str, list[dict[str, Any]]] = {kind: [] for kind in OUTLINES}
    for number, entry in enumerate(part, 1):
        file = write_one(entry, folder, LAYOUT)["picture"]
        images.append(_image(number, file.removeprefix("images/"), entry))
        labels = entry.sample["instances"]
        common = _common(labels, number, first=len(annotations["rle"]) + 1)
        for kind, encode in OUTLINES.items():
            for known, outline in zip(common, encode(labels), strict=True):
                annotations[kind].append({**known, "segmentation": outline})
    for kind, found in annotations.items():
        content = {
            "info": _info(part),
            "licenses": [{"id": 1, "name": facts.DATA_LICENSE, "url": facts.REPOSITORY}],
            "categories": [CATEGORY],
            "images": images,
            "annotations": found,
        }
        path = folder / f"annotations_{kind}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return [f"images/{image['file_name']}" for image in images]


def _image(number: int, file: str, entry: Entry) -> dict[str, Any]:
    height, width = entry.sample["image"].shape
    known = {"id": number, "file_name": file, "height": height, "width": width, "license": 1}
    return {**known, **entry.record}


def _info(part: Part) -> dict[str, Any]:
    return {
        "description": f"{facts.NAME}, the {facts.LONG_NAME}",
        "url": facts.REPOSITORY,
        "citation": facts.CITATION,
        "version": part.provenance["digest"][:12],
        "picture_white": part.white,
        **part.provenance,
    }


def _common(labels: NDArray[np.uint16], image: int, first: int) -> list[dict[str, Any]]:
    """Of each nucleus, whatever its segmentation is: ids, area, box (x, y, w, h)."""
    from pycocotools import mask

    encoded = _encoded(labels)
    keys = {"image_id": image, "category_id": CATEGORY["id"], "iscrowd": 0}
    return [
        {
            "id": number,
            **keys,
            "area": int(mask.area(nucleus)),
            "bbox": mask.toBbox(nucleus).tolist(),
        }
        for number, nucleus in enumerate(encoded, first)
    ]


def _rle(labels: NDArray[np.uint16]) -> list[dict[str, Any]]:
    return [
        {"size": list(labels.shape), "counts": nucleus["counts"].decode("ascii")}
        for nucleus in _encoded(labels)
    ]


def _encoded(labels: NDArray[np.uint16]) -> list[dict[str, Any]]:
    """Run lengths of the nuclei 1..n, as pycocotools codes them."""
    from pycocotools import mask

    planes = labels[..., None] == np.arange(1, int(labels.max()) + 1)
    encoded: list[dict[str, Any]] = mask.encode(np.asfortranarray(planes, np.uint8))
    return encoded


def _polygons(labels: NDArray[np.uint16]) -> list[list[list[float]]]:
    """Outer lines as x and y in turn, which pycocotools fills to exactly the pixels of the nucleus.

    COCO polygons cannot describe holes, so holes are filled.
    """
    return [
        [line[:-1].ravel().tolist() for line in lines if is_outer(line)]
        for _, lines in outlines(labels)
    ]


OUTLINES: Final[dict[str, Callable[[NDArray[np.uint16]], list[Any]]]] = {
    "rle": _rle,
    "polygons": _polygons,
}
"""Kinds of segmentation; each has its own JSON file, since tools expect one kind per file."""
