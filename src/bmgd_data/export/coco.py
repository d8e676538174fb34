"""COCO: images beside two JSON files, one with exact run-length masks and one with polygons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data import facts
from bmgd_data._card import provenance
from bmgd_data.export.outlines import inside_pixels, is_outer, outlines
from bmgd_data.export.pictures import PICTURES, write_one

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.export.pictures import Part


def write(part: Part, folder: Path) -> list[str]:
    """Write 8- and 16-bit images, ``annotations_rle.json`` and ``annotations_polygons.json``.

    Tools expect one kind of segmentation per JSON file.

    Returns:
        The 8-bit image file of each sample, relative to `folder`.
    """
    from pycocotools import mask

    files: list[str] = []
    images: list[dict[str, Any]] = []
    annotations: dict[str, list[dict[str, Any]]] = {"rle": [], "polygons": []}
    for number, entry in enumerate(part, 1):
        files.append(write_one(entry, folder, PICTURES)["picture"])
        labels = entry.sample["instances"]
        height, width = labels.shape
        size = {"height": height, "width": width, "license": 1}
        name = files[-1].removeprefix("images/")
        images.append({"id": number, "file_name": name, **size, **entry.record})
        runs = [{"size": [height, width], "counts": counts} for counts in _runs(labels)]
        encoded = mask.frPyObjects(runs, height, width) if runs else []
        for nucleus, polygons in zip(encoded, _polygons(labels), strict=True):
            known = {
                "id": len(annotations["rle"]) + 1,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "area": int(mask.area(nucleus)),
                "bbox": mask.toBbox(nucleus).tolist(),  # x, y, width, height
            }
            rle = {"size": [height, width], "counts": nucleus["counts"].decode("ascii")}
            annotations["rle"].append({**known, "segmentation": rle})
            annotations["polygons"].append({**known, "segmentation": polygons})
    shared = provenance(part.reader)
    info = {
        "description": f"{facts.NAME}, the {facts.LONG_NAME}",
        "url": facts.REPOSITORY,
        "citation": facts.CITATION,
        "version": shared["digest"][:12],
        "picture_white": part.white,
        **shared,
    }
    for kind, found in annotations.items():
        content = {
            "info": info,
            "licenses": [{"id": 1, "name": facts.DATA_LICENSE, "url": facts.REPOSITORY}],
            "categories": [{"id": 1, "name": "nucleus", "supercategory": "cell"}],
            "images": images,
            "annotations": found,
        }
        path = folder / f"annotations_{kind}.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return files


def _runs(labels: NDArray[np.uint16]) -> list[list[int]]:
    """COCO's run lengths of each nucleus, ascending: pixels outside and inside in turn, by columns.

    One pass over the image: a mask for each nucleus would take pixels times nuclei.
    """
    flat = labels.ravel(order="F")
    ends = np.append(np.flatnonzero(np.diff(flat)) + 1, flat.size)
    starts = np.append(0, ends[:-1])
    values = flat[starts]
    order = np.argsort(values, kind="stable")[np.count_nonzero(values == 0) :]
    borders = np.flatnonzero(np.diff(values[order])) + 1
    found = []
    for own in np.split(order, borders) if order.size else []:
        places = np.stack([starts[own], ends[own]], 1).ravel()
        last = [] if places[-1] == flat.size else [flat.size]
        found.append(np.diff(np.concatenate([[0], places, last])).astype(int).tolist())
    return found


def _polygons(labels: NDArray[np.uint16]) -> list[list[list[float]]]:
    """Outer lines as x and y in turn. COCO polygons cannot describe holes, so holes are filled."""
    return [
        [inside_pixels(line).round(1).ravel().tolist() for line in lines if is_outer(line)]
        for _, lines in outlines(labels)
    ]
