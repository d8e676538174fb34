"""Pairs images with their masks, by the paths alone.

Upstream stores a condition as ``250 Pa/image/*.tif`` and ``250 Pa/mask/*.tif``, paired by equal
file names. Since its archives could not be tried, one rule reads every plausible variation: names
are equal after one constant affix is removed on each side, whatever it is.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import facts
from bmgd_data._container.folder import is_junk
from bmgd_data._ingest import roles
from bmgd_data._ingest.remarks import Remarks, some
from bmgd_data._ingest.roles import File
from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

IMAGE, MASK, LABELS = roles.IMAGE, roles.MASK, roles.LABELS

_SUFFIXES: Final = {".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg", ".lsm"}
_STIFFNESS: Final = re.compile(
    rf"(?<!\d)({'|'.join(str(c.pa) for c in facts.CONDITIONS)})[ ._-]?pa(scal)?(?![a-z])",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"\d+|[A-Z]?[a-z]+|[A-Z]+|.", re.DOTALL)
_SEPARATORS: Final = re.compile(r"[\s_-]+")
_LAST_NUMBER: Final = re.compile(r"\d{1,9}(?=\D*$)")
_ENDINGS: Final = {*_SUFFIXES, ".ome"}
_ROUNDS: Final = 3  # each pairs the names that are left by another rule
_LONGEST: Final = 32  # words of an affix
_MOST_TRIES: Final = 300_000  # names times rules that are tried: 15 rules for 10,000 pairs
_ENOUGH: Final = 3  # pairs that a rule needs if little else speaks for it
_FEW: Final = 0.05  # share of files without a partner that is no doubt
_MANY: Final = 10  # names shown


class Pair(NamedTuple):
    image: str
    mask: str
    labels: str | None


@dataclass
class Plan(Remarks):
    """The pairs of a condition, and what is unusual about its paths."""

    pairs: dict[str, Pair] = field(default_factory=dict)
    """By sample name, ascending by code point."""
    images: int = 0
    """Images found, with or without a mask."""
    damage: list[str] = field(default_factory=list)
    """What makes the condition unusable until it is fixed."""


def pair_up(paths: Iterable[str], condition: facts.Condition) -> Plan:
    """Find the image/mask pairs among all files of one condition, by relative paths.

    A name is ``<pa>Pa/<path below the image folder, without the last suffix, Unicode NFC>``.
    """
    plan = Plan()
    everything = sorted(paths)
    files = [path for path in map(PurePosixPath, everything) if _is_image(path)]
    if others := sorted(set(everything) - {str(path) for path in files}):
        plan.notes.append(f"{len(others)} other files left out, e.g. {others[0]}")
    found = roles.sort(_of_condition(files, condition, plan), plan)
    if extra := found["overlay"] + found[roles.OTHER]:
        folders = sorted({str(PurePosixPath(file.path).parent) for file in extra})
        plan.notes.append(f"{len(extra)} images in other folders left out: {some(folders, _MANY)}")

    images = _without_twins(found[IMAGE], plan.damage)
    plan.images = len(images)
    masks = _partners(MASK, images, _without_twins(found[MASK], plan.damage), plan)
    labels = _partners(LABELS, images, _without_twins(found[LABELS], plan.notes), plan)
    for image in sorted(images, key=lambda image: image.key):
        if image.key in masks:
            label = labels.get(image.key)
            plan.pairs[f"{condition.name}/{image.key}"] = Pair(
                image.path, masks[image.key].path, label.path if label else None
            )

    if not plan.pairs and not plan.damage:
        plan.damage.append(_nothing_found(everything))
    elif len(plan.pairs) != condition.images and not plan.damage:
        plan.notes.append(
            f"{len(plan.pairs)} image/mask pairs, where the paper counts {condition.images}"
        )
    own = Counter(
        word for name in plan.pairs for word in roles.SPLITS & {*name.casefold().split("/")[:-1]}
    )
    if len(own) > 1:
        counts = ", ".join(f"{count} {word}" for word, count in own.most_common())
        plan.notes.append(f"the folders are split already ({counts}); the names keep that")
    for lines in (plan.notes, plan.doubts, plan.damage):
        lines[:] = map(printable, lines)
    return plan


def _is_image(path: PurePosixPath) -> bool:
    return not is_junk(path) and path.suffix.strip().lower() in _SUFFIXES


def _of_condition(
    files: list[PurePosixPath], condition: facts.Condition, plan: Plan
) -> list[PurePosixPath]:
    """The files, without those of another stiffness if some folders name the right one."""
    named: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in files:
        named[_stiffness_in(path.parent)].append(path)
    others = sorted(named.keys() - {"", condition.name})
    if condition.name in named and others:
        count = sum(len(named.pop(name)) for name in others)
        plan.notes.append(f"{count} images in the folders of {', '.join(others)} left out")
    elif len(others) > 1:
        plan.damage.append(
            f"folders of {' and '.join(others)}, none of {condition.name}; put what belongs to "
            f"{condition.name} into a folder {condition.archive[:-3]!r}"
        )
    files = sorted(itertools.chain(*named.values()))
    if wrong := [path for path in files if _stiffness_in(path) not in ("", condition.name)]:
        plan.doubts.append(
            f"stiffness: {len(wrong)} images and masks are read as {condition.name}, but their "
            f"paths name another one, e.g. {wrong[0]}"
        )
    return files


def _stiffness_in(path: PurePosixPath) -> str:
    """The stiffness that a path names last, if any."""
    found = list(_STIFFNESS.finditer(str(path)))
    return f"{found[-1][1]}Pa" if found else ""


_Words = tuple[str, ...]
_Affix = tuple[_Words, _Words]  # of the images' names and of the others'
_Found = list[tuple[File, File]]


def _without_twins(files: list[File], faults: list[str]) -> list[File]:
    """Files whose name is unique; others are reported and left out."""
    named: dict[str, list[File]] = defaultdict(list)
    for file in files:
        named[file.key].append(file)
    twins = [alike for alike in named.values() if len(alike) > 1]
    if twins:
        example = some((file.path for file in twins[0]), _MANY)
        more = f" (and {len(twins) - 1} more names)" if len(twins) > 1 else ""
        faults.append(f"files with one name: {example}{more}; keep one of each")
    return [only for only, *more in named.values() if not more]


def _partners(role: str, images: list[File], files: list[File], plan: Plan) -> dict[str, File]:
    """Masks (or labels) by the key of the image they belong to."""
    partners: dict[str, File] = {}
    lonely, orphans = images, files
    for _ in range(_ROUNDS):
        found, doubt = _best_rule(lonely, orphans)
        if not found or (partners and len(found) < _ENOUGH):
            break
        if doubt:
            example = f"{found[0][0].path} with {found[0][1].path}"
            plan.doubts.append(f"{doubt}; {len(found)} are paired, e.g. {example}")
        partners |= {image.key: partner for image, partner in found}
        used = {file for pair in found for file in pair}
        lonely, orphans = ([f for f in side if f not in used] for side in (lonely, orphans))
    for left, whole, what in (
        (lonely if role == MASK else [], images, "images without a mask"),
        (orphans, files, f"{role} files without an image"),
    ):
        if left and partners:
            many = len(left) > _FEW * len(whole)
            text = f"{len(left)} {what} left out, e.g. {min(left).path}"
            (plan.doubts if many else plan.notes).append(f"partners: {text}" * many or text)
    return partners


def _best_rule(images: list[File], files: list[File]) -> tuple[_Found, str]:
    """The pairs by the rule that finds most, if equal by the one that removes least; its doubt."""
    best: tuple[_Found, str] = [], ""
    for found, doubt in _by_rules(images, files):
        if len(found) > len(best[0]):
            best = found, doubt
        if len(best[0]) == min(len(images), len(files)):
            break
    return best


def _by_rules(images: list[File], files: list[File]) -> Iterator[tuple[_Found, str]]:
    named = {file.key: file for file in files}
    yield [(image, named[image.key]) for image in images if image.key in named], ""
    for padded in (True, False):
        ours, theirs = ([_Name.of(f, padded=padded) for f in side] for side in (images, files))
        for head, tail in _rules([name.words for name in ours], [name.words for name in theirs]):
            left, right = _cores(ours, head[0], tail[0]), _cores(theirs, head[1], tail[1])
            found = [(file, right[core]) for core, file in left.items() if core in right]
            unclear = _is_unclear(*head) or _is_unclear(*tail)
            if unclear and len(found) < _ENOUGH:
                continue
            why = ["names: images and masks are named differently"] if unclear else []
            why += [] if padded else ["numbering: zero padding differs"]
            yield found, " and ".join(why)
            for step in () if padded else (1, -1):
                moved = {_stepped(core, step): file for core, file in left.items()}
                if len(images) == len(moved) >= _ENOUGH and moved.keys() == right.keys():
                    yield (
                        [(file, right[core]) for core, file in moved.items()],
                        "numbering: the numbers of images and masks differ by one",
                    )


class _Name(NamedTuple):
    """A file's name without suffixes and separators."""

    file: File
    series: tuple[str, ...]
    words: _Words

    @classmethod
    def of(cls, file: File, *, padded: bool) -> _Name:
        stem = file.stem.strip()
        while PurePosixPath(stem).suffix.strip().lower() in _ENDINGS:  # "1.ome.tif", "1.tif.tif"
            stem = stem.rpartition(".")[0].strip()
        *series, words = (_words(text, padded=padded) for text in (*file.series, stem))
        return cls(file, tuple("".join(part).replace(" ", "") for part in series), words)


def _words(text: str, *, padded: bool) -> _Words:
    words = _WORD.findall(_SEPARATORS.sub(" ", text).strip())
    return tuple(w.casefold() if padded else w.casefold().lstrip("0") or "0" for w in words)


def _rules(ours: list[_Words], theirs: list[_Words]) -> list[tuple[_Affix, _Affix]]:
    """The affixes that may be removed at both ends, from the images' names and the others'.

    The rests begin and end alike. The rules that remove least come first.
    """
    ends: list[list[_Affix]] = []
    for back in (1, -1):
        a, b = (_shared([words[::back] for words in side]) for side in (ours, theirs))
        affixes: list[_Affix] = [((), ())]
        for i, j in itertools.product(range(len(a) + 1), range(len(b) + 1)):
            rest = min(len(a) - i, len(b) - j)
            if i + j and a[i : i + rest] == b[j : j + rest] and a[i - 1 : i] != b[j - 1 : j]:
                affixes.append((a[:i], b[:j]))
        ends.append(affixes)
    rules = [(head, tail) for head in ends[0] for tail in ends[1]]
    return sorted(rules, key=_removed)[: 1 + _MOST_TRIES // (len(ours) + len(theirs) + 1)]


def _removed(rule: tuple[_Affix, _Affix]) -> tuple[int, int]:
    """The number of words that a rule removes, and of those from images' names."""
    head, tail = rule
    return sum(map(len, head + tail)), len(head[0] + tail[0])


def _shared(names: list[_Words]) -> _Words:
    """The words with which more than half of the names begin."""
    shared: _Words = ()
    while len(shared) < _LONGEST:
        longer = Counter(name[: len(shared) + 1] for name in names if len(name) > len(shared))
        ((begin, count),) = longer.most_common(1) or [((), 0)]
        if 2 * count <= len(names):
            break
        shared = begin
    return shared


def _cores(names: list[_Name], head: _Words, tail: _Words) -> dict[tuple[str, ...], File]:
    """Files by their names without the affixes; files with equal rests are left out."""
    cores: dict[tuple[str, ...], list[File]] = defaultdict(list)
    for file, series, words in names:
        end = len(words) - len(tail)
        if end >= len(head) and words[: len(head)] == head and words[end:][::-1] == tail:
            core = "".join(words[len(head) : end])
            if core or series:
                cores[*series, core].append(file)
    return {core: only for core, (only, *more) in cores.items() if not more}


def _is_unclear(ours: _Words, theirs: _Words) -> bool:
    """Whether both affixes say something, but not a role: "colony 1" and "colony 2" may differ."""
    both = all(any(map(str.isalnum, words)) for words in (ours, theirs))
    return both and not roles.role_of(ours + theirs)


def _stepped(core: tuple[str, ...], step: int) -> tuple[str, ...]:
    return *core[:-1], _LAST_NUMBER.sub(lambda n: str(int(n[0]) + step), core[-1])


def _nothing_found(paths: list[str]) -> str:
    folders: dict[str, list[str]] = defaultdict(list)
    for path in map(PurePosixPath, paths):
        if not is_junk(path):
            folders[str(path.parent)].append(path.name)
    listed = [
        f"{folder} ({len(names)} files, e.g. {names[0]})" for folder, names in folders.items()
    ]
    other = {PurePosixPath(path).suffix.lower() for path in paths} - _SUFFIXES - {""}
    unread = (
        f" Files that end in {some(sorted(other), _MANY)} are not read as images." if other else ""
    )
    return (
        "no image/mask pairs found; expected an 'image' and a 'mask' folder with equal file names, "
        f"found {some(listed, _MANY) or 'no files at all'}.{unread}"
    )
