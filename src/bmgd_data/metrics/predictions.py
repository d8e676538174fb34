"""Predictions in a folder, one image file per sample."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data._system.file_names import as_upstream, file_names, safe_file_name, with_digest
from bmgd_data.instances import why_no_labels
from bmgd_data.metrics.files import KINDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

SHOWN: Final = 10
"""How many of each kind an error names."""
APPENDED: Final = (
    *("_img", "_masks", "_cp_masks"),  # `bmgd export cellpose`, and Cellpose
    *(".stardist", ".stardist-labels"),  # stardist-predict2d
    *("_Simple Segmentation", "_Object Identities", "_Object-Identities"),  # ilastik
    *("_mask", "_labels", "_instanseg_prediction", "_seg", "_0000", ".ome"),
    *("_rois", "_RoiSet", "-RoiSet"),
)
"""What tools append to an image's name, one after the other."""
_HELPERS: Final = (
    *("_outlines", "_outlines_cp_masks", "_flows", "_flows_cp_masks"),
    *("_overview", ".overview"),
)
"""Ends of the names of pictures that programs write beside their masks."""
_PICTURES: Final = {".jpg", ".jpeg", ".bmp", ".gif", ".npz", ".h5", ".zarr", ".nii", ".gz", ".mat"}
"""Suffixes of files that may hold predictions and are not read; others go without saying."""
_MOST_LABELS: Final = 4000
"""Values of an image whose floats may be labels, divided by their largest."""
_BESIDE: Final = tuple(end for kind in set(KINDS.values()) for end in kind.beside)
_ROLES: Final = {"image", "images", "mask", "masks", "instances", "labels"}


class Found(NamedTuple):
    """What a folder holds."""

    files: dict[str, Path]
    """By sample name, in the order of the names."""
    problems: list[str]
    """Why it cannot be scored, one sentence each."""
    left_out: str = ""
    """Which files are left out that seem to belong to the predictions, as a sentence."""


def find(folder: Path, names: Collection[str], elsewhere: Collection[str] = ()) -> Found:
    """Match files with samples by name.

    `Evaluator.add_folder` says how files are named. Names are compared as Unicode NFC, since a Mac
    may store another form. Hidden files and files of other kinds than `KINDS` are left out, and so
    is what programs write beside their masks.

    Args:
        folder: The folder of the predictions.
        names: Of the samples.
        elsewhere: Stiffnesses whose files are left out.

    Raises:
        ValueError: It is not a folder.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is not a folder. Give the one that holds <sample name>.tif or .png for each "
            f"image, such as {_example(names)}."
        )
    files: dict[str, list[str]] = defaultdict(list)
    sorts: dict[str, list[str]] = defaultdict(list)
    known = _spellings(names)
    for path in sorted(folder.rglob("*")):
        below = PurePosixPath(path.relative_to(folder))
        hidden = any(part.startswith((".", "__MACOSX")) for part in below.parts)
        if not hidden and path.is_file():
            fitting = _samples_of(below, known)
            sort = _sort(below, fitting, elsewhere)
            sorts[sort].append(f"{below} ({' or '.join(fitting)})" if fitting[1:] else str(below))
            if sort == "sample":
                files[fitting[0]].append(str(below))
    extra, ambiguous, left_out, unread = (
        sorts[sort] for sort in ("extra", "ambiguous", "helper", "unread")
    )
    for paths in files.values():
        beside = [path for path in paths if path.endswith(_BESIDE)]
        if beside and len(beside) < len(paths):
            left_out += beside
            paths[:] = [path for path in paths if path not in beside]
    missing = [name for name in names if name not in files]
    twice = [f"{name} ({', '.join(paths)})" for name, paths in files.items() if len(paths) > 1]
    problems: list[str] = []

    def report(found: list[str], what: str, advice: str) -> None:
        if found:
            problems.append(f"{len(found)} {what}: {listed(found)}. {advice}")

    named = ", ".join(f"{safe_file_name(name)}.tif" for name in missing[:1])
    places = f"{folder / _example(missing)} (or {', '.join([*KINDS][1:])})"
    report(
        missing,
        f"of {len(names)} predictions are missing",
        f"Each is looked for as {places}, or as `bmgd export` names it, {named}.",
    )
    report(
        extra,
        "files are of no sample that is scored",
        "Score the split and stiffness that they are of, or move them out of the folder.",
    )
    if missing:
        report(unread, "files are of kinds that are not read", "Save masks as TIFF or PNG.")
        report(left_out, "files are left out, as what programs write beside masks", "")
    report(twice, "samples have several files", "Keep one of each.")
    advice = f"Name them <sample name>.tif, such as {_example(names)}."
    report(ambiguous, "files may be of several samples", advice)
    rest = [*left_out, *unread]
    return Found(
        {name: folder / files[name][0] for name in names if name in files},
        [problem.rstrip() for problem in problems],
        f"{len(rest)} other files are left out: {listed(rest)}." if rest else "",
    )


def _sort(below: PurePosixPath, fitting: list[str], elsewhere: Collection[str]) -> str:
    """What a file is, by its name and the samples that it fits."""
    if below.suffix.lower() not in KINDS:
        return "unread" if below.suffix.lower() in _PICTURES else "of another kind"
    if fitting:
        return "ambiguous" if fitting[1:] else "sample"
    if below.stem.endswith(_HELPERS):
        return "helper"
    return "of another stiffness" if _is_of(below, elsewhere) else "extra"


def _spellings(names: Collection[str]) -> Mapping[str, list[str]]:
    """The samples by each path, without suffix, that may name them."""
    known: dict[str, list[str]] = defaultdict(list)
    folders = {condition.name: condition.folder for condition in facts.CONDITIONS}
    for make in (str, safe_file_name, as_upstream):
        for name, file in file_names(list(names), make).items():
            for spelling in {file, make(name), with_digest(make(name), name)}:
                known[spelling].append(name)
                condition, slash, rest = spelling.partition("/")
                if slash and condition in folders:
                    known[f"{folders[condition]}/{rest}"].append(name)
    return {spelling: list(dict.fromkeys(samples)) for spelling, samples in known.items()}


def _samples_of(below: PurePosixPath, known: Mapping[str, list[str]]) -> list[str]:
    """The samples that a file may be of: with the fewest appended words, then the longest path."""
    stems = [unicodedata.normalize("NFC", str(below)[: -len(below.suffix)])]
    while stems:
        for path in (path for stem in stems for path in _tails(stem)):
            if path in known:
                return known[path]
        stems = [
            stem.removesuffix(word) for stem in stems for word in APPENDED if stem.endswith(word)
        ]
    return []


def _tails(path: str) -> Iterator[str]:
    """A path without its first folders; each time also without folders that name a role."""
    parts = path.split("/")
    for start in range(len(parts)):
        rest = parts[start:]
        yield "/".join(rest)
        inner = [name for name in rest[1:-1] if name not in _ROLES]
        yield "/".join([*rest[:1], *inner, *rest[1:][-1:]])


def _is_of(below: PurePosixPath, elsewhere: Collection[str]) -> bool:
    """Whether a file is of one of these stiffnesses."""
    return any(
        not {each.name, each.folder}.isdisjoint(below.parts[:-1])
        or below.name.startswith(f"{each.name}_")
        for each in facts.CONDITIONS
        if each.name in elsewhere
    )


def as_array(prediction: Any, where: str, reading: str | None = None) -> NDArray[Any]:
    """A prediction as an array of (H, W): masks as bool, labels as integers, others as floats.

    Args:
        prediction: An array or tensor.
        where: Of which sample, for the error.
        reading: One of `READINGS`; None finds out.

    Raises:
        ValueError: It is no array of numbers, its floats are labels that were divided, or it cannot
            be read as `reading` says.
    """
    if "bfloat16" in str(getattr(prediction, "dtype", "")):  # numpy has no such type
        prediction = prediction.float()
    found = np.asarray(prediction)
    if found.ndim == 3 and 1 in (found.shape[0], found.shape[-1]):  # noqa: PLR2004
        found = found[0] if found.shape[0] == 1 else found[..., 0]
    if found.dtype.kind not in "biuf":
        return found  # refused by who counts
    if reading:
        return _AS[reading](found, where)
    if found.dtype.kind == "f" and found.size and np.isfinite(found).all():
        if found.max() > 1 and found.min() >= 0 and _whole(found):
            return found.astype(np.int64)
        if (scale := _divisor(found)) is not None:
            raise ValueError(
                f"{where}: the floats are the labels of nuclei, divided by {scale}: as "
                f"probabilities they would count for nothing. Give np.rint(labels * {scale}) as "
                "integers; if they are probabilities, say so with --as probability "
                '(reading="probability").'
            )
    return found


def _as_mask(found: NDArray[Any], where: str) -> NDArray[Any]:
    if found.dtype.kind == "f" and np.isnan(found).any():
        raise ValueError(f"{where}: a mask has NaN. Set these pixels to 0.")
    return found > 0


def _as_labels(found: NDArray[Any], where: str) -> NDArray[Any]:
    if not _whole(found):
        raise ValueError(f"{where}: labels are whole numbers, and these are not all.")
    return found.astype(np.int64)


def _as_probability(found: NDArray[Any], _: str) -> NDArray[Any]:
    return found / np.float64(np.iinfo(found.dtype).max if found.dtype.kind == "u" else 1)


_AS: Final = {"mask": _as_mask, "labels": _as_labels, "probability": _as_probability}
READINGS: Final = tuple(_AS)


def _whole(found: NDArray[Any]) -> bool:
    return bool((np.isfinite(found) & (found == np.rint(found))).all())


def divided_by_largest(chances: NDArray[Any]) -> str | None:
    """Say why floats seem to be labels divided by their largest; None if they are probabilities.

    Such labels are 1/n, 2/n, ... 1, each one region that meets the background. Averaged votes have
    the same values, in rings around one another: the inner ones do not meet the background.
    """
    if chances.dtype.kind != "f" or not chances.size or chances.max() != 1:
        return None
    values = np.unique(chances)
    if not (2 < len(values) <= _MOST_LABELS and values[0] == 0):  # noqa: PLR2004
        return None
    count = round(1 / np.diff(values.astype(np.float64)).min())
    numbers = values * np.float64(count)
    if count > _MOST_LABELS or np.abs(numbers - np.rint(numbers)).max() > 0.02:  # noqa: PLR2004
        return None
    labels = np.rint(chances * np.float64(count)).astype(np.int64)
    meets = np.zeros(count + 1, np.bool_)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meets[one[other == 0]] = meets[other[one == 0]] = True
    used = np.unique(labels)[1:]
    if why_no_labels(labels) or not meets[used].mean() > 0.9:  # noqa: PLR2004
        return None
    return (
        f"its floats are {len(used)} separate regions of values k/{count}, as labels divided by "
        "their largest. Save the labels as integers."
    )


def _divisor(chances: NDArray[Any]) -> int | None:
    """What labels were divided by, if these are labels and no probabilities."""
    if not 0 < chances.max() <= 1 or chances.min() < 0:
        return None
    for scale in (255, 65535):
        numbers = np.rint(chances * np.float64(scale)).astype(np.int64)
        several = len(np.unique(numbers)) > 3  # noqa: PLR2004 - a mask of two levels is none
        exact = np.abs(numbers - chances * np.float64(scale)).max() < 1e-2  # noqa: PLR2004
        if several and exact and why_no_labels(numbers) is None:
            return scale
    return None


def background_as_nucleus(labels: NDArray[np.integer[Any]]) -> str | None:
    """Say why the background seems to have a number of its own; None if it has none."""
    if labels.size == 0 or labels.min() == labels.max() != 1:  # empty, or a mask that is full
        return None
    if (labels != 0).all():
        return "no pixel is 0, so the background may count as a nucleus. Set it to 0."
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    border = np.concatenate(sides)
    values, counts = np.unique(labels, return_counts=True)
    largest = values[counts.argmax()]
    around = all((side == largest).any() for side in sides)
    if largest and around and counts.max() > labels.size / 2 and (border == largest).mean() > 0.5:  # noqa: PLR2004
        return (
            f"the label {largest} covers more than half of it and touches all four sides, as the "
            "background does. Set it to 0."
        )
    return None


def listed(names: Collection[str]) -> str:
    """The first of many names."""
    shown = ", ".join(list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _example(names: Collection[str]) -> str:
    return f"{next(iter(names), '1200Pa/<name>')}.tif"


DOUBTS: Final = {
    **dict.fromkeys("iu", background_as_nucleus),
    "f": divided_by_largest,
}
"""By kind of dtype: what says why an array may be meant in another way."""
