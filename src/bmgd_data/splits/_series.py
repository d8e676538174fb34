"""What file names say about colonies: series of slices.

The slice is the number in a name whose neighbours look alike most often; the colony is what
precedes it. Names that the pixels contradict are not used.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    Linked = Collection[tuple[int, int]]

_DIGITS: Final = re.compile(r"(\d+)")
_LABEL: Final = re.compile(r"(?:^|[^a-z])(?:z|slice|plane)[ _=-]*$")  # before a slice's number
_SUPPORT: Final = 0.2  # least share of neighbours along a slice field that look alike (chance 0.01)
_CROSSING: Final = 0.05  # largest share of links between two series
_LONGEST: Final = 80  # slices; a colony of 60 um has 60, so a longer series is a running number


class NameSeries(NamedTuple):
    """What file names say about colonies."""

    kind: str
    """"series": each image's colony; "running": one number that counts all images; "none";
    "contradicted": series that separate images that look alike."""
    series: NDArray[np.int32]
    """(n,) series of each name; -1 if there is none."""
    pattern: str
    support: float
    crossing: float


class _Field(NamedTuple):
    """One number in the names of a family, as a candidate for the slice."""

    support: float
    labelled: bool
    number: int
    runs: list[list[int]]  # images of each series


def read_names(names: Sequence[str], linked: Linked | None = None) -> NameSeries:
    """Read series of slices from file names.

    Args:
        names: Sample names without the stiffness.
        linked: Pairs of images that look alike, the earlier one first; None without pixels: then
            only numbers after z, slice or plane count as slices.

    Returns:
        What the names say.
    """
    families: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for image, name in enumerate(names):
        families[tuple(_DIGITS.split(name)[0::2])].append(image)
    series = np.full(len(names), -1, np.int32)
    patterns, supported, running, known, count = [], 0.0, 0, 0, 0
    for text, members in sorted(families.items()):
        best = _slice_field(names, text, members, linked)
        if best is None:
            continue
        longest = _LONGEST if best.labelled else min(_LONGEST, len(names) / 2)
        if max(map(len, best.runs)) > longest:
            running += len(members)
            continue
        for run in best.runs:
            series[run] = count
            count += 1
        known += len(members)
        supported += best.support * len(members)
        marks = ["<z>" if k == best.number else "#" for k in range(len(text) - 1)] + [""]
        patterns.append("".join(part + mark for part, mark in zip(text, marks, strict=True)))
    kind = "series" if 2 * known > len(names) else "running" if 2 * running > len(names) else "none"
    crossing = 0.0  # share of the links between two series
    if linked is not None:
        pairs = series[np.array(list(linked), int).reshape(-1, 2)]
        told = pairs[(pairs >= 0).all(axis=1)]
        crossing = float((told[:, 0] != told[:, 1]).mean()) if len(told) else 0.0
    if kind == "series" and crossing > _CROSSING:
        kind = "contradicted"
    shown = " or ".join(patterns[:2]) + f" and {len(patterns) - 2} more" * (len(patterns) > 2)  # noqa: PLR2004
    return NameSeries(kind, series, shown, supported / max(known, 1), crossing)


def _slice_field(
    names: Sequence[str], text: tuple[str, ...], members: Sequence[int], linked: Linked | None
) -> _Field | None:
    """The number whose neighbours look alike most often, or that has a label.

    A series is what precedes the slice's number; if that never varies, it is what follows.
    """
    numbers = {i: tuple(map(int, _DIGITS.split(names[i])[1::2])) for i in members}
    found = []
    for field, before in enumerate(text[:-1]):
        varies = len({number[:field] for number in numbers.values()}) > 1
        runs: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, number in numbers.items():
            runs[number[:field] if varies else number[field + 1 :]].append(i)
        pairs = []
        for run in runs.values():
            run.sort(key=lambda i: (numbers[i][field + 1 :], numbers[i][field], i))
            pairs += [
                (a, b)
                for a, b in itertools.pairwise(run)
                if numbers[a][field + 1 :] == numbers[b][field + 1 :]
            ]
        labelled = bool(_LABEL.search(before.lower()))
        alike = sum((min(pair), max(pair)) in linked for pair in pairs) if linked is not None else 0
        if pairs and (labelled or alike >= max(1, _SUPPORT * len(pairs))):
            found.append(_Field(alike / len(pairs), labelled, field, list(runs.values())))
    return max(found, key=lambda field: field[:3], default=None)
