"""The errors and warnings of this package.

::

    BMGDError
    ├── DatasetNotFoundError    (FileNotFoundError)  nothing there, and nothing may be fetched
    ├── DownloadError           (ConnectionError)    the server did not send the archive
    ├── StorageError            (OSError)            no room, or no permission to write
    ├── CorruptArchiveError     (OSError)            the archive or its members cannot be read
    │   ├── ChecksumError                            the archive is whole, but not the one expected
    │   └── DamagedArchiveError                      the archive is cut off or damaged
    └── MissingDependencyError  (ImportError)        an optional framework is not installed

Each also inherits from the built-in error in brackets. A wrong argument raises a ``ValueError``
that lists the valid values. Every message says what happened, where, and what to do next. Messages
may quote names from archives and folders; control characters in them are escaped. IPython and
notebooks show the message alone; ``%tb`` shows the traceback.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final

__all__ = [
    "BMGDError",
    "BMGDWarning",
    "ChecksumError",
    "CorruptArchiveError",
    "DamagedArchiveError",
    "DatasetNotFoundError",
    "DownloadError",
    "MissingDependencyError",
    "StorageError",
]


READER: Final = "Without it, bmgd_data.Reader gives the same samples as numpy arrays."
"""What users of a framework's adapter can do if the framework is missing."""
STEERING: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
"""Characters that control a terminal or cannot be printed: C0 and C1 controls, line and paragraph
separators, bidirectional marks (Unicode's Bidi_Control), surrogates, the byte order mark."""


def printable(text: str) -> str:
    """The text with characters of `STEERING` escaped, as Python's repr does."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_lines(text: str) -> str:
    """`printable`, but line feeds stay."""
    return "\n".join(map(printable, text.split("\n")))


class _Message(Exception):  # noqa: N818 - errors and warnings alike
    """An error or warning whose text is printable."""

    def __str__(self) -> str:
        return printable_lines(super().__str__())


class BMGDError(_Message):
    """Base of every error that this package raises on purpose."""

    def _render_traceback_(self) -> Any:
        """The lines that IPython shows: first the message, and for ``%tb`` the traceback."""
        if sys.exc_info()[1] is self:
            return [f"{type(self).__name__}: {self}", "", "To see where it arose: %tb"]
        shell = sys.modules["IPython"].get_ipython()
        return shell.InteractiveTB.structured_traceback(type(self), self, self.__traceback__)


class DatasetNotFoundError(BMGDError, FileNotFoundError):
    """The data is not on this machine and may not, or cannot, be fetched."""


class DownloadError(BMGDError, ConnectionError):
    """The server could not be reached, refused, or broke off, also after retries."""


class StorageError(BMGDError, OSError):
    """The folder that data is kept in is full or may not be written."""


class CorruptArchiveError(BMGDError, OSError):
    """An archive, or a file in it, is damaged or is not what it should be."""


class DamagedArchiveError(CorruptArchiveError):
    """An archive is cut off or its bytes are damaged; fetching it again may help."""


class ChecksumError(CorruptArchiveError):
    """An archive differs from the digest that is pinned or was trusted first."""


class MissingDependencyError(BMGDError, ImportError):
    """An optional dependency is missing; the message holds the pip line."""


def missing(
    what: str, module: str, extra: str, error: Exception, *, instead: str = READER
) -> MissingDependencyError:
    """The error of a feature whose library cannot be imported; `instead` works without it."""
    absent = isinstance(error, ModuleNotFoundError) and error.name == module
    why = "not installed" if absent else f"installed but cannot be imported ({error})"
    pip = f'pip install "bmgd-data[{extra}]".'
    return MissingDependencyError(
        f"{what} needs {module}, which is {why}: {pip} {instead}".rstrip()
    )


class BMGDWarning(_Message, UserWarning):
    """A note, which is harmless, or a doubt: samples may be wrong."""
