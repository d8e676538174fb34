"""One condition's arrays on disk: the format, opening, verifying.

    <root>/stores/1200Pa-<key>-v2/
      index.json                what `Index` holds
      images.npy                uint16 (N, H, W)
      masks.npy                 bool (N, H, W)
      components/labels.npy     uint16 (N, H, W), and index.json with its counts and digest
      watershed-v2/, provided/  the same, if a user asked for them, or the archive has them
      groups-v2/                index.json: which images show one colony, if a user asked for that

A store is complete or absent, never changed, and opened without a lock. ``build.py`` writes it.
"""

from __future__ import annotations

import contextlib
import errno
import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError
from bmgd_data.instances import METHODS, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT: Final = 2

IMAGES, MASKS, LABELS = "images.npy", "masks.npy", "labels.npy"
INDEX: Final = "index.json"
GROUPS: Final = "groups-v"  # followed by the version of the method
DTYPES: Final = {IMAGES: np.dtype("<u2"), MASKS: np.dtype("?"), LABELS: np.dtype("<u2")}

_CONDITIONS: Final = {condition.name: condition for condition in facts.CONDITIONS}


@dataclass(frozen=True)
class Index:
    format: int
    condition: str
    key: str
    """What the store was built from: sha256 of the archive, or of a folder's files."""
    full_scale: int
    """The largest value the images' bit depth allows: 255, 4095 or 65535."""
    shape: tuple[int, int, int]
    """(N, H, W)."""
    names: list[str]
    """Sample names, ascending by code point."""
    images: int
    """Images that the archive holds, with or without a mask."""
    minimum: int
    maximum: int
    sums: list[int]
    """Per image: the sum of its pixels."""
    sums_of_squares: list[int]
    """Per image: the sum of its squared pixels."""
    image_digests: list[str]
    """Per image: the first 16 hex digits of its pixels' sha256; empty for uniform ones."""
    agreement: dict[str, list[float | None]]
    """Per image how its mask fits, see ``_ingest/measures.py``: "auc", "own" and "turned"."""
    inverted: list[int]
    """Rows whose masks marked the background in the archive."""
    unused_labels: str
    """Why the archive's label files are not used as instances, if it has any; else empty."""
    digests: dict[str, str]
    """sha256 of each array file."""
    notes: list[str]
    """What is unusual and harmless, or settled by the pixels."""
    doubts: list[str]
    """What may make samples wrong; each begins with a short code and a colon."""
    refusals: list[str]
    """What seems wrong, likewise: samples are served only after it is accepted."""
    versions: dict[str, str]
    """Of the libraries that were used."""

    @property
    def digest(self) -> str:
        """Identifies the samples' content, however it is packed: equal data, equal digest."""
        content = [self.condition, self.full_scale, self.names, self.digests]
        return disk.sha256_of(content)


class Instances(NamedTuple):
    labels: NDArray[np.uint16]
    """(N, H, W), read-only."""
    counts: list[int]
    """Nuclei per image."""
    digest: str = ""
    """sha256 of the array file; empty if they were computed in memory."""


class Store:
    """An open store: memory-mapped, read-only arrays.

    With `key`, it must have been built from that; the folder's name holds only its beginning.
    Raises CorruptArchiveError if the folder is no whole store of this format.
    """

    def __init__(self, path: Path, key: str | None = None) -> None:
        self.path = path
        content, _ = self._sealed()
        with self._readable(INDEX):
            content["shape"] = tuple(content["shape"])
            self.index = Index(**{field.name: content[field.name] for field in fields(Index)})
            self.condition = _CONDITIONS[self.index.condition]
        if key not in (None, self.index.key):
            raise self._damaged(f"it was built from {self.index.key}, not from {key}")

    def __len__(self) -> int:
        return self.index.shape[0]

    @cached_property
    def images(self) -> NDArray[np.uint16]:
        """(N, H, W) uint16, read-only."""
        return self._map(self.path / IMAGES)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) bool, read-only."""
        return self._map(self.path / MASKS)

    def has(self, method: str) -> bool:
        return (self.path / folder_of(method)).is_dir()

    def instances(self, method: str) -> Instances:
        folder = folder_of(method)
        side, _ = self._sealed(folder)
        with self._readable(f"{folder}/{INDEX}"):
            counts, digest = side["counts"], side["digest"]
        return Instances(self._map(self.path / folder / LABELS), counts, digest)

    def sealed(self, folder: str) -> dict[str, Any]:
        """The index of a folder in the store, compared with its seal."""
        content, intact = self._sealed(folder, check=True)
        if not intact:
            raise self._damaged(f"{folder}/{INDEX} has changed since it was built")
        return content

    def methods(self) -> list[str]:
        return [method for method in sorted(METHODS) if self.has(method)]

    def verify(self, progress: Callable[[int], object] | None = None) -> list[str]:
        """Read everything again and compare it with its digest; returns what is wrong.

        `progress` is called with the bytes read since the last call.
        """
        methods = map(folder_of, self.methods())
        grouped = sorted(folder.name for folder in self.path.glob(f"{GROUPS}*"))
        digests, faults = dict(self.index.digests), []
        for folder in ("", *methods, *grouped):
            content, intact = self._sealed(folder, check=True)
            if not intact:
                faults.append(f"{self.path / folder / INDEX} has changed since it was built")
            if "digest" in content:
                digests[f"{folder}/{LABELS}"] = content["digest"]
        for name, digest in digests.items():
            path = self.path / name
            with self._readable(name):
                if not path.is_file():
                    faults.append(f"{path} is missing")
                elif disk.sha256(path) != digest:
                    faults.append(f"{path} has changed since it was built")
                elif progress is not None:
                    progress(path.stat().st_size)
        return faults

    def _sealed(self, folder: str = "", *, check: bool = False) -> tuple[dict[str, Any], bool]:
        """The index of a folder, and whether it is intact, which takes as long as reading it."""
        path = self.path / folder / INDEX
        with self._readable(path.relative_to(self.path).as_posix()):
            content = json.loads(path.read_text(encoding="utf-8"))
            seal = content.pop("seal")
            return content, not check or disk.sha256_of(content) == seal

    @contextlib.contextmanager
    def _readable(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._damaged(f"{name} is missing") from error
        except OSError as error:  # it may be whole: no advice to remove it
            raise CorruptArchiveError(
                f"{self.path / name} cannot be read ({error.strerror}). Check the disk, its "
                "permissions, and how many files may be open."
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
            what = f"{type(error).__name__}: {error}"
            raise self._damaged(f"{name} is not readable ({what})") from error

    def _map(self, path: Path) -> NDArray[Any]:
        with self._readable(path.relative_to(self.path).as_posix()):
            array = mapped(path)
        if array.shape != self.index.shape or array.dtype != DTYPES[path.name]:
            raise self._damaged(f"{path.name} holds {array.dtype} {array.shape}")
        return array

    def _damaged(self, what: str) -> CorruptArchiveError:
        return CorruptArchiveError(
            f"The store {self.path} is damaged: {what}. Remove that folder and read again; it is "
            "rebuilt from the archive."
        )


_NO_SHARED_MAPS: Final = {errno.ENODEV, errno.EINVAL, errno.ENOTSUP}


def mapped(path: Path) -> NDArray[Any]:
    """A .npy file as a read-only array whose pages are read when they are used."""
    # Unlike np.load, this reads .npy files only, and never a pickle.
    try:
        memmap = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        if error.errno not in _NO_SHARED_MAPS:
            raise
        memmap = np.lib.format.open_memmap(path, mode="c")  # private, for some network mounts
        memmap.flags.writeable = False
    # A plain view of the same pages: each indexing of a memmap makes a memmap, which is slow.
    return np.asarray(memmap)


def folder_of(method: str) -> str:
    return f"{method}-v{VERSIONS[method]}" if method in VERSIONS else method


def write_index(folder: Path, content: dict[str, Any]) -> None:
    """Write the index of a store, or of a folder in it, with a digest of itself: its seal."""
    disk.write_json(folder / INDEX, content | {"seal": disk.sha256_of(content)})


def write_side(folder: Path, counts: list[int], digest: str) -> None:
    write_index(folder, {"counts": counts, "digest": digest})
