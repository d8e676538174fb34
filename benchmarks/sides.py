"""One side of a comparison of streams: how it is timed, and what it delivers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Aim
    from remote import Remote
    from streams import Form, Stream


class Side(NamedTuple):
    """A way of delivering all rows of a place."""

    seconds: Callable[[int, int], float]
    """Passes and a seed to seconds per sample."""
    checksum: Callable[[str], tuple[int, int]]
    """The name of a form to the checksum of what is delivered in it."""
    form: str = "exact"
    """In which form this side can be compared with ours; "" where it cannot."""
    aim: Aim | None = None
    """What the ratio of our speed to this side's should be."""
    once: bool = False
    """Slow: one pass is enough for a timing."""


def local(
    stream: Stream,
    rows: int,
    full_scales: dict[int, int],
    *,
    form: str = "exact",
    aim: Aim | None = None,
    once: bool = False,
) -> Side:
    """A stream of this process."""
    forms: dict[str, Form] = {
        "exact": streams.exact,
        "values": streams.Values(full_scales),
        "foreground": streams.Foreground(full_scales),
    }
    return Side(
        functools.partial(streams.seconds_per_sample, stream, rows),
        lambda form: streams.checksum(stream, rows, forms[form]),
        form,
        aim,
        once,
    )


def distant(
    process: Remote, name: str, *, form: str, aim: Aim | None = None, once: bool = True
) -> Side:
    """A stream that another process serves, see ``served.Streams``."""

    def checksum(form: str) -> tuple[int, int]:
        total, distinct = process.ask("check", name=name, form=form)
        return total, distinct

    return Side(
        lambda passes, seed: float(process.ask("time", name=name, passes=passes, seed=seed)),
        checksum,
        form,
        aim,
        once,
    )
