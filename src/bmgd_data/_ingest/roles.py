"""What a file is (image, mask or labels), by its folders, or else by its own name."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from os.path import commonprefix
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data._ingest.remarks import some

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bmgd_data._ingest.remarks import Remarks

IMAGE, MASK, LABELS = "image", "mask", "labels"
OTHER: Final = ""

_ROLES: Final = [
    (re.compile(words), role)
    for words, role in (
        (r"overlays?|previews?|thumbnails?", "overlay"),
        (r"label\w*|inst|instances?", LABELS),
        (r"\w*masks?|gt|ground|truth|groundtruth|binar\w*|annot\w*|targets?|y", MASK),
        (r"segs?|segment\w*", LABELS),
        (r"images?|imgs?|raw|orig\w*|inputs?|x", IMAGE),
    )
]
"""The role of a word in a name; the first match counts, so "labelled masks" is labels."""
_PLAIN: Final = {IMAGE: re.compile("images?"), MASK: re.compile("masks?")}
_NUMBERED: Final = re.compile(r"[a-z]+[ ._-]*\d+", re.IGNORECASE)
_ALONE: Final = {"x", "y"}  # they count only alone, or with the name of a split as in "y_train"
SPLITS: Final = {"train", "training", "val", "valid", "validation", "test", "testing"}
_LETTERS: Final = re.compile(r"[^\W\d_]+")

_Placed = dict[str, list[tuple[PurePosixPath, int]]]
"""By role: the files, and the position in each path of the folder that names the role."""


class File(NamedTuple):
    """A file and what its name is made of."""

    path: str
    """As it is stored."""
    series: tuple[str, ...]
    """The folders that distinguish it from other files of its role, NFC."""
    stem: str
    """Its name without the last suffix, NFC."""

    @property
    def key(self) -> str:
        """Its part of the sample's name."""
        return "/".join((*self.series, self.stem))


def sort(files: list[PurePosixPath], findings: Remarks) -> dict[str, list[File]]:
    """All image files of a condition by role; the findings take what is unusual."""
    top = _shared(path.parts[:-1] for path in files)  # folders above all files say nothing
    placed: _Placed = defaultdict(list)
    for path in files:
        role, depth = _role_of_folders(path, top)
        placed[role].append((path, depth))
    if not placed[IMAGE]:  # images may lie above their masks, or beside them
        _by_stem(placed)
    if not placed[MASK]:
        placed[MASK] = placed.pop(LABELS, [])  # label images show the foreground as well
    rest = {path.parent for path, _ in placed[OTHER]}
    if not placed[MASK] and len(rest) == 1 and 2 * len(placed[OTHER]) >= len(placed[IMAGE]):
        placed[MASK] = placed.pop(OTHER)
        findings.notes.append(
            f"the images in {rest.pop()} are read as masks; no folder is called 'mask'"
        )
    for role, plain in _PLAIN.items():  # if there is a folder "image", "raw" is another one
        called_so: dict[bool, list[tuple[PurePosixPath, int]]] = {True: [], False: []}
        for path, depth in placed[role]:
            called_so[bool(plain.fullmatch(path.parts[depth].lower()))].append((path, depth))
        sure, others = called_so[True], called_so[False]
        if sure and others:
            placed[role] = sure
            placed[OTHER] += others
            if role == MASK:
                folders = some(sorted({str(path.parent) for path, _ in others}))
                findings.doubts.append(f"masks: read from {sure[0][0].parent}, not from {folders}")
    return _in_series(placed)


def _by_stem(placed: _Placed) -> None:
    """Give files in folders without a role the role that their own names tell.

    A word in all names is ignored, such as the "gt" of "gt_1" and "gt_1_mask".
    """
    loose, masks_known = placed.pop(OTHER, []), bool(placed[MASK])
    words = [set(_LETTERS.findall(path.stem.casefold())) - _ALONE for path, _ in loose]
    everywhere = set.intersection(*words) if words else set()
    for entry, telling in zip(loose, words, strict=True):
        role = OTHER if masks_known else role_of(telling - everywhere)
        placed[role or IMAGE].append(entry)


def _role_of_folders(path: PurePosixPath, top: int) -> tuple[str, int]:
    """The role, and the position in the path of the folder that names it.

    "mask/Image 2" holds masks: a number makes a series, which counts only if no folder above does.
    """
    parents = path.parts[:-1]
    numbered = OTHER, len(parents)
    for depth in range(len(parents) - 1, top - 1, -1):
        words = set(_LETTERS.findall(parents[depth].casefold()))
        if words - _ALONE - SPLITS:
            words -= _ALONE
        if role := role_of(words):
            if not _NUMBERED.fullmatch(parents[depth]):
                return role, depth
            numbered = numbered if numbered[0] else (role, depth)
    return numbered


def role_of(words: Iterable[str]) -> str:
    """The role that some of these words, in lower case, name."""
    words = list(words)
    named = (role for pattern, role in _ROLES if any(map(pattern.fullmatch, words)))
    return next(named, OTHER)


def _shared(paths: Iterable[tuple[str, ...]]) -> int:
    """The number of leading folders that all paths share."""
    return len(commonprefix(list(paths)))  # noqa: RUF071 - of tuples, not of strings


def _in_series(placed: _Placed) -> dict[str, list[File]]:
    """Each file with the folders that are part of its name.

    Folders above the image folder that all images share ("250 Pa", an added level) are left out;
    those that differ (a folder per colony) are part of the name, and so is the rest of the name of
    a role's folder ("colony 1 masks"). Masks beside images follow them; elsewhere ("250 Pa/image",
    but "250 Pa labels") they lose what they share among themselves.
    """
    above_images = {path.parts[:depth] for path, depth in placed[IMAGE]}
    common = _shared(above_images)
    titled = len({_title(path, depth) for path, depth in placed[IMAGE]}) > 1 or any(
        path.parts[depth + 1 : -1] for path, depth in placed[IMAGE]
    )
    found: dict[str, list[File]] = defaultdict(list)
    for role, entries in placed.items():
        own = _shared(path.parts[:depth] for path, depth in entries)
        for path, depth in entries:
            shared = common if path.parts[:depth] in above_images else own
            title = _title(path, depth) if titled else ""
            above_below = *path.parts[shared:depth], title, *path.parts[depth + 1 : -1], path.stem
            *series, stem = (unicodedata.normalize("NFC", part) for part in above_below if part)
            found[role].append(File(str(path), tuple(series), stem))
    return found


def _title(path: PurePosixPath, depth: int) -> str:
    """The name of a role's folder without the words that name the role."""
    if depth == len(path.parts) - 1:
        return ""
    bare = _LETTERS.sub(lambda w: "" if role_of([w[0].casefold()]) else w[0], path.parts[depth])
    return bare.strip(" ._-")
