"""Predictions that lie in a folder, one image file a sample."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data._ingest import decode

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

SUFFIXES: Final = (".tif", ".tiff", ".png")
SHOWN: Final = 10
"""How many of each kind an error names."""


class Found(NamedTuple):
    """What a folder holds of what is wanted."""

    paths: dict[str, Path]
    """By sample name, in the order of the names."""
    problems: list[str]
    """What is missing, is there too much, or twice; a sentence each."""


def find(folder: Path, names: Collection[str], elsewhere: Collection[str] = ()) -> Found:
    """Match files with samples: ``<folder>/<sample name>`` and one of `SUFFIXES`.

    Names are compared as Unicode NFC, which a Mac may store otherwise. Hidden files, and those
    that are no images, are left alone.

    Args:
        folder: Where the predictions lie.
        names: Of the samples.
        elsewhere: Folders in it that are not looked into.

    Raises:
        ValueError: It is no folder.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is not a folder. Give the one that holds <sample name>{SUFFIXES[0]} or "
            f"{SUFFIXES[-1]} for each image, such as {_example(names)}."
        )
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        below = PurePosixPath(path.relative_to(folder))
        hidden = any(part.startswith((".", "__MACOSX")) for part in below.parts)
        if path.suffix.lower() in SUFFIXES and not hidden and below.parts[0] not in elsewhere:
            name = unicodedata.normalize("NFC", str(below)[: -len(path.suffix)])
            files[name].append(path)
    missing = [name for name in names if name not in files]
    extra = [name for name in files if name not in set(names)]
    twice = [name for name, paths in files.items() if len(paths) > 1]
    problems = []
    if missing:
        problems.append(
            f"{len(missing)} of {len(names)} predictions are missing: {listed(missing)}. Each is "
            f"looked for as {folder / _example(missing)} (or {', '.join(SUFFIXES[1:])})."
        )
    if extra:
        problems.append(
            f"{len(extra)} files are of no sample that is scored: {listed(extra)}. Score the split "
            "and stiffness that they are of, or take them out."
        )
    if twice:
        problems.append(f"{len(twice)} samples have two files: {listed(twice)}. Leave one of each.")
    return Found({name: files[name][0] for name in names if name in files}, problems)


def read(path: Path) -> NDArray[Any]:
    """Read one prediction, (H, W).

    Raises:
        ValueError: It cannot be read, or is not one plane.
    """
    try:
        return decode.prediction(path.read_bytes(), path.name)
    except (decode.DecodeError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def listed(names: Collection[str]) -> str:
    """The first of many names."""
    shown = ", ".join(list(names)[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _example(names: Collection[str]) -> str:
    return f"{next(iter(names), '1200Pa/<name>')}{SUFFIXES[0]}"
