"""Samples a second, beside copying the same bytes from RAM and beside preloaded tensors."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, Final, NamedTuple

import streams
from measure import Aim, Row, at_least, at_most, compare, in_turn

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams import Stream

    from bmgd_data import BMGD

SAME_AT_SCALE: Final = at_most(1.1)
"""Time per sample with more images, by that with fewer."""


class Place(NamedTuple):
    """Archives and the store that was built from them."""

    times: int
    source: Path
    root: Path


class Contest(NamedTuple):
    """One way of reading at one scale: ours, and what it is held against."""

    ours: Stream
    limits: dict[str, tuple[Stream, Aim | None]]


Contests = dict[str, Contest]


def rows(places: list[Place], repetitions: int, say: Callable[[str], object]) -> list[Row]:
    """Measure every way of reading at every scale.

    A timing covers about as many samples at each scale: passes over the smaller are repeated.
    """
    found = []
    groups = [_numpy_contests]
    try:
        import torch
    except ImportError:
        say("torch is not installed: BMGD and the DataLoader are left out")
    else:
        groups += [_torch_contests, *(functools.partial(_loader_contests, n) for n in (0, 2))]
        del torch
    for group in groups:
        readers = {p.times: Reader("all", source=p.source, root=p.root) for p in places}
        found += _measure(
            {times: group(reader) for times, reader in readers.items()},
            {times: len(reader) for times, reader in readers.items()},
            repetitions,
            say,
        )
        gc.collect()
    return found


def threads(wanted: int | None) -> dict[str, str]:
    """Set how many threads torch may use, and tell how many it uses."""
    try:
        import torch
    except ImportError:
        return {}
    if wanted:
        torch.set_num_threads(wanted)
    return {"torch threads": str(torch.get_num_threads())}


def _numpy_contests(reader: Reader) -> Contests:
    single = streams.reader_single(reader)
    arrays = streams.in_memory(single, len(reader))
    return {
        "Reader, single": Contest(
            single, {"RAM copy, reused memory": (streams.copied_to_reused(arrays), at_least(0.6))}
        ),
        "Reader, batches of 32": Contest(
            streams.reader_batched(reader),
            {"RAM copy, fresh memory": (streams.copied_batched(arrays), None)},
        ),
    }


def _torch_contests(reader: Reader) -> Contests:
    data = _bmgd(reader)
    single = streams.torch_single(data)
    arrays = streams.in_memory(single, len(reader))
    return {
        "BMGD, single": Contest(
            single,
            {
                "RAM copy, fresh memory": (streams.copied_to_fresh(arrays), at_least(0.25)),
                "RAM copy, reused memory": (streams.copied_to_reused(arrays), None),
            },
        ),
        "BMGD, batches of 32": Contest(
            streams.torch_batched(data),
            {"RAM copy, fresh memory": (streams.copied_batched(arrays), None)},
        ),
    }


def _loader_contests(workers: int, reader: Reader) -> Contests:
    data = _bmgd(reader)
    arrays = streams.in_memory(streams.torch_single(data), len(reader))
    preloaded = streams.preloaded_loader(arrays, reader, workers)
    return {
        f"DataLoader, {workers} workers": Contest(
            streams.torch_loader(data, workers),
            {
                "DataLoader, preloaded tensors": (preloaded, at_least(0.8)),
                "RAM copy, fresh memory": (streams.copied_batched(arrays), None),
            },
        )
    }


def _bmgd(reader: Reader) -> BMGD:
    from bmgd_data import BMGD

    return BMGD("all", source=reader.source.location, root=reader.root)


def _measure(
    contests: dict[int, Contests],
    lengths: dict[int, int],
    repetitions: int,
    say: Callable[[str], object],
) -> list[Row]:
    found = []
    smallest, largest = min(lengths), max(lengths)
    for what in contests[smallest]:
        sides = {}
        for times, length in lengths.items():
            contest = contests[times][what]
            named = {"": contest.ours, **{key: side for key, (side, _) in contest.limits.items()}}
            _check(what, times, named, length, say)
            passes = max(1, lengths[largest] // length)
            for name, stream in named.items():
                sides[times, name] = functools.partial(
                    streams.seconds_per_sample, stream, length, passes
                )
        seconds = in_turn(sides, repetitions)
        speeds = {key: [1 / value for value in values] for key, values in seconds.items()}
        for times in lengths:
            for name, (_, aim) in contests[times][what].limits.items():
                found.append(
                    compare(
                        *(what, times, "samples/s"),
                        ours=speeds[times, ""],
                        against=name,
                        theirs=speeds[times, name],
                        aim=aim,
                    )
                )
        if largest != smallest:
            found.append(
                compare(
                    *(f"{what}: time", largest, "us/sample"),
                    ours=[1e6 * value for value in seconds[largest, ""]],
                    against=f"itself at {smallest}x",
                    theirs=[1e6 * value for value in seconds[smallest, ""]],
                    aim=SAME_AT_SCALE,
                )
            )
    return found


def _check(
    what: str, times: int, named: dict[str, Stream], length: int, say: Callable[[str], object]
) -> None:
    """Let every side deliver once, untimed, and compare what came out."""
    sums = {name: streams.checksum(stream, length) for name, stream in named.items()}
    if len(set(sums.values())) != 1:
        raise RuntimeError(f"{what} at {times}x: the sides delivered different data: {sums}")
    total, distinct = sums[""]
    say(
        f"{what}, {times}x: {len(named)} sides delivered the same {length} samples "
        f"({distinct} different ones, checksum {total:x})"
    )
