#!/usr/bin/env bash
# mahotas 1.4.19: dilate and erode of grey values.
#
# Guess: Dilation takes the largest value of the neighbours, and erosion the smallest.
# Seen: The default structuring element counts as grey values of its own: dilation gives 4001 beside a pixel of 4000,
#   and erosion of a bright field with one dark pixel takes 1 off, down to 0. Masks of bool are as expected.
# Input: One pixel of 4000 on 0, and one pixel of 1 in a field of 9, both uint16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import mahotas, numpy as np
bright = np.zeros((3, 3), np.uint16)
bright[1, 1] = 4000
dark = np.full((3, 3), 9, np.uint16)
dark[1, 1] = 1
print(mahotas.__version__, "dilate", mahotas.dilate(bright).tolist())
print(mahotas.__version__, "erode", mahotas.erode(dark).tolist())
print(mahotas.__version__, "dilate bool", mahotas.dilate(bright > 0).astype(int).tolist())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "mahotas==1.4.19" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "1.4.19 dilate [[0, 4001, 0], [4001, 4001, 4001], [0, 4001, 0]]
1.4.19 erode [[8, 0, 8], [0, 0, 0], [8, 0, 8]]
1.4.19 dilate bool [[0, 1, 0], [1, 1, 1], [0, 1, 0]]" ]
