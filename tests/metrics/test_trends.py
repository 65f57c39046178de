"""Slopes and laws over sizes, beside scipy's and planted ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from adaptstilts.metrics.trends import extrapolation_errors, has_range_for_law, power_law, slope

SIZES = [100_000, 590_000, 1_780_000, 7_400_000]


def test_a_slope_is_that_of_ordinary_least_squares() -> None:
    places, values = [1.0, 2.0, 4.0, 7.0], [3.0, 2.5, 5.0, 5.5]
    ours, theirs = slope(places, values), stats.linregress(places, values)
    assert ours.value == pytest.approx(theirs.slope)
    assert ours.error == pytest.approx(theirs.stderr)
    assert ours.p == pytest.approx(theirs.pvalue)
    reach = theirs.stderr * stats.t.ppf(0.975, 2)
    assert (ours.low, ours.high) == pytest.approx((theirs.slope - reach, theirs.slope + reach))
    assert (ours.seeds, ours.df) == (4, 2.0)


def test_intervals_of_slopes_hold_the_truth_whatever_sets_models_apart() -> None:
    generator = np.random.default_rng(3)
    places = np.log2(SIZES)
    for spread in (0.0, 1.5):
        hits = 0
        for _ in range(600):
            values = 0.5 * places + generator.normal(0, np.hypot(spread, [0.7, 0.5, 0.4, 0.3]))
            estimate = slope(places.tolist(), values.tolist())
            hits += estimate.low <= 0.5 <= estimate.high
        assert 0.925 < hits / 600 < 0.975


@pytest.mark.parametrize("exponent", [0.15, 0.3, 0.6])
def test_a_planted_law_is_found(exponent: float) -> None:
    errors = [12 + 60 * (size / SIZES[0]) ** -exponent for size in SIZES]
    law = power_law(SIZES, errors, [0.1] * 4)
    assert law.exponent == pytest.approx(exponent, rel=0.05)
    assert law.floor == pytest.approx(12, abs=2.5)
    assert law.low <= exponent <= law.high
    assert [law.at(size) for size in SIZES] == pytest.approx(errors, abs=0.1)


def test_a_small_fall_gives_no_exponent() -> None:
    errors = [16.0, 14.9, 13.2, 10.1]
    assert not power_law(SIZES, errors, [0.5] * 4).is_bounded


def test_points_that_scatter_widen_the_interval() -> None:
    errors = [72 * (size / SIZES[0]) ** -0.3 for size in SIZES]
    smooth = power_law(SIZES, errors, [0.2] * 4)
    scattered = power_law(SIZES, [errors[0], errors[1] + 3, errors[2] - 3, errors[3]], [0.2] * 4)
    assert scattered.high / scattered.low > smooth.high / smooth.low


def test_the_law_that_made_the_errors_foretells_best() -> None:
    misses = extrapolation_errors(SIZES, [10 + 60 * (size / SIZES[0]) ** -0.5 for size in SIZES])
    assert min(misses, key=misses.__getitem__) == "power law with a floor"
    misses = extrapolation_errors(SIZES, [80 - 4 * math.log(size) for size in SIZES])
    assert misses["straight in log size"] == pytest.approx(0, abs=1e-9)


def test_what_a_law_needs() -> None:
    assert has_range_for_law(SIZES)
    assert not has_range_for_law(SIZES[1:])
    assert not has_range_for_law([100, 200, 300, 400])
