"""What is unusual about a condition, in lines for users."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Remarks:
    """Lines about one condition; doubts and refusals begin with a short code and a colon."""

    notes: list[str] = field(default_factory=list)
    """Harmless, or settled by the pixels."""
    doubts: list[str] = field(default_factory=list)
    """The samples may be wrong."""
    refusals: list[str] = field(default_factory=list)
    """The samples seem wrong: they are served only after a user accepts them."""

    def add(self, line: str, *, refuse: bool) -> None:
        (self.refusals if refuse else self.doubts).append(line)

    def include(self, other: Remarks) -> None:
        self.notes += other.notes
        self.doubts += other.doubts
        self.refusals += other.refusals


def some(names: Iterable[str], most: int = 3) -> str:
    """The first of many names; lists come from archives and may be very long."""
    listed = list(names)
    more = f", and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
