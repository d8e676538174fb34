#!/usr/bin/env bash
# fastremap 1.21.0 and cc3d 4.1.1: labels of one image in two memory orders.
#
# Guess: Equal arrays get equal labels.
# Seen: Labels are numbered along the memory. An array in Fortran order, as a transposed view or MATLAB's files are,
#   gets other numbers than its copy in C order, so label 1 is another object.
# Input: A 3 x 3 image with three objects, in C and in Fortran order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
from importlib.metadata import version
import cc3d, fastremap, numpy as np
image = np.array([[0, 5, 5], [8, 0, 0], [8, 3, 3]], np.uint16)
for order in "CF":
    same = np.array(image, order=order)
    print("fastremap", version("fastremap"), order, fastremap.renumber(same)[0].tolist())
    found = cc3d.connected_components(same, connectivity=4)
    print("cc3d", version("connected-components-3d"), order, found.tolist())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "fastremap==1.21.0" "connected-components-3d==4.1.1" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "fastremap 1.21.0 C [[0, 1, 1], [2, 0, 0], [2, 3, 3]]
cc3d 4.1.1 C [[0, 1, 1], [2, 0, 0], [2, 3, 3]]
fastremap 1.21.0 F [[0, 2, 2], [1, 0, 0], [1, 3, 3]]
cc3d 4.1.1 F [[0, 2, 2], [1, 0, 0], [1, 3, 3]]" ]
