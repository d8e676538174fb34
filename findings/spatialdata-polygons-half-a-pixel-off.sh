#!/usr/bin/env bash
# spatialdata 0.7.0: centroids and polygons of one label image.
#
# Guess: get_centroids and to_polygons agree, and a polygon has about as much area as its label has pixels.
# Seen: Polygons lie half a pixel up and to the left of the centroids, and their corners are cut: a single pixel has
#   an area of 0.5, a square of 289 pixels 288.5.
# Input: A square of 17 x 17 pixels and a single pixel.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import warnings
warnings.simplefilter("ignore")
import numpy as np, spatialdata
from spatialdata.models import Labels2DModel
labels = np.zeros((64, 64), np.uint16)
labels[3:20, 3:20], labels[52, 52] = 10, 7
element = Labels2DModel.parse(labels, dims=("y", "x"))
centres = spatialdata.get_centroids(element).compute()
polygons = spatialdata.to_polygons(element)
for label in (7, 10):
    shape = polygons.geometry[label]
    print(spatialdata.__version__, label, "centroid", centres.loc[label].tolist(),
          "polygon", [shape.centroid.x, shape.centroid.y], "area", shape.area)
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "spatialdata==0.7.0" "numpy==2.4.6" "zarr==3.1.6" "pandas==2.3.3" "xarray==2026.9.0" "dask==2026.8.0" "geopandas==1.2.0" "shapely==2.2.0" "anndata==0.12.19" "scikit-image==0.26.0" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "0.7.0 7 centroid [52.5, 52.5] polygon [52.0, 52.0] area 0.5
0.7.0 10 centroid [11.5, 11.5] polygon [11.0, 11.0] area 288.5" ]
