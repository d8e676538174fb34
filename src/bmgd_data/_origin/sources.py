"""What a user can name as a source."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from bmgd_data import facts
from bmgd_data._store import store
from bmgd_data._system import disk, home
from bmgd_data.errors import DatasetNotFoundError
from bmgd_data.phantom import Phantom

if TYPE_CHECKING:
    from collections.abc import Sequence

VALID: Final = (
    "'upstream', 'phantom' for generated data, the base URL of a mirror, or a path: an "
    "archive ('950 Pa.7z'), an unpacked folder ('950 Pa'), or a folder or .zip that holds them"
)


@dataclass(frozen=True, repr=False)
class Source:
    """Where archives or unpacked folders come from."""

    kind: Literal["upstream", "mirror", "folder", "phantom"]
    location: str
    """Base URL, perhaps with user and password; absolute path; or the phantom's canonical text."""

    def __repr__(self) -> str:
        return f"Source({self.kind!r}, {self.public!r})"

    @property
    def remote(self) -> bool:
        return self.kind in ("upstream", "mirror")

    @property
    def generated(self) -> bool:
        """Whether this package generates the data; then it is not BMGD."""
        return self.kind == "phantom"

    @property
    def public(self) -> str:
        """The location without user and password: only this is shown or written."""
        return _without_user(self.location) if self.remote else self.location

    @property
    def label(self) -> str:
        """As shown to its user."""
        labels = {"upstream": "upstream", "phantom": f"{self.location} (generated)"}
        return labels.get(self.kind, self.public)

    @property
    def label_for_others(self) -> str:
        """As written into exported files; a path on this machine is private."""
        return "local files" if self.kind == "folder" else self.label

    @property
    def slug(self) -> str:
        """A safe folder name, different for different sources."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.public).strip("-")[-40:]
        return f"{self.kind}-{readable}-{disk.sha256_of(self.public)[:8]}"


@dataclass(frozen=True)
class Wanted:
    """One condition of one source, kept below one root."""

    root: Path
    source: Source
    condition: facts.Condition

    @property
    def name(self) -> str:
        """Name of the lock for fetching and building it."""
        return home.lock_name(self.root, self.note)

    @property
    def archive(self) -> Path:
        return home.archive(self.root, self.source.slug, self.condition)

    @property
    def note(self) -> Path:
        return home.note(self.root, self.source.slug, self.condition)

    def store(self, key: str) -> Path:
        return home.store(self.root, self.condition, key, store.FORMAT)


def command(verb: str, wanted: Sequence[Wanted]) -> str:
    """The command of `bmgd` for these conditions of one source and root."""
    words = ["bmgd", verb]
    if len(wanted) < len(facts.CONDITIONS):
        words += [word for each in wanted for word in ("--stiffness", each.condition.name)]
    source, root = wanted[0].source, wanted[0].root
    if source.kind != "upstream":
        words += ["--source", source.public]
    if root != home.root():
        words += ["--root", str(root)]
    return shlex.join(words)


def resolve(source: str | os.PathLike[str] | None = None, root: Path | None = None) -> Source:
    """Read a source as users name it; None means BMGD_SOURCE, or else upstream.

    Raises:
        DatasetNotFoundError: It names a path that does not exist, and `root` keeps nothing of it.
        ValueError: A phantom or an address that is not valid, or that has a query.
    """
    named = source if source is not None else os.environ.get("BMGD_SOURCE") or "upstream"
    text = os.fspath(named)
    if not text:
        raise ValueError(f"The source is an empty string. Valid: {VALID}.")
    if isinstance(named, str):
        if text in ("upstream", facts.UPSTREAM, facts.UPSTREAM.rstrip("/")):
            return Source("upstream", facts.UPSTREAM)
        if text.split(":", 1)[0] == "phantom":
            return Source("phantom", str(Phantom.parse(text)))
        if "://" in text:
            return _address(text, root)
    return _path(text, root)


def _address(text: str, root: Path | None) -> Source:
    try:
        address = urlsplit(text)
    except ValueError:  # its message may repeat the address, which may hold a password
        raise ValueError(f"The source is no valid address. Valid: {VALID}.") from None
    if address.scheme == "file":
        from urllib.request import url2pathname

        return _path(url2pathname(address.path), root)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"Unknown source {_without_user(text)!r}. Valid: {VALID}.")
    if set(text) & set("?#"):
        raise ValueError(  # without the address: a query may hold a secret
            "The address of the mirror holds a '?' or '#', after which no archive's name can be "
            "added. Give the base URL alone, as in http://host/folder/."
        )
    return Source("mirror", text.rstrip("/") + "/")


def _path(text: str, root: Path | None) -> Source:
    try:
        path = Path(text).expanduser()
        there = os.path.exists(path)  # noqa: PTH110 - unlike Path.exists, never PermissionError
        found = [Source("folder", str(path.resolve()))]
    except RuntimeError:  # "~name" without such a user
        there, found = False, []
    if not there and root is not None:
        # What was read is kept, also if its source was removed, or is on another machine, where it
        # had this name.
        found = [each for each in (*found, Source("folder", text)) if kept_of(root, each)]
    elif not there:
        found = []
    if not found:
        raise DatasetNotFoundError(
            f"The source {text!r} does not exist, or may not be read. Valid: {VALID}."
        )
    return found[0]


def kept_of(root: Path, source: Source) -> bool:
    """Whether a root has a note on a source."""
    return any(
        os.path.exists(home.note(root, source.slug, each))  # noqa: PTH110 - see `_path`
        for each in facts.CONDITIONS
    )


def _without_user(url: str) -> str:
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(user + at, "", 1)
