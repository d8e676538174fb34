"""GeoJSON for QuPath: images beside one collection of features for each."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import facts, nuclei
from bmgd_data.export.outlines import is_outer, pieces
from bmgd_data.export.pictures import write_one

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data.export.outlines import Ring
    from bmgd_data.export.pictures import Entry, Part

_KEYS: Final = ("label", "centroid_y_um", "centroid_x_um")
"""Columns of the nuclei that are no measurements of them."""


def write(part: Part, folder: Path) -> list[str]:
    """Write images and ``geojson/*.geojson``, one collection for each, also where it is empty.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    (folder / "geojson").mkdir()
    scales = part.reader.full_scales
    files = []
    for entry in part:
        files.append(write_one(entry, folder, {"image": "images/{stem}.tif"})["image"])
        full_scale = scales[entry.sample["stiffness_pa"]]
        content = {"type": "FeatureCollection", "features": _features(entry, full_scale)}
        path = folder / "geojson" / f"{entry.stem}.geojson"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return files


def _features(entry: Entry, full_scale: int) -> list[dict[str, Any]]:
    """The nuclei as QuPath 0.4 and later writes detections, in the order of their labels."""
    sample = entry.sample
    measured = nuclei.measure(sample["image"], sample["instances"], full_scale=full_scale)
    rows = [dict(zip(measured, row, strict=True)) for row in zip(*measured.values(), strict=True)]
    features = []
    for (label, found), row in zip(pieces(sample["instances"]), rows, strict=True):
        whose = f"{entry.record['digest']}/{sample['name']}/{label}"
        numbers = {
            _as_qupath(key): float(value)
            for key, value in row.items()
            if key not in _KEYS and not isinstance(value, np.bool_) and np.isfinite(value)
        }
        features.append(
            {
                "type": "Feature",
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, whose)),
                "geometry": _geometry(found),
                "properties": {
                    "objectType": "detection",
                    "name": str(label),
                    "classification": {"name": "Nucleus"},
                    "measurements": numbers,
                },
            }
        )
    return features


def _as_qupath(column: str) -> str:
    """QuPath's own name where it measures the same, which it does of the area alone."""
    return "Area µm^2" if column == "area_um2" else f"{facts.NAME}: {column}"


def _geometry(found: list[list[Ring]]) -> dict[str, Any]:
    """Pieces as a valid polygon or several: of each first the outer ring, then its holes."""
    polygons = [
        [ring.tolist() for ring in sorted(rings, key=is_outer, reverse=True)] for rings in found
    ]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}
