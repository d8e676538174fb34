"""Text that comes from files and goes to terminals."""

from __future__ import annotations

import re
from typing import Final

STEERING: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
"""Characters that move a terminal's cursor, turn its writing or cannot be printed: C0 and C1
controls, line and paragraph separators, bidirectional marks (Unicode's Bidi_Control), surrogates,
the byte order mark."""


def printable(text: str) -> str:
    """The text with whatever steers a terminal spelled out, as Python's repr does it."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
