"""Takes the files of one condition in any order: decodes, checks, labels, writes each to its row.

It collects everything unusual or damaged, so that one report names it all. A mask is compared with
its image as soon as both are there, and all of them are judged together at the end.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from bmgd_data import facts, instances, splits
from bmgd_data._ingest import agreement, decode, measures, pairing, provided, scales
from bmgd_data._ingest.roles import some
from bmgd_data._store import store
from bmgd_data._store.arrays import ArrayFile
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError, StorageError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MAX_BYTES: Final = 64 * 2**30
"""Of one condition's arrays; BMGD's largest take about 0.2 GB."""

_BYTES_PER_PIXEL: Final = 7  # image, components and provided labels two each, mask one
_MOSTLY_FOREGROUND: Final = 0.5
_SHOWN: Final = 3
_DIGITS: Final = 16  # of an image's digest: enough for images that are not forged
_COUNTS_AGREE: Final = 0.2  # touching nuclei are one component


class Intake:
    """Fills a folder with the arrays of one condition.

    Args:
        plan: Which file is what.
        condition: Whose files they are.
        folder: Where the arrays are written.
    """

    def __init__(self, plan: pairing.Plan, condition: facts.Condition, folder: Path) -> None:
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
        self._images = plan.images
        self._notes = list(plan.notes)
        self._doubts = list(plan.doubts)
        self._noted_files: Counter[str] = Counter()
        self._refusals: list[str] = []
        self._bits: dict[int, int] = {}
        self._greys: dict[int, scales.Grey] = {}
        self._image_digests = [""] * len(self._names)
        self._looks: dict[int, measures.Pair] = {}
        self._fixed: set[int] = set()  # rows whose masks have several values
        self._counts = [-1] * len(self._names)
        self._inverted: list[int] = []
        self._unused_labels = ""
        self._labels = {
            "label-files": provided.Labels(len(self._names)),
            "many-valued-masks": provided.Labels(len(self._names)),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close whatever is still open."""
        for array in self._arrays.values():
            array.close()

    def take(self, path: str, data: bytes) -> None:
        """Decode one file and write it to its row; files of no pair are passed over."""
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
            self._look(row, pixels, self._arrays[store.MASKS].get(row))

    def _take_mask(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "masks")
        mask = values > 0
        if not self._put(store.MASKS, row, path, mask):
            return
        count = self._label(row, mask)
        if row in self._bits:
            self._look(row, self._arrays[store.IMAGES].get(row), mask)
        if ((values == values.max()) == mask).all() or not count:
            self._labels["many-valued-masks"].add_binary(row, count)
        else:
            self._fixed.add(row)
            self._take_many_valued("many-valued-masks", row, path, values)

    def _label(self, row: int, mask: NDArray[np.bool_]) -> int:
        connected = instances.components(mask)
        self._put(_inside("components"), row, self._pairs[row].mask, connected)
        self._counts[row] = int(connected.max())
        return self._counts[row]

    def _look(self, row: int, image: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
        """Measure a pair, once both are there."""
        if image.shape != mask.shape:
            return  # `faults` tells
        values = image.astype(np.intp)  # as numpy counts and looks up, so once for all
        counts = np.bincount(values.ravel())
        self._looks[row] = measures.look(values, mask, counts)
        self._greys[row] = grey = scales.measure(counts, self._bits[row])
        if grey.minimum != grey.maximum:
            digest = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
            self._image_digests[row] = digest[:_DIGITS]

    def _take_labels(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "label files")
        self._take_many_valued("label-files", row, path, values)

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
        """Write to a row, if the shape is the first one's; else `faults` tells, at the end."""
        self._shapes[path] = pixels.shape
        if name not in self._arrays:
            shape = (len(self._names), *pixels.shape)
            if not self._arrays:
                need = math.prod(shape) * _BYTES_PER_PIXEL
                if need > MAX_BYTES:
                    raise StorageError(
                        f"The arrays of {shape[0]} images of {shape[1]} x {shape[2]} pixels would "
                        f"take {need >> 30} GB, where at most {MAX_BYTES >> 30} GB are written. "
                        "Check where the data comes from."
                    )
                disk.require_space(self._folder, need, "for the arrays")
            self._arrays[name] = ArrayFile(self._folder / name, shape)
        if pixels.shape != self._arrays[name].shape[1:]:
            return False
        self._arrays[name].put(row, pixels)
        return True

    def faults(self) -> list[str]:
        """Everything that makes the condition unusable, each with the file it lies in."""
        faults = [
            f"{path}: {why}"
            for path, why in self._faults.items()
            if self._place[path][1] != pairing.LABELS
        ]
        faults += [
            f"{path}: listed, but nothing came"
            for path in self._place
            if path not in self._shapes and path not in self._faults
        ]
        sizes = Counter(self._shapes[p.image] for p in self._pairs if p.image in self._shapes)
        usual = sizes.most_common(1)[0][0] if sizes else None
        for image, mask, _ in self._pairs:
            here, there = self._shapes.get(image), self._shapes.get(mask)
            if here and there and here != there:
                faults.append(f"{image}: shape {here}, but its mask {mask} has {there}")
            elif here and here != usual:
                faults.append(f"{image}: shape {here}, where most images have {usual}")
        masks = self._labels["many-valued-masks"]
        if masks.files and not masks.consistent:
            faults += [
                f"{path}: neither a binary mask nor instance labels; it has {values} values. "
                "Save 0 for background and 255 for nuclei"
                for path, values in masks.files.items()
            ]
        return [printable(fault) for fault in faults]

    def finish(self) -> dict[str, list[int]]:
        """Complete the arrays, once everything was taken and no fault was found.

        Masks that mark the background are inverted, and labelled again.

        Returns:
            Nuclei per image for each instance method that the folder now holds.
        """
        self._agree()
        self._doubt_empty_and_full()
        counts = {"components": self._counts}
        for kind, labels in self._labels.items():
            why_not = self._why_not_provided(kind, labels)
            if kind == "label-files" and why_not:
                self._unused_labels = why_not
            if not labels.files:
                continue
            if why_not is None and "provided" not in counts:
                self._fill_binary_rows(kind, labels)
                self._doubts += provided.doubts(self._names, self._reader(_inside(kind)))
                self._arrays.pop(_inside(kind)).close()
                (self._folder / kind).rename(self._folder / "provided")
                counts["provided"] = labels.counts
            else:
                self._arrays.pop(_inside(kind)).close()
                shutil.rmtree(self._folder / kind)
                self._notes.append(f"{kind} are not used as instances: {why_not or 'superseded'}")
        if self._unused_labels and not self._labels["label-files"].files:
            self._notes.append(f"label-files are not used as instances: {self._unused_labels}")
        return counts

    def _reader(self, name: str) -> Any:
        """Gives a row of an array and of the masks."""
        one, masks = self._arrays[name], self._arrays[store.MASKS]
        return lambda row: (one.get(row), masks.get(row))

    def _agree(self) -> None:
        looks = [self._looks[row] for row in range(len(self._names))]
        verdict = agreement.judge(looks, self._names, self._reader(store.IMAGES), self._fixed)
        self._notes += verdict.notes
        self._doubts += verdict.doubts
        self._refusals += verdict.refusals
        self._inverted = verdict.inverted
        masks = self._labels["many-valued-masks"]
        for row in verdict.inverted:
            mask = ~self._arrays[store.MASKS].get(row)
            self._arrays[store.MASKS].put(row, mask)
            masks.add_binary(row, self._label(row, mask))
            self._looks[row] = looks[row].inverted()

    def _doubt_empty_and_full(self) -> None:
        """Doubt uniform masks and images, which fit any other equally well, by grey values."""
        judged = [look for look in self._looks.values() if 0 < look.share < 1]
        contrast = float(np.median([look.inside - look.outside for look in judged] or [np.inf]))
        share = float(np.median([look.share for look in judged] or [1]))
        empty = [row for row, look in self._looks.items() if look.share == 0]
        missed = [
            row
            for row in empty
            if measures.has_nuclei(self._arrays[store.IMAGES].get(row), contrast, share)
        ]
        full = [row for row, look in self._looks.items() if look.share == 1]
        blank = [
            row
            for row, grey in self._greys.items()
            if grey.minimum == grey.maximum and self._counts[row]
        ]
        for rows, line in (
            (missed, "empty: {} masks mark nothing, though their images seem to show nuclei"),
            (full, "full: {} masks mark their whole image"),
            (blank, "blank: {} images have one value only, though their masks mark nuclei"),
        ):
            if rows:
                self._doubts.append(f"{line.format(len(rows))}. Look at {self._some(rows)}.")

    def _some(self, rows: Iterable[int]) -> str:
        return some((self._names[row] for row in sorted(rows)), _SHOWN)

    def _why_not_provided(self, kind: str, labels: provided.Labels) -> str | None:
        faulty = [path for path in self._faults if self._place[path][1] == pairing.LABELS]
        if kind == "label-files" and faulty:
            return f"{len(faulty)} are damaged, e.g. {faulty[0]}: {self._faults[faulty[0]]}"
        if not labels.files:
            return None
        if missing := labels.taken.count(False):
            return f"{missing} of {len(self._names)} images have none"
        shapes = {self._shapes[path] for path in labels.files}
        if shapes != {self._arrays[store.IMAGES].shape[1:]}:
            return f"their shapes are {sorted(shapes)}"
        if not labels.consistent:
            return "their values are not one region each"
        return None

    def _fill_binary_rows(self, kind: str, labels: provided.Labels) -> None:
        """A mask of one nucleus has one value, and is a label image too."""
        for row in labels.binary:
            self._arrays[_inside(kind)].put(row, self._arrays[store.MASKS].get(row))

    def summary(self) -> dict[str, Any]:
        """What `store.Index` tells of the samples."""
        shape = self._arrays[store.IMAGES].shape
        greys = [self._greys[row] for row in range(len(self._names))]
        looks = [self._looks[row] for row in range(len(self._names))]
        scale = scales.decide(greys, self._names)
        notes = [
            *self._notes,
            *(f"{count} {what}" for what, count in sorted(self._noted_files.items())),
            *scale.notes,
            *self._counted(shape),
        ]
        return {
            **scales.overall(greys),
            "full_scale": scale.full,
            "shape": shape,
            "names": self._names,
            "images": self._images,
            "image_digests": self._image_digests,
            "agreement": {
                figure: [_rounded(getattr(look, figure)) for look in looks]
                for figure in ("auc", "own", "turned")
            },
            "inverted": self._inverted,
            "unused_labels": printable(self._unused_labels),
            "notes": [printable(line) for line in notes],
            "doubts": [
                printable(line) for line in (*self._doubts, *scale.doubts, *self._duplicates())
            ],
            "refusals": [printable(line) for line in self._refusals],
        }

    def _counted(self, shape: tuple[int, ...]) -> list[str]:
        notes, nuclei = [], sum(self._counts)
        if shape[1:] != facts.IMAGE_SHAPE:
            notes.append(f"images of {shape[1]} x {shape[2]} pixels, where the paper has 256 x 256")
        expected = self._condition
        if len(self._names) == expected.images and (
            abs(nuclei - expected.nuclei) > _COUNTS_AGREE * expected.nuclei
        ):
            notes.append(
                f"{nuclei} connected regions in the masks, where the paper counts "
                f"{expected.nuclei} nuclei"
            )
        if empty := self._counts.count(0):
            notes.append(f"{empty} masks without any nucleus")
        dense = [row for row, look in self._looks.items() if look.share > _MOSTLY_FOREGROUND]
        if dense:
            notes.append(
                f"{len(dense)} masks cover more than half of their image, e.g. {self._some(dense)}"
            )
        return notes

    def _duplicates(self) -> list[str]:
        """The same image under several names, and in which splits these are."""
        alike: dict[str, list[int]] = defaultdict(list)
        for row, digest in enumerate(self._image_digests):
            if digest:
                alike[digest].append(row)
        groups = [rows for rows in alike.values() if len(rows) > 1]
        if not groups:
            return []
        assigned = splits.assign(self._names, self._condition, "random")
        straddling = [rows for rows in groups if len({assigned[row] for row in rows}) > 1]
        first = (straddling or groups)[0]
        named = ", ".join(f"{self._names[row]} ({assigned[row]})" for row in first[:_SHOWN])
        line = (
            f"duplicates: {len(groups)} images are there more than once, {len(straddling)} of them "
            f"in several splits of the scheme 'random'. Look at {named}."
        )
        return [line]


def _rounded(figure: float) -> float | None:
    return None if math.isnan(figure) else round(figure, 4)


def _inside(folder: str) -> str:
    return f"{folder}/{store.LABELS}"
