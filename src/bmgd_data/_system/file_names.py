"""Sample names to file names that every system and every tool can read."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST: Final = 80
"""Characters of a file name; the limits of old tar and of Windows paths allow no more."""

_UNCOMMON: Final = re.compile(r"[^A-Za-z0-9_-]+")
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RESERVED: Final = {
    *("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"),
    *(f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"),
}
_DIGEST: Final = re.compile(r"-[0-9a-f]{12}$")


def safe_file_name(name: str, *, loose: bool = False) -> str:
    """Make a file name, without suffix, that is valid on Linux, macOS and Windows.

    ``"250Pa/colony 3.1"`` gives ``"250Pa_colony_3_1"``: only ASCII letters, digits, ``_`` and ``-``
    stay, because some tools cut names at the first dot or space. `loose` keeps all characters that
    Windows allows; a suffix is then to be appended, never replaced, since names may hold dots.
    Different names may give the same; see `file_names`.
    """
    text = unicodedata.normalize("NFC", name)
    text = _FORBIDDEN.sub("_", text) if loose else _UNCOMMON.sub("_", text)
    text = text[:LONGEST].strip(" ").rstrip(" .")
    if text.startswith("."):
        text = f"_{text[1:]}"
    device = text.split(".")[0].rstrip(" ").upper()
    return f"_{text}" if device in _RESERVED else text or "_"


def as_upstream(name: str) -> str:
    """The path of a sample, with each part changed as little as a valid file name allows."""
    return "/".join(safe_file_name(part, loose=True) for part in PurePosixPath(name).parts)


def file_names(names: Sequence[str], make: Callable[[str], str] = safe_file_name) -> dict[str, str]:
    """Make a file name, without suffix, for each sample name; they differ even if case is ignored.

    Where two would be the same, each gets a digest of its sample name, whatever the order.
    """
    made = {name: make(name) for name in names}
    times = Counter(map(_as_compared, made.values()))
    # A name that looks like one with a digest gets one too; it could equal another.
    return {
        name: with_digest(file, name)
        if times[_as_compared(file)] > 1 or _DIGEST.search(file.lower())
        else file
        for name, file in made.items()
    }


def with_digest(file: str, name: str) -> str:
    """A sample's file name, made unique."""
    return f"{file}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _as_compared(file: str) -> str:
    """For file systems that ignore case, or the form of Unicode."""
    return unicodedata.normalize("NFC", file.casefold())
