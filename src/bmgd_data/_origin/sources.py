"""What a user can name as a source."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from bmgd_data import facts
from bmgd_data._origin.phantom import Phantom
from bmgd_data._system import disk
from bmgd_data.errors import DatasetNotFoundError

VALID: Final = (
    "None for upstream, 'phantom' for generated data, the base URL of a mirror, or a path: an "
    "archive ('950 Pa.7z'), an unpacked folder ('950 Pa'), or a folder or .zip that holds them"
)


@dataclass(frozen=True)
class Source:
    """Where archives or unpacked folders come from."""

    location: str
    """Base URL, absolute path, or the phantom's canonical text.

    A mirror's may hold user and password; whatever is shown or written down takes `public`.
    """

    kind: ClassVar[str]
    remote: ClassVar[bool] = False
    """Whether the network is needed to fetch from it."""
    generated: ClassVar[bool] = False
    """Whether this package makes it up; then it is not BMGD."""

    def __repr__(self) -> str:
        return f"Source({self.kind!r}, {self.public!r})"

    @property
    def public(self) -> str:
        """The location without user and password: what may be shown and written down."""
        return self.location

    @property
    def label(self) -> str:
        """As shown to its user."""
        return self.public

    @property
    def label_for_others(self) -> str:
        """As written into what is passed on; a path on this machine is private."""
        return self.label

    @property
    def slug(self) -> str:
        """A safe folder name, different for different sources."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.public).strip("-")[-40:]
        return f"{self.kind}-{readable}-{disk.sha256_of(self.public)[:8]}"


@dataclass(frozen=True, repr=False)
class Mirror(Source):
    """A server that holds the four archives."""

    kind: ClassVar[str] = "mirror"
    remote: ClassVar[bool] = True

    @property
    def public(self) -> str:
        """The base URL without user and password."""
        return _without_user(self.location)

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password to fetch with, where the address holds them."""
        address = urlsplit(self.location)
        if address.username is None:
            return None
        return unquote(address.username), unquote(address.password or "")

    def urls(self, condition: facts.Condition) -> list[str]:
        """Addresses that a condition's archive may have, without user and password.

        Assets of a GitHub release have dots where the file had spaces.
        """
        names = (condition.archive, condition.archive.replace(" ", "."))
        return [f"{self.public.rstrip('/')}/{quote(name)}" for name in names]


@dataclass(frozen=True, repr=False)
class Upstream(Mirror):
    """The authors' own repository."""

    kind: ClassVar[str] = "upstream"

    @property
    def label(self) -> str:
        """One word."""
        return "upstream"

    def urls(self, condition: facts.Condition) -> list[str]:
        """The address of a condition's archive."""
        return super().urls(condition)[:1]


@dataclass(frozen=True, repr=False)
class Local(Source):
    """A path: an archive, an unpacked folder, or what holds them."""

    kind: ClassVar[str] = "folder"

    @property
    def label_for_others(self) -> str:
        """Without the path."""
        return "local files"


@dataclass(frozen=True, repr=False)
class Generated(Source):
    """Images that this package makes up."""

    kind: ClassVar[str] = "phantom"
    generated: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """The phantom's text, and that it is generated."""
        return f"{self.location} (generated)"

    @property
    def phantom(self) -> Phantom:
        """What is generated."""
        return Phantom.parse(self.location)


def resolve(source: str | os.PathLike[str] | None = None) -> Source:
    """Read what a user names as source; None asks BMGD_SOURCE, and then means upstream.

    Raises:
        DatasetNotFoundError: It names a path that is not there.
        ValueError: A phantom or an address that is not understood, or that has a query.
    """
    named = source if source is not None else os.environ.get("BMGD_SOURCE") or "upstream"
    text = os.fspath(named)
    if not text:
        raise ValueError(f"The source is an empty string. Valid: {VALID}.")
    if isinstance(named, str):
        if text in ("upstream", facts.UPSTREAM, facts.UPSTREAM.rstrip("/")):
            return Upstream(facts.UPSTREAM)
        if text.split(":", 1)[0] == "phantom":
            return Generated(str(Phantom.parse(text)))
        if "://" in text:
            return _address(text)
    return _path(text)


def _address(text: str) -> Source:
    address = _split(text)
    if address.scheme == "file":
        from urllib.request import url2pathname

        return _path(url2pathname(address.path))
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"Unknown source {_without_user(text)!r}. Valid: {VALID}.")
    if set(text) & set("?#"):
        raise ValueError(  # without the address: a query may hold a secret
            "The address of the mirror holds a '?' or '#', behind which no archive's name can be "
            "added. Give the base URL alone, as in http://host/folder/."
        )
    return Mirror(text.rstrip("/") + "/")


def _path(text: str) -> Source:
    try:
        path = Path(text).expanduser()
        there = os.path.exists(path)  # noqa: PTH110 - unlike Path.exists, never PermissionError
    except RuntimeError:  # "~name" of no such user
        there = False
    if not there:
        raise DatasetNotFoundError(
            f"The source {text!r} does not exist, or may not be looked into. Valid: {VALID}."
        )
    return Local(str(path.resolve()))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # its message may repeat the address, which may hold a password
        raise ValueError(f"The source is no valid address. Valid: {VALID}.") from None


def _without_user(url: str) -> str:
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(user + at, "", 1)
