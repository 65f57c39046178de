"""Rows worth: a planted number is found, the ends of the curve are named, curves that fall are made to rise."""

from __future__ import annotations

import math

import pytest
from support.outcomes import AFTER, ALONE, outcome

from adaptstilts.questions.base import Arm, Outcome
from adaptstilts.questions.rows_worth import rows_worth


def curve(seeds: int = 3, shift: float = 0.0) -> list[Outcome]:
    """Scores of 10 points for every factor of ten in rows."""
    outcomes = []
    for k in (10, 100, 1000):
        for seed in range(1, seeds + 1):
            score = 10 * math.log10(k) + 0.5 * seed + shift
            outcomes.append(outcome(Arm("full", "none", k, "none"), [score, score], seed, draw=1))
    return outcomes


def level(score: float, seeds: int = 3) -> list[Outcome]:
    return [outcome(ALONE, [score + 0.5 * seed], seed) for seed in range(1, seeds + 1)]


def test_a_planted_number_is_found() -> None:
    found = rows_worth([*curve(), *level(10 * math.log10(200))], ALONE)
    assert found is not None
    assert found.rows == pytest.approx(200)
    assert found.low == pytest.approx(200)
    assert found.high == pytest.approx(200)
    assert found.text == "200 [200, 200]"
    assert found.curve == pytest.approx({10: 11, 100: 21, 1000: 31})


def test_seeds_widen_the_interval() -> None:
    scores = [outcome(ALONE, [22 + shift + 0.5 * seed], seed) for seed, shift in ((1, -2.0), (2, 0.0), (3, 2.0))]
    found = rows_worth([*curve(), *scores], ALONE)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < 10**2.2 < found.high


@pytest.mark.parametrize(("score", "text"), [(3.0, "< 10"), (60.0, "> 1,000")])
def test_the_ends_of_the_curve_are_named(score: float, text: str) -> None:
    found = rows_worth([*curve(), *level(score)], ALONE)
    assert found is not None
    assert (found.rows, found.text) == (None, text)


def test_a_curve_that_falls_is_made_to_rise() -> None:
    outcomes = []
    for k, score in ((10, 5.0), (32, 20.0), (100, 10.0), (1000, 40.0)):
        outcomes.append(outcome(Arm("full", "none", k, "none"), [score], draw=1))
    found = rows_worth([*outcomes, outcome(ALONE, [15.0])], ALONE)
    assert found is not None
    assert found.curve == {10: 5.0, 32: 15.0, 100: 15.0, 1000: 40.0}
    assert found.low is None, "one seed gives no interval"


def test_without_a_curve_there_is_nothing() -> None:
    assert rows_worth(level(10), ALONE) is None
    assert rows_worth(curve(), AFTER) is None
