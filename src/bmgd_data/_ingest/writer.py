"""Takes the files of one condition in any order: decodes, measures, labels, writes each to its row.

It collects everything unusual or damaged, so that one report lists it all; `conclusion` judges all
files together.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from bmgd_data import instances
from bmgd_data._ingest import decode, measures, pairing, provided, scales
from bmgd_data._ingest.rows import Rows, labels_of
from bmgd_data._store import store
from bmgd_data.errors import CorruptArchiveError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LABEL_FILES: Final = "label-files"
MASKS: Final = "many-valued-masks"
"""Where provided labels come from: files of their own, or masks with several values."""

_DIGITS: Final = 16  # of an image's digest: enough for images that are not forged


class Figures(NamedTuple):
    """What is known of an image and its mask, once both were taken."""

    pair: measures.Pair
    grey: scales.Grey
    digest: str
    """Of the image; empty if it is uniform."""


class StoreWriter:
    """Fills a folder with the arrays of one condition, whose files `plan` sorts.

    Attributes:
        plan: The pairs of files, by name.
        names: The names, in the order of the rows.
        rows: The arrays.
        figures: By row, what is known of each pair.
        counts: By row, the connected regions of the mask; -1 before it was taken.
        labels: The label images, by where they come from.
        fixed: Rows whose masks have several values, so that none of them can be inverted.
        remarks: How many files each remark on decoding is about.
    """

    def __init__(self, plan: pairing.Plan, folder: Path) -> None:
        self.plan = plan
        self.names = list(plan.pairs)
        self.rows = Rows(folder, len(self.names))
        self.figures: dict[int, Figures] = {}
        self.counts = [-1] * len(self.names)
        self.labels = {kind: provided.Labels() for kind in (LABEL_FILES, MASKS)}
        self.fixed: set[int] = set()
        self.remarks: Counter[str] = Counter()
        self._pairs = list(plan.pairs.values())
        self._place = {
            path: (row, role)
            for row, pair in enumerate(self._pairs)
            for role, path in zip(pair._fields, pair, strict=True)
            if path is not None
        }
        self._take = {
            pairing.IMAGE: self._take_image,
            pairing.MASK: self._take_mask,
            pairing.LABELS: self._take_labels,
        }
        self._faults: dict[str, str] = {}
        self._bits: dict[int, int] = {}

    def __enter__(self) -> Self:
        self.rows.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self.rows.__exit__(*raised)

    def take(self, path: str, data: bytes) -> None:
        """Decode one file and write it to its row; files of no pair are ignored."""
        if path not in self._place:
            return
        row, role = self._place[path]
        try:
            self._take[role](row, path, data)
        except (decode.DecodeError, CorruptArchiveError) as error:
            self._faults[path] = str(error)

    def _take_image(self, row: int, path: str, data: bytes) -> None:
        pixels, self._bits[row], note = decode.image(data, path)
        if note:
            self.remarks[note] += 1
        if self.rows.put(store.IMAGES, row, path, pixels) and self.counts[row] >= 0:
            self._measure(row, pixels, self.rows.get(store.MASKS, row))

    def _take_mask(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "masks")
        mask = values > 0
        if not self.rows.put(store.MASKS, row, path, mask):
            return
        count = self.label(row, mask)
        if row in self._bits:
            self._measure(row, self.rows.get(store.IMAGES, row), mask)
        if ((values == values.max()) == mask).all() or not count:
            self.labels[MASKS].add_binary(row, count)
        else:
            self.fixed.add(row)
            self._take_many_valued(MASKS, row, path, values)

    def _take_labels(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "label files")
        self._take_many_valued(LABEL_FILES, row, path, values)

    def label(self, row: int, mask: NDArray[np.bool_]) -> int:
        """Label the connected regions of a mask, keep them, and return how many there are."""
        connected = instances.components(mask)
        self.rows.put(labels_of("components"), row, self._pairs[row].mask, connected)
        self.counts[row] = int(connected.max())
        return self.counts[row]

    def _measure(self, row: int, image: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
        if image.shape != mask.shape:
            return  # `faults` reports it
        values = image.astype(np.intp)  # the type in which numpy counts and looks up
        counts = np.bincount(values.ravel())
        grey = scales.measure(counts, self._bits[row])
        digest = ""
        if grey.minimum != grey.maximum:
            digest = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()[:_DIGITS]
        self.figures[row] = Figures(measures.measure_pair(values, mask, counts), grey, digest)

    def _decoded(self, path: str, data: bytes, what: str) -> NDArray[np.integer[Any]]:
        values, note = decode.labels(data, path)
        if note:
            self.remarks[f"{what} {note}"] += 1
        return values

    def _take_many_valued(
        self, kind: str, row: int, path: str, values: NDArray[np.integer[Any]]
    ) -> None:
        labels = instances.renumbered(values)
        self.labels[kind].add(row, path, labels)
        self.rows.put(labels_of(kind), row, path, labels)

    def faults(self) -> list[str]:
        """Everything that makes the condition unusable, each with its file."""
        shapes = self.rows.shapes
        faults = [
            f"{path}: {why}"
            for path, why in self._faults.items()
            if self._place[path][1] != pairing.LABELS
        ]
        faults += [
            f"{path}: listed, but missing in the archive"
            for path in self._place
            if path not in shapes and path not in self._faults
        ]
        sizes = Counter(shapes[pair.image] for pair in self._pairs if pair.image in shapes)
        usual = max(sizes, key=sizes.__getitem__, default=None)
        for image, mask, _ in self._pairs:
            here, there = shapes.get(image), shapes.get(mask)
            if here and there and here != there:
                faults.append(f"{image}: shape {here}, but its mask {mask} has {there}")
            elif here and here != usual:
                faults.append(f"{image}: shape {here}, where most images have {usual}")
        masks = self.labels[MASKS]
        if masks.files and not masks.consistent:
            faults += [
                f"{path}: neither a binary mask nor instance labels; it has {values} values. "
                "Save 0 for background and 255 for nuclei"
                for path, values in masks.files.items()
            ]
        return [printable(fault) for fault in faults]

    def why_no_labels(self, kind: str) -> str:
        """Why label images of this kind are no instance masks of all samples; empty if they are."""
        labels = self.labels[kind]
        faulty = [path for path in self._faults if self._place[path][1] == pairing.LABELS]
        if kind == LABEL_FILES and faulty:
            return f"{len(faulty)} are damaged, e.g. {faulty[0]}: {self._faults[faulty[0]]}"
        if not labels.files:
            return ""
        if missing := len(self.names) - len(labels.counts):
            return f"{missing} of {len(self.names)} images have none"
        shapes = {self.rows.shapes[path] for path in labels.files}
        if shapes != {self.rows.shape[1:]}:
            return f"their shapes are {sorted(shapes)}"
        return "" if labels.consistent else "their values are not one region each"
