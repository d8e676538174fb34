from __future__ import annotations

import numpy as np
import pytest

from bmgd_data import facts
from bmgd_data.facts import parse_stiffness


def pascals(stiffness):
    return [condition.pa for condition in parse_stiffness(stiffness)]


@pytest.mark.parametrize(
    "one",
    [1200, "1200", "1200Pa", "1200 Pa", " 1200  pa ", "1200PA", np.int64(1200), np.uint16(1200)],
)
def test_every_form_of_one(one):
    assert pascals(one) == pascals([one]) == [1200]


def test_none_is_all_ascending():
    assert parse_stiffness(None) == list(facts.CONDITIONS)
    assert pascals(None) == [250, 950, 1200, 1800]


@pytest.mark.parametrize(
    "several",
    [
        ("1800Pa", 250, "250 Pa"),
        [1800, 250],
        {250, 1800},
        np.array([1800, 250]),
        iter(["250", "1800"]),
    ],
)
def test_several_are_ascending_each_once(several):
    assert pascals(several) == [250, 1800]


@pytest.mark.parametrize(
    "wrong",
    [0, 251, "", "soft", "1200 kPa", "1.2kPa", "-250", 250.0, True, [None], [[250]], b"250"],
)
def test_unknown_lists_the_valid_ones(wrong):
    with pytest.raises(ValueError, match="'250Pa', '950Pa', '1200Pa', '1800Pa'"):
        parse_stiffness(wrong)


def test_an_empty_selection_is_no_selection():
    with pytest.raises(ValueError, match=r"No stiffness given.*None for all"):
        parse_stiffness([])
