"""The learning rate rises, peaks and ends where it should."""

from __future__ import annotations

import pytest

from adaptstilts.runtime.schedule import linear


def test_shape() -> None:
    rates = [linear(step, 100, 0.1, 2.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(2.0 / 90)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_short_runs_have_a_rate(total: int) -> None:
    assert all(linear(step, total, 0.1, 1.0) > 0 for step in range(total))
    assert linear(0, total, 0.9, 1.0) > 0
