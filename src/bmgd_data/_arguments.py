"""The arguments that say which data is meant: their words and defaults, once.

Docstrings name an argument in braces, alone on a line, and `documented` puts its words there. The
command line and the documentation take them from here too. Signatures stay explicit, for editors.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

_WIDTH: Final = 100  # of our docstrings


class Argument(NamedTuple):
    """One of the arguments."""

    words: str
    default: str | bool | None


ARGUMENTS: Final = {
    "split": Argument('"train", "val" (also "validation"), "test" or "all".', "train"),
    "stiffness": Argument(
        'One or several of "1200Pa", "1200 Pa", "1200", 1200. None: all four.', None
    ),
    "root": Argument(
        "Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.", None
    ),
    "source": Argument(
        '"upstream", "phantom" (generated data), an archive, a folder with the archives or the '
        "unpacked folders, a ZIP of the repository, or the base URL of a mirror. None: "
        "BMGD_SOURCE, or upstream.",
        None,
    ),
    "download": Argument(
        "Whether the network may be used. BMGD_OFFLINE=1 forbids it too.",
        True,  # noqa: FBT003 - named by the class
    ),
    "scheme": Argument(
        'How splits are drawn: "random" (80:10:10 of each stiffness) or "grouped" (likewise, '
        "images of one colony together). Known groups or splits: a CSV file (name, and group or "
        "split) or a mapping of names.",
        "random",
    ),
    "instances": Argument(
        'How nuclei are told apart: "components" (8-connected), "watershed" (touching nuclei '
        'split) or "provided" (label images of the archive, where it has any).',
        "components",
    ),
}
"""In the order of every signature."""


def documented(described: T) -> T:
    """Replace lines such as ``{root}`` in a docstring by the words of that argument."""
    text = described.__doc__ or ""
    described.__doc__ = re.sub(r"^( *)\{(\w+)\}$", _entry, text, flags=re.MULTILINE)
    return described


def _entry(found: re.Match[str]) -> str:
    indent, name = found.groups()
    return textwrap.fill(
        f"{name}: {ARGUMENTS[name].words}",
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_on_hyphens=False,
    )
