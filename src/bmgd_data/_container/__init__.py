"""An archive or a folder as a listing and a stream of (path, bytes). Nothing is decoded here.

A new kind of archive is one more module and one more line in `_KINDS`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from bmgd_data._container import first_bytes
from bmgd_data.errors import DamagedArchiveError

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data._container.members import Files

_KINDS: Final = {first_bytes.SEVEN_ZIP: ("sevenzip", "SevenZip"), first_bytes.ZIP: ("zip", "Zip")}
"""Module and class by first bytes, since files may have been renamed; py7zr is slow to import."""


def open_archive(path: Path) -> Files:
    """Open an archive.

    Raises:
        CorruptArchiveError: It cannot be read, is encrypted, uses methods that are not read, or is
            hostile: upward paths, links, duplicate names, absurd numbers and sizes.
        DamagedArchiveError: It is no archive, or not a whole one; says what it is.
    """
    head = first_bytes.magic(path)
    for beginning, (module, kind) in _KINDS.items():
        if head.startswith(beginning):
            files: Files = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(path)
            return files
    raise DamagedArchiveError(f"{path} is not a 7z archive: {first_bytes.what_it_is(head)}")
