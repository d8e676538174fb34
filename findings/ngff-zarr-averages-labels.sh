#!/usr/bin/env bash
# ngff-zarr 0.50.0: to_multiscales of a label image.
#
# Guess: An image of whole numbers that are labels is reduced without new labels, or the method has to be named.
# Seen: The default method is a Gaussian: the smaller levels hold tens of labels that no object has, as whole numbers
#   of the same type, without a word. The method ITKWASM_LABEL_IMAGE keeps the labels.
# Input: Three squares with the labels 10, 200 and 3000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
from importlib.metadata import version
import ngff_zarr, numpy as np
labels = np.zeros((64, 64), np.uint16)
labels[3:20, 3:20], labels[3:20, 20:37], labels[31:50, 11:30] = 10, 200, 3000
image = ngff_zarr.to_ngff_image(labels, dims=["y", "x"])
for method in (None, ngff_zarr.Methods.ITKWASM_LABEL_IMAGE):
    named = {} if method is None else {"method": method}
    half = np.asarray(ngff_zarr.to_multiscales(image, scale_factors=[2], **named).images[1].data)
    found = np.unique(half).tolist()
    print(version("ngff-zarr"), method, half.dtype, len(found), found[:6])
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "ngff-zarr==0.50.0" "itkwasm-downsample==2.0.2" "dask==2026.8.0" "numpy==2.4.6" "zarr==3.1.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "0.50.0 None uint16 43 [0, 1, 2, 3, 4, 5]
0.50.0 Methods.ITKWASM_LABEL_IMAGE uint16 4 [0, 10, 200, 3000]" ]
