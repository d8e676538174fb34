#!/usr/bin/env bash
# h5py 3.16.0 and zarr 3.1.6: float values are assigned to 16-bit arrays.
#
# Guess: Both do the same with values beyond 65,535, since both take numpy arrays: they raise, or convert as astype
#   does.
# Seen: HDF5 clips at 65,535 and at 0, zarr keeps the lower 16 bits: 70,000 becomes 4,464 and -1 becomes 65,535. A
#   file converted by one and by the other has bright or dark pixels at the same place.
# Input: The float array 70000, 1.9, -1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import warnings
warnings.simplefilter("ignore")
import h5py, numpy as np, zarr
values = np.array([70_000, 1.9, -1.0])
with h5py.File("a.h5", "w") as file:
    data = file.create_dataset("a", shape=(3,), dtype="u2")
    data[:] = values
    print("h5py", h5py.__version__, data[:].tolist())
array = zarr.create_array("a.zarr", shape=(3,), dtype="u2")
array[:] = values
print("zarr", zarr.__version__, array[:].tolist())
CODE
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: "h5py==3.16.0" "zarr==3.1.6" "numpy==2.4.6" >/dev/null 2>&1
cd "$folder"
seen=$(venv/bin/python look.py 2>/dev/null)
echo "$seen"
[ "$seen" = "h5py 3.16.0 [65535, 1, 0]
zarr 3.1.6 [4464, 1, 65535]" ]
