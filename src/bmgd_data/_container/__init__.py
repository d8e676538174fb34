"""An archive or a folder as a listing and a stream of (path, bytes). Nothing is decoded here.

A new kind of archive is one more module and one more line in `_KINDS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bmgd_data._container import first_bytes
from bmgd_data._container.folder import Folder
from bmgd_data._container.sevenzip import SevenZip
from bmgd_data._container.zip import Zip
from bmgd_data.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bmgd_data._container.members import Files

__all__ = ["Folder", "SevenZip", "Zip", "open_archive"]

_KINDS: Final[dict[bytes, Callable[[Path], Files]]] = {
    first_bytes.SEVEN_ZIP: SevenZip,
    first_bytes.ZIP: Zip,
}
"""By first bytes, since files may have been renamed."""


def open_archive(path: Path) -> Files:
    """Open an archive by what it is, whatever its name says.

    Raises:
        CorruptArchiveError: It cannot be read, or is refused.
        DamagedArchiveError: It is no archive, or not a whole one; says what it is.
    """
    head = first_bytes.magic(path)
    for beginning, kind in _KINDS.items():
        if head.startswith(beginning):
            return kind(path)
    raise DamagedArchiveError(f"{path} is not a 7z archive: {first_bytes.what_it_is(head)}")
