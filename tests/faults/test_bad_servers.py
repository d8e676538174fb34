"""Servers that cut, stall, lie, redirect endlessly, or send something else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bmgd_data._origin import fetch
from serving import cut, in_chunks, redirect, refuse, send, stall
from trials import PARTS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from serving import Answer

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name != "posix", reason="POSIX processes and signals"),
]

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064x\nsize 34134\n"
LATE_S = 0.6
"""More than a reader in a hurry waits for."""


def cuts(rng: random.Random, good: bytes) -> Answer:
    at = rng.randrange(len(good))
    if rng.random() < 0.3:
        return in_chunks(good[:at], rng.randint(1, 4096), last=False)
    return cut(good, at, reset=rng.random() < 0.5)


def says_less(rng: random.Random, good: bytes) -> Answer:
    return send(good, length=rng.randrange(len(good)))


def says_more(rng: random.Random, good: bytes) -> Answer:
    return send(good, length=len(good) + rng.randint(1, 2 * len(good)))


def says_nothing_and_cuts(rng: random.Random, good: bytes) -> Answer:
    """The answer ends with the connection, so a cut is not visible."""
    return in_chunks(good[: rng.randrange(len(good))], 512)


def flips_bits(rng: random.Random, good: bytes) -> Answer:
    flipped = bytearray(good)
    for _ in range(rng.randint(1, 3)):
        flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
    return send(bytes(flipped))


BAD: dict[str, Callable[[random.Random, bytes], Answer]] = {
    "server cuts": cuts,
    "server stalls": lambda _rng, good: stall(good, LATE_S),
    "server declares less": says_less,
    "server declares more": says_more,
    "server ends early, no length": says_nothing_and_cuts,
    "server flips bits": flips_bits,
    "server redirects in circles": lambda _rng, _good: redirect(),
    "server sends a page": lambda rng, _good: send(PAGE, rng.choice([200, 203, 404, 503])),
    "server sends a pointer": lambda rng, _good: send(POINTER % rng.getrandbits(200)),
    "server refuses": lambda rng, _good: refuse(rng.choice([403, 429, 500, 502, 503])),
}


def test_no_wait_is_endless():
    """A stalled server costs `READ_TIMEOUT_S`, four times; the tests below shorten it."""
    assert 0 < fetch.CONNECT_TIMEOUT_S <= 60
    assert 0 < fetch.READ_TIMEOUT_S <= 60


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_server(trial, server, archives, undisturbed, fault):
    """Bad for some answers, then good; a reader tries at most four times."""
    good, stalls = archives["good"], "stalls" in fault
    for _ in trial.rounds(fault, share=0.25 if stalls else 0.5 if "circles" in fault else 1):
        right, task = trial.choose(undisturbed, ["url"])
        times = trial.rng.randint(1, 6) * (40 if "circles" in fault else 1)
        server.answers[:] = [BAD[fault](trial.rng, good) for _ in range(times)] + [send(good)]
        for _ in range(trial.rng.randint(1, 2)):
            trial.judge(right.host.read(replace(task, impatient=stalls)), right)
        server.answers[:] = [send(good)]
        trial.judge_next(task, right)


def test_any_bad_server(trial, server, archives, undisturbed):
    """A random mix of all of them."""
    good = archives["good"]
    kinds = [kind for kind in BAD if "stalls" not in kind]
    for _ in trial.rounds("server bad in many ways"):
        right, task = trial.choose(undisturbed, ["url"])
        server.answers[:] = [BAD[trial.rng.choice(kinds)](trial.rng, good) for _ in range(20)]
        for _ in range(3):
            trial.judge(right.host.read(task), right)
        server.answers[:] = [send(good)]
        trial.judge_next(task, right)


def test_another_archive_than_before(trial, server, archives, undisturbed):
    """The first archive stays trusted, whatever parts of the root are lost; another is refused."""
    for _ in trial.rounds("server sends another archive"):
        right, task = trial.choose(undisturbed, ["url"])
        lost = trial.rng.choice([set(), {"archives"}, {"stores"}, {"archives", "stores"}])
        trial.copy_root(right.root, PARTS.keys() - lost)
        server.answers[:] = [send(archives["other"])]
        refused = trial.tally.refused
        trial.judge(right.host.read(task), right)
        assert (trial.tally.refused > refused) == (lost == {"archives", "stores"})
        server.answers[:] = [send(archives["good"])]
        trial.judge_next(task, right)
