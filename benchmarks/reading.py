"""Samples a second, beside the same bytes from RAM, preloaded tensors, plain files and the peer."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import peer
import plain
import streams
from measure import Row, at_least, at_most, compare, in_turn
from remote import Remote
from streams import distant, local

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from archives import Place
    from streams import Side, Stream

    from bmgd_data import BMGD

    Contest = dict[str, Side]
    Contests = dict[str, Contest]

OURS: Final = ""
"""The key of our side in a contest; the other keys are what it is held against."""
PLAIN: Final = "tifffile + skimage.label"
SAME_AT_SCALE: Final = at_most(1.1)
"""Time per sample with more images, by that with fewer."""
_PEER: Final = at_least(60)
_WORKERS: Final = (0, 2, 4)
_TF_JOB: Final = Path(__file__).with_name("tensorflow_job.py")


def rows(
    places: list[Place], repetitions: int, say: Callable[[str], object], notes: list[str]
) -> list[Row]:
    """Measure every way of reading at every scale.

    A timing covers about as many samples at each scale: passes over the smaller are repeated,
    except those of slow sides.
    """
    found = []
    groups: list[Callable[[Place, Remote | None], Contests]] = [_numpy_contests]
    try:
        import torch
    except ImportError:
        notes.append("torch is not installed: BMGD and the DataLoader are left out.")
    else:
        groups += [
            _torch_contests,
            _augmentation_contests,
            *(functools.partial(_loader_contests, n) for n in _WORKERS),
        ]
        del torch
    with contextlib.ExitStack() as stack:
        peers = {place.times: _opened(place, stack) for place in places}
        for group in groups:
            contests = {place.times: group(place, peers[place.times]) for place in places}
            lengths = {place.times: len(_reader(place)) for place in places}
            found += measured(contests, lengths, repetitions, say)
            del contests
            gc.collect()
    return found


def _opened(place: Place, stack: contextlib.ExitStack) -> Remote | None:
    if place.peer is None:
        return None
    process = stack.enter_context(place.peer.process())
    process.ask("open", folder=place.folder)
    return process


def threads(wanted: int | None) -> dict[str, str]:
    """Set how many threads torch may use, and tell how many it uses."""
    try:
        import torch
    except ImportError:
        return {}
    if wanted:
        torch.set_num_threads(wanted)
    return {"torch threads": str(torch.get_num_threads())}


def _numpy_contests(place: Place, _peer: Remote | None) -> Contests:
    reader = _reader(place)
    side = functools.partial(local, rows=len(reader), full_scales=reader.full_scales)
    single = streams.reader_single(reader)
    arrays = streams.in_memory(single, len(reader))
    contests: Contests = {
        "Reader, single": {
            OURS: side(single),
            "RAM copy, reused memory": side(streams.copied_to_reused(arrays), aim=at_least(0.6)),
        },
        "Reader, batches of 32": {
            OURS: side(streams.reader_batched(reader)),
            "RAM copy, fresh memory": side(streams.copied_batched(arrays)),
        },
    }
    if place.folder:
        contests["Reader, single"][PLAIN] = side(plain.single(place.folder), once=True)
    return contests


def _torch_contests(place: Place, process: Remote | None) -> Contests:
    import loaders

    reader, data = _reader(place), _bmgd(place)
    side = functools.partial(local, rows=len(reader), full_scales=reader.full_scales)
    single = loaders.single(data)
    arrays = streams.in_memory(single, len(reader))
    contests: Contests = {
        "BMGD, single": {
            OURS: side(single),
            "RAM copy, fresh memory": side(streams.copied_to_fresh(arrays), aim=at_least(0.25)),
            "RAM copy, reused memory": side(streams.copied_to_reused(arrays)),
        },
        "BMGD, batches of 32": {
            OURS: side(streams.torch_batched(data)),
            "RAM copy, fresh memory": side(streams.copied_batched(arrays)),
        },
    }
    if place.folder:
        files = loaders.single(loaders.Files(place.folder, reader.full_scales))
        contests["BMGD, single"][PLAIN] = side(files, once=True)
    if process:
        contests["BMGD, single"] |= {
            peer.NAME: distant(process, "single", form="foreground"),
            peer.AS_IT_COMES: distant(process, "as it comes", form="", aim=_PEER),
        }
    return contests


def _loader_contests(workers: int, place: Place, process: Remote | None) -> Contests:
    import loaders

    from bmgd_data.torch import collate

    reader, data = _reader(place), _bmgd(place)
    side = functools.partial(local, rows=len(reader), full_scales=reader.full_scales)
    arrays = streams.in_memory(loaders.single(data), len(reader))
    preloaded = loaders.loader(loaders.Preloaded(arrays, reader), workers)
    contest: Contest = {
        OURS: side(loaders.loader(data, workers, collate)),
        "DataLoader, preloaded tensors": side(preloaded, aim=at_least(0.8)),
        "RAM copy, fresh memory": side(streams.copied_batched(arrays)),
    }
    if place.folder:
        files = loaders.Files(place.folder, reader.full_scales)
        contest[f"DataLoader, {PLAIN}"] = side(loaders.loader(files, workers), once=True)
    if process:
        contest[f"DataLoader, {peer.NAME}"] = distant(
            process, f"loader-{workers}", form="foreground"
        )
    return {f"DataLoader, {workers} workers": contest}


def _augmentation_contests(place: Place, _process: Remote | None) -> Contests:
    """Flip, crop, elastic deformation, brightness and contrast, sample by sample."""
    import loaders

    from bmgd_data.augment import protocol

    data = _bmgd(place)
    side = functools.partial(local, rows=len(data), full_scales={}, form="", once=True)

    def moved(change: Callable[[Any], Any]) -> Stream:
        return lambda order: (change(data[row]) for row in order)

    contest: Contest = {
        OURS: side(moved(protocol())),
        "no transforms": side(loaders.single(data)),
        "torchvision v2": side(moved(loaders.v2_chain()), aim=at_least(10)),
    }
    if importlib.util.find_spec("albumentations"):
        contest["albumentations"] = side(moved(loaders.albumentations_chain()), aim=at_least(1))
    return {"protocol, single": contest}


def tf_rows(
    places: list[Place], repetitions: int, say: Callable[[str], object], notes: list[str]
) -> list[Row]:
    """tf.data at the scales that have unpacked folders, since records are slow."""
    if importlib.util.find_spec("tensorflow_datasets") is None:
        notes.append("tensorflow_datasets is not installed: tf.data is left out.")
        return []
    with contextlib.ExitStack() as stack:
        contests, lengths = {}, {}
        for place in (place for place in places if place.folder):
            process = stack.enter_context(Remote(sys.executable, _TF_JOB))
            lengths[place.times] = process.ask("open", source=place.source, root=place.root)
            contests[place.times] = _tf_contests(process, place, stack)
        return measured(contests, lengths, repetitions, say)


def _tf_contests(process: Remote, place: Place, stack: contextlib.ExitStack) -> Contests:
    side = functools.partial(distant, process, form="values", once=False)
    limit = "tf.data, preloaded"
    held: Contest = {
        OURS: side("held"),
        limit: side("limit", aim=at_least(0.85)),
        "TFDS records": side("records"),
        "TFDS records, cached in RAM": side("cached"),
    }
    if place.peer:
        them = stack.enter_context(place.peer.process())
        them.ask("open", folder=place.folder)
        held[peer.NAME] = distant(them, "single", form="foreground")
    return {
        "to_tf in memory, batches of 32": held,
        "to_tf mapped, batches of 32": {
            OURS: side("mapped"),
            limit: side("limit", aim=at_least(0.5)),
        },
    }


def _reader(place: Place) -> Reader:
    return Reader("all", source=place.source, root=place.root)


def _bmgd(place: Place) -> BMGD:
    from bmgd_data import BMGD

    return BMGD("all", source=place.source, root=place.root)


def measured(
    contests: dict[int, Contests],
    lengths: dict[int, int],
    repetitions: int,
    say: Callable[[str], object],
) -> list[Row]:
    """Check what every side delivers, time all by turns, and make the rows.

    Args:
        contests: By scale; of the same names at each.
        lengths: The samples at each scale.
        repetitions: How often each side is timed.
        say: Told what was delivered.

    Raises:
        RuntimeError: The sides delivered different data.
    """
    found = []
    smallest, largest = min(lengths), max(lengths)
    for what in contests[smallest]:
        seconds = in_turn(_timings(what, contests, lengths, say), repetitions)
        speeds = {key: [1 / value for value in values] for key, values in seconds.items()}
        for times in lengths:
            for name, side in contests[times][what].items():
                if name != OURS:
                    found.append(
                        compare(
                            *(what, times, "samples/s"),
                            ours=speeds[times, OURS],
                            against=name,
                            theirs=speeds[times, name],
                            aim=side.aim,
                        )
                    )
        if largest != smallest:
            found.append(
                compare(
                    *(f"{what}: time", largest, "us/sample"),
                    ours=[1e6 * value for value in seconds[largest, OURS]],
                    against=f"itself at {smallest}x",
                    theirs=[1e6 * value for value in seconds[smallest, OURS]],
                    aim=SAME_AT_SCALE,
                )
            )
    return found


def _timings(
    what: str,
    contests: dict[int, Contests],
    lengths: dict[int, int],
    say: Callable[[str], object],
) -> dict[tuple[int, str], Callable[[int], float]]:
    timings = {}
    for times, length in lengths.items():
        contest = contests[times][what]
        _check(what, times, contest, length, say)
        for name, side in contest.items():
            passes = 1 if side.once else max(1, max(lengths.values()) // length)
            timings[times, name] = functools.partial(side.seconds, passes)
    return timings


def _check(
    what: str, times: int, contest: Contest, length: int, say: Callable[[str], object]
) -> None:
    """Let every side deliver once, untimed, and compare what came out."""
    forms = {side.form for name, side in contest.items() if name != OURS and side.form}
    if not forms:
        say(f"{what}, {times}x: random, so that nothing is compared")
        return
    sums = {form: contest[OURS].checksum(form) for form in forms}
    for name, side in contest.items():
        if name != OURS and side.form and (got := side.checksum(side.form)) != sums[side.form]:
            raise RuntimeError(
                f"{what} at {times}x: {name} delivered other data ({side.form}): {got}, "
                f"not {sums[side.form]}"
            )
    unlike = [name for name, side in contest.items() if not side.form]
    told = "; ".join(f"{form}: {sums[form][0]:x}" for form in sorted(sums))
    distinct = min(count for _, count in sums.values())
    say(
        f"{what}, {times}x: {len(contest) - len(unlike)} sides delivered the same {length} samples "
        f"({distinct} different ones; checksums {told})"
        + (f"; not compared: {', '.join(unlike)}" if unlike else "")
    )
