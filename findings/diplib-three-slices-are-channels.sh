#!/usr/bin/env bash
# DIPlib 3.6.1: an array of three slices becomes an image.
#
# Guess: An array of three dimensions is an image of three dimensions, whatever its sizes.
# Seen: If the first or the last size is 2, 3 or 4, it is taken for channels: three slices are a 2-D image with three
#   values a pixel, five are a 3-D image. Distances, labels and filters are then of each slice by itself.
# Input: Stacks of 2 to 5 slices of 64 x 60 pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
from importlib.metadata import version
import diplib as dip, numpy as np
for slices in (2, 3, 4, 5):
    image = dip.Image(np.zeros((slices, 64, 60), np.uint16))
    print(version("diplib"), slices, "slices:", list(image.Sizes()), "values a pixel:", image.TensorElements())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "diplib==3.6.1" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "3.6.1 2 slices: [60, 64] values a pixel: 2
3.6.1 3 slices: [60, 64] values a pixel: 3
3.6.1 4 slices: [60, 64] values a pixel: 4
3.6.1 5 slices: [60, 64, 5] values a pixel: 1" ]
