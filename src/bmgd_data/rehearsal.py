"""Decodes an archive once in a process that may die of it.

The decoder of PPMd (pyppmd 1.3.1) ruins the memory of its process when the data is damaged: Python
aborts soon after, or not so soon. What decoded well once, with all CRCs right, does so again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from bmgd_data.signature import FETCH_AGAIN, DamagedArchiveError

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED: Final = 3
_CHILD: Final = f"""
import sys
from pathlib import Path
from bmgd_data.archive import Archive
from bmgd_data.errors import CorruptArchiveError
try:
    Archive(Path(sys.argv[1])).decode(lambda path, data: None)
except CorruptArchiveError as error:
    sys.stdout.buffer.write(str(error).encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
    sys.exit({_DAMAGED})
"""


def rehearse(path: Path, size: int) -> None:
    """Decode the archive in another process.

    Args:
        path: The archive.
        size: Bytes that it unpacks to; the process is given a second for each megabyte.

    Raises:
        DamagedArchiveError: It could not be decoded, or the process died or hung.
    """
    command = [sys.executable, "-c", _CHILD, str(path)]
    same_modules = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and code
            command, env=same_modules, capture_output=True, timeout=60 + size / 1e6, check=False
        )
    except subprocess.TimeoutExpired:
        why = "decoding does not end"
    else:
        if ended.returncode == 0:
            return
        if ended.returncode == _DAMAGED:
            raise DamagedArchiveError(ended.stdout.decode())
        why = f"its decoder failed with status {ended.returncode}"
    raise DamagedArchiveError(f"{path} is damaged: {why}. {FETCH_AGAIN}")
