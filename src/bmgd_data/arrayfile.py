"""A .npy file that is written image by image, and not mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data import store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class ArrayFile:
    """A .npy file written image by image, in any order; rows never written are zero.

    Args:
        path: Its place; the name decides the dtype, as ``store.DTYPES`` says.
        shape: (N, H, W).
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(exist_ok=True)
        self.shape = shape
        self._dtype = store.DTYPES[path.name]
        self._row = int(np.prod(shape[1:])) * self._dtype.itemsize
        self._file = path.open("wb", buffering=0)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._start = self._file.tell()
        self._file.truncate(self._start + shape[0] * self._row)

    def put(self, row: int, image: NDArray[Any]) -> None:
        """Write the (H, W) image of one row."""
        self._file.seek(self._start + row * self._row)
        rest = np.ascontiguousarray(image, self._dtype).reshape(-1).view(np.uint8).data
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file; it is not fsynced."""
        self._file.close()
