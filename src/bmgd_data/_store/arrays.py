"""Arrays of images: a .npy file written image by image, and rows of several files read as one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data._store import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray


class ArrayFile:
    """A .npy file of this shape (N, H, W), written image by image; rows never written are zero.

    The file's name decides the dtype, as ``store.DTYPES`` says.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        path.parent.mkdir(exist_ok=True)
        self.shape = shape
        self._dtype = store.DTYPES[path.name]
        self._row = int(np.prod(shape[1:])) * self._dtype.itemsize
        self._file = path.open("w+b", buffering=0)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._start = self._file.tell()
        self._file.truncate(self._start + shape[0] * self._row)

    def put(self, row: int, image: NDArray[Any]) -> None:
        self._file.seek(self._start + row * self._row)
        rest = np.ascontiguousarray(image, self._dtype).reshape(-1).view(np.uint8).data
        while rest:
            rest = rest[self._file.write(rest) :]

    def get(self, row: int) -> NDArray[Any]:
        """Read the (H, W) image of one row back; zeros where none was written."""
        image = np.empty(self.shape[1:], self._dtype)
        rest = image.reshape(-1).view(np.uint8).data
        self._file.seek(self._start + row * self._row)
        while rest:
            rest = rest[self._file.readinto(rest) :]
        return image

    def close(self) -> None:
        self._file.close()


class LazyArray(np.lib.mixins.NDArrayOperatorsMixin):
    """(N, H, W) rows chosen from several memory-mapped arrays, as if they were stacked.

    Indexing the first axis with an integer gives a read-only view; with a slice, a list or a mask
    it gives a copy. Further axes are indexed as in numpy. ``np.asarray`` copies all rows, and so do
    operators and numpy's functions. `shape`, `dtype`, `ndim`, `size` and `nbytes` are those of such
    a copy. A pickle holds the files' paths.

    Args:
        parts: One (n, H, W) array per condition.
        rows: (N, 2) integers: the part, and the row in it.
        titles: The parts' names, for errors.

    Raises:
        ValueError: The parts' images differ in shape; choose one condition then.
    """

    def __init__(
        self, parts: Sequence[NDArray[Any]], rows: NDArray[np.int32], titles: Sequence[str]
    ) -> None:
        if len({part.shape[1:] for part in parts}) > 1:
            shapes = ", ".join(f"{t} {p.shape[1:]}" for t, p in zip(titles, parts, strict=True))
            raise ValueError(f"Images differ in shape ({shapes}). Choose one with stiffness=.")
        self._parts, self._rows = parts, rows
        self.shape: tuple[int, ...] = (len(rows), *parts[0].shape[1:])
        self.dtype = parts[0].dtype
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        key = index if isinstance(index, tuple) else (index,)
        if key and key[0] is Ellipsis and len(key) <= self.ndim and all(map(_is_basic, key)):
            key = (slice(None), *key)
        if not key or key[0] is Ellipsis or key[0] is None:
            everything: NDArray[Any] = np.asarray(self)[index]
            return everything
        first, rest = key[0], key[1:]
        chosen = self._rows[first]
        if chosen.ndim == 1:
            picture: NDArray[Any] = self._parts[chosen[0]][chosen[1]]
            return picture[rest] if rest else picture
        if chosen.ndim > 2:  # noqa: PLR2004
            raise IndexError("The first axis takes an integer, a slice, or a 1-D list or mask.")
        if all(map(_is_basic, rest)):
            return self._gather(chosen, rest)
        # Lists on further axes pair up with one on the first: its rows are now 0, 1, 2, ...
        rows = slice(None) if isinstance(first, slice) else np.arange(len(chosen))
        return self._gather(chosen)[(rows, *rest)]

    def _gather(self, chosen: NDArray[np.int32], rest: tuple[Any, ...] = ()) -> NDArray[Any]:
        """Copy the indexed part of each chosen image, and only that."""
        one = np.broadcast_to(np.empty((), self.dtype), self.shape[1:])[rest]
        out = np.empty((len(chosen), *one.shape), self.dtype)
        for place, (number, row) in enumerate(chosen.tolist()):
            out[place] = self._parts[number][(row, *rest)]
        return out

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("The rows lie in several files; no array holds them without copying.")
        stacked = self._gather(self._rows)
        return stacked if dtype is None else stacked.astype(dtype, copy=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"A LazyArray has no attribute {name!r}.")
        raise AttributeError(
            f"A LazyArray has no {name!r}, since it holds no pixels itself. Copy them into an "
            f"array first: np.asarray(reader.images).{name}, here with the name of yours."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(out, LazyArray) for out in kwargs.get("out", ())):
            return NotImplemented  # the files are read-only
        whole = [np.asarray(each) if isinstance(each, LazyArray) else each for each in inputs]
        return getattr(ufunc, method)(*whole, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_parts": [_file_of(part) or part for part in self._parts]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parts = [store.mapped(part) if isinstance(part, Path) else part for part in state["_parts"]]
        self.__dict__.update(state, _parts=parts)

    def __repr__(self) -> str:
        return f"LazyArray(shape={self.shape}, dtype={self.dtype})"


def _file_of(part: NDArray[Any]) -> Path | None:
    """The file that a whole array is mapped from, or None."""
    whole = isinstance(part.base, np.memmap) and part.base.shape == part.shape
    return Path(part.base.filename) if whole else None  # type: ignore[union-attr]


def _is_basic(key: Any) -> bool:
    """Whether it indexes each image in the same way. A bool is an int, but to numpy a mask."""
    whole = isinstance(key, (int, np.integer)) and not isinstance(key, bool)
    return whole or key is None or key is Ellipsis or isinstance(key, slice)
