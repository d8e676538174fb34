#!/usr/bin/env bash
# mahotas 1.4.19: labeled_sum of an image of 16 bits.
#
# Guess: The sums of grey values by label are of a type that holds them, as numpy's sum and SciPy's sum_labels are.
# Seen: They are of the image's own type, so that they wrap at 65,536: two pixels of 60,000 have the sum 54,464.
# Input: Labels 1, 1, 2 over three pixels of 60,000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import mahotas, numpy as np
from scipy import ndimage
labels = np.array([[1, 1, 2]], np.int32)
image = np.full((1, 3), 60_000, np.uint16)
print(mahotas.__version__, mahotas.labeled.labeled_sum(image, labels).tolist()[1:])
print("scipy", [int(value) for value in ndimage.sum_labels(image, labels, [1, 2])])
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "mahotas==1.4.19" "numpy==2.4.6" "scipy==1.17.1" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "1.4.19 [54464, 60000]
scipy [120000, 60000]" ]
