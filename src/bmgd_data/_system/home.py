"""Where data is kept, and whether the network may be used.

Every path below the root is named here and nowhere else::

    <root>/
      sources/<source>/250 Pa.7z, ...      archives that were downloaded or generated
      sources/<source>/250Pa.json, ...     what was seen of a source, and is trusted
      stores/<condition>-<key>-v<n>/       the arrays that samples are read from
      tfds/<records>/                      records of TensorFlow Datasets (not upstream's default)
      locks/                               empty files that processes lock, see `lock_name`

Arguments override environment variables, except BMGD_OFFLINE: BMGD_HOME (root), BMGD_SOURCE,
BMGD_CHECKSUMS, BMGD_QUIET.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bmgd_data import facts
from bmgd_data.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO: Final = {"", "0", "false", "no", "off"}
_CONDITIONS: Final = "|".join(condition.name for condition in facts.CONDITIONS)
_ARCHIVES: Final = "|".join(re.escape(condition.archive) for condition in facts.CONDITIONS)
_LEFT: Final = r"-[0-9a-f]{8}\.partial"
"""Ends the name of what a killed process left; the name begins with a dot."""
_SLUG: Final = r"(upstream|mirror|folder|phantom)-([A-Za-z0-9-]+-)?[0-9a-f]{8}"


def root(path: str | os.PathLike[str] | None = None) -> Path:
    """The absolute path of the folder that all data is kept in; it is not created here.

    It is `path`, or BMGD_HOME, or the user's cache folder. If this needs a home folder and there is
    none, it raises StorageError.
    """
    chosen = path or os.environ.get("BMGD_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        import platformdirs

        return platformdirs.user_cache_path("bmgd", appauthor=False)
    except RuntimeError as error:
        raise StorageError(
            f"There is no home folder to keep data in ({error}). Set BMGD_HOME, or root=, to the "
            "full path of a folder."
        ) from error


def switched_on(variable: str) -> bool:
    """Whether an environment variable is set, and not to 0, false, no or off."""
    return os.environ.get(variable, "").strip().lower() not in _NO


def offline() -> bool:
    """Whether BMGD_OFFLINE forbids the network."""
    return switched_on("BMGD_OFFLINE")


def archive(root: Path, slug: str, condition: facts.Condition) -> Path:
    return root / "sources" / slug / condition.archive


def note(root: Path, slug: str, condition: facts.Condition) -> Path:
    return root / "sources" / slug / f"{condition.name}.json"


def store(root: Path, condition: facts.Condition, key: str, version: int) -> Path:
    return root / "stores" / f"{condition.name}-{key[:16]}-v{version}"


def records(root: Path, name: str) -> Path:
    return root / "tfds" / name


def lock_file(root: Path, name: str) -> Path:
    return root / "locks" / f"{name}.lock"


def lock_name(root: Path, made: Path) -> str:
    """The name of the lock that a process holds while it makes a note, a store or a part of one.

    It begins with the name of the entry below the root that `clean` removes, so that `lock_names`
    finds it: sources/<source>/250Pa.json gives <source>-250Pa.
    """
    return "-".join(made.relative_to(root).with_suffix("").parts[1:])


def lock_names(root: Path, entry: Path) -> list[str]:
    """The locks of all that is, or was, made in an entry of `kept`, and of the entry itself."""
    own = re.sub(rf"^\.(.+){_LEFT}$", r"\1", entry.name)
    inside = _entries(root / "locks", rf"{re.escape(own)}-.+\.lock")
    return [own, *(path.stem for path in inside)]


KINDS: Final = {
    "archives": ("sources", _SLUG, rf"\.?({_ARCHIVES})"),
    "stores": ("stores", rf"\.?({_CONDITIONS})-[0-9a-f]{{16}}-v\d+", None),
    "records": ("tfds", rf"{_SLUG}-.+", None),
    "notes": ("sources", _SLUG, rf"\.?({_CONDITIONS})\.json"),
    "locks": ("locks", r".+\.lock", None),
}
"""What this package keeps below a root, by kind: a folder, the names of its entries, and the files
of an entry that are meant (None: the whole entry). Other files are never counted or removed."""


def kept(root: Path) -> Iterator[tuple[str, Path, tuple[Path, ...]]]:
    """All that this package keeps below a root: kind, entry, and the files of it that are meant."""
    for kind, (folder, entry, inside) in KINDS.items():
        for path in _entries(root / folder, entry):
            if files := _entries(path, inside) if inside else [path]:
                yield kind, path, tuple(files)


def folders(root: Path) -> list[Path]:
    """The folders below a root that may be left empty, the deepest first."""
    tops = sorted({root / folder for folder, *_ in KINDS.values()})
    return [*_entries(root / "sources", _SLUG), *tops]


def _entries(folder: Path, name: str) -> list[Path]:
    """Entries of this name, also those that a killed process left; links are not followed."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    pattern = re.compile(rf"{name}({_LEFT})?")
    found = (path for path in folder.iterdir() if pattern.fullmatch(path.name))
    return sorted(path for path in found if not path.is_symlink())
