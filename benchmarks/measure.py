"""How things are measured: sides taken in turn, medians with their spread, rows with an aim."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Key = TypeVar("Key")


def in_turn(
    sides: Mapping[Key, Callable[[int], float]], repetitions: int
) -> dict[Key, list[float]]:
    """Measure A B C, A B C, ...: what slows the machine for a while slows every side alike.

    Args:
        sides: Each takes the number of the repetition and gives one measurement.
        repetitions: How often.

    Returns:
        The measurements of each side, in the order of the repetitions.
    """
    found: dict[Key, list[float]] = {key: [] for key in sides}
    for repetition in range(repetitions):
        for key, measure in sides.items():
            found[key].append(measure(repetition))
    return found


class Spread(NamedTuple):
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The median, the smallest and the largest."""
        return cls(statistics.median(values), min(values), max(values))


class Aim(NamedTuple):
    """What a figure should be."""

    bound: float
    at_least: bool

    def met_by(self, value: float) -> bool:
        """Whether a figure is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def at_least(bound: float) -> Aim:
    """The more the better."""
    return Aim(bound, at_least=True)


def at_most(bound: float) -> Aim:
    """The less the better."""
    return Aim(bound, at_least=False)


@dataclass(frozen=True)
class Row:
    """One comparison; all figures are medians over the repetitions, with smallest and largest."""

    what: str
    times: int
    """How many times the images of the source."""
    unit: str
    """Of `ours` and `theirs`."""
    ours: Spread
    against: str
    theirs: Spread
    figure: Spread
    """Of the pairs taken one after the other: `ours` by `theirs`, or their difference."""
    is_ratio: bool
    aim: Aim | None

    @property
    def met(self) -> bool | None:
        """Whether the median of the figure meets the aim; None where there is none."""
        return self.aim.met_by(self.figure.median) if self.aim else None


def compare(
    what: str,
    times: int,
    unit: str,
    *,
    ours: Sequence[float],
    against: str,
    theirs: Sequence[float],
    aim: Aim | None = None,
    is_ratio: bool = True,
) -> Row:
    """Make a row of measurements that were taken by turns."""
    pairs = [a / b if is_ratio else a - b for a, b in zip(ours, theirs, strict=True)]
    spreads = Spread.of(ours), Spread.of(theirs), Spread.of(pairs)
    return Row(what, times, unit, spreads[0], against, *spreads[1:], is_ratio, aim)
