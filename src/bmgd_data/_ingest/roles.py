"""What a file is (image, mask or labels): its folders tell, or else its own name."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

IMAGE, MASK, LABELS = "image", "mask", "labels"

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
"""What a word in a name says; the first that matches, so that "labelled masks" holds labels."""
_PLAIN: Final = {IMAGE: re.compile("images?"), MASK: re.compile("masks?")}
_NUMBERED: Final = re.compile(r"[a-z]+[ ._-]*\d+", re.IGNORECASE)
_ALONE: Final = {"x", "y"}  # they count only alone, or with the name of a split as in "y_train"
SPLITS: Final = {"train", "training", "val", "valid", "validation", "test", "testing"}
_LETTERS: Final = re.compile(r"[^\W\d_]+")

_Placed = dict[str, list[tuple[PurePosixPath, int]]]
"""By role: the files, and where in each one's parts the folder stands that says so."""


class File(NamedTuple):
    """A file and what its name is made of."""

    path: str
    """As it is stored."""
    series: tuple[str, ...]
    """The folders that tell it from other files of its role, NFC."""
    stem: str
    """Its name without the last suffix, NFC."""

    @property
    def key(self) -> str:
        """What a sample's name holds."""
        return "/".join((*self.series, self.stem))


def sort(files: list[PurePosixPath], notes: list[str], doubts: list[str]) -> dict[str, list[File]]:
    """Files by role; "" is what belongs to none.

    Args:
        files: All image files of a condition.
        notes: Takes what is harmless.
        doubts: Takes what may make samples wrong.
    """
    top = len(_common({path.parts[:-1] for path in files}))  # above everything, it tells nothing
    placed: _Placed = defaultdict(list)
    for path in files:
        role, depth = _role_of_folders(path, top)
        placed[role].append((path, depth))
    if not placed[IMAGE]:  # images may lie above their masks, or beside them
        _by_stem(placed)
    if not placed[MASK]:
        placed[MASK] = placed.pop(LABELS, [])  # label images show the foreground too
    rest = {path.parent for path, _ in placed[""]}
    if not placed[MASK] and len(rest) == 1 and 2 * len(placed[""]) >= len(placed[IMAGE]):
        placed[MASK] = placed.pop("")
        notes.append(f"the images in {rest.pop()} are read as masks; no folder is called 'mask'")
    for role, plain in _PLAIN.items():  # where "image" is there, "raw" is not meant
        sure: _Placed = defaultdict(list)
        for path, depth in placed[role]:
            called_so = plain.fullmatch(path.parts[depth].lower())
            sure[role if called_so else ""].append((path, depth))
        if sure[role] and sure[""]:
            placed[role] = sure[role]
            placed[""] += sure[""]
            if role == MASK:
                others = some(sorted({str(path.parent) for path, _ in sure[""]}))
                doubts.append(f"masks: read from {sure[role][0][0].parent}, not from {others}")
    return _in_series(placed)


def _by_stem(placed: _Placed) -> None:
    """Give files in folders without a role the role that their own names tell.

    A word in all names tells nothing, such as the "gt" of "gt_1" and "gt_1_mask".
    """
    loose, masks_known = placed.pop("", []), bool(placed[MASK])
    words = [set(_LETTERS.findall(path.stem.casefold())) - _ALONE for path, _ in loose]
    everywhere = set.intersection(*words) if words else set()
    for entry, telling in zip(loose, words, strict=True):
        role = "" if masks_known else role_of(telling - everywhere)
        placed[role or IMAGE].append(entry)


def _role_of_folders(path: PurePosixPath, top: int) -> tuple[str, int]:
    """The role, and where in the path's parts the folder that says so stands.

    "mask/Image 2" holds masks: a number makes a series, which tells only if nothing above does.
    """
    parents = path.parts[:-1]
    numbered = "", len(parents)
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
    """What words, in lower case, say together; "" where they say nothing."""
    words = list(words)
    told = (role for telling, role in _ROLES if any(map(telling.fullmatch, words)))
    return next(told, "")


def _common(paths: set[tuple[str, ...]]) -> tuple[str, ...]:
    """The leading folders that all share."""
    first, last = min(paths, default=()), max(paths, default=())
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(here for here, _ in alike)


def _in_series(placed: _Placed) -> dict[str, list[File]]:
    """Each file with the folders that are part of its name.

    Folders above the image folder that all images share ("250 Pa", an added level) say nothing;
    those that differ (a folder per colony) are part of the name, and so is what a role's folders
    are called besides ("colony 1 masks"). Masks beside images follow them; elsewhere
    ("250 Pa/image", but "250 Pa labels") they lose what they share among themselves.
    """
    above_images = {path.parts[:depth] for path, depth in placed[IMAGE]}
    titled = len({_title(path, depth) for path, depth in placed[IMAGE]}) > 1 or any(
        path.parts[depth + 1 : -1] for path, depth in placed[IMAGE]
    )
    found: dict[str, list[File]] = defaultdict(list)
    for role, entries in placed.items():
        above = {path.parts[:depth] for path, depth in entries}
        common, own = len(_common(above_images)), len(_common(above))
        for path, depth in entries:
            shared = common if path.parts[:depth] in above_images else own
            title = _title(path, depth) if titled else ""
            above_below = *path.parts[shared:depth], title, *path.parts[depth + 1 : -1], path.stem
            *series, stem = (unicodedata.normalize("NFC", part) for part in above_below if part)
            found[role].append(File(str(path), tuple(series), stem))
    return found


def _title(path: PurePosixPath, depth: int) -> str:
    """What a role's folder is called besides its role."""
    if depth == len(path.parts) - 1:
        return ""
    bare = _LETTERS.sub(lambda w: "" if role_of([w[0].casefold()]) else w[0], path.parts[depth])
    return bare.strip(" ._-")


def some(names: Iterable[str], most: int = 10) -> str:
    """The first of many names; lists come from archives and may be very long."""
    listed = list(names)
    more = f", and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
