"""Find the files of one condition at a path that a user names."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath
from typing import Final, NamedTuple

from bmgd_data import facts
from bmgd_data._container import first_bytes, open_archive
from bmgd_data._container.folder import is_junk, readable
from bmgd_data.errors import CorruptArchiveError, DatasetNotFoundError

_ARCHIVES: Final = {".7z", ".zip"}
_DEPTH: Final = 2
"""Levels of folders below the named one: "Download ZIP" adds one, unpacking another."""
_SHOWN: Final = 10
_UNFIT: Final = {
    r"\.(7z|zip)\.\d+$": "is one volume of several. Join them by unpacking the first one, .001, "
    "with 7-Zip, and give the unpacked folder as source=",
    r"\.z\d\d$": "is one part of a split zip. Join them by unpacking the last one, .zip, with "
    "7-Zip, and give the unpacked folder as source=",
    r"\.exe$": "is a program, perhaps an archive that unpacks itself. Run it if you trust it, or "
    "unpack it with 7-Zip, and give the unpacked folder as source=",
    r"\.(crdownload|part|partial|download|opdownload|tmp)$": "is an unfinished download. Let it "
    "finish, or fetch it again",
    r"\.(rar|tar|tgz|tbz2|txz|tar\.\w+|gz|xz|bz2|zst)$": "is not an archive that is read here. "
    "Unpack it and give the unpacked folder as source=",
}
"""Endings, in lower case, of files that are not read, and what to do."""


class Found(NamedTuple):
    """The files of one condition."""

    path: Path
    """An archive, or an unpacked folder."""
    inside: str = ""
    """Within a .zip: an archive, or a folder. Empty for the whole."""
    notice: str = ""
    """What else could have been meant."""

    @property
    def unpacked(self) -> bool:
        """Whether there is no archive whose digest could be compared with a published one."""
        return self.path.is_dir() or (_is_zip(self.path) and not self.inside.endswith(".7z"))

    @property
    def nested(self) -> bool:
        """Whether it is an archive within a .zip."""
        return _ends_as_archive(PurePosixPath(self.inside))


def find(named: Path, condition: facts.Condition) -> Found:
    """Find a condition's archive or unpacked folder at `named`.

    `named` is an archive, a condition's folder, or a folder or archive that holds them. A name
    counts as "250 Pa" also if browsers, release pages or users changed its space or added to it. A
    folder is searched two levels down, and the highest level counts. On one level, an archive comes
    before a folder, and an unchanged name before a changed one.

    Raises:
        DatasetNotFoundError: It is not there; the message says what is, and what to do.
        CorruptArchiveError: The path cannot be read.
    """
    if named.is_file():
        return _in_archive(named, condition)
    if is_gone(named) and not named.is_dir():
        raise gone(named, condition)
    level, seen = [named], []
    unread: list[CorruptArchiveError] = []
    for depth in range(_DEPTH + 1):
        entries = [entry for folder in level for entry in _entries(folder)]
        if found := _best(entries, condition, unread):
            return found
        seen += entries if depth < _DEPTH else []
        level = [e for e in entries if e.is_dir() and facts.named_by(e.name) is None]
    if facts.named_by(named.name) == condition:
        return Found(named)
    _refuse_unfit([e for e in seen if e.is_file() and condition.name[:-2] in e.name], condition)
    if unread:
        raise unread[0]
    top = [path.name for path in seen if path.parent == named]
    more = f" and {len(top) - _SHOWN} more" if len(top) > _SHOWN else ""
    raise DatasetNotFoundError(
        f"Neither {condition.archive!r} nor an unpacked folder {condition.folder!r} is in "
        f"{named}; found: {', '.join(top[:_SHOWN]) or 'nothing'}{more}. Give the folder that holds "
        "them, or one archive, as source=, or leave that stiffness out with stiffness=."
    )


def gone(named: Path, condition: facts.Condition) -> DatasetNotFoundError:
    return DatasetNotFoundError(
        f"The arrays of {condition.name} are not kept, and their source {named} is gone or empty. "
        "Connect it again, give another source=, or leave that stiffness out with stiffness=."
    )


def is_gone(named: Path) -> bool:
    """Whether nothing is at a path, or an empty folder, such as the place of a removed disk."""
    if not os.path.exists(named):  # noqa: PTH110 - unlike Path.exists, never PermissionError
        return True
    with readable(named):
        return named.is_dir() and not any(named.iterdir())


def _best(
    entries: list[Path], condition: facts.Condition, unread: list[CorruptArchiveError]
) -> Found | None:
    """What is read of one level; `unread` takes errors of archives that may hold the condition."""
    named = {e: facts.named_by(e.stem if _is_archive(e) else e.name) for e in entries}
    own = [e for e in entries if named[e] == condition and (_is_archive(e) or e.is_dir())]
    if own:
        read, *others = sorted(own, key=lambda e: (e.is_dir(), e.name != condition.archive, e))
        _refuse_part(read)
        notice = (
            f"{read} is read, and {', '.join(map(str, others))} beside it is not. To read another, "
            "give its own path as source=; or move away what is not meant."
        )
        return Found(read, notice=notice if others else "")
    for entry in entries:
        if _is_archive(entry) and named[entry] is None:
            try:
                inside = _inside(entry)
            except CorruptArchiveError as error:
                unread.append(error)
                continue
            if condition in inside:
                return Found(entry, inside[condition])
    return None


def _refuse_part(path: Path) -> None:
    """Refuse the last part of a split zip, or the first of several volumes."""
    if path.with_suffix(".z01").exists():
        _refuse_unfit([path.with_suffix(".z01")])
    if re.fullmatch(r"\.\d+", path.suffix) and path.with_suffix(".002").exists():
        _refuse_unfit([path])


def _in_archive(path: Path, condition: facts.Condition) -> Found:
    _refuse_part(path)
    if not first_bytes.magic(path).startswith((first_bytes.SEVEN_ZIP, first_bytes.ZIP)):
        _refuse_unfit([path])
        open_archive(path)  # raises an error that says what it is
    own = facts.named_by(re.sub(r"\.(7z|zip)$", "", path.stem))  # "950 Pa.7z.001"
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
    """Which conditions an archive holds; of a .zip, where: a .7z or a folder, the highest one."""
    with open_archive(path) as archive:
        members = [PurePosixPath(member.path) for member in archive.members]
    found: dict[facts.Condition, str] = {}
    for member in sorted(members, key=lambda member: (len(member.parts), member)):
        if is_junk(member):
            continue
        if _ends_as_archive(member) and (named := facts.named_by(member.stem)):
            found.setdefault(named, member.as_posix())
        for parent in reversed(member.parents):
            if named := facts.named_by(parent.name):
                found.setdefault(named, parent.as_posix())
                break
    return found if _is_zip(path) else dict.fromkeys(found, "")


def _ends_as_archive(path: PurePath) -> bool:
    return path.suffix.lower() in _ARCHIVES


def _is_archive(path: Path) -> bool:
    return _ends_as_archive(path) and path.is_file()


def _is_zip(path: Path) -> bool:
    return path.is_file() and first_bytes.magic(path).startswith(first_bytes.ZIP)


def _is_whole(path: Path) -> bool:
    try:
        with open_archive(path):
            return True
    except CorruptArchiveError:
        return False


def _entries(folder: Path) -> list[Path]:
    with readable(folder):
        entries = sorted(folder.iterdir())
    return [e for e in entries if not is_junk(PurePosixPath(e.name)) and e.name[0] != "."]


def _refuse_unfit(paths: list[Path], condition: facts.Condition | None = None) -> None:
    """Raise an error on files that seem to hold the data in a form that is not read."""
    for path in paths:
        if path.name.endswith((".7z.001", ".zip.001")) and _is_whole(path):
            raise DatasetNotFoundError(
                f"{path} is a whole archive, the only volume. Rename it to {path.stem!r}."
            )
        for ending, why in _UNFIT.items():
            stem, unfit = re.subn(ending, "", path.name.lower())
            stem = re.sub(r"\.(7z|zip|tar)$", "", stem)
            if unfit and (condition is None or facts.named_by(stem) in (condition, None)):
                raise DatasetNotFoundError(f"{path} {why}.")
