#!/usr/bin/env bash
# SciPy 1.11.1: scipy.sparse.csgraph.connected_components on a coo_array.
#
# Guess: a graph whose coordinates are int64 gives its components, or an error.
# Seen: SciPy 1.11.1 prints "Exception ignored in ... Buffer dtype mismatch" and returns the label -9999 for every node;
#   no error reaches the caller, and labels that are numbered again are one single component. With int32 coordinates the
#   same graph gives the right labels. SciPy 1.17.0 gives them with both.
# Input: the edges 4-1, 1-3 and 0-5 of 7 nodes; the components are {0, 5}, {1, 3, 4}, {2} and {6}.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'CODE'
import numpy as np, scipy
from scipy import sparse
from scipy.sparse import csgraph
for dtype in (np.int32, np.int64):
    one, other = np.array([[4, 1], [1, 3], [0, 5]], dtype).T
    graph = sparse.coo_array((np.ones(3, bool), (one, other)), (7, 7)).tocsr()
    print(scipy.__version__, np.dtype(dtype).name, csgraph.connected_components(graph, directed=False)[1].tolist())
CODE
look() {  # SciPy's version, numpy's version
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/python" -m pip install --quiet --only-binary :all: "scipy==$1" "numpy==$2" >/dev/null 2>&1
    "$folder/$1/bin/python" "$folder/look.py" 2>/dev/null
}
seen=$(look 1.11.1 1.26.0; look 1.17.0 2.3.5)
echo "$seen"
[ "$seen" = "1.11.1 int32 [0, 1, 2, 1, 1, 0, 3]
1.11.1 int64 [-9999, -9999, -9999, -9999, -9999, -9999, -9999]
1.17.0 int32 [0, 1, 2, 1, 1, 0, 3]
1.17.0 int64 [0, 1, 2, 1, 1, 0, 3]" ]
