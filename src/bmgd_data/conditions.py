"""Reads stiffness values, in every form that users write them."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from typing import Final

from bmgd_data import facts

__all__ = ["Stiffness", "parse_stiffness"]

Stiffness = str | int
"""One stiffness: ``"1200Pa"``, ``"1200 Pa"``, ``"1200"`` or ``1200``."""

_FORM: Final = re.compile(r"\s*(\d+)\s*(pa)?\s*", re.IGNORECASE)
_IN_A_NAME: Final = re.compile(
    r"(\d+)(?:%20|[ ._+-])*pa(?:(?:%20|[ ._+-])*(?:\(\d+\)|copy|kopie))*", re.IGNORECASE
)
"""Changed forms of "250 Pa": "250.Pa" (release assets), "250%20Pa" (curl), "250 Pa (1)" (browsers),
"250 Pa - Copy" (Windows)."""
_BY_PA: Final = {condition.pa: condition for condition in facts.CONDITIONS}
_VALID: Final = ", ".join(repr(condition.name) for condition in facts.CONDITIONS)


def parse_stiffness(stiffness: Stiffness | Iterable[Stiffness] | None) -> list[facts.Condition]:
    """Read one stiffness, several, or None for all.

    Returns:
        The conditions, stiffness ascending, each once.

    Raises:
        ValueError: A value that is none of the four, or no value.
    """
    if stiffness is None:
        return list(facts.CONDITIONS)
    single = isinstance(stiffness, str) or not isinstance(stiffness, Iterable)
    wanted: Iterable[object] = [stiffness] if single else stiffness  # type: ignore[assignment]
    chosen = {_one(value) for value in wanted}
    if not chosen:
        raise ValueError(f"No stiffness given. Valid: {_VALID}, several of them, or None for all.")
    return sorted(chosen, key=lambda condition: condition.pa)


def _one(value: object) -> facts.Condition:
    if isinstance(value, str):
        match = _FORM.fullmatch(value)
        pa = int(match[1]) if match else None
    else:
        try:
            pa = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pa = None
    if pa not in _BY_PA:
        raise ValueError(f"Unknown stiffness {value!r}. Valid: {_VALID} (or 1200, '1200 Pa').")
    return _BY_PA[pa]


def named_by(name: str) -> facts.Condition | None:
    """The condition that a name such as "250 Pa", "250.Pa" or "250%20Pa (1)" stands for, or None.

    The name is that of a folder, or of an archive without its ending.
    """
    match = _IN_A_NAME.fullmatch(name.strip())
    return _BY_PA.get(int(match[1])) if match else None
