"""Which file is an image, which is its mask: read from the paths alone.

Upstream lays a condition out as ``250 Pa/image/*.tif`` and ``250 Pa/mask/*.tif``, paired by equal
file names. As its archives have not been seen by this package, every plausible variation is read,
and what was unusual is said.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bmgd_data import facts

IMAGE, MASK, LABELS = "image", "mask", "labels"

_FOLDER_WORDS: Final = {
    # The first role with a word in the folder's name wins: "labelled masks" holds labels.
    "overlay": {"overlay", "overlays", "preview", "previews"},
    LABELS: {
        *("label", "labels", "labeled", "labelled", "instance", "instances"),
        *("segmentation", "segmentations", "segmented"),
    },
    MASK: {"mask", "masks", "groundtruth", "truth", "gt", "binary", "annotation", "annotations"},
    IMAGE: {"image", "images", "img", "imgs", "raw", "original", "originals"},
}
_PLAIN_FOLDERS: Final = {IMAGE: {"image", "images"}, MASK: {"mask", "masks"}}
_NUMBERED: Final = re.compile(r"[a-z]+[ ._-]*\d+", re.IGNORECASE)
_SUFFIXES: Final = {".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg", ".lsm"}
_SHOWN: Final = 10
_JUNK: Final = {"thumbs.db", "desktop.ini", ".ds_store", "__macosx", "@eadir", ".git"}
_TAIL: Final = {
    # Possessive (++, *+): long runs of separators would otherwise take time cubic in their length.
    IMAGE: re.compile(r"[ ._-]++(image|images|img|raw)$", re.IGNORECASE),
    MASK: re.compile(r"[ ._-]++(binary)?[ ._-]*+(mask|masks|gt|seg|binary)$", re.IGNORECASE),
    LABELS: re.compile(
        r"[ ._-]++(mask|masks|label|labels|labelled|labeled|inst|instance|instances|seg)$",
        re.IGNORECASE,
    ),
}
_OF_FILE: Final = r"[ ._-]++(of[ ._-]++)?(?=[^/]*$)"
_HEAD: Final = {
    role: re.compile(rf"(?<![^/])({words}){_OF_FILE}", re.IGNORECASE)
    for role, words in {
        IMAGE: "image|images|img",
        MASK: "mask|masks|gt",
        LABELS: "label|labels|labelled|labeled|instance|instances",
    }.items()
}
"""Before the name, as in ImageJ's "Mask of 1"; the folders of a key are left alone."""
_OF_IMAGES: Final = [_TAIL[IMAGE], _HEAD[IMAGE]]


class Pair(NamedTuple):
    """The paths, inside the archive or folder, of what makes up one sample."""

    image: str
    mask: str
    labels: str | None


@dataclass
class Layout:
    """What the paths of a condition say."""

    pairs: dict[str, Pair] = field(default_factory=dict)
    """By sample name, names ascending by code point."""
    images: int = 0
    """Images found, with or without a mask."""
    notes: list[str] = field(default_factory=list)
    """Harmless; for the user's information."""
    doubts: list[str] = field(default_factory=list)
    """The samples may be wrong. Each begins with a short code and a colon, as in "numbering: "."""
    damage: list[str] = field(default_factory=list)
    """Makes the condition unusable until mended."""


def read(paths: Iterable[str], condition: facts.Condition) -> Layout:
    """Find the image/mask pairs among the files of one condition.

    A name is ``<pa>Pa/<path below the image folder, without the last suffix, Unicode NFC>``.

    Args:
        paths: Relative paths of all files, parted by ``/``.
        condition: Which condition they are of.

    Returns:
        The pairs, notes, doubts, and what is damage (two files with one name; no pairs at all).
    """
    layout = Layout()
    files, junk = _images_and_junk(paths)
    found = _by_role(files)
    if junk:
        layout.notes.append(f"{len(junk)} other files left out, e.g. {junk[0]}")

    images = _keyed(found[IMAGE], layout.damage)
    layout.images = len(images)
    keys = sorted({file.key for file in found[IMAGE]})  # of twins too: masks may have them as well
    masks = _partners(found[MASK], MASK, keys, layout)
    labels = _partners(found[LABELS], LABELS, keys, layout)
    if extra := found["overlay"] + found[""]:
        folders = sorted({str(PurePosixPath(file.path).parent) for file in extra})
        layout.notes.append(f"{len(extra)} images in other folders left out: {_some(folders)}")

    lonely = sorted(key for key in images if key not in masks)
    if lonely:
        layout.notes.append(f"{len(lonely)} images without a mask left out, e.g. {lonely[0]}")
    for key in sorted(images.keys() & masks.keys()):
        label = labels[key].path if key in labels else None
        layout.pairs[f"{condition.name}/{key}"] = Pair(images[key].path, masks[key].path, label)

    if not layout.pairs and not layout.damage:
        layout.damage.append(_nothing_found(files))
    elif len(layout.pairs) != condition.images and not layout.damage:
        layout.notes.append(
            f"{len(layout.pairs)} image/mask pairs, where the paper counts {condition.images}"
        )
    layout.notes = [printable(line) for line in layout.notes]
    layout.doubts = [printable(line) for line in layout.doubts]
    layout.damage = [printable(line) for line in layout.damage]
    return layout


def is_junk(path: PurePosixPath) -> bool:
    """Whether a file or folder is what operating systems and git leave behind, or lies in it."""
    return any(part.lower() in _JUNK or part.startswith("._") for part in path.parts)


class _File(NamedTuple):
    path: str
    """As it is stored."""
    key: str
    """Path below the role's folder without the last suffix: what pairs are matched by."""


def _images_and_junk(paths: Iterable[str]) -> tuple[list[PurePosixPath], list[str]]:
    files, junk = [], []
    for text in sorted(paths):
        path = PurePosixPath(text)
        if is_junk(path) or path.suffix.lower() not in _SUFFIXES:
            junk.append(text)
        else:
            files.append(path)
    return files, junk


def _by_role(files: list[PurePosixPath]) -> dict[str, list[_File]]:
    """Sort files by what the nearest telling folder above them says they are."""
    placed: dict[str, list[tuple[PurePosixPath, int]]] = defaultdict(list)
    for path in files:
        role, depth = _role_of_folders(path)
        placed[role].append((path, depth))
    if not placed[IMAGE]:
        # No image folder: images may lie beside their masks, which then end in "_mask", or above.
        loose = placed.pop("", [])
        marks = [_TAIL] if placed[MASK] else [_TAIL, _HEAD]
        for path, depth in loose:
            placed[_role_of_stem(path, marks)].append((path, depth))

    if not placed[MASK]:
        placed[MASK] = placed.pop(LABELS, [])  # label images show the foreground too

    for role, names in _PLAIN_FOLDERS.items():  # where "image" is there, "raw" is not meant
        plain = {path for path, depth in placed[role] if path.parts[depth].lower() in names}
        if plain:
            entries = placed.pop(role)
            for path, depth in entries:
                placed[role if path in plain else ""].append((path, depth))

    # Folders above the image folder that all images share ("250 Pa", an added level) say nothing;
    # those that differ (a folder per colony) are part of the name. Masks beside images follow them;
    # elsewhere ("250 Pa/image", but "250 Pa labels") they lose what they share among themselves.
    above_images = {path.parts[:depth] for path, depth in placed[IMAGE]}
    found: dict[str, list[_File]] = defaultdict(list)
    for role, entries in placed.items():
        above = {path.parts[:depth] for path, depth in entries}
        common, own = len(_common(above_images)), len(_common(above))
        for path, depth in entries:
            shared = common if path.parts[:depth] in above_images else own
            below = path.parts[depth + 1 :] if role and depth < len(path.parts) - 1 else ()
            parts = (*path.parts[shared:depth], *(below or path.parts[-1:]))
            key = "/".join((*parts[:-1], path.stem))
            found[role].append(_File(str(path), unicodedata.normalize("NFC", key)))
    return found


def _role_of_folders(path: PurePosixPath) -> tuple[str, int]:
    """The role, and where in the path's parts the folder that says so stands.

    "mask/Image 2" holds masks: a number makes a series, which tells only if nothing above does.
    """
    parents = path.parts[:-1]
    series = "", len(parents)
    for depth in range(len(parents) - 1, -1, -1):
        words = set(re.split(r"[^a-z]+", parents[depth].lower().replace("ground truth", "gt")))
        for role, telling in _FOLDER_WORDS.items():
            if words & telling:
                if not _NUMBERED.fullmatch(parents[depth]):
                    return role, depth
                series = series if series[0] else (role, depth)
                break
    return series


def _role_of_stem(path: PurePosixPath, marks: list[dict[str, re.Pattern[str]]]) -> str:
    told = (role for role in (MASK, LABELS) for mark in marks if mark[role].search(path.stem))
    return next(told, IMAGE)


def _common(paths: set[tuple[str, ...]]) -> tuple[str, ...]:
    """The leading folders that all share."""
    first, last = min(paths, default=()), max(paths, default=())
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return tuple(here for here, _ in alike)


def _keyed(files: list[_File], damage: list[str]) -> dict[str, _File]:
    """By key, without keys that several files share: nobody can tell which of them is meant."""
    keyed: dict[str, list[_File]] = defaultdict(list)
    for file in files:
        keyed[file.key].append(file)
    for _, twins in sorted(item for item in keyed.items() if len(item[1]) > 1):
        damage.append(f"files with one name: {_some(file.path for file in twins)}")
    return {key: only for key, (only, *twins) in keyed.items() if not twins}


def _partners(files: list[_File], role: str, images: list[str], layout: Layout) -> dict[str, _File]:
    """Masks (or labels) by the key of the image they belong to.

    Equal keys come first; then those equal once words like "mask" are taken off one end after the
    other; then those equal to an image's key that is without its "image".
    """
    faults = layout.damage if role == MASK else layout.notes
    exact = {key: [key] for key in images}
    bare: dict[str, list[str]] = defaultdict(list)
    for key in images:
        bare[_without(key, _OF_IMAGES)[-1]].append(key)
    marks = [_TAIL[role], _TAIL[LABELS], _HEAD[role], _HEAD[LABELS], *_OF_IMAGES]
    matched: list[_File] = []
    orphans: list[_File] = []
    for file in files:
        forms = _without(file.key, marks)
        owners = next((known[f] for known in (exact, bare) for f in forms if f in known), [])
        if len(owners) > 1:
            faults.append(f"{file.path} may belong to any of {_some(owners)}")
        elif owners:
            matched.append(file._replace(key=owners[0]))
        else:
            orphans.append(file)
    if orphans:
        layout.notes.append(f"{len(orphans)} {role} files without an image, e.g. {orphans[0].path}")
    return _keyed(matched, faults)


def _without(key: str, marks: list[re.Pattern[str]]) -> list[str]:
    """The key, then without the first mark, then without the second too, and so on."""
    return list(itertools.accumulate(marks, lambda form, mark: mark.sub("", form), initial=key))


def _some(names: Iterable[str]) -> str:
    """The first few of many: a listing is for people, and what is listed may be hostile."""
    listed = list(names)
    more = f", and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def _nothing_found(files: list[PurePosixPath]) -> str:
    folders = Counter(str(path.parent) for path in files)
    seen = _some(f"{folder} ({count})" for folder, count in sorted(folders.items()))
    return (
        "no image/mask pairs found; expected an 'image' and a 'mask' folder with equal file "
        f"names, found {'images in: ' + seen if seen else 'no image files at all'}"
    )
