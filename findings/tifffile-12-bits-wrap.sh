#!/usr/bin/env bash
# tifffile 2026.3.3: a value above 4095 is written with bitspersample=12.
#
# Guess: It is refused, or cut at 4095.
# Seen: Its upper bits are dropped: a hot pixel of 4100 becomes 4, the darkest of the image.
# Input: Two pixels, 4095 and 4100.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import numpy as np, tifffile
tifffile.imwrite("a.tif", np.array([[4095, 4100]], np.uint16), bitspersample=12)
print(tifffile.__version__, tifffile.imread("a.tif").tolist())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "tifffile==2026.3.3" "imagecodecs==2026.3.6" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "2026.3.3 [[4095, 4]]" ]
