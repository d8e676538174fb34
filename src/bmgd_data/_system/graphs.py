"""Connected components of a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def components(edges: NDArray[np.integer], count: int) -> tuple[int, NDArray[np.int32]]:
    """Number the connected components of a graph.

    Args:
        edges: (E, 2) whole numbers below `count`.
        count: Number of nodes.

    Returns:
        How many components there are, and (count,) the component of each node, from 0.
    """
    from scipy import sparse

    # Of 32 bits: SciPy before 1.13 takes no others here. It prints an error and gives zeros.
    one, other = edges.astype(np.int32).T
    graph = sparse.csr_matrix((np.ones(len(edges), bool), (one, other)), (count, count))
    graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)
    found, numbers = sparse.csgraph.connected_components(graph, directed=False)
    return int(found), numbers.astype(np.int32)
