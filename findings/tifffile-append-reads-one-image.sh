#!/usr/bin/env bash
# tifffile 2026.3.3: images appended to a file are read back.
#
# Guess: imwrite(append=True) three times makes a stack of three, and imread gives three images.
# Seen: Each image becomes a series of its own, since the first one's description holds its shape; imread gives the
#   first image alone, and so does TiffWriter.write in a loop. With metadata=None the three are one stack.
# Input: Three images of 60 x 64 pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import numpy as np, tifffile
for number, named in enumerate(({}, {"metadata": None})):
    path = f"{number}.tif"
    for value in range(3):
        tifffile.imwrite(path, np.full((60, 64), value, np.uint16), append=True, **named)
    with tifffile.TiffFile(path) as file:
        pages, series = len(file.pages), len(file.series)
    print(tifffile.__version__, named, "pages", pages, "series", series, tifffile.imread(path).shape)
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "tifffile==2026.3.3" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "2026.3.3 {} pages 3 series 3 (60, 64)
2026.3.3 {'metadata': None} pages 3 series 1 (3, 60, 64)" ]
