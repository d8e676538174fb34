"""Samples as numpy arrays; every adapter builds on this module."""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypedDict, TypeVar, overload

import numpy as np

from bmgd_data import _pipeline, facts, splits
from bmgd_data import instances as instance_methods
from bmgd_data._arguments import documented
from bmgd_data._division import Division
from bmgd_data._origin import sources
from bmgd_data._store import acceptance, derived
from bmgd_data._store.arrays import LazyArray
from bmgd_data._store.store import Store
from bmgd_data._system import disk, home
from bmgd_data.errors import BMGDWarning

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from bmgd_data._store.store import Instances
    from bmgd_data.facts import Stiffness
    from bmgd_data.splits import AnyScheme, Fold
    from bmgd_data.splits.groups import Groups

__all__ = ["Reader", "Sample", "Stats"]

T = TypeVar("T")
Several: TypeAlias = "list[int] | list[str] | tuple[int, ...] | NDArray[Any]"
"""Positions or names of samples, or an (N,) bool array."""

_GROUPS_APART: Final = 100_000  # above any number of groups; times 1800 it fits into int32
_DERIVED: Final = ("_parts", "_places")  # not pickled


class Sample(TypedDict):
    """One image with its masks; the same keys in every framework."""

    image: NDArray[np.uint16]
    """(H, W), raw grey values."""
    mask: NDArray[np.bool_]
    """(H, W), True where a nucleus is."""
    instances: NDArray[np.uint16]
    """(H, W), nuclei numbered 1..n, 0 for background."""
    stiffness_pa: int
    """Stiffness of the substrate in pascal."""
    n_nuclei: int
    """Labels in `instances`."""
    name: str
    """``<pa>Pa/<path below the image folder>``."""


class Stats(NamedTuple):
    """Statistics of pixels, as fractions of the full scale."""

    mean: float
    std: float


class _Part(NamedTuple):
    """One condition's arrays."""

    store: Store
    images: NDArray[np.uint16]
    masks: NDArray[np.bool_]
    instances: Instances


@documented
class Reader(Sequence[Sample]):
    """BMGD as a sequence of samples: numpy only, memory-mapped, nothing copied until used.

    ``reader[3]`` and ``reader["1200Pa/001"]`` give a sample. A slice, a list of positions or names,
    and an (N,) bool array give a Reader of these samples.

    `subset`, `fold` and `hold_out` give other splits of the same opened data, as Readers. Every
    adapter takes any Reader.

    Args:
        {split}
        {stiffness}
        {root}
        {source}
        {download}
        {scheme}
        {instances}

    Raises:
        ValueError: An invalid argument; the message lists the valid values.
        DatasetNotFoundError: The data is not here and may not be fetched.
        DownloadError: The data could not be fetched.
        ChecksumError: The data differs from what is pinned, or from what was seen first.
        CorruptArchiveError: The data is damaged.
        StorageError: The disk is full, or may not be written.

    Example:
        >>> from bmgd_data import Reader
        >>> reader = Reader("train", stiffness="1200Pa", source="phantom")
        >>> reader[0]["image"].shape
        (256, 256)
        >>> len(reader.fold(0, 5)), len(reader.subset("test").fold(0, 5))
        (6, 3)
    """

    _among: frozenset[str] | None = None
    """The names that this Reader was reduced to by indexing; None for all."""

    def __init__(
        self,
        split: str = "train",
        stiffness: Stiffness | Iterable[Stiffness] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] | None = None,
        download: bool = True,
        scheme: AnyScheme = "random",
        instances: str = "components",
    ) -> None:
        self.split = splits.parse_split(split)
        resolved = splits.resolve_scheme(scheme)
        self.conditions = facts.parse_stiffness(stiffness)
        self.instance_method = instance_methods.parse_method(instances)
        self.root = home.root(root)
        self.source = sources.resolve(source, self.root)
        wanted = [_pipeline.Wanted(self.root, self.source, c) for c in self.conditions]
        stores = [_pipeline.open_store(each, download=download) for each in wanted]
        acceptance.warn_of_doubts(stores, _pipeline.verify_command(wanted))
        self._paths = [store.path for store in stores]
        self._division = Division(stores, resolved, self.root)
        self._open(stores)
        self._rows = self._division.rows(self.split)
        self._warn_if_empty()

    def _warn_if_empty(self) -> None:
        if not len(self) and self.grouped:
            warnings.warn(
                f"The split {self.split!r} holds no images. {self.shortage}",
                BMGDWarning,
                stacklevel=3,
            )

    def _open(self, stores: list[Store]) -> None:
        """Map the arrays once, so that indexing is fast."""
        self._parts = []
        for store in stores:
            labels = derived.labelled(store, self.instance_method, self.root)
            self._parts.append(_Part(store, store.images, store.masks, labels))

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int | str) -> Sample: ...
    @overload
    def __getitem__(self, index: slice | Several) -> Reader: ...
    def __getitem__(self, index: Any) -> Sample | Reader:
        if isinstance(index, slice):
            return self._reduced(self._rows[index])
        if isinstance(index, str):
            index = self._place_of(index)
        elif isinstance(index, list | tuple) or np.ndim(index):
            return self._reduced(self._rows[self._places_of(index)])
        number, row = self._rows[operator.index(index)].tolist()
        part = self._parts[number]
        return {
            "image": part.images[row],
            "mask": part.masks[row],
            "instances": part.instances.labels[row],
            "stiffness_pa": part.store.condition.pa,
            "n_nuclei": part.instances.counts[row],
            "name": part.store.index.names[row],
        }

    def __iter__(self) -> Iterator[Sample]:
        # Unlike that of Sequence, it does not end at an IndexError from within a sample.
        return (self[index] for index in range(len(self)))

    def _reduced(self, rows: NDArray[np.int32]) -> Reader:
        other = self._subset(rows)
        other._among = frozenset(other.names)  # noqa: SLF001 - of this class
        return other

    def _places_of(self, several: Several) -> NDArray[np.intp]:
        """Positions of samples that are given by position, by name, or by an (N,) bool array."""
        given = np.asarray(several)
        if given.dtype.kind in "US":
            return np.array([self._place_of(str(name)) for name in several], np.intp)
        if given.dtype == bool and given.shape == (len(self),):
            return np.flatnonzero(given)
        if given.ndim == 1 and (given.dtype.kind in "iu" or not given.size):
            return given.astype(np.intp)
        raise IndexError(
            f"Samples cannot be chosen by an array of {given.dtype} {given.shape}. Valid: a list "
            f"of positions or of names, or a bool array of ({len(self)},), one for each sample."
        )

    # Samples are compared by name, since comparing arrays gives an array.

    def __contains__(self, value: object) -> bool:
        return _name_of(value) in self._places

    def count(self, value: Any) -> int:
        """1 if the Reader holds this sample, or a sample of this name, else 0."""
        return int(value in self)

    def index(self, value: Any, start: int = 0, stop: int = sys.maxsize) -> int:
        """The position of this sample, or of the sample of this name.

        Raises:
            ValueError: It is not here, or not between `start` and `stop`.
        """
        place = self._places.get(_name_of(value))
        if place is None or place not in range(len(self))[start:stop]:
            raise ValueError(f"{_name_of(value)!r} is not in this Reader, or not in this part.")
        return place

    @cached_property
    def _places(self) -> dict[str | None, int]:
        return {name: place for place, name in enumerate(self.names)}

    def _place_of(self, name: str) -> int:
        if (place := self._places.get(name)) is not None:
            return place
        whole = self.whole
        if there := dict(zip(whole.names, whole.splits, strict=True)).get(name):
            where = f"the data has it in split {there!r}"
        else:
            where = f"names look like {self.names[0]!r}" if len(self) else "it holds no sample"
        raise KeyError(f"No sample {name!r} in this Reader of split {self.split!r}; {where}.")

    @property
    def whole(self) -> Reader:
        """All samples of these stiffnesses, also those that are in no split."""
        return self._subset(self._division.every_row(), split="all", _among=None)

    def subset(self, split: str) -> Reader:
        """Another split of the same data.

        Args:
            split: "train", "val" (also "validation"), "test" or "all".

        Returns:
            A Reader of the same opened files, in the same fold and with the same stiffnesses held
            out. If this Reader was reduced by indexing, only samples among these are in it.
        """
        name = splits.parse_split(split)
        other = self._subset(self._division.rows(name, self._among), split=name)
        other._warn_if_empty()  # noqa: SLF001 - of this class
        return other

    def fold(self, fold: int | str, folds: int | None = None) -> Reader:
        """The same split in one fold of a cross-validation.

        In fold k of n, part k of the images is test, part k + 1 (modulo n) validation, and the
        rest train. Parts are drawn within each stiffness from the images' names. If the scheme
        keeps groups of images together, or groups are known, folds do too.

        Args:
            fold: Number of the fold, from 0; or with the number of folds, as "0/5".
            folds: Number of folds.

        Returns:
            A Reader of the same opened files, of the split that this one has.

        Raises:
            ValueError: There is no such fold, too few images or groups, or a stiffness is held out.
        """
        return self._divided(self._division.folded(fold, folds))

    def hold_out(self, stiffness: Stiffness | Iterable[Stiffness]) -> Reader:
        """The same split with stiffnesses held out for testing.

        All images of these stiffnesses, and no others, are test. Train and validation come from the
        other stiffnesses, by the scheme. Their test images are in no split, so that they stay
        unseen.

        Args:
            stiffness: One or several of this Reader's, spelled as the class takes them.

        Returns:
            A Reader of the same opened files, of the split that this one has.

        Raises:
            ValueError: This Reader does not hold it, no other stiffness is left, or this is a fold.
        """
        return self._divided(self._division.without(stiffness))

    def _divided(self, division: Division) -> Reader:
        return self._subset(division.rows(self.split, self._among), _division=division)

    @property
    def trained_on(self) -> list[str]:
        """Names of all training images, whatever split this Reader is of."""
        return self._subset(self._division.rows("train", self._among)).names

    def of(self, condition: facts.Condition) -> Reader:
        """The samples of one of the stiffnesses, as a Reader."""
        number = self.conditions.index(condition)
        rows = self._rows[self._rows[:, 0] == number] * np.array([0, 1], np.int32)
        lists = ("conditions", "_paths", "_parts")
        reduced = {name: [getattr(self, name)[number]] for name in lists}
        return self._subset(rows, _division=self._division.of(number), **reduced)

    def under(self, scheme: AnyScheme, split: str = "all") -> Reader:
        """The same data under another scheme.

        Args:
            scheme: As the class takes it.
            split: "train", "val" (also "validation"), "test" or "all".
        """
        name = splits.parse_split(split)
        stores = self._division.stores
        division = Division(stores, splits.resolve_scheme(scheme), self.root)
        rows = division.rows(name, self._among)
        return self._subset(rows, split=name, _division=division)

    def _subset(self, rows: NDArray[np.int32], **changed: Any) -> Reader:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _rows=rows, **changed)
        other.__dict__.pop("_places", None)
        return other

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in _DERIVED}
        return kept | {"_computed": derived.computed_of(self._paths, self.instance_method)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        derived.restore(state.pop("_computed"))
        self.__dict__.update(state)
        self._division.stores = list(map(Store, self._paths))
        self._open(self._division.stores)

    @property
    def images(self) -> LazyArray:
        """(N, H, W) uint16, raw grey values; only what is indexed is copied."""
        return self._stacked([part.images for part in self._parts])

    @property
    def masks(self) -> LazyArray:
        """(N, H, W) bool; only what is indexed is copied."""
        return self._stacked([part.masks for part in self._parts])

    @property
    def instances(self) -> LazyArray:
        """(N, H, W) uint16, nuclei numbered 1..n in each image; only what is indexed is copied."""
        return self._stacked([part.instances.labels for part in self._parts])

    @property
    def arrays(self) -> list[tuple[NDArray[np.uint16], NDArray[np.bool_], NDArray[np.uint16]]]:
        """By stiffness: the read-only, memory-mapped images, masks and instances of all its images.

        `rows` says where the samples are in them.
        """
        return [(part.images, part.masks, part.instances.labels) for part in self._parts]

    @property
    def rows(self) -> NDArray[np.int32]:
        """(N, 2): of each sample, the place of its stiffness in `arrays`, and the row in these."""
        return self._rows.copy()

    def _stacked(self, arrays: list[NDArray[Any]]) -> LazyArray:
        return LazyArray(arrays, self._rows, [part.store.condition.name for part in self._parts])

    def _of_each(self, values: Sequence[Sequence[T]]) -> list[T]:
        """The values of the N samples, from those of all images of each part."""
        return [values[part][row] for part, row in self._rows.tolist()]

    @property
    def names(self) -> list[str]:
        """The N sample names."""
        return self._of_each([store.index.names for store in self._division.stores])

    @property
    def splits(self) -> list[str]:
        """The split of each of the N samples: "train", "val" or "test"."""
        return self._of_each(self._division.assigned)

    @property
    def groups(self) -> NDArray[np.int32]:
        """(N,) the group of each sample, such as the slices of one colony.

        A number is the stiffness in pascal times 100,000, plus the group's place in its stiffness.
        So it does not depend on what else is read, and no two stiffnesses share one. Groups are the
        scheme's known ones; without these, they are computed at the first use and kept, see
        ``bmgd_data.splits.groups``.
        """
        places = self._of_each([self._division.groups_of(store) for store in self._division.stores])
        return np.array(self.stiffness_pa * _GROUPS_APART + places, np.int32)

    @property
    def stiffness_pa(self) -> NDArray[np.int64]:
        """(N,) stiffness of each sample's substrate in pascal."""
        return np.array([condition.pa for condition in self.conditions])[self._rows[:, 0]]

    @property
    def n_nuclei(self) -> NDArray[np.int64]:
        """(N,) labels in each sample's instance mask."""
        counts = self._of_each([part.instances.counts for part in self._parts])
        return np.array(counts, np.int64)

    @property
    def digest(self) -> str:
        """The data's version: equal for equal images and masks of the same stiffnesses.

        With instances="provided", it covers the archive's instance labels too.
        """
        digests = [store.index.digest for store in self._division.stores]
        if self.instance_method == "provided":
            digests += [part.instances.digest for part in self._parts]
        return disk.sha256_of(digests)

    @property
    def keys(self) -> dict[int, str]:
        """sha256 of the archive, or of the files, of each stiffness, by pascal."""
        return {store.condition.pa: store.index.key for store in self._division.stores}

    @property
    def notes(self) -> list[str]:
        """Harmless findings of the build, a line each, with the stiffness."""
        return [
            f"{s.condition.name}: {note}" for s in self._division.stores for note in s.index.notes
        ]

    @property
    def agreement(self) -> dict[str, NDArray[np.float64]]:
        """How each sample's mask fits its image: arrays of (N,), NaN where unknown.

        "auc" is the probability that a pixel in the mask is brighter than one outside. "own" is the
        correlation of the mask with local brightness, and "turned" the largest absolute correlation
        of its flips and turns. A mask fits if "own" is larger.
        """
        found = {}
        for name in ("auc", "own", "turned"):
            values = self._of_each([store.index.agreement[name] for store in self._division.stores])
            found[name] = np.array(values, np.float64)  # None becomes NaN
        return found

    @property
    def full_scales(self) -> dict[int, int]:
        """Largest value of the bit depth, by stiffness in pascal; 4095 for 12 bits."""
        return {store.condition.pa: store.index.full_scale for store in self._division.stores}

    def found_groups(self) -> dict[str, Groups]:
        """Groups found in pixels and names, with their evidence, by stiffness ("1200Pa").

        They cover all images of a stiffness, of every split, and do not depend on the scheme.
        Computed at the first use and kept.
        """
        return {
            store.condition.name: derived.grouped(store, self.root)
            for store in self._division.stores
        }

    @property
    def scheme(self) -> str:
        """Name of the scheme, with the fold or the stiffnesses held out."""
        return self._division.name

    @property
    def fold_number(self) -> Fold | None:
        """The fold of a cross-validation that this is of, if it is."""
        return self._division.fold

    @property
    def held_out(self) -> Sequence[facts.Condition]:
        """The stiffnesses that are held out for testing."""
        return self._division.held_out

    @property
    def knows_groups(self) -> bool:
        """Whether the scheme has known groups, instead of computed ones."""
        return self._division.scheme.known is not None

    @property
    def grouped(self) -> bool:
        """Whether the scheme keeps images of one group together."""
        return self._division.scheme.grouped

    @property
    def shortage(self) -> str:
        """Where whole groups leave validation or test empty, and what to do; may be empty."""
        return self._division.shortage

    @property
    def doubts(self) -> list[str]:
        """What may make samples wrong, a line each, without what was accepted.

        They concern all samples of these stiffnesses. `bmgd verify` shows them too, and `bmgd
        verify --accept` records that they were looked at.
        """
        return [doubt.text for doubt in acceptance.doubts(self._division.stores)]

    def stats(self) -> Stats:
        """Mean and standard deviation of all pixels of the train split.

        In a fold, or with a stiffness held out, it is that fold's train split; samples chosen by
        indexing do not matter. They are fractions of the full scale, as float images are.

        Raises:
            ValueError: There are no training images.
        """
        total = squares = pixels = 0.0
        for store, assigned in zip(self._division.stores, self._division.assigned, strict=True):
            index = store.index
            train = [row for row, split in enumerate(assigned) if split == "train"]
            total += sum(index.sums[row] for row in train) / index.full_scale
            squares += sum(index.sums_of_squares[row] for row in train) / index.full_scale**2
            pixels += len(train) * index.shape[1] * index.shape[2]
        if not pixels:
            raise ValueError("There are no training images here, so they have no statistics.")
        mean = total / pixels
        return Stats(mean, max(squares / pixels - mean**2, 0.0) ** 0.5)

    def __repr__(self) -> str:
        nuclei, part_of = self.n_nuclei, self._rows[:, 0]
        lines = [f"{type(self).__name__}: {len(self)} images, split {self.split!r} ({self.scheme})"]
        for number, condition in enumerate(self.conditions):
            own = part_of == number
            lines.append(f"  {condition.name}: {own.sum()} images, {nuclei[own].sum()} nuclei")
        if shortage := self.shortage:
            lines.append(f"  {shortage}")
        lines += [
            f"  Instances: {self.instance_method}",
            f"  Source: {self.source.label}",
            f"  Data version: {self.digest[:12]}",
        ]
        if doubts := self.doubts:
            more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
            lines.append(f"  Doubt: {doubts[0]}{more}")
        if not self.source.generated:
            lines += [f"  Licence of BMGD: {facts.DATA_LICENSE}", f"  Cite: {facts.PAPER_URL}"]
        return "\n".join(lines)


def _name_of(value: object) -> str | None:
    """The name of a sample, or a name itself; None for other values."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return name if isinstance(name, str) else None
