#!/usr/bin/env bash
# SimpleITK 2.5.7: BinaryDilate, BinaryErode and BinaryFillhole of a mask of 0 and 255.
#
# Guess: What is not 0 is foreground, or the filter refuses other values than 0 and 1.
# Seen: Foreground is the value 1 by default. The filters leave a mask of 0 and 255 as it is, without a word; of 0 and
#   1 they change it.
# Input: A square of 3 x 3 pixels with a hole.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import numpy as np, SimpleITK as sitk
mask = np.zeros((7, 7), np.uint8)
mask[2:5, 2:5], mask[3, 3] = 1, 0
for name in ("BinaryDilate", "BinaryErode", "BinaryFillhole"):
    for value in (1, 255):
        image = sitk.GetImageFromArray(mask * np.uint8(value))
        changed = sitk.GetArrayFromImage(getattr(sitk, name)(image))
        print(sitk.Version_VersionString(), name, value, int((changed > 0).sum()), "of", int(mask.sum()))
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "SimpleITK==2.5.7" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "2.5.7 BinaryDilate 1 25 of 8
2.5.7 BinaryDilate 255 8 of 8
2.5.7 BinaryErode 1 0 of 8
2.5.7 BinaryErode 255 8 of 8
2.5.7 BinaryFillhole 1 9 of 8
2.5.7 BinaryFillhole 255 8 of 8" ]
