"""Decodes an archive once in a process that may die of it.

The decoder of PPMd (pyppmd 1.3.1) ruins the memory of its process when the data is damaged: Python
aborts soon after, or not so soon. What decoded well once, with all CRCs right, does so again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from bmgd_data.errors import CorruptArchiveError, DamagedArchiveError, printable

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED: Final = 3
_CHILD: Final = f"""
import sys
from pathlib import Path
from bmgd_data._container.sevenzip import Archive
from bmgd_data.errors import CorruptArchiveError
from bmgd_data.errors import DamagedArchiveError
try:
    Archive(Path(sys.argv[1])).decode(lambda path, data: None)
except DamagedArchiveError as error:
    sys.stdout.buffer.write(str(error).encode("utf-8", "backslashreplace"))
    sys.stdout.flush()
    sys.exit({_DAMAGED})
except CorruptArchiveError:
    pass  # whoever asked finds the same, and says so itself
"""
_LONGEST: Final = 200  # letters of the process's last words


def rehearse(path: Path, size: int) -> None:
    """Decode the archive in another process.

    Args:
        path: The archive.
        size: Bytes that it unpacks to; the process gets a minute, and a second for each megabyte.

    Raises:
        DamagedArchiveError: Its data is damaged.
        CorruptArchiveError: The process could not be started, died or hung: the archive is damaged,
            or memory is short.
    """
    command = [sys.executable, "-c", _CHILD, str(path)]
    same_modules = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and code
            command, env=same_modules, capture_output=True, timeout=60 + size / 1e6, check=False
        )
    except subprocess.TimeoutExpired:
        raise _undecided(path, "did not end") from None
    except OSError as error:
        raise _undecided(path, f"could not be started ({error.strerror})") from error
    if ended.returncode == _DAMAGED:
        raise DamagedArchiveError(ended.stdout.decode())
    if ended.returncode:
        words = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        why = f"failed with status {ended.returncode}"
        raise _undecided(path, ": ".join([why, *words])[:_LONGEST])


def _undecided(path: Path, why: str) -> CorruptArchiveError:
    return CorruptArchiveError(
        f"{path} cannot be read: it is packed with PPMd, and the process that decoded it "
        f"{printable(why)}. Either it is damaged, then fetch it again, with `bmgd download "
        "--accept-changed` if a download it is; or the process lacked memory or time, then try "
        "where there is more, or unpack it and give the folder as source=."
    )
