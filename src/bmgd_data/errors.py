"""What can go wrong.

::

    BMGDError
    ├── DatasetNotFoundError    (FileNotFoundError)  nothing there, and nothing may be fetched
    ├── DownloadError           (ConnectionError)    the server did not give the archive
    ├── StorageError            (OSError)            no room, or no right to write
    ├── CorruptArchiveError     (OSError)            the archive or its members cannot be read
    │   └── ChecksumError                            the archive is whole, but not the one expected
    └── MissingDependencyError  (ImportError)        an optional framework is not installed

Each also inherits from the built-in error that older code would catch. A wrong argument is a plain
``ValueError`` that lists the valid ones. Every message says what happened, where, and what to do
next.
"""

from __future__ import annotations

__all__ = [
    "BMGDError",
    "BMGDWarning",
    "ChecksumError",
    "CorruptArchiveError",
    "DatasetNotFoundError",
    "DownloadError",
    "MissingDependencyError",
    "StorageError",
]


class BMGDError(Exception):
    """Base of every error that this package raises on purpose."""


class DatasetNotFoundError(BMGDError, FileNotFoundError):
    """The data is not on this machine and may not, or cannot, be fetched."""


class DownloadError(BMGDError, ConnectionError):
    """The server could not be reached, refused, or broke off, also after retries."""


class StorageError(BMGDError, OSError):
    """The folder that data is kept in is full or may not be written."""


class CorruptArchiveError(BMGDError, OSError):
    """An archive, or a file in it, is damaged or is not what it should be."""


class ChecksumError(CorruptArchiveError):
    """An archive differs from the digest that is pinned or was trusted first."""


class MissingDependencyError(BMGDError, ImportError):
    """An optional dependency is missing; the message holds the pip line."""


class BMGDWarning(UserWarning):
    """Something odd but harmless was met; samples are still right."""
