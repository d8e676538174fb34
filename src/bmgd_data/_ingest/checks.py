"""Takes the files of one condition in any order: decodes, checks, labels, writes each to its row.

It collects everything unusual or damaged, so that one report lists it all. A mask is compared with
its image as soon as both are there, and all of them are judged together at the end.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from bmgd_data import facts, instances
from bmgd_data._ingest import agreement, decode, measures, pairing, provided, scales
from bmgd_data._ingest.findings import Findings, some
from bmgd_data._store import acceptance, store
from bmgd_data._store.arrays import ArrayFile
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError, StorageError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES: Final = 64 * 2**30
"""Of one condition's arrays; BMGD's largest take about 0.2 GB."""

_BYTES_PER_PIXEL: Final = 7  # image, components and provided labels two each, mask one
_MOSTLY_FOREGROUND: Final = 0.5
_DIGITS: Final = 16  # of an image's digest: enough for images that are not forged
_COUNTS_AGREE: Final = 0.2  # touching nuclei are one component
_LABEL_FILES, _MASKS = "label-files", "many-valued-masks"  # where provided labels come from


class _Figures(NamedTuple):
    pair: measures.Pair
    grey: scales.Grey
    digest: str
    """Of the image; empty if it is uniform."""


class Intake:
    """Fills a folder with the arrays of one condition, whose files `plan` sorts."""

    def __init__(self, plan: pairing.Plan, condition: facts.Condition, folder: Path) -> None:
        self._plan = plan
        self._condition = condition
        self._folder = folder
        self._names = list(plan.pairs)
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
        self._arrays: dict[str, ArrayFile] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._faults: dict[str, str] = {}
        self._found = Findings(list(plan.notes), list(plan.doubts))
        self._noted_files: Counter[str] = Counter()
        self._bits: dict[int, int] = {}
        self._counts = [-1] * len(self._names)
        self._figures: dict[int, _Figures] = {}
        self._fixed: set[int] = set()  # rows whose masks have several values
        self._inverted: list[int] = []
        self._unused_labels = ""
        self._labels = {kind: provided.Labels() for kind in (_LABEL_FILES, _MASKS)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for array in self._arrays.values():
            array.close()

    # --------------------------------------------------------------------------- one file at a time

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
            self._noted_files[note] += 1
        if self._put(store.IMAGES, row, path, pixels) and self._counts[row] >= 0:
            self._measure(row, pixels, self._arrays[store.MASKS].get(row))

    def _take_mask(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "masks")
        mask = values > 0
        if not self._put(store.MASKS, row, path, mask):
            return
        count = self._label(row, mask)
        if row in self._bits:
            self._measure(row, self._arrays[store.IMAGES].get(row), mask)
        if ((values == values.max()) == mask).all() or not count:
            self._labels[_MASKS].add_binary(row, count)
        else:
            self._fixed.add(row)
            self._take_many_valued(_MASKS, row, path, values)

    def _take_labels(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "label files")
        self._take_many_valued(_LABEL_FILES, row, path, values)

    def _label(self, row: int, mask: NDArray[np.bool_]) -> int:
        connected = instances.components(mask)
        self._put(_inside("components"), row, self._pairs[row].mask, connected)
        self._counts[row] = int(connected.max())
        return self._counts[row]

    def _measure(self, row: int, image: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
        if image.shape != mask.shape:
            return  # `faults` reports it
        values = image.astype(np.intp)  # the type in which numpy counts and looks up
        counts = np.bincount(values.ravel())
        grey = scales.measure(counts, self._bits[row])
        digest = ""
        if grey.minimum != grey.maximum:
            digest = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()[:_DIGITS]
        self._figures[row] = _Figures(measures.look(values, mask, counts), grey, digest)

    def _decoded(self, path: str, data: bytes, what: str) -> NDArray[np.integer[Any]]:
        values, note = decode.labels(data, path)
        if note:
            self._noted_files[f"{what} {note}"] += 1
        return values

    def _take_many_valued(
        self, kind: str, row: int, path: str, values: NDArray[np.integer[Any]]
    ) -> None:
        labels = instances.renumbered(values)
        self._labels[kind].add(row, path, labels)
        self._put(_inside(kind), row, path, labels)

    def _put(self, name: str, row: int, path: str, pixels: NDArray[Any]) -> bool:
        """Write to a row, if the shape is the first one's; otherwise `faults` reports it."""
        self._shapes[path] = pixels.shape
        if name not in self._arrays:
            shape = (len(self._names), *pixels.shape)
            if not self._arrays:
                self._require_space(shape)
            self._arrays[name] = ArrayFile(self._folder / name, shape)
        if pixels.shape != self._arrays[name].shape[1:]:
            return False
        self._arrays[name].put(row, pixels)
        return True

    def _require_space(self, shape: tuple[int, ...]) -> None:
        need = math.prod(shape) * _BYTES_PER_PIXEL
        if need > MAX_BYTES:
            raise StorageError(
                f"The arrays of {shape[0]} images of {shape[1]} x {shape[2]} pixels would take "
                f"{need >> 30} GB, where at most {MAX_BYTES >> 30} GB are written. Check where the "
                "data comes from."
            )
        disk.require_space(self._folder, need, "for the arrays")

    # ------------------------------------------------------------------------------------ all files

    def faults(self) -> list[str]:
        """Everything that makes the condition unusable, each with its file."""
        faults = [
            f"{path}: {why}"
            for path, why in self._faults.items()
            if self._place[path][1] != pairing.LABELS
        ]
        faults += [
            f"{path}: listed, but missing in the archive"
            for path in self._place
            if path not in self._shapes and path not in self._faults
        ]
        sizes = Counter(self._shapes[p.image] for p in self._pairs if p.image in self._shapes)
        usual = max(sizes, key=sizes.__getitem__, default=None)
        for image, mask, _ in self._pairs:
            here, there = self._shapes.get(image), self._shapes.get(mask)
            if here and there and here != there:
                faults.append(f"{image}: shape {here}, but its mask {mask} has {there}")
            elif here and here != usual:
                faults.append(f"{image}: shape {here}, where most images have {usual}")
        masks = self._labels[_MASKS]
        if masks.files and not masks.consistent:
            faults += [
                f"{path}: neither a binary mask nor instance labels; it has {values} values. "
                "Save 0 for background and 255 for nuclei"
                for path, values in masks.files.items()
            ]
        return [printable(fault) for fault in faults]

    def finish(self) -> dict[str, list[int]]:
        """Complete the arrays, once everything is taken and there are no faults.

        Returns nuclei per image for each instance method that the folder then holds.
        """
        self._agree()
        self._doubt_uniform()
        counts = {"components": self._counts}
        for kind, labels in self._labels.items():
            why_not = self._why_not_provided(kind, labels)
            if labels.files and "provided" in counts:
                why_not = why_not or "superseded"
            if kind == _LABEL_FILES:
                self._unused_labels = why_not
            if why_not:
                self._found.notes.append(f"{kind} are not used as instances: {why_not}")
            elif labels.files:
                for row in labels.binary:  # a mask of one nucleus is a label image as well
                    self._arrays[_inside(kind)].put(row, self._arrays[store.MASKS].get(row))
                self._found.doubts += provided.doubts(self._names, self._reader(_inside(kind)))
                counts["provided"] = labels.counts
            if labels.files:
                self._arrays.pop(_inside(kind)).close()
                if why_not:
                    shutil.rmtree(self._folder / kind)
                else:
                    (self._folder / kind).rename(self._folder / "provided")
        return counts

    def _why_not_provided(self, kind: str, labels: provided.Labels) -> str:
        faulty = [path for path in self._faults if self._place[path][1] == pairing.LABELS]
        if kind == _LABEL_FILES and faulty:
            return f"{len(faulty)} are damaged, e.g. {faulty[0]}: {self._faults[faulty[0]]}"
        if not labels.files:
            return ""
        if missing := len(self._names) - len(labels.counts):
            return f"{missing} of {len(self._names)} images have none"
        shapes = {self._shapes[path] for path in labels.files}
        if shapes != {self._arrays[store.IMAGES].shape[1:]}:
            return f"their shapes are {sorted(shapes)}"
        return "" if labels.consistent else "their values are not one region each"

    def _reader(self, name: str) -> Any:
        """A function that reads a row of an array and of the masks."""
        one, masks = self._arrays[name], self._arrays[store.MASKS]
        return lambda row: (one.get(row), masks.get(row))

    def _agree(self) -> None:
        pairs = [self._figures[row].pair for row in range(len(self._names))]
        verdict = agreement.judge(pairs, self._names, self._reader(store.IMAGES), self._fixed)
        self._found.include(verdict)
        self._inverted = verdict.inverted
        for row in verdict.inverted:
            mask = ~self._arrays[store.MASKS].get(row)
            self._arrays[store.MASKS].put(row, mask)
            self._labels[_MASKS].add_binary(row, self._label(row, mask))
            self._figures[row] = self._figures[row]._replace(pair=pairs[row].inverted())

    def _doubt_uniform(self) -> None:
        """Doubt uniform masks and images by grey values: they fit any other equally well."""
        pairs = [self._figures[row].pair for row in range(len(self._names))]
        judged = [pair for pair in pairs if 0 < pair.share < 1]
        contrast = float(np.median([pair.inside - pair.outside for pair in judged] or [np.inf]))
        share = float(np.median([pair.share for pair in judged] or [1]))
        images = self._arrays[store.IMAGES]
        missed = [
            row
            for row, pair in enumerate(pairs)
            if pair.share == 0 and measures.has_nuclei(images.get(row), contrast, share)
        ]
        full = [row for row, pair in enumerate(pairs) if pair.share == 1]
        blank = [
            row for row, count in enumerate(self._counts) if count and not self._figures[row].digest
        ]
        for rows, line in (
            (missed, "empty: {} masks mark nothing, though their images seem to show nuclei"),
            (full, "full: {} masks mark their whole image"),
            (blank, "blank: {} images have one value only, though their masks mark nuclei"),
        ):
            if rows:
                self._found.doubts.append(f"{line.format(len(rows))}. Look at {self._some(rows)}.")

    def _some(self, rows: list[int]) -> str:
        return some(self._names[row] for row in rows)

    def summary(self) -> dict[str, Any]:
        """The fields of `store.Index` that describe the samples."""
        shape = self._arrays[store.IMAGES].shape
        pairs, greys, digests = zip(
            *(self._figures[row] for row in range(len(self._names))), strict=True
        )
        found = self._found
        found.notes += [f"{count} {what}" for what, count in sorted(self._noted_files.items())]
        scale = scales.decide(greys, self._names)
        found.include(scale)
        found.notes += self._counted(shape, pairs)
        found.doubts += acceptance.duplicates((self._condition, self._names, digests))
        return {
            "full_scale": scale.full,
            "shape": shape,
            "names": self._names,
            "images": self._plan.images,
            "minimum": min(grey.minimum for grey in greys),
            "maximum": max(grey.maximum for grey in greys),
            "sums": [grey.total for grey in greys],
            "sums_of_squares": [grey.squares for grey in greys],
            "image_digests": list(digests),
            "agreement": {
                figure: [_rounded(getattr(pair, figure)) for pair in pairs]
                for figure in ("auc", "own", "turned")
            },
            "inverted": self._inverted,
            "unused_labels": printable(self._unused_labels),
            "notes": list(map(printable, found.notes)),
            "doubts": list(map(printable, found.doubts)),
            "refusals": list(map(printable, found.refusals)),
        }

    def _counted(self, shape: tuple[int, ...], pairs: tuple[measures.Pair, ...]) -> list[str]:
        notes, nuclei, expected = [], sum(self._counts), self._condition
        if shape[1:] != facts.IMAGE_SHAPE:
            notes.append(f"images of {shape[1]} x {shape[2]} pixels, where the paper has 256 x 256")
        if len(self._names) == expected.images and (
            abs(nuclei - expected.nuclei) > _COUNTS_AGREE * expected.nuclei
        ):
            notes.append(
                f"{nuclei} connected regions in the masks, where the paper counts "
                f"{expected.nuclei} nuclei"
            )
        if empty := self._counts.count(0):
            notes.append(f"{empty} masks without any nucleus")
        if dense := [row for row, pair in enumerate(pairs) if pair.share > _MOSTLY_FOREGROUND]:
            notes.append(
                f"{len(dense)} masks cover more than half of their image, e.g. {self._some(dense)}"
            )
        return notes


def _rounded(figure: float) -> float | None:
    return None if math.isnan(figure) else round(figure, 4)


def _inside(folder: str) -> str:
    return f"{folder}/{store.LABELS}"
