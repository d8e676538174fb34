"""Predictions in a folder, one image file per sample."""

from __future__ import annotations

import io
import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data import facts
from bmgd_data._ingest import decode
from bmgd_data._system.file_names import as_upstream, file_names, safe_file_name, with_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

SUFFIXES: Final = (".tif", ".tiff", ".png", ".npy")
SHOWN: Final = 10
"""How many of each kind an error names."""
APPENDED: Final = (
    *("_img", "_masks", "_cp_masks"),  # `bmgd export cellpose`, and Cellpose
    *(".stardist", ".stardist-labels"),  # stardist-predict2d
    *("_Simple Segmentation", "_Object Identities", "_Object-Identities"),  # ilastik
    *("_mask", "_labels", "_instanseg_prediction", "_seg", "_0000", ".ome"),
)
"""What tools append to an image's name, one after the other."""
_HELPERS: Final = (
    *("_outlines", "_outlines_cp_masks", "_flows", "_flows_cp_masks"),
    *("_overview", ".overview"),
)
"""Ends of the names of pictures that programs write beside their masks."""
_LARGEST: Final = 2**30
"""Bytes of a file that is read."""
_ROLES: Final = {"image", "images", "mask", "masks", "instances", "labels"}
_SMALL: Final = 4
"""Pixels: labels up to this size that touch others are steps of a gradient, not nuclei."""


def find(
    folder: Path, names: Collection[str], elsewhere: Collection[str] = ()
) -> tuple[dict[str, Path], list[str]]:
    """Match files with samples by name.

    `Evaluator.add_folder` says how files are named. Names are compared as Unicode NFC, since a Mac
    may store another form. Hidden files and files that are not images are left out.

    Args:
        folder: The folder of the predictions.
        names: Of the samples.
        elsewhere: Stiffnesses whose files are left out.

    Returns:
        The files by sample name, in the order of the names; and problems, one sentence each.

    Raises:
        ValueError: It is not a folder.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is not a folder. Give the one that holds <sample name>.tif or .png for each "
            f"image, such as {_example(names)}."
        )
    known = _spellings(names)
    files: dict[str, list[str]] = defaultdict(list)
    extra, ambiguous = [], []
    for path in sorted(folder.rglob("*")):
        below = PurePosixPath(path.relative_to(folder))
        hidden = any(part.startswith((".", "__MACOSX")) for part in below.parts)
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if below.stem.endswith(_HELPERS):
            continue
        fitting = _samples_of(below, known)
        if len(fitting) == 1:
            files[fitting[0]].append(str(below))
        elif fitting:
            ambiguous.append(f"{below} ({' or '.join(fitting)})")
        elif not _is_of(below, elsewhere):
            extra.append(str(below))
    missing = [name for name in names if name not in files]
    twice = [f"{name} ({', '.join(paths)})" for name, paths in files.items() if len(paths) > 1]
    problems: list[str] = []

    def report(found: list[str], what: str, advice: str) -> None:
        if found:
            problems.append(f"{len(found)} {what}: {listed(found)}. {advice}")

    named = ", ".join(f"{safe_file_name(name)}.tif" for name in missing[:1])
    places = f"{folder / _example(missing)} (or {', '.join(SUFFIXES[1:])})"
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
    report(twice, "samples have several files", "Keep one of each.")
    advice = f"Name them <sample name>.tif, such as {_example(names)}."
    report(ambiguous, "files may be of several samples", advice)
    return {name: folder / files[name][0] for name in names if name in files}, problems


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


def read(path: Path) -> NDArray[Any]:
    """Read one prediction, (H, W).

    Raises:
        ValueError: It cannot be read, is not one plane, or is a picture in colours.
    """
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise ValueError(f"{path} has {size} bytes, and files above {_LARGEST} are not read.")
        if path.suffix.lower() == ".npy":
            return _array(path)
        data = path.read_bytes()
        indices = _indices(data)
        return decode.prediction(data, path.name) if indices is None else indices
    except (decode.DecodeError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def _array(path: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(
            f"{path} is a .npy file that holds Python objects, as Cellpose's _seg.npy do; these "
            "can run code and are not read. Save the masks alone: np.save(path, masks), or in "
            "Cellpose File > Save masks as PNG/tif."
        ) from error
    return found


def _indices(data: bytes) -> NDArray[Any] | None:
    """The indices of an indexed PNG of more than two colours: each is the number of a nucleus."""
    from PIL import Image

    if not data.startswith(b"\x89PNG"):
        return None
    with Image.open(io.BytesIO(data)) as picture:
        if picture.mode != "P":
            return None
        table = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
        indices = np.asarray(picture)
    used = np.unique(indices)
    grey = bool((table[used] == table[used][:, :1]).all())
    return None if grey or len(used) <= 2 else indices  # noqa: PLR2004


def as_array(prediction: Any, where: str) -> NDArray[Any]:
    """A prediction as an array of (H, W): labels as integers, probabilities as floats.

    Raises:
        ValueError: It is no array of numbers, or its floats are labels that were divided.
    """
    if "bfloat16" in str(getattr(prediction, "dtype", "")):  # numpy has no such type
        prediction = prediction.float()
    found = np.asarray(prediction)
    if found.ndim == 3 and 1 in (found.shape[0], found.shape[-1]):  # noqa: PLR2004
        found = found[0] if found.shape[0] == 1 else found[..., 0]
    if found.dtype.kind == "f" and found.size and np.isfinite(found).all():
        if found.max() > 1 and found.min() >= 0 and np.array_equal(found, np.rint(found)):
            return found.astype(np.int64)
        if (scale := _divisor(found)) is not None:
            raise ValueError(
                f"{where}: the floats are the labels of nuclei, divided by {scale}: as "
                f"probabilities they would count for nothing. Give np.rint(labels * {scale}) as "
                "integers."
            )
    return found


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
    if labels.min() < 0:
        return f"it holds {labels.min()}, and labels are numbers from 0"
    if (labels != 0).all():
        return "no pixel is 0, which is the background"
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    values, counts = np.unique(labels, return_counts=True)
    largest = values[counts.argmax()]
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    around = all((side == largest).any() for side in sides)
    if largest and around and counts.max() > labels.size / 2 and (border == largest).mean() > 0.5:  # noqa: PLR2004
        return f"the label {largest} covers more than half of it and touches all four sides"
    return None


def why_no_labels(labels: NDArray[np.integer[Any]]) -> str | None:
    """Say why an image of integers cannot hold instance labels; None if it can.

    A nucleus is one region, so a label image has about as many regions as values. Images of classes
    or probabilities have many more regions than values. In gradients (probabilities in 16 bits,
    grey edges of a resampled mask) most values cover a few pixels beside other values.

    Args:
        labels: (H, W); an image with one value besides 0 is a mask and passes.
    """
    from skimage.measure import label

    values, numbered = np.unique(labels, return_inverse=True)
    numbered = numbered.reshape(labels.shape) + (values[0] != 0)
    count = int(numbered.max())
    if count <= 1:
        return None
    regions = int(label(numbered, background=0, connectivity=2).max())
    if regions > 2 * count:
        return f"its {count} values besides 0 are in {regions} separate regions"
    small = np.bincount(numbered.ravel()) <= _SMALL
    touching = np.zeros(count + 1, np.bool_)
    for one, other in ((numbered[1:], numbered[:-1]), (numbered[:, 1:], numbered[:, :-1])):
        meet = (one != other) & (one > 0) & (other > 0)
        touching[one[meet]] = touching[other[meet]] = True
    steps = int((small & touching).sum())
    if steps > max(count / 2, 2):
        return f"{steps} of its {count} values are edges of at most {_SMALL} pixels"
    return None


def listed(names: Collection[str]) -> str:
    """The first of many names."""
    shown = ", ".join(list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _example(names: Collection[str]) -> str:
    return f"{next(iter(names), '1200Pa/<name>')}.tif"
