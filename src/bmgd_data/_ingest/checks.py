"""Takes the files of one condition in any order: decodes, checks, labels, writes each to its row.

It keeps account of everything unusual or damaged that it meets, so that one report names it all.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from bmgd_data import facts, instances
from bmgd_data._ingest import decode, pairing
from bmgd_data._store import store
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


class Intake:
    """Fills a folder with the arrays of one condition.

    Args:
        plan: Which file is what.
        folder: Where the arrays are written.
    """

    def __init__(self, plan: pairing.Layout, folder: Path) -> None:
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
        self._bits: dict[str, int] = {}
        self._pixels = np.zeros((len(self._names), 4), np.uint64)  # min, max, sum, sum of squares
        self._counts = [0] * len(self._names)
        self._mostly_foreground: list[str] = []
        self._labels = {
            "label-files": _Labels(len(self._names)),
            "many-valued-masks": _Labels(len(self._names)),
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
        pixels, self._bits[path], note = decode.image(data, path)
        if note:
            self._noted_files[note] += 1
        wide = pixels.astype(np.uint64).ravel()
        self._pixels[row] = pixels.min(), pixels.max(), wide.sum(), wide @ wide
        self._put(store.IMAGES, row, path, pixels)

    def _take_mask(self, row: int, path: str, data: bytes) -> None:
        values = self._decoded(path, data, "masks")
        mask = values > 0
        connected = instances.components(mask)
        self._counts[row] = count = int(connected.max())
        if mask.mean() > _MOSTLY_FOREGROUND:
            self._mostly_foreground.append(path)
        self._put(store.MASKS, row, path, mask)
        self._put(_inside("components"), row, path, connected)
        if ((values == values.max()) == mask).all() or not count:
            self._labels["many-valued-masks"].add_binary(row, count)
        else:
            self._take_many_valued("many-valued-masks", row, path, values)

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

    def _put(self, name: str, row: int, path: str, pixels: NDArray[Any]) -> None:
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
        if pixels.shape == self._arrays[name].shape[1:]:
            self._arrays[name].put(row, pixels)
        # else `faults` tells, when all shapes are known

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
        depths = Counter(self._bits.values())
        if len(depths) > 1:
            bits, count = depths.most_common()[-1]
            example = next(path for path, depth in self._bits.items() if depth == bits)
            faults.append(
                f"{example}: {bits}-bit, as {count} of {len(self._bits)} images are, while the "
                "others are not, so that they have no common scale"
            )
        masks = self._labels["many-valued-masks"]
        if masks.files and not masks.consistent:
            faults += [
                f"{path}: neither a binary mask nor instance labels; it has {values} values"
                for path, values in masks.files.items()
            ]
        return [printable(fault) for fault in faults]

    def finish(self) -> dict[str, list[int]]:
        """Complete the arrays, once everything was taken and no fault was found.

        Returns:
            Nuclei per image for each instance method that the folder now holds.
        """
        counts = {"components": self._counts}
        for kind, labels in self._labels.items():
            if not labels.files:
                continue
            why_not = self._why_not_provided(labels)
            if why_not is None and "provided" not in counts:
                self._fill_binary_rows(kind, labels)
                self._arrays.pop(_inside(kind)).close()
                (self._folder / kind).rename(self._folder / "provided")
                counts["provided"] = labels.counts
            else:
                self._arrays.pop(_inside(kind)).close()
                shutil.rmtree(self._folder / kind)
                self._notes.append(f"{kind} are not used as instances: {why_not or 'superseded'}")
        return counts

    def _why_not_provided(self, labels: _Labels) -> str | None:
        if faulty := [path for path in self._faults if self._place[path][1] == pairing.LABELS]:
            return f"{len(faulty)} are damaged, e.g. {faulty[0]}: {self._faults[faulty[0]]}"
        if missing := labels.taken.count(False):
            return f"{missing} of {len(self._names)} images have none"
        shapes = {self._shapes[path] for path in labels.files}
        if shapes != {self._arrays[store.IMAGES].shape[1:]}:
            return f"their shapes are {sorted(shapes)}"
        if not labels.consistent:
            return "their values are not one region each"
        return None

    def _fill_binary_rows(self, kind: str, labels: _Labels) -> None:
        """A mask with one nucleus has one value; it is a label image all the same."""
        masks = np.load(self._folder / store.MASKS, mmap_mode="r")
        for row in labels.binary_rows:
            self._arrays[_inside(kind)].put(row, masks[row])

    def summary(self) -> dict[str, Any]:
        """What `store.Index` tells of the samples."""
        shape = self._arrays[store.IMAGES].shape
        maximum = int(self._pixels[:, 1].max())
        eight_bit = set(self._bits.values()) == {8}
        full_scale = 255 if eight_bit else 4095 if maximum <= facts.FULL_SCALE else 65535
        notes = [
            *self._notes,
            *(f"{count} {what}" for what, count in sorted(self._noted_files.items())),
        ]
        if shape[1:] != facts.IMAGE_SHAPE:
            notes.append(f"images of {shape[1]} x {shape[2]} pixels, where the paper has 256 x 256")
        if full_scale != facts.FULL_SCALE:
            notes.append(f"images with values 0..{maximum}, where the paper has 0..4095")
        elif maximum <= np.iinfo(np.uint8).max:
            notes.append(
                f"16-bit files with values 0..{maximum} only: were they rescaled to 8 bits?"
            )
        if empty := self._counts.count(0):
            notes.append(f"{empty} masks without any nucleus")
        if self._mostly_foreground:
            notes.append(
                f"{len(self._mostly_foreground)} masks cover more than half of their image, "
                f"e.g. {min(self._mostly_foreground)}: inverted?"
            )
        return {
            "full_scale": full_scale,
            "shape": shape,
            "names": self._names,
            "images": self._images,
            "minimum": int(self._pixels[:, 0].min()),
            "maximum": maximum,
            "sums": [int(value) for value in self._pixels[:, 2]],
            "sums_of_squares": [int(value) for value in self._pixels[:, 3]],
            "notes": [printable(line) for line in notes],
            "doubts": self._doubts,
        }


class _Labels:
    """Whether images with several values are instance labels.

    They are when each value is one 8-connected region: 1.1 regions a value are allowed over the
    whole condition, as a hand may leave a nucleus in two pieces. Grey fringes and class maps are
    not, and neither are binary masks in a folder that promises labels.
    """

    REGIONS_PER_LABEL: Final = 1.1

    def __init__(self, rows: int) -> None:
        self.files: dict[str, int] = {}
        """Distinct values of each file that has several, background included."""
        self.counts = [0] * rows
        self.taken = [False] * rows
        self.binary_rows: list[int] = []
        self._labels = self._regions = 0

    def add(self, row: int, path: str, labels: NDArray[np.uint16]) -> None:
        from skimage.measure import label

        self.taken[row] = True
        self.counts[row] = count = int(labels.max())
        self.files[path] = count + 1
        self._labels += count
        self._regions += int(label(labels, connectivity=2).max())

    def add_binary(self, row: int, regions: int) -> None:
        self.taken[row] = True
        self.counts[row] = min(regions, 1)
        self.binary_rows.append(row)
        self._labels += min(regions, 1)
        self._regions += regions

    @property
    def consistent(self) -> bool:
        """Whether the values are labels."""
        several = any(values > 2 for values in self.files.values())  # noqa: PLR2004
        return several and self._regions <= self.REGIONS_PER_LABEL * self._labels


def _inside(folder: str) -> str:
    return f"{folder}/{store.LABELS}"
