#!/usr/bin/env bash
# fill_voids 2.1.2: fill of a label image.
#
# Guess: A hole gets the label around it, or label images are refused; the result has the type of the input, uint16.
# Seen: The result is uint16 and holds 0 and 1 alone: all labels are lost, and objects that touch become one.
# Input: Two squares side by side, with the labels 4 and 9 and a hole each.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
from importlib.metadata import version
import fill_voids, numpy as np
labels = np.zeros((7, 12), np.uint16)
labels[1:6, 1:6], labels[1:6, 6:11] = 4, 9
labels[3, 3] = labels[3, 8] = 0
filled = fill_voids.fill(labels)
print(version("fill-voids"), filled.dtype, np.unique(labels).tolist(), np.unique(filled).tolist())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "fill-voids==2.1.2" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "2.1.2 uint16 [0, 4, 9] [0, 1]" ]
