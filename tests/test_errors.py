"""Messages of errors and warnings are safe to print, whatever names they quote."""

from __future__ import annotations

import pickle
import traceback
import warnings

import pytest

from bmgd_data import errors

STEERS = "a\x1b[2J\r\x9b\u202e\udcff\t"
SPELLED = r"a\x1b[2J\r\x9b\u202e\udcff\t"
KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_printable(kind):
    error = kind(f"first {STEERS}\nsecond")
    assert str(error) == f"{error}" == f"first {SPELLED}\nsecond"
    assert "".join(traceback.format_exception_only(error)).endswith(f"{error!s}\n")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.args) == (kind, str(error), error.args)


def test_a_warning_is_printable_as_python_shows_it():
    with pytest.warns(errors.BMGDWarning) as warned:
        warnings.warn(STEERS, errors.BMGDWarning, stacklevel=1)
    shown = warnings.formatwarning(warned[0].message, errors.BMGDWarning, "a.py", 1, "")
    assert shown.endswith(f"BMGDWarning: {SPELLED}\n")


def test_built_in_errors_catch_them():
    for kind, old in (
        *((errors.DatasetNotFoundError, FileNotFoundError), (errors.StorageError, OSError)),
        *((errors.DownloadError, ConnectionError), (errors.CorruptArchiveError, OSError)),
        *((errors.MissingDependencyError, ImportError), (errors.BMGDWarning, UserWarning)),
    ):
        assert issubclass(kind, old)
