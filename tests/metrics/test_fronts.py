"""Fronts: what is dominated, ties, draws that repeat, budgets, the cheapest near the best."""

from __future__ import annotations

import numpy as np
import pytest

from adaptstilts.metrics import fronts


@pytest.mark.parametrize(
    ("costs", "scores", "expected"),
    [
        ([1, 2, 3], [50, 60, 70], [True, True, True]),
        ([1, 2, 3], [50, 45, 70], [True, False, True]),
        ([1, 2], [50, 50], [True, False]),  # as much for less
        ([1, 1], [50, 60], [False, True]),  # more for the same
        ([1, 1], [50, 50], [True, True]),  # alike in both
        ([3, 1, 2], [70, 50, 45], [True, True, False]),  # in any order
    ],
)
def test_what_is_on_the_front(costs: list[float], scores: list[float], expected: list[bool]) -> None:
    assert fronts.on_front(costs, np.array([scores], float))[0].tolist() == expected


def test_draws_have_the_moments_and_repeat() -> None:
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    drawn = fronts.draws([50.0, 60.0], covariance, 20_000)
    assert drawn.mean(axis=0) == pytest.approx([50, 60], abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.05)
    assert np.array_equal(drawn, fronts.draws([50.0, 60.0], covariance, 20_000))


def test_items_that_both_share_do_not_hide_who_is_better() -> None:
    """Half a point apart with a standard error of two each: sure if they err together, open if not."""
    shared = np.full((2, 2), 4.0) + 0.001 * np.eye(2)
    apart = 4.0 * np.eye(2)
    shares = [fronts.on_front([1, 1], fronts.draws([50.0, 50.5], each)).mean(axis=0) for each in (shared, apart)]
    assert [fronts.place(share) for share in shares[0]] == ["off", "on"]
    assert [fronts.place(share) for share in shares[1]] == ["open", "open"]


def test_what_budgets_buy_never_falls() -> None:
    best = fronts.best_within([1, 2, 4], np.array([[50.0, 40.0, 60.0]]), [1, 2, 4])
    assert best.tolist() == [[50, 50, 60]]


def test_the_cheapest_near_the_best() -> None:
    costs, scores = [1, 2, 2, 9], [50.0, 59.2, 59.5, 60.0]
    assert fronts.cheapest(costs, scores, 1.0) == 2
    assert fronts.cheapest(costs, scores, 0.1) == 3
    assert fronts.cheapest(costs, scores, 20.0) == 0
