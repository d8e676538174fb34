"""Which samples are train, validation and test: schemes, and groups of images of one colony."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bmgd_data.splits.schemes import (
    SCHEMES,
    SPLITS,
    Scheme,
    assign,
    deal,
    grouped,
    known_groups,
    parse_fold,
    parse_scheme,
    parse_split,
    random,
    refold,
    resolve_scheme,
)

if TYPE_CHECKING:
    from bmgd_data.splits.schemes import AnyScheme as AnyScheme

__all__ = [
    "SCHEMES",
    "SPLITS",
    "Scheme",
    "assign",
    "deal",
    "grouped",
    "known_groups",
    "parse_fold",
    "parse_scheme",
    "parse_split",
    "random",
    "refold",
    "resolve_scheme",
]
