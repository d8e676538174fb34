"""Print how often 95 % intervals of a median hold the true one; the table of nuclei.md.

    python docs/intervals.py              about a quarter of an hour
    python docs/intervals.py --runs 100

Areas are lognormal, with a standard deviation of 0.5 of their logarithms: the groups' share of that
variance is 0.1, 0.3 or 0.6, and the rest is between the nuclei of a group. Groups are of equal
size, of very unequal sizes, or one has half of all nuclei. Coverage is the worst of these nine
cases, the width the median over all runs of all nine.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import stats

from bmgd_data.nuclei import expanded_level

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.floating]

DRAWS: Final = 5000
SIZES: Final[dict[str, Callable[[np.random.Generator, int], NDArray[np.int64]]]] = {
    "40 each": lambda _, groups: np.full(groups, 40),
    "unequal": lambda rng, groups: np.ceil(rng.lognormal(np.log(20), 1, groups)).astype(int),
    "one with half": lambda _, groups: np.array([20 * (groups - 1)] + [20] * (groups - 1)),
}
METHODS: Final = ("Table.intervals", "2.5 to 97.5 % of the samples", "t of the groups' medians")


def medians(values: Array, group: NDArray[np.int64], times: NDArray[np.int64]) -> Array:
    """(D,) medians of samples: of ascending values, their groups, and (D, G) times of each."""
    counts = np.cumsum(np.eye(times.shape[1], dtype=np.int32)[group], axis=0)
    half = times @ counts[-1] / 2
    low, high = np.zeros(len(times), int), np.full(len(times), len(values) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        reached = np.einsum("dg,dg->d", counts[middle], times) >= half
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return values[low]


def intervals(values: Array, group: NDArray[np.int64], times: NDArray[np.int64]) -> Array:
    """(3, 2) ends, by `METHODS`."""
    groups = times.shape[1]
    own = np.array([np.median(values[group == each]) for each in range(groups)])
    drawn, level = medians(values, group, times), expanded_level(groups)
    reach = stats.t.ppf(0.975, groups - 1) * own.std(ddof=1) / np.sqrt(groups)
    return np.array(
        [
            np.quantile(drawn if level else own, [level, 1 - level]),
            np.quantile(drawn, [0.025, 0.975]),
            [own.mean() - reach, own.mean() + reach],
        ]
    )


def simulate(groups: int, share: float, sizes: str, runs: int) -> Array:
    """(runs, 3, 2) ends, for a true median of 1."""
    rng = np.random.default_rng([groups, int(100 * share), list(SIZES).index(sizes)])
    times = rng.multinomial(groups, [1 / groups] * groups, size=DRAWS).astype(np.int32)
    found = []
    for _ in range(runs):
        group = np.repeat(np.arange(groups), SIZES[sizes](rng, groups))
        between = rng.normal(0, np.sqrt(share), groups)[group]
        values = np.exp(0.5 * (between + rng.normal(0, np.sqrt(1 - share), len(group))))
        order = np.argsort(values)
        found.append(intervals(values[order], group[order], times))
    return np.array(found)


def main() -> None:
    """One row for each number of groups."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    print(f"| groups | {' | '.join(METHODS)} | width beside t |\n|{' ---: |' * (len(METHODS) + 2)}")
    for groups in (5, 6, 7, 10, 20):
        cases = [simulate(groups, each, size, runs) for each in (0.1, 0.3, 0.6) for size in SIZES]
        held = [((ends[..., 0] <= 1) & (ends[..., 1] >= 1)).mean(axis=0) for ends in cases]
        width = np.median(np.ptp(np.concatenate(cases), axis=-1), axis=0)
        shown = [f"{100 * each:.1f} %" for each in np.min(held, axis=0)]
        print(f"| {groups} | {' | '.join(shown)} | {width[0] / width[2]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
