"""geopandas and shapely: every collection of the GeoJSON export is valid and has our areas."""

import sys
from importlib.metadata import version

import geopandas
import numpy as np
import shapely
from truth import BASE, names, samples, tell

truth, nuclei = samples(), 0
for file, name in names("geojson").items():
    stem = file.removeprefix("images/").removesuffix(".tif")
    labels = truth[f"{name}/instances"]
    areas = np.bincount(labels.ravel())[1:]
    found = geopandas.read_file(BASE / "geojson" / "geojson" / f"{stem}.geojson")
    if len(found) != len(areas):
        sys.exit(f"{name}: {len(found)} features of {len(areas)} nuclei")
    if not len(found):
        continue
    if not found.is_valid.all():
        sys.exit(f"{name}: {found.is_valid_reason()}")
    if (shapely.area(found.geometry.values) != areas).any() or (
        found["name"] != [str(n + 1) for n in found.index]
    ).any():
        sys.exit(f"{name}: areas or names differ")
    nuclei += len(found)
versions = f"{version('geopandas')}, shapely {version('shapely')}"
tell(versions, f"{len(names('geojson'))} collections, {nuclei} nuclei: valid, areas equal")
