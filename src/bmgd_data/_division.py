"""The split of each image of opened stores: by a scheme, in a fold, or with a stiffness held out.

A `Reader` serves the samples of one split; its division says which these are, also of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data import facts, splits
from bmgd_data._store import derived

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data._store.store import Store
    from bmgd_data.facts import Stiffness


class Division:
    """Divides the images of opened stores, one of each stiffness, into splits.

    Raises:
        ValueError: The scheme names other images than the stores hold.
    """

    fold: splits.Fold | None = None
    held_out: tuple[facts.Condition, ...] = ()

    def __init__(self, stores: Iterable[Store], scheme: splits.Scheme, root: Path) -> None:
        self.stores = list(stores)
        self.scheme = scheme
        self._root = root
        self._groups: dict[str, list[int]] = {}
        self.assigned = [self._by_scheme(store) for store in self.stores]
        """By store, the split of each of its images."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"stores": []}  # who unpickles opens them again

    @property
    def name(self) -> str:
        """The scheme's, and how the splits differ from it."""
        return ", ".join(filter(None, (self.scheme.name, self._view)))

    @property
    def _view(self) -> str:
        if self.fold:
            return f"fold {self.fold}"
        held = ", ".join(condition.name for condition in self.held_out)
        return f"{held} held out" if held else ""

    def _by_scheme(self, store: Store) -> list[str]:
        names, condition, scheme = store.index.names, store.condition, self.scheme
        if scheme.members is not None:
            return splits.known_of(scheme.members, names, condition, "split")
        groups = self.groups_of(store) if scheme.grouped else None
        return splits.assign(names, condition, scheme.rule, groups)

    def groups_of(self, store: Store) -> list[int]:
        """Groups of a store's images, known or computed, numbered from 0."""
        condition = store.condition
        if condition.name not in self._groups:
            if self.scheme.known is None:
                numbers = derived.grouped(store, self._root).numbers.tolist()
            else:
                known = splits.known_of(self.scheme.known, store.index.names, condition)
                number_of = {group: number for number, group in enumerate(dict.fromkeys(known))}
                numbers = [number_of[group] for group in known]
            self._groups[condition.name] = numbers
        return self._groups[condition.name]

    def rows(self, split: str, among: Collection[str] | None = None) -> NDArray[np.int32]:
        """(N, 2): the store, and the row in it, of each image of a split.

        Args:
            split: "train", "val", "test" or "all" for these three.
            among: Names that the images are reduced to; None for no such limit.
        """
        chosen = []  # arrays, since thousands of tuples would start the garbage collector
        wanted = splits.SPLITS if split == "all" else (split,)
        for number, (store, assigned) in enumerate(zip(self.stores, self.assigned, strict=True)):
            rows = [row for row, one in enumerate(assigned) if one in wanted]
            if among is not None:
                names = store.index.names
                rows = [row for row in rows if names[row] in among]
            chosen.append(np.array([np.full(len(rows), number), rows], np.int32).T)
        return np.concatenate(chosen)

    def every_row(self) -> NDArray[np.int32]:
        """(N, 2): the store, and the row in it, of all images, also of those in no split."""
        counts = list(map(len, self.stores))
        parts, rows = np.repeat(np.arange(len(counts)), counts), [*map(np.arange, counts)]
        return np.stack([parts, np.concatenate(rows)], 1).astype(np.int32)

    def of(self, number: int) -> Division:
        """The division of one of the stores."""
        return self._changed(stores=[self.stores[number]], assigned=[self.assigned[number]])

    def folded(self, fold: int | str, folds: int | None) -> Division:
        """As `Reader.fold` says."""
        self._require_plain("fold")
        number = splits.parse_fold(fold, folds)
        keeps = self.scheme.keeps_groups
        drawn = [
            splits.folded(each.index.names, number, self.groups_of(each) if keeps else None)
            for each in self.stores
        ]
        if missing := [s for s in splits.SPLITS if all(s not in assigned for assigned in drawn)]:
            what = "groups of images" if keeps else "images"
            raise ValueError(
                f"Fold {number} has no image in {' and '.join(missing)}: there are too few {what}. "
                "Ask for fewer folds."
            )
        return self._changed(assigned=drawn, fold=number)

    def without(self, stiffness: Stiffness | Iterable[Stiffness]) -> Division:
        """As `Reader.hold_out` says."""
        self._require_plain("hold_out")
        held, conditions = facts.parse_stiffness(stiffness), [s.condition for s in self.stores]
        own = ", ".join(condition.name for condition in conditions)
        if any(condition not in conditions for condition in held):
            raise ValueError(
                f"hold_out({stiffness!r}): this Reader holds {own}. Make one that holds the "
                "stiffness that is held out and those to train on; stiffness=None is all four."
            )
        if len(held) == len(conditions):
            raise ValueError(
                f"hold_out({stiffness!r}) leaves no stiffness to train on. Hold out fewer, or name "
                f"more in stiffness=. This Reader holds {own}."
            )
        drawn = [
            splits.held_out(assigned, held=condition in held)
            for condition, assigned in zip(conditions, self.assigned, strict=True)
        ]
        return self._changed(assigned=drawn, held_out=tuple(held))

    def _require_plain(self, method: str) -> None:
        if self._view:
            raise ValueError(
                f"{method}() of a Reader that is {self._view} already. Use it on the Reader that "
                "this one was made from: the one gives other test images than the other."
            )

    def _changed(self, **changed: Any) -> Division:
        other = object.__new__(Division)
        other.__dict__.update(self.__dict__, **changed)
        return other

    @property
    def shortage(self) -> str:
        """Where whole groups leave validation or test empty, and what to do; may be empty."""
        lacking = []
        for store, assigned in zip(self.stores, self.assigned, strict=True):
            empty = [split for split in splits.SPLITS[1:] if split not in assigned]
            if empty and self.scheme.grouped and not self.held_out:
                count = len(set(self.groups_of(store)))
                lacking.append(
                    f"{store.condition.name} has none in {' and '.join(empty)} (its "
                    f"{len(assigned)} images are {count} group{'s' * (count != 1)})"
                )
        if not lacking:
            return ""
        return (
            f"Whole groups are too large here: {', '.join(lacking)}. Use fold() or hold_out() of a "
            "Reader, or scheme='random', which lets look-alikes straddle the splits."
        )
