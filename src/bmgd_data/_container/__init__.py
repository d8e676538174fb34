"""An archive or a folder as a listing and a stream of (path, bytes). Nothing is decoded here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmgd_data._container import first_bytes
from bmgd_data._container.zip import Zip
from bmgd_data.errors import DamagedArchiveError

if TYPE_CHECKING:
    from pathlib import Path

    from bmgd_data._container.members import Files


def open_archive(path: Path) -> Files:
    """Open an archive by its first bytes, since files may have been renamed.

    Raises:
        CorruptArchiveError: It cannot be read, is encrypted, uses methods that are not read, or is
            hostile: upward paths, links, duplicate names, absurd numbers and sizes.
        DamagedArchiveError: It is no archive, or not a whole one; says what it is.
    """
    head = first_bytes.magic(path)
    if head.startswith(first_bytes.SEVEN_ZIP):
        from bmgd_data._container.sevenzip import SevenZip  # py7zr is slow to import

        return SevenZip(path)
    if head.startswith(first_bytes.ZIP):
        return Zip(path)
    raise DamagedArchiveError(f"{path} is not a 7z archive: {first_bytes.what_it_is(head)}")
