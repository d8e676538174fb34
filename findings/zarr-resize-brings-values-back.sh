#!/usr/bin/env bash
# zarr 3.1.6: an array is made smaller and larger again.
#
# Guess: What was cut off is gone, and the new part holds the fill value.
# Seen: Values in the last chunk that stays come back; those of whole chunks that were cut off are the fill value. So
#   the new part is old data up to the next border of a chunk, and 0 beyond it.
# Input: Twelve values of 7 in chunks of 4, resized to 6 and to 12.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import zarr
array = zarr.create_array("a.zarr", shape=(12,), chunks=(4,), dtype="u2", fill_value=0)
array[:] = 7
array.resize((6,))
array.resize((12,))
print(zarr.__version__, array[:].tolist())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "zarr==3.1.6" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "3.1.6 [7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0]" ]
