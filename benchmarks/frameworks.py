"""Samples a second in tf.data, Hugging Face datasets and Grain."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import peer
import plain
import reading
from remote import Remote
from sides import distant, local

from bmgd_data import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Row
    from place import Place
    from reading import Contest
    from sides import Side

_JOB: Final = Path(__file__).with_name("frameworks_job.py")


class Framework(NamedTuple):
    """One of them."""

    job: str
    package: str
    title: str
    limit: str
    """The quickest that it could be."""


FRAMEWORKS: Final = (
    Framework("tf_data", "tensorflow_datasets", "tf.data, batches of 32", "tf.data, preloaded"),
    Framework("hugging_face", "datasets", "Hugging Face, single", "bare PNG decoding"),
    Framework("grain", "grain", "Grain, batches of 32", "Grain, arrays in RAM"),
)


def rows(
    places: list[Place], repetitions: int, say: Callable[[str], object], notes: list[str]
) -> list[Row]:
    """Measure each of them in a process of its own.

    Args:
        places: Where; those without unpacked folders are left out, as these are slow.
        repetitions: How often.
        say: Told what was delivered.
        notes: Told which frameworks are not installed.
    """
    found = []
    for framework in FRAMEWORKS:
        if importlib.util.find_spec(framework.package) is None:
            notes.append(f"{framework.package} is not installed: {framework.title} is left out.")
            continue
        with contextlib.ExitStack() as stack:
            contests, lengths = {}, {}
            for place in (place for place in places if place.folder):
                process = stack.enter_context(Remote(sys.executable, _JOB))
                lengths[place.times] = process.ask(
                    "open", framework=framework.job, source=place.source, root=place.root
                )
                contest = _contest(framework, process, place, stack)
                contests[place.times] = {framework.title: contest}
            found += reading.measured(contests, lengths, repetitions, say)
    return found


def _contest(
    framework: Framework, process: Remote, place: Place, stack: contextlib.ExitStack
) -> Contest:
    def side(name: str) -> Side:
        return distant(process, name, form="values", once=False)

    contest = {reading.OURS: side("ours"), framework.limit: side("limit")}
    if framework.job == "tf_data":
        contest["itself, cached in RAM by TFDS"] = side("cached")
    if place.folder:
        reader = Reader("all", source=place.source, root=place.root)
        stream, scales = plain.single(place.folder), reader.full_scales
        contest[reading.PLAIN] = local(stream, len(reader), scales, form="values", once=True)
    if place.peer:
        them = stack.enter_context(place.peer.process())
        them.ask("open", folder=place.folder)
        contest[peer.NAME] = distant(them, "single", form="foreground")
    return contest
