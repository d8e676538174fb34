"""What a user can name as a source, and where a condition's files lie in it."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, urlsplit

from bmgd_data import disk, facts
from bmgd_data.archive import Member
from bmgd_data.errors import CorruptArchiveError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bmgd_data.phantom import Phantom

VALID: Final = (
    "None for upstream, 'phantom' for generated data, the base URL of a mirror, or a folder that "
    "holds the archives ('250 Pa.7z', ...) or the unpacked folders ('250 Pa', ...)"
)


@dataclass(frozen=True)
class Source:
    """Where archives or unpacked folders come from."""

    kind: Literal["upstream", "mirror", "folder", "phantom"]
    location: str
    """Base URL, absolute path of the folder, or the phantom's canonical text."""

    @property
    def label(self) -> str:
        """As shown to people."""
        labels = {"upstream": "upstream", "phantom": f"{self.location} (generated)"}
        return labels.get(self.kind, self.location)

    @property
    def slug(self) -> str:
        """A safe folder name, different for different sources."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.location).strip("-")[-40:]
        return f"{self.kind}-{readable}-{disk.sha256_of(self.location)[:8]}"

    @property
    def remote(self) -> bool:
        """Whether the network is needed to fetch from it."""
        return self.kind in ("upstream", "mirror")

    @property
    def phantom(self) -> Phantom:
        """What is generated, for a source of that kind."""
        from bmgd_data.phantom import Phantom

        return Phantom.parse(self.location)

    def url(self, condition: facts.Condition) -> str:
        """Address of a condition's archive."""
        return f"{self.location.rstrip('/')}/{quote(condition.archive)}"


def resolve(source: str | os.PathLike[str] | None = None) -> Source:
    """Read what a user names as source; None asks BMGD_SOURCE, and then means upstream.

    Raises:
        DatasetNotFoundError: It names a folder that is not there.
        ValueError: A phantom or an address that is not understood.
    """
    named = source if source is not None else os.environ.get("BMGD_SOURCE") or "upstream"
    text = os.fspath(named)
    if not text:
        raise ValueError(f"The source is an empty string. Valid: {VALID}.")
    if isinstance(named, str):
        if text in ("upstream", facts.UPSTREAM, facts.UPSTREAM.rstrip("/")):
            return Source("upstream", facts.UPSTREAM)
        if text.split(":", 1)[0] == "phantom":
            from bmgd_data.phantom import Phantom

            return Source("phantom", str(Phantom.parse(text)))
        if "://" in text:
            address = urlsplit(text)
            if address.scheme in ("http", "https") and address.hostname:
                return Source("mirror", text.rstrip("/") + "/")
            if address.scheme != "file":
                raise ValueError(f"Unknown source {text!r}. Valid: {VALID}.")
            from urllib.request import url2pathname

            text = url2pathname(address.path)
    folder = Path(text).expanduser()
    # Unlike Path's methods, these say no where they may not look.
    if not os.path.isdir(folder):  # noqa: PTH112
        there = os.path.exists(folder)  # noqa: PTH110
        what = "is a file, not a folder" if there else "does not exist, or may not be looked into"
        raise DatasetNotFoundError(f"The source {str(named)!r} {what}. Valid: {VALID}.")
    return Source("folder", str(folder.resolve()))


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

    Ascending by path.

    Raises:
        CorruptArchiveError: A folder in it cannot be read.
    """
    with _readable(origin):
        found = [origin] if origin.is_file() else [p for p in origin.rglob("*") if p.is_file()]
    return {file.relative_to(origin.parent).as_posix(): file for file in sorted(found)}


def fingerprint(files: dict[str, Path]) -> str:
    """Changes when a file's path, size or time of change does; cheap."""
    stats = [(name, file.stat()) for name, file in files.items()]
    return disk.sha256_of([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


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
        raise CorruptArchiveError(
            f"{file} cannot be read ({error.strerror}). Check the disk and the rights."
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
    seen = ", ".join(entry.name for entry in entries[:10]) or "nothing"
    raise DatasetNotFoundError(
        f"Neither {condition.archive!r} nor an unpacked folder {condition.archive[:-3]!r} is in "
        f"{folder}; found: {seen}. Give the folder that holds them as source=, or leave that "
        "stiffness out with stiffness=."
    )


def plain(name: str) -> str:
    """A name without what people change in it: "250Pa.7z" is the archive "250 Pa.7z"."""
    return re.sub(r"[ _-]", "", name).lower()
