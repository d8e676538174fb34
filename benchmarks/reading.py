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
import streams
from figures import Row, at_least, compare, in_turn
from remote import Remote
from streams import distant, local

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run import Place
    from streams import Side

    Contests = dict[str, dict[str, Side]]

OURS: Final = ""
"""The key of our side in a contest; the other keys are what it is held against."""
PLAIN: Final = "tifffile + skimage.label"
_SOME: Final = 64
"""Samples of a pass where each is augmented on its own: torchvision's take a tenth of a second."""
_TF_JOB: Final = Path(__file__).with_name("tensorflow_job.py")


def rows(place: Place, repetitions: int, say: Callable[[str], object]) -> list[Row]:
    """Measure every way of reading with numpy and torch."""
    return _measured(place, repetitions, say, (_single, _loaders, _augmentation))


def tf_rows(place: Place, repetitions: int, say: Callable[[str], object]) -> list[Row]:
    """Measure tf.data."""
    return _measured(place, repetitions, say, (_tensorflow,))


def _measured(
    place: Place, repetitions: int, say: Callable[[str], object], groups: tuple[Any, ...]
) -> list[Row]:
    reader = Reader("all", source=place.source, root=place.root)
    found = []
    with contextlib.ExitStack() as stack:
        them = stack.enter_context(place.peer.process()) if place.peer else None
        if them:
            them.ask("open", folder=place.folder)
        for group in groups:
            with contextlib.closing(group(place, reader, them)) as contests:
                for what, contest in contests:
                    found += measured(what, contest, len(reader), repetitions, say)
            gc.collect()
    return found


def measured(
    what: str,
    contest: dict[str, Side],
    count: int,
    repetitions: int,
    say: Callable[[str], object],
) -> list[Row]:
    """Check what every side delivers, time all in turn, and make the rows.

    Args:
        what: The name of the contest.
        contest: Our side, and those that it is held against.
        count: How many samples each delivers.
        repetitions: How often each side is timed.
        say: Told what was delivered.

    Raises:
        RuntimeError: The sides delivered different data.
    """
    _check(what, contest, count, say)
    seconds = in_turn({name: side.seconds for name, side in contest.items()}, repetitions)
    speeds = {name: [1 / value for value in values] for name, values in seconds.items()}
    return [
        compare(what, "samples/s", speeds[OURS], name, speeds[name], aim=side.aim)
        for name, side in contest.items()
        if name != OURS
    ]


def _check(what: str, contest: dict[str, Side], count: int, say: Callable[[str], object]) -> None:
    """Let every side deliver once, untimed, and compare what came out."""
    others = {name: side for name, side in contest.items() if name != OURS and side.form}
    if not others:
        say(f"{what}: random, so that nothing is compared")
        return
    sums = {form: contest[OURS].checksum(form) for form in {s.form for s in others.values()}}
    for name, side in others.items():
        if (got := side.checksum(side.form)) != sums[side.form]:
            raise RuntimeError(
                f"{what}: {name} delivered other data ({side.form}): {got}, not {sums[side.form]}"
            )
    distinct = min(count for _, count in sums.values())
    say(
        f"{what}: {len(others) + 1} sides delivered the same {count} samples ({distinct} different "
        f"ones); not compared: {len(contest) - len(others) - 1}"
    )


def _single(place: Place, reader: Reader, them: Remote | None) -> Iterator[tuple[str, Any]]:
    import data_sets

    from bmgd_data import BMGD

    side = functools.partial(local, rows=len(reader), full_scales=reader.full_scales)
    ours = streams.reader_single(reader)
    arrays = streams.in_memory(ours, len(reader))
    yield (
        "Reader, single",
        {
            OURS: side(ours),
            "RAM copy, reused memory": side(streams.copied_to_reused(arrays), aim=at_least(0.6)),
        },
    )
    ours = data_sets.single(BMGD("all", source=place.source, root=place.root))
    arrays = streams.in_memory(ours, len(reader))
    files = data_sets.Files(place.folder, reader.full_scales)
    contest = {
        OURS: side(ours),
        "RAM copy, fresh memory": side(streams.copied_to_fresh(arrays), aim=at_least(0.25)),
        PLAIN: side(data_sets.single(files)),
    }
    if them:
        contest[peer.NAME] = distant(them, "single", form="foreground")
        contest[f"{peer.NAME}, as it comes"] = distant(them, "as it comes", form="")
    yield "BMGD, single", contest


def _loaders(place: Place, reader: Reader, them: Remote | None) -> Iterator[tuple[str, Any]]:
    """Without workers and with some; the peer's with as many as ours."""
    import data_sets

    from bmgd_data import BMGD
    from bmgd_data.torch import collate

    data = BMGD("all", source=place.source, root=place.root)
    side = functools.partial(local, rows=len(reader), full_scales=reader.full_scales)
    arrays = streams.in_memory(data_sets.single(data), len(reader))
    for workers in peer.WORKERS:
        preloaded = data_sets.loader(data_sets.Preloaded(arrays, reader), workers)
        files = data_sets.Files(place.folder, reader.full_scales)
        contest = {
            OURS: side(data_sets.loader(data, workers, collate)),
            "preloaded tensors": side(preloaded, aim=at_least(0.8)),
            f"the same of {PLAIN}": side(data_sets.loader(files, workers)),
        }
        if workers:
            contest["itself without workers"] = side(data_sets.loader(data, 0, collate))
        if them:
            contest[peer.NAME] = distant(them, f"loader-{workers}", form="foreground")
        yield f"DataLoader, {workers} workers", contest


def _augmentation(place: Place, reader: Reader, _: Remote | None) -> Iterator[tuple[str, Any]]:
    """Flip, crop, elastic deformation, brightness and contrast."""
    import data_sets

    from bmgd_data import BMGD
    from bmgd_data.augment import protocol
    from bmgd_data.torch import collate

    data = BMGD("all", source=place.source, root=place.root)
    side = functools.partial(local, rows=len(reader), full_scales={}, form="")
    some = functools.partial(side, rows=min(_SOME, len(reader)))

    def moved(change: Callable[[Any], Any]) -> streams.Stream:
        return lambda order: (change(data[row]) for row in order)

    contest = {
        OURS: some(moved(protocol())),
        "no transforms": some(data_sets.single(data)),
        "torchvision v2": some(moved(data_sets.v2_chain()), aim=at_least(10)),
    }
    if chain := data_sets.albumentations_chain():
        contest["albumentations"] = some(moved(chain), aim=at_least(1))
    yield "protocol, single", contest
    data = BMGD("all", source=place.source, root=place.root, transforms=protocol())
    workers = max(peer.WORKERS)
    contest = {
        OURS: side(data_sets.loader(data, workers, collate)),
        "itself without workers": side(data_sets.loader(data, 0, collate)),
    }
    yield f"DataLoader with protocol, {workers} workers", contest


def _tensorflow(place: Place, _: Reader, them: Remote | None) -> Iterator[tuple[str, Any]]:
    with Remote(sys.executable, _TF_JOB) as process:
        records = importlib.util.find_spec("tensorflow_datasets") is not None
        process.ask("open", source=place.source, root=place.root, records=records)
        side = functools.partial(distant, process, form="values")
        limit = "tf.data, preloaded"
        for size in (streams.SMALL_BATCH, streams.BATCH):
            contest = {OURS: side(f"held {size}"), limit: side(f"limit {size}", aim=at_least(0.85))}
            if records and size == streams.BATCH:
                contest["TFDS records"] = side("records")
            if them and size == streams.BATCH:
                contest[peer.NAME] = distant(them, "single", form="foreground")
            yield f"to_tf in memory, batches of {size}", contest
            contest = {
                OURS: side(f"mapped {size}"),
                limit: side(f"limit {size}", aim=at_least(0.5)),
            }
            yield f"to_tf mapped, batches of {size}", contest
