"""What a user can name as a source, and where a condition's files lie in it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from bmgd_data import facts
from bmgd_data._container.sevenzip import Member
from bmgd_data._ingest import pairing
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError, DatasetNotFoundError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bmgd_data._origin.phantom import Phantom

VALID: Final = (
    "None for upstream, 'phantom' for generated data, the base URL of a mirror, or a folder that "
    "holds the archives ('250 Pa.7z', ...) or the unpacked folders ('250 Pa', ...)"
)


@dataclass(frozen=True)
class Source:
    """Where archives or unpacked folders come from."""

    kind: Literal["upstream", "mirror", "folder", "phantom"]
    location: str
    """Base URL, absolute path of the folder, or the phantom's canonical text.

    A mirror's may hold user and password; whatever is shown or written down takes `public`.
    """

    def __repr__(self) -> str:
        return f"Source({self.kind!r}, {self.public!r})"

    @property
    def public(self) -> str:
        """The location without user and password: what may be shown and written down."""
        return _without_user(self.location) if self.kind == "mirror" else self.location

    @property
    def label(self) -> str:
        """As shown to people."""
        labels = {"upstream": "upstream", "phantom": f"{self.location} (generated)"}
        return labels.get(self.kind, self.public)

    @property
    def slug(self) -> str:
        """A safe folder name, different for different sources."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.public).strip("-")[-40:]
        return f"{self.kind}-{readable}-{disk.sha256_of(self.public)[:8]}"

    @property
    def remote(self) -> bool:
        """Whether the network is needed to fetch from it."""
        return self.kind in ("upstream", "mirror")

    @property
    def phantom(self) -> Phantom:
        """What is generated, for a source of that kind."""
        from bmgd_data._origin.phantom import Phantom

        return Phantom.parse(self.location)

    def url(self, condition: facts.Condition) -> str:
        """Address of a condition's archive, without user and password."""
        return f"{self.public.rstrip('/')}/{quote(condition.archive)}"

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password to fetch with, where a mirror's address holds them."""
        address = urlsplit(self.location if self.kind == "mirror" else "")
        if address.username is None:
            return None
        return unquote(address.username), unquote(address.password or "")


def resolve(source: str | os.PathLike[str] | None = None) -> Source:
    """Read what a user names as source; None asks BMGD_SOURCE, and then means upstream.

    Raises:
        DatasetNotFoundError: It names a folder that is not there.
        ValueError: A phantom or an address that is not understood, or that has a query.
    """
    named = source if source is not None else os.environ.get("BMGD_SOURCE") or "upstream"
    text = os.fspath(named)
    if not text:
        raise ValueError(f"The source is an empty string. Valid: {VALID}.")
    if isinstance(named, str):
        if text in ("upstream", facts.UPSTREAM, facts.UPSTREAM.rstrip("/")):
            return Source("upstream", facts.UPSTREAM)
        if text.split(":", 1)[0] == "phantom":
            from bmgd_data._origin.phantom import Phantom

            return Source("phantom", str(Phantom.parse(text)))
        if "://" in text:
            address = _parted(text)
            if address.scheme in ("http", "https") and address.hostname:
                if set(text) & set("?#"):
                    raise ValueError(  # without the address: a query may hold a secret
                        "The address of the mirror holds a '?' or '#', behind which no archive's "
                        "name can be added. Give the base URL alone, as in http://host/folder/."
                    )
                return Source("mirror", text.rstrip("/") + "/")
            if address.scheme != "file":
                raise ValueError(f"Unknown source {_without_user(text)!r}. Valid: {VALID}.")
            from urllib.request import url2pathname

            text = url2pathname(address.path)
    folder = Path(text).expanduser()
    # Unlike Path's methods, these say no where they may not look.
    if not os.path.isdir(folder):  # noqa: PTH112
        there = os.path.exists(folder)  # noqa: PTH110
        what = "is a file, not a folder" if there else "does not exist, or may not be looked into"
        raise DatasetNotFoundError(f"The source {str(named)!r} {what}. Valid: {VALID}.")
    return Source("folder", str(folder.resolve()))


def _parted(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # its message may repeat the address, which may hold a password
        raise ValueError(f"The source is no valid address. Valid: {VALID}.") from None


def _without_user(url: str) -> str:
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(user + at, "", 1)


class Folder:
    """The files of an unpacked condition, handed over as an archive's members are.

    Args:
        path: The condition's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = files_of(path)
        self.members = [Member(name, file.stat().st_size) for name, file in self._files.items()]

    def stream(self, sink: Callable[[str, bytes], None]) -> None:
        """Hand every file's relative path and bytes to `sink`.

        Raises:
            CorruptArchiveError: A file cannot be read.
        """
        for name, file in self._files.items():
            with _readable(file):
                data = file.read_bytes()
            sink(name, data)


def files_of(origin: Path) -> dict[str, Path]:
    """An archive, or all files of an unpacked folder, by path relative to the source.

    Ascending by path. Links are followed. What operating systems litter folders with is left out,
    so that looking at a folder does not change it; every other file counts.

    Raises:
        CorruptArchiveError: A folder or link in it cannot be read, or a file name is not Unicode.
    """
    with _readable(origin):
        found = [origin] if origin.is_file() else sorted(_inside(origin))
    files = {file.relative_to(origin.parent).as_posix(): file for file in found}
    for name in files:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise CorruptArchiveError(
                f"The name of {name!r} in {origin.parent} is not Unicode. Rename that file, and "
                "its mask or image alike."
            ) from error
    return files


def _inside(origin: Path) -> Iterator[Path]:
    """All files below a folder, but litter; `Path.rglob` would pass over what may not be read."""

    def stop(error: OSError) -> None:
        raise error

    # The real folders that lead to each one: a link to any of them would go round in circles.
    above = {str(origin): {os.path.realpath(origin)}}
    for folder, folders, names in os.walk(origin, onerror=stop, followlinks=True):
        here, passed = Path(folder), above.pop(folder)
        for name in folders.copy():
            real = os.path.realpath(here / name)
            if real in passed or _is_litter(here / name, origin):
                folders.remove(name)
            else:
                above[str(here / name)] = passed | {real}
        for file in (here / name for name in names):
            if not _is_litter(file, origin) and stat.S_ISREG(file.stat().st_mode):
                yield file


def _is_litter(path: Path, origin: Path) -> bool:
    return pairing.is_junk(PurePosixPath(path.relative_to(origin).as_posix()))


def fingerprint(files: dict[str, Path]) -> str:
    """Changes when a file's path, size or time of change does; cheap."""
    found = [(name, file.stat()) for name, file in files.items()]
    return disk.sha256_of([[name, now.st_size, now.st_mtime_ns] for name, now in found])


def digest(origin: Path, files: dict[str, Path]) -> str:
    """The sha256 of an archive; of a folder, over the sorted (path, sha256 of the file).

    Raises:
        CorruptArchiveError: A file cannot be read.
    """
    found = []
    for name, file in files.items():
        with _readable(file):
            found.append([name, disk.sha256(file)])
    return str(found[0][1]) if origin.is_file() else disk.sha256_of(found)


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or file
        raise CorruptArchiveError(
            f"{where} cannot be read ({error.strerror}). Check the disk and the rights."
        ) from error


def local_files(source: Source, condition: facts.Condition) -> Path:
    """Find a condition's archive, or else its unpacked folder, in a local source.

    Spaces, underscores and case in the name do not matter.

    Raises:
        DatasetNotFoundError: Neither is there; lists what is.
        CorruptArchiveError: The folder cannot be read.
    """
    folder = Path(source.location)
    with _readable(folder):
        entries = sorted(folder.iterdir())
        for wanted, is_wanted_kind in (
            (condition.archive, Path.is_file),
            (condition.name, Path.is_dir),
        ):
            for entry in entries:
                if plain(entry.name) == plain(wanted) and is_wanted_kind(entry):
                    return entry
    seen = ", ".join(printable(entry.name) for entry in entries[:10]) or "nothing"
    raise DatasetNotFoundError(
        f"Neither {condition.archive!r} nor an unpacked folder {condition.archive[:-3]!r} is in "
        f"{folder}; found: {seen}. Give the folder that holds them as source=, or leave that "
        "stiffness out with stiffness=."
    )


def plain(name: str) -> str:
    """A name without what people change in it: "250Pa.7z" is the archive "250 Pa.7z"."""
    return re.sub(r"[ _-]", "", name).lower()
