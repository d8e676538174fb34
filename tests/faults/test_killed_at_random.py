"""Readers that are killed: at a random call into the system, and at a random moment."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from host import STAGES
from trials import KINDS

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name != "posix", reason="POSIX processes and signals"),
]


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_a_stage(trial, undisturbed, stage):
    """Before or after a random call that belongs to it, up to three times in a row."""
    for _ in trial.rounds(f"SIGKILL, {stage}"):
        right, task = trial.choose(undisturbed, KINDS[:1] if stage == "download" else KINDS)
        for _ in range(trial.rng.randint(1, 3)):
            number = trial.rng.randint(1, right.calls[task.method][stage])
            moment = trial.rng.choice(["c_call", "c_return"])
            doomed = replace(task, dies_at=(stage, number, moment))
            trial.judge(right.host.read(doomed), right)
        trial.judge_next(task, right)
    assert trial.tally.killed


def test_killed_at_a_moment(trial, undisturbed):
    for _ in trial.rounds("SIGKILL, random millisecond", share=2):
        right, task = trial.choose(undisturbed)
        for _ in range(trial.rng.randint(1, 3)):
            child = right.host.start(task)
            trial.pause(right.seconds[task.method])
            child.kill()
            trial.judge(child.end(), right)
        trial.judge_next(task, right)
    assert trial.tally.killed
