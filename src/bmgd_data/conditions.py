"""Every way of naming a stiffness, read in one place."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from typing import Final

from bmgd_data import facts

__all__ = ["Stiffness", "parse_stiffness"]

Stiffness = str | int
"""One stiffness as people write it: ``"1200Pa"``, ``"1200 Pa"``, ``"1200"`` or ``1200``."""

_FORM: Final = re.compile(r"\s*(\d+)\s*(pa)?\s*", re.IGNORECASE)
_IN_A_NAME: Final = re.compile(
    r"(\d+)(?:%20|[ ._+-])*pa(?:(?:%20|[ ._+-])*(?:\(\d+\)|copy|kopie))*", re.IGNORECASE
)
"""What people and programs make of "250 Pa": release assets "250.Pa", curl "250%20Pa", browsers
"250 Pa (1)", Windows "250 Pa - Copy"."""
_BY_PA: Final = {condition.pa: condition for condition in facts.CONDITIONS}


def parse_stiffness(stiffness: Stiffness | Iterable[Stiffness] | None) -> list[facts.Condition]:
    """Read one stiffness, several, or None for all.

    Returns:
        The conditions, stiffness ascending, each once.

    Raises:
        ValueError: A value that names none of the four, or an empty selection.
    """
    if stiffness is None:
        return list(facts.CONDITIONS)
    single = isinstance(stiffness, str) or not isinstance(stiffness, Iterable)
    wanted: Iterable[object] = [stiffness] if single else stiffness  # type: ignore[assignment]
    chosen = {_one(value) for value in wanted}
    if not chosen:
        raise ValueError(f"No stiffness given. Valid: {_VALID}, several of them, or None for all.")
    return sorted(chosen, key=lambda condition: condition.pa)


_VALID: Final = ", ".join(repr(condition.name) for condition in facts.CONDITIONS)


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
    """The condition that a folder's name, or an archive's without its ending, stands for.

    Args:
        name: Such as "250 Pa", "250.Pa" or "250%20Pa (1)".

    Returns:
        None where the name does not say, or says more.
    """
    match = _IN_A_NAME.fullmatch(name.strip())
    return _BY_PA.get(int(match[1])) if match else None
