"""Intervals of differences: paired draws, agreement with theory, and every measure."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.metrics import scores
from adaptstilts.metrics.bootstrap import Difference, Draws, paired_difference


def stats(hits: dict[str, list[int]]) -> dict[str, dict[str, object]]:
    return {code: {"accuracy": {"measure": "ratio", "stats": [[h, 1] for h in row]}} for code, row in hits.items()}


def difference(ours: dict[str, Any], theirs: dict[str, Any], draws: Draws) -> Difference:
    return paired_difference([draws.scores(ours)], [draws.scores(theirs)])


def test_difference_of_equal_sides_is_zero() -> None:
    side = stats({"en": [1, 0, 1, 1], "de": [0, 0, 1, 1]})
    assert difference(side, side, Draws(("accuracy",), True)) == Difference(0.0, 0.0, 0.0)


def test_difference_is_the_mean_over_languages() -> None:
    ours = stats({"en": [1, 1, 1, 1], "de": [1, 0, 0, 0]})
    theirs = stats({"en": [1, 1, 0, 0], "de": [0, 0, 0, 0]})
    found = difference(ours, theirs, Draws(("accuracy",), False))
    assert found.value == pytest.approx((50 + 25) / 2)
    assert found.low <= found.value <= found.high


def test_interval_agrees_with_theory() -> None:
    generator = random.Random(3)
    ours = [int(generator.random() < 0.7) for _ in range(400)]
    theirs = [int(generator.random() < 0.6) for _ in range(400)]
    found = difference(stats({"en": ours}), stats({"en": theirs}), Draws(("accuracy",), False))
    error = 100 * np.std(np.array(ours) - np.array(theirs), ddof=1) / 20
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.6)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.6)


def test_f1_of_resampled_pairs() -> None:
    """The score of mining is a ratio of sums: the bootstrap draws sentences and sums them anew."""
    generator = random.Random(4)
    gold = [["x"] if i % 5 == 0 else [] for i in range(300)]
    predicted = ["x" if generator.random() < (0.7 if g else 0.1) else None for g in gold]
    metric = scores.pair_metrics(predicted, gold)["f1"]
    side = {"de": {"f1": {"measure": metric.measure, "stats": [list(s) for s in metric.stats]}}}
    point, resampled = Draws(("f1",), False).scores(side)
    assert point == pytest.approx(metric.value, abs=1e-3)
    assert abs(resampled.mean() - point) < 1
    assert 1 < resampled.std() < 6


def test_pairing_uses_the_same_examples() -> None:
    ours = [1, 0] * 50
    shifted = [0, 1] * 50
    always = difference(stats({"en": ours}), stats({"en": ours}), Draws(("accuracy",), False))
    crossed = difference(stats({"en": ours}), stats({"en": shifted}), Draws(("accuracy",), False))
    assert always.high == 0
    assert crossed.high > 10


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=30))
def test_f1_point_equals_the_metric(rows: list[tuple[int, int, int]]) -> None:
    rows = [(min(hit, p, g), p, g) for hit, p, g in rows]
    zero = [(0, p, g) for _, p, g in rows]
    sides = [{"en": {"f1": {"measure": "f1", "stats": [list(r) for r in side]}}} for side in (rows, zero)]
    expected = scores.Metric("f1", [tuple(map(float, r)) for r in rows]).value
    assert difference(sides[0], sides[1], Draws(("f1",), False)).value == pytest.approx(expected)
