"""Which samples are train, validation and test: schemes, folds, and groups of one colony's images.

``bmgd_data.splits.groups`` finds the groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmgd_data.splits.folds import Fold, assign_folds, folded, held_out, parse_fold
from bmgd_data.splits.given import known_of, resolve_scheme
from bmgd_data.splits.schemes import (
    GIVEN,
    LEFT_OUT,
    SCHEMES,
    SPLITS,
    Scheme,
    assign,
    grouped,
    parse_scheme,
    parse_split,
    random,
)

if TYPE_CHECKING:
    from bmgd_data.splits.schemes import AnyScheme as AnyScheme

__all__ = [
    "GIVEN",
    "LEFT_OUT",
    "SCHEMES",
    "SPLITS",
    "Fold",
    "Scheme",
    "assign",
    "assign_folds",
    "folded",
    "grouped",
    "held_out",
    "known_of",
    "parse_fold",
    "parse_scheme",
    "parse_split",
    "random",
    "resolve_scheme",
]
