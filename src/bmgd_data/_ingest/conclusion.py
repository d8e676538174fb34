"""What all files of a condition show together: label images, masks that fit, scales, remarks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._ingest import agreement, measures, provided, scales
from bmgd_data._ingest.remarks import Remarks, some
from bmgd_data._ingest.rows import labels_of
from bmgd_data._ingest.writer import LABEL_FILES, MASKS
from bmgd_data._store import acceptance, store
from bmgd_data.errors import printable

if TYPE_CHECKING:
    from bmgd_data._ingest.writer import StoreWriter

_MOSTLY_FOREGROUND: Final = 0.5
_COUNTS_AGREE: Final = 0.2  # touching nuclei are one component


class Conclusion(NamedTuple):
    """What the store's index says of its samples."""

    counts: dict[str, list[int]]
    """Nuclei per image for each instance method that the folder holds."""
    fields: dict[str, Any]
    """The fields of `store.Index` that describe the samples."""


def conclude(written: StoreWriter, condition: facts.Condition) -> Conclusion:
    """Complete the arrays, once everything is taken and there are no faults, and describe them."""
    remarks = Remarks(list(written.plan.notes), list(written.plan.doubts))
    inverted = _agree(written, remarks)
    pairs, greys, digests = zip(
        *(written.figures[row] for row in range(len(written.names))), strict=True
    )
    _doubt_uniform(written, pairs, remarks)
    counts, unused = _instances(written, remarks)
    remarks.notes += [f"{count} {what}" for what, count in sorted(written.remarks.items())]
    scale = scales.decide(greys, written.names)
    remarks.include(scale)
    remarks.notes += _counted(written, condition, pairs)
    remarks.doubts += acceptance.duplicates((condition, written.names, digests))
    fields = {
        "full_scale": scale.full,
        "shape": written.rows.shape,
        "names": written.names,
        "images": written.plan.images,
        "minimum": min(grey.minimum for grey in greys),
        "maximum": max(grey.maximum for grey in greys),
        "sums": [grey.total for grey in greys],
        "sums_of_squares": [grey.squares for grey in greys],
        "image_digests": list(digests),
        "agreement": {
            figure: [_rounded(getattr(pair, figure)) for pair in pairs]
            for figure in ("auc", "own", "turned")
        },
        "inverted": inverted,
        "unused_labels": printable(unused),
        "notes": list(map(printable, remarks.notes)),
        "doubts": list(map(printable, remarks.doubts)),
        "refusals": list(map(printable, remarks.refusals)),
    }
    return Conclusion(counts, fields)


def _agree(written: StoreWriter, remarks: Remarks) -> list[int]:
    """Judge masks beside images; invert those that mark the background, and return their rows."""
    rows, figures = written.rows, written.figures
    pairs = [figures[row].pair for row in range(len(written.names))]
    read = rows.beside_masks(store.IMAGES)
    verdict = agreement.judge(pairs, written.names, read, written.fixed)
    remarks.include(verdict)
    for row in verdict.inverted:
        mask = ~rows.get(store.MASKS, row)
        rows.overwrite(store.MASKS, row, mask)
        written.labels[MASKS].add_binary(row, written.label(row, mask))
        figures[row] = figures[row]._replace(pair=pairs[row].inverted())
    return verdict.inverted


def _instances(written: StoreWriter, remarks: Remarks) -> tuple[dict[str, list[int]], str]:
    """Keep label images that are instance masks, and say why others are not.

    Returns:
        Nuclei per image by method, and why label files are not used.
    """
    rows, counts, unused = written.rows, {"components": written.counts}, ""
    for kind, labels in written.labels.items():
        why_not = written.why_no_labels(kind)
        if labels.files and "provided" in counts:
            why_not = why_not or "superseded"
        if kind == LABEL_FILES:
            unused = why_not
        if why_not:
            remarks.notes.append(f"{kind} are not used as instances: {why_not}")
        elif labels.files:
            for row in labels.binary:  # a mask of one nucleus is a label image as well
                rows.overwrite(labels_of(kind), row, rows.get(store.MASKS, row))
            read = rows.beside_masks(labels_of(kind))
            remarks.doubts += provided.doubts(written.names, read)
            counts["provided"] = labels.counts
        if labels.files:
            rows.settle(kind, "" if why_not else "provided")
    return counts, unused


def _doubt_uniform(
    written: StoreWriter, pairs: tuple[measures.Pair, ...], remarks: Remarks
) -> None:
    """Doubt uniform masks and images by grey values: they fit any other equally well."""
    judged = [pair for pair in pairs if 0 < pair.share < 1]
    contrast = float(np.median([pair.inside - pair.outside for pair in judged] or [np.inf]))
    share = float(np.median([pair.share for pair in judged] or [1]))
    missed = [
        row
        for row, pair in enumerate(pairs)
        if pair.share == 0
        and measures.has_nuclei(written.rows.get(store.IMAGES, row), contrast, share)
    ]
    full = [row for row, pair in enumerate(pairs) if pair.share == 1]
    blank = [
        row for row, count in enumerate(written.counts) if count and not written.figures[row].digest
    ]
    for rows, line in (
        (missed, "empty: {} masks mark nothing, though their images seem to show nuclei"),
        (full, "full: {} masks mark their whole image"),
        (blank, "blank: {} images have one value only, though their masks mark nuclei"),
    ):
        if rows:
            where = some(written.names[row] for row in rows)
            remarks.doubts.append(f"{line.format(len(rows))}. Look at {where}.")


def _counted(
    written: StoreWriter, condition: facts.Condition, pairs: tuple[measures.Pair, ...]
) -> list[str]:
    """Notes on sizes and counts that are not the paper's, or unusual."""
    notes, nuclei, shape = [], sum(written.counts), written.rows.shape
    if shape[1:] != facts.IMAGE_SHAPE:
        notes.append(f"images of {shape[1]} x {shape[2]} pixels, where the paper has 256 x 256")
    if len(written.names) == condition.images and (
        abs(nuclei - condition.nuclei) > _COUNTS_AGREE * condition.nuclei
    ):
        notes.append(
            f"{nuclei} connected regions in the masks, where the paper counts "
            f"{condition.nuclei} nuclei"
        )
    if empty := written.counts.count(0):
        notes.append(f"{empty} masks without any nucleus")
    if dense := [row for row, pair in enumerate(pairs) if pair.share > _MOSTLY_FOREGROUND]:
        where = some(written.names[row] for row in dense)
        notes.append(f"{len(dense)} masks cover more than half of their image, e.g. {where}")
    return notes


def _rounded(figure: float) -> float | None:
    return None if math.isnan(figure) else round(figure, 4)
