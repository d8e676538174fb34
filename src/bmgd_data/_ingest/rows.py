"""The arrays of one condition while they are filled, image by image."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any, Final, Self

from bmgd_data._store import store
from bmgd_data._store.arrays import ArrayFile
from bmgd_data._system import disk
from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES: Final = 64 * 2**30
"""Of one condition's arrays; BMGD's largest take about 0.2 GB."""

_BYTES_PER_PIXEL: Final = 7  # image, components and provided labels two each, mask one


class Rows:
    """Array files of so many rows below a folder; the first image decides the shape of all."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._arrays: dict[str, ArrayFile] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        """By file, also of those that were left out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for array in self._arrays.values():
            array.close()

    def put(self, name: str, row: int, path: str, pixels: NDArray[Any]) -> bool:
        """Write a file's pixels to a row; False if their shape is not the first one's.

        Raises:
            StorageError: There is no room for the arrays, or they would be larger than any data.
        """
        self.shapes[path] = pixels.shape
        if name not in self._arrays:
            shape = (self._count, *pixels.shape)
            if not self._arrays:
                self._require_space(shape)
            self._arrays[name] = ArrayFile(self._folder / name, shape)
        if pixels.shape != self._arrays[name].shape[1:]:
            return False
        self._arrays[name].put(row, pixels)
        return True

    def get(self, name: str, row: int) -> NDArray[Any]:
        """Read a row back."""
        return self._arrays[name].get(row)

    def beside_masks(self, name: str) -> Callable[[int], tuple[NDArray[Any], NDArray[Any]]]:
        """A function that reads a row of an array, and of the masks."""
        return lambda row: (self.get(name, row), self.get(store.MASKS, row))

    def overwrite(self, name: str, row: int, pixels: NDArray[Any]) -> None:
        """Write a row again, or one that no file gave."""
        self._arrays[name].put(row, pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W) of the images."""
        return self._arrays[store.IMAGES].shape

    def settle(self, kind: str, final: str) -> None:
        """Close the labels of a kind, and keep them under the final name; if that is empty, not."""
        self._arrays.pop(labels_of(kind)).close()
        if final:
            (self._folder / kind).rename(self._folder / final)
        else:
            shutil.rmtree(self._folder / kind)

    def _require_space(self, shape: tuple[int, ...]) -> None:
        need = math.prod(shape) * _BYTES_PER_PIXEL
        if need > MAX_BYTES:
            raise StorageError(
                f"The arrays of {shape[0]} images of {shape[1]} x {shape[2]} pixels would take "
                f"{need >> 30} GB, where at most {MAX_BYTES >> 30} GB are written. Check where the "
                "data comes from."
            )
        disk.require_space(self._folder, need, "for the arrays")


def labels_of(kind: str) -> str:
    """The array of labels of one kind."""
    return f"{kind}/{store.LABELS}"
