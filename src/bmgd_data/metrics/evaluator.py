"""Scores of predictions for one split of the data, overall and by stiffness."""

from __future__ import annotations

import hashlib
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data import __version__, facts, leaks, splits
from bmgd_data._card import provenance
from bmgd_data._system import disk
from bmgd_data._system.progress import bar
from bmgd_data.errors import BMGDWarning
from bmgd_data.instances import DERIVED, why_no_labels
from bmgd_data.metrics import files, predictions
from bmgd_data.metrics.instance import InstanceCounts, count_instances
from bmgd_data.metrics.pixel import BATCH_SIZE, THRESHOLD, PixelCounts, count_pixels
from bmgd_data.metrics.table import ALL, ImageCounts, Table, tabulate
from bmgd_data.reader import Reader

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from bmgd_data.facts import Stiffness
    from bmgd_data.reader import Sample

_BINARY, _LABELS = "binary", "labels"
_FITS: Final = 0.5
"""Pixel F1 from which the complement of masks is taken to be what was meant."""


class Evaluator:
    """Compares predictions with one split of the data: the same samples, names and order as Reader.

    A prediction is an (H, W) array of

    - bool, or floats: a binary mask, or probabilities from 0 to 1. Its instances are derived by
      the method of the true ones (by watershed if those are "provided");
    - integers: instance labels, 0 for background. If no prediction has more than one value
      besides 0 (0/1, 0/255), all of them are binary masks. Integers that cannot be labels
      (probabilities in 8 or 16 bits, masks with grey edges, classes) are refused.

    Only counts are kept of each image, about a kilobyte.

    Args:
        split: A Reader, such as one fold; or the split of one: "train", "val", "test" or "all".
        stiffness: If `split` is no Reader: as `Reader` takes it.
        data: Likewise, further arguments of `Reader`: root, source, download, scheme, instances.
        threshold: Probabilities greater than this are foreground.
        batch_size: Images per batch of the soft scores, in the Reader's order.
        reading: What the predictions are: "mask" (all above 0), "labels", or "probability" (floats;
            unsigned integers are divided by the largest of their type). None finds out, and doubts.

    Raises:
        ValueError: An argument is not valid, or the split is empty.
        BMGDError: The data is not available; see Reader.

    Example:
        >>> from bmgd_data import Reader
        >>> from bmgd_data.metrics import Evaluator
        >>> evaluator = Evaluator("test", stiffness="1200Pa", source="phantom")
        >>> for sample in Reader("test", stiffness="1200Pa", source="phantom"):
        ...     evaluator.add(sample["name"], sample["image"] > 1000)
        >>> 0 < evaluator.table().part("1200Pa").pixels.pooled.f1 < 1
        True
    """

    def __init__(
        self,
        split: str | Reader = "test",
        stiffness: Stiffness | Iterable[Stiffness] | None = None,
        *,
        threshold: float = THRESHOLD,
        batch_size: int = BATCH_SIZE,
        reading: str | None = None,
        **data: Any,
    ) -> None:
        if isinstance(split, Reader):
            if stiffness is not None or data:
                raise ValueError(
                    "A Reader says which data is scored, so no further arguments of one are taken "
                    "beside it. Make the Reader with them."
                )
            self.reader = split
        else:
            self.reader = Reader(split, stiffness, **data)
        if not len(self.reader):
            raise ValueError(
                f"The split {self.reader.split!r} holds no images, so there is nothing to score."
            )
        own = self.reader.instance_method
        self.method = own if own in DERIVED else "watershed"  # provided ones separate nuclei
        self.threshold = threshold
        self.batch_size = batch_size
        if reading not in (None, *predictions.READINGS):
            valid = ", ".join(map(repr, predictions.READINGS))
            raise ValueError(f"reading={reading!r} is not valid. Valid: {valid}, or None.")
        self.reading = reading
        self._left_out = ""
        self._row = {name: row for row, name in enumerate(self.reader.names)}
        self._counted: dict[str, _Counted] = {}
        self.doubts: list[str] = []

    def add(self, name: str | bytes, prediction: Any) -> None:
        """Score the prediction for one sample.

        Args:
            name: The sample's name, such as "1200Pa/<stem>".
            prediction: (H, W), the sample's shape; see the class.

        Raises:
            ValueError: The split has no such sample, it was added before, or the prediction does
                not fit it.
        """
        if isinstance(name, bytes):  # as TFDS has it
            name = name.decode()
        if not isinstance(name, str):
            raise ValueError(  # noqa: TRY004 - a ValueError, as for every wrong argument
                f"{name!r} is no name. Add one sample at a time: its name and an (H, W) array."
            )
        if name not in self._row:
            raise ValueError(
                f"{name!r} is no sample of split {self.reader.split!r}. Its names look like "
                f"{self.reader.names[0]!r}; see Reader(...).names."
            )
        if name in self._counted:
            raise ValueError(f"{name!r} was added before. Make a new Evaluator to score again.")
        self._counted[name] = self._count(self.reader[self._row[name]], prediction)

    def add_folder(self, folder: str | os.PathLike[str]) -> None:
        """Score a folder of predictions, one file per sample.

        The prediction for a sample is ``<folder>/<sample name>.tif`` (or .tiff, .png), such as
        ``1200Pa/<stem>.tif``; or a file named as `bmgd_data.export.export` names the sample's, with
        or without what Cellpose, StarDist or ilastik append, such as
        ``1200Pa_<stem>_img_cp_masks.tif``. Probabilities must be TIFF of floats, or .npy. Also read
        are Cellpose's ``_seg.npy``, ROIs of ImageJ (.zip, .roi) and objects of QuPath (.geojson).
        Files of stiffnesses that this Evaluator does not score are left out, and so are pictures
        that programs write beside their masks, with a note.

        Args:
            folder: The folder; folders in it do not matter.

        Raises:
            ValueError: Predictions are missing, belong to no sample, exist twice, may belong to
                several samples, cannot be read or do not fit their samples. One message lists them
                all, and none is added.
        """
        if self._counted:
            raise ValueError("Predictions were added before. Make a new Evaluator to score again.")
        asked = {condition.name for condition in self.reader.conditions}
        elsewhere = {condition.name for condition in facts.CONDITIONS} - asked
        paths, problems, left_out = predictions.find(Path(folder), self._row, elsewhere)
        counted, bad = {}, []
        with bar("scoring", len(paths)) as progress:
            for name, path in paths.items():
                sample = self.reader[self._row[name]]
                try:
                    counted[name] = self._count(sample, files.read(path, sample["mask"].shape))
                except ValueError as error:
                    bad.append(str(error))
                progress(1)
        if bad:
            more = len(bad) - predictions.SHOWN
            lines = bad[: predictions.SHOWN] + [f"and {more} more"] * (more > 0)
            problems.append("\n  ".join([f"{len(bad)} do not fit their samples:", *lines]))
        if problems:
            raise ValueError("\n".join([f"{folder} cannot be scored:", *problems]))
        self._counted, self._left_out = counted, left_out

    def table(self) -> Table:
        """Scores of each stiffness and of all.

        Raises:
            ValueError: Predictions are missing; the message lists them.
        """
        if missing := [name for name in self._row if name not in self._counted]:
            raise ValueError(
                f"{len(missing)} of {len(self._row)} predictions are missing: "
                f"{predictions.listed(missing)}. Add one for each sample of the split."
            )
        counted = [self._counted[name] for name in self._row]
        reading = _LABELS if any(_BINARY not in image.instances for image in counted) else _BINARY
        parts = [f"{pa}Pa" for pa in self.reader.stiffness_pa]
        images = [
            ImageCounts(part, image.pixels, image.read_as(reading), alike)
            for part, image, alike in zip(parts, counted, self._alike, strict=True)
        ]
        doubts = self._doubts(counted)
        if doubts and doubts != self.doubts:
            warnings.warn(
                f"The predictions may not be what they seem: {' '.join(doubts)}",
                BMGDWarning,
                stacklevel=2,
            )
        self.doubts = doubts
        notes = [*doubts, *self._notes(counted, reading)]
        return tabulate(images, batch_size=self.batch_size, notes=notes)

    def to_dict(self) -> dict[str, Any]:
        """Scores and their provenance, as plain values for JSON.

        Besides the table: ``data`` (digest, scheme, instance method and more), split and
        stiffnesses, the number of images that look like one of train, the threshold, a sha256 of
        the predictions as arrays (independent of the files' format), and this package's version.

        Raises:
            ValueError: Predictions are missing; the message lists them.
        """
        table = self.table()
        reader = self.reader
        return {
            "bmgd_data": __version__,
            "data": provenance(reader),
            "split": reader.split,
            "stiffness": [condition.name for condition in reader.conditions],
            "images": len(reader),
            "look_alikes_in_train": table.part(ALL).alike,
            "threshold": self.threshold,
            "predictions_sha256": disk.sha256_of(
                [[name, self._counted[name].digest] for name in sorted(self._row)]
            ),
            **table.to_dict(),
        }

    @cached_property
    def _alike(self) -> list[bool | None]:
        """Which images look like one of train."""
        if self.reader.split not in splits.SPLITS[1:]:
            return [None] * len(self.reader)
        return [bool(alike) for alike in leaks.exposed(self.reader)]

    def _count(self, sample: Sample, prediction: Any) -> _Counted:
        where = sample["name"]
        predicted = predictions.as_array(prediction, where, self.reading)
        pixels = count_pixels(sample["mask"], predicted, self.threshold, where=where)
        instances, several = {}, False
        if predicted.dtype.kind in "iu":
            instances[_LABELS] = count_instances(sample["instances"], predicted, where=where)
            several = instances[_LABELS].found > 1
            if several and not self.reading and (why := why_no_labels(predicted)):
                raise ValueError(
                    f"{where}: integers are read as instance labels, but {why}. Save probabilities "
                    "as TIFF of floats from 0 to 1; a mask with grey edges, or one of several "
                    "classes, as 0 and 255 (mask > 127, classes == 1); labels as numbers 1..n, one "
                    "a nucleus."
                )
        if not several and self.reading != "labels":
            mask = predicted > (self.threshold if predicted.dtype.kind == "f" else 0)
            derived = DERIVED[self.method](mask)
            instances[_BINARY] = count_instances(sample["instances"], derived, where=where)
        plain = predicted.astype(predicted.dtype.newbyteorder("<"), copy=False)
        content = hashlib.sha256(f"{plain.dtype.str} {plain.shape}".encode())
        content.update(plain.tobytes())
        doubt, silent = None, False
        if not self.reading:
            look = predictions.DOUBTS.get(predicted.dtype.kind)
            doubt = look(predicted) if look else None
            silent = predicted.dtype.kind == "f" and 0 < predicted.max() <= self.threshold
        return _Counted(
            pixels, instances, content.hexdigest(), doubt or "", bool(silent), predicted.size
        )

    def _doubts(self, counted: list[_Counted]) -> list[str]:
        """What suggests that the predictions are read in another way than they were meant."""
        found = []
        if odd := [n for n, image in zip(self._row, counted, strict=True) if image.doubt]:
            first = self._counted[odd[0]].doubt
            found.append(
                f"{len(odd)} predictions may be read in another way than they are meant, such as "
                f"{odd[0]}: {first} If they are right, say what they are: --as labels, mask or "
                'probability (reading="labels").'
            )
        if all(image.silent or not image.pixels.predicted for image in counted) and any(
            image.silent for image in counted
        ):
            found.append(
                f"No probability of any image is above the threshold {self.threshold:g}. Are they "
                "on another scale?"
            )
        tp, fp, fn = (sum(counts) for counts in zip(*(i.pixels.hard for i in counted), strict=True))
        tn = sum(image.size for image in counted) - tp - fp - fn
        if fn > tp and 2 * fn / (2 * fn + tn + tp or 1) > max(_FITS, 2 * tp / (2 * tp + fp + fn)):
            found.append(
                "The masks' background fits the nuclei far better than their foreground. Are they "
                "inverted? Nuclei are not 0."
            )
        return found

    def _notes(self, counted: list[_Counted], reading: str) -> list[str]:
        labelled = sum(reading in image.instances for image in counted if reading == _LABELS)
        derived, alike = len(counted) - labelled, sum(each or False for each in self._alike)
        ways = [f"{labelled} given as labels"] * (labelled > 0)
        ways += [f"{derived} binary, instances by {self.method}"] * (derived > 0)
        reader = self.reader
        data = f"Data: split {reader.split!r} ({reader.scheme}) of {reader.source.label}, version"
        leak = (
            f"{alike} of the {len(reader)} images look like one of train, so these scores say "
            "little about new colonies; see `bmgd leaks`, and scheme='grouped'."
        )
        return [
            f"{data} {reader.digest[:12]}; true instances: {reader.instance_method}.",
            f"Predictions: {'; '.join(ways)}. Foreground: labels, or above {self.threshold:g}.",
            *[f"Read as {self.reading}, as asked."] * (self.reading is not None),
            *[self._left_out] * bool(self._left_out),
            *[leak] * (alike > 0),
            *_READINGS,
        ]


_READINGS: Final = (
    "Pooled: counts summed over all images, then divided; the paper's table is such a score.",
    "Per image: mean of the images' own scores.",
    "Soft: as in the Keras package segmentation_models; no threshold, mean over batches.",
    "Each column has its own batches: a soft score of all may lie outside those of its parts.",
    "Instances match above an IoU of 0.5; AP is TP / (TP + FP + FN).",
    "Where there is nothing to find and nothing is found, a score is 100.",
)


class _Counted(NamedTuple):
    """Counts of one image."""

    pixels: PixelCounts
    instances: dict[str, InstanceCounts]
    """By how the prediction can be read: as a binary mask, as labels, or as both."""
    digest: str
    """sha256 of the prediction."""
    doubt: str
    """Why a label may be the background; empty if none is."""
    silent: bool
    """Whether there are probabilities, and none passes the threshold."""
    size: int
    """Pixels."""

    def read_as(self, reading: str) -> InstanceCounts:
        return self.instances.get(reading) or next(iter(self.instances.values()))
