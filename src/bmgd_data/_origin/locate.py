"""Where the files of one condition lie at a path that a user names."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import conditions
from bmgd_data._container import first_bytes, open_archive
from bmgd_data._container.folder import is_junk, readable
from bmgd_data.errors import DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bmgd_data import facts

_ARCHIVES: Final = {".7z", ".zip"}
_DEPTH: Final = 2
"""Levels of folders below the named one: "Download ZIP" adds one, unpacking another."""
_SHOWN: Final = 10
_UNFIT: Final = (
    (
        re.compile(r"\.(7z|zip)\.\d+$", re.IGNORECASE),
        (
            "is one volume of several. Join them by unpacking the first one, .001, with 7-Zip, and "
            "give the unpacked folder as source="
        ),
    ),
    (
        re.compile(r"\.(crdownload|part|partial|download|opdownload|tmp)$", re.IGNORECASE),
        "is an unfinished download. Let it finish, or fetch it again",
    ),
    (
        re.compile(r"\.(rar|tar|tgz|tbz2|txz|tar\.\w+|gz|xz|bz2|zst)$", re.IGNORECASE),
        "is not an archive that is read here. Unpack it and give the unpacked folder as source=",
    ),
)
"""File names of forms that are not read, and what to do."""


class Found(NamedTuple):
    """The files of one condition."""

    path: Path
    """An archive's file, or an unpacked folder."""
    inside: str = ""
    """Within a .zip: a .7z, or a folder. Empty for the whole."""
    told: str = ""
    """What else could have been meant."""

    @property
    def unpacked(self) -> bool:
        """Whether it has no archive's digest that could be compared with a published one."""
        return self.path.is_dir() or (_is_zip(self.path) and not self.inside.endswith(".7z"))


def find(named: Path, condition: facts.Condition) -> Found:
    """Find a condition's archive or unpacked folder.

    A name counts as "250 Pa" whatever browsers, release pages and users make of its space and add
    after it. A folder is searched two levels down; the highest level counts. There, an archive
    comes before a folder, and an unchanged name before a changed one.

    Args:
        named: An archive, a condition's folder, or a folder or .zip that holds them.
        condition: Which condition is looked for.

    Raises:
        DatasetNotFoundError: It is not there; says what is, and what to do.
        CorruptArchiveError: The path cannot be read.
    """
    if named.is_file():
        return _in_archive(named, condition)
    level, seen = [named], []
    for depth in range(_DEPTH + 1):
        entries = [entry for folder in level for entry in _entries(folder)]
        if found := _best(entries, condition):
            return found
        seen += entries if depth < _DEPTH else []
        level = [e for e in entries if e.is_dir() and conditions.named_by(e.name) is None]
    if conditions.named_by(named.name) == condition:
        return Found(named)
    raise _nothing(named, condition, seen)


def _best(entries: list[Path], condition: facts.Condition) -> Found | None:
    archives = [e for e in entries if _is_archive(e) and conditions.named_by(e.stem) == condition]
    folders = [e for e in entries if e.is_dir() and conditions.named_by(e.name) == condition]
    ranked = [
        *sorted(archives, key=lambda path: (path.name != condition.archive, path.name)),
        *sorted(folders),
    ]
    if ranked:
        first, *others = ranked
        return Found(first, told=_several(first, others) if others else "")
    for entry in entries:
        if _is_archive(entry) and conditions.named_by(entry.stem) is None and _is_zip(entry):
            inside = _inside(entry)
            if condition in inside:
                return Found(entry, inside[condition])
    return None


def _several(read: Path, others: list[Path]) -> str:
    return (
        f"{read} is read, and {', '.join(map(str, others))} beside it is not. To read another, "
        "give its own path as source=; or move away what is not meant."
    )


def _in_archive(path: Path, condition: facts.Condition) -> Found:
    if not first_bytes.magic(path).startswith((first_bytes.SEVEN_ZIP, first_bytes.ZIP)):
        _refuse_unfit([path], condition)
        open_archive(path)  # says what it is
    own = conditions.named_by(path.stem)
    inside = _inside(path) if own is None or _is_zip(path) else {}
    if own is not None:
        inside.setdefault(own, "")
    if condition in inside:
        return Found(path, inside[condition])
    if not inside:
        raise DatasetNotFoundError(
            f"{path} does not say which stiffness it holds. Rename it to {condition.archive!r} if "
            f"it holds {condition.name}."
        )
    there = ", ".join(repr(each.name) for each in sorted(inside, key=lambda each: each.pa))
    raise DatasetNotFoundError(
        f"{path} holds {there} and not {condition.name!r}. Ask for stiffness={there}, or give a "
        "folder that holds the other archives too as source=."
    )


def _inside(path: Path) -> dict[facts.Condition, str]:
    """Which conditions an archive holds; of a .zip, where: a .7z, or a folder, the highest one."""
    with open_archive(path) as archive:
        paths = [PurePosixPath(member.path) for member in archive.members]
    found = _by_condition(paths)
    return found if _is_zip(path) else dict.fromkeys(found, "")


def _by_condition(paths: list[PurePosixPath]) -> dict[facts.Condition, str]:
    found: dict[facts.Condition, str] = {}
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        if is_junk(path):
            continue
        if path.suffix.lower() == ".7z" and (named := conditions.named_by(path.stem)):
            found.setdefault(named, path.as_posix())
        for parent in reversed(path.parents):
            if named := conditions.named_by(parent.name):
                found.setdefault(named, parent.as_posix())
                break
    return found


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() in _ARCHIVES and path.is_file()


def _is_zip(path: Path) -> bool:
    return path.is_file() and first_bytes.magic(path).startswith(first_bytes.ZIP)


def _entries(folder: Path) -> Iterator[Path]:
    with readable(folder):
        for entry in sorted(folder.iterdir()):
            if not is_junk(PurePosixPath(entry.name)) and not entry.name.startswith("."):
                yield entry


def _refuse_unfit(paths: Iterable[Path], condition: facts.Condition) -> None:
    """Say what a file is that seems to hold the data, but is not read."""
    for path in paths:
        for pattern, why in _UNFIT:
            stem = re.sub(r"\.(7z|zip|tar)$", "", pattern.sub("", path.name), flags=re.IGNORECASE)
            if pattern.search(path.name) and conditions.named_by(stem) in (condition, None):
                raise DatasetNotFoundError(f"{path} {why}.")


def _nothing(named: Path, condition: facts.Condition, seen: list[Path]) -> DatasetNotFoundError:
    of_this = [path for path in seen if path.is_file() and condition.name[:-2] in path.name]
    _refuse_unfit(of_this, condition)
    top = [path.name for path in seen if path.parent == named]
    more = f" and {len(top) - _SHOWN} more" if len(top) > _SHOWN else ""
    return DatasetNotFoundError(
        f"Neither {condition.archive!r} nor an unpacked folder {condition.archive[:-3]!r} is in "
        f"{named}; found: {', '.join(top[:_SHOWN]) or 'nothing'}{more}. Give the folder that holds "
        "them, or one archive, as source=, or leave that stiffness out with stiffness=."
    )
