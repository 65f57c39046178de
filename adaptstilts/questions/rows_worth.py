"""How many training rows of the test language are worth as much as English rows are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adaptstilts.metrics.intervals import LEVEL
from adaptstilts.questions.base import Arm, Outcome
from adaptstilts.questions.contrasts import of_arm


@dataclass(frozen=True)
class RowsWorth:
    """The number of rows whose training alone scores as much as an arm that saw none of the language.

    Attributes:
        rows: geometric mean over seeds; None if the arm is off the curve.
        low: lower end of the 95 % interval; None without one.
        high: upper end.
        bound: what is known instead of ``rows``: ``< 10`` or ``> 1,000``; empty if it is on the curve.
        level: score of the arm in the language.
        curve: rows -> mean score of training on them alone.
    """

    rows: float | None
    low: float | None
    high: float | None
    bound: str
    level: float
    curve: Mapping[int, float]

    @property
    def text(self) -> str:
        """The number as tables show it."""
        if self.rows is None:
            return self.bound
        number = f"{self.rows:,.0f}"
        return number if self.low is None or self.high is None else f"{number} [{self.low:,.0f}, {self.high:,.0f}]"


def rows_worth(outcomes: Sequence[Outcome], arm: Arm) -> RowsWorth | None:
    """Return how many rows an arm is worth; of one model, task and language.

    The curve of scores over the logarithm of the number of rows is made monotone (isotonic regression by pooling
    neighbours) and read backwards between its points. The interval is Student's over the seeds' logarithms, each seed
    with its own curve and level.

    Args:
        outcomes: outcomes of the arm, and of training on rows alone with the arm's method.
        arm: without rows.

    Returns:
        None without such a curve of at least two numbers of rows.
    """
    levels = of_arm(outcomes, arm)
    alone = [each for each in outcomes if each.arm.k is not None and each.arm.after == "none"]
    alone = [each for each in alone if each.arm.method == arm.method and each.arm.intermediate == "none"]
    curve = _curve(alone)
    if len(curve) < 2 or not levels:
        return None
    level = float(np.mean([each.score for each in levels]))
    place = _inverse(curve, level)
    if place is None:
        bound = f"< {min(curve):,}" if level < min(curve.values()) else f"> {max(curve):,}"
        return RowsWorth(None, None, None, bound, level, curve)
    low, high = _interval(alone, levels)
    return RowsWorth(math.exp(place), low, high, "", level, curve)


def _curve(alone: Sequence[Outcome]) -> dict[int, float]:
    """Return rows -> mean score, never falling."""
    scores: dict[int, list[float]] = {}
    for each in alone:
        assert each.arm.k is not None  # noqa: S101
        scores.setdefault(each.arm.k, []).append(each.score)
    rows = sorted(scores)
    means = [float(np.mean(scores[k])) for k in rows]
    return dict(zip(rows, _isotonic(means, [len(scores[k]) for k in rows]), strict=True))


def _isotonic(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """Return the non-falling values that are nearest in weighted squares (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, float(weight), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    flat: list[float] = []
    for mean, _, members in pools:
        flat += [mean] * members
    return flat


def _inverse(curve: Mapping[int, float], level: float) -> float | None:
    """Return the logarithm of the rows at which a curve reaches a level; None if it is off the curve."""
    rows = sorted(curve)
    heights = [curve[k] for k in rows]
    if not heights[0] <= level <= heights[-1]:
        return None
    for (k, height), (more, above) in zip(curve.items(), [*curve.items()][1:], strict=False):
        if height <= level <= above:
            share = (level - height) / (above - height) if above > height else 0.5
            return math.log(k) + share * (math.log(more) - math.log(k))
    return None


def _interval(alone: Sequence[Outcome], levels: Sequence[Outcome]) -> tuple[float | None, float | None]:
    """Return the ends of the interval over seeds; none unless every seed is on its own curve."""
    from scipy.special import stdtrit

    places = []
    for seed in sorted({each.seed for each in levels}):
        curve = _curve([each for each in alone if each.seed == seed])
        level = float(np.mean([each.score for each in levels if each.seed == seed]))
        place = _inverse(curve, level) if len(curve) > 1 else None
        if place is None:
            return None, None
        places.append(place)
    if len(places) < 2:
        return None, None
    mean, error = float(np.mean(places)), float(np.std(places, ddof=1)) / math.sqrt(len(places))
    reach = error * float(stdtrit(len(places) - 1, (1 + LEVEL) / 2))
    return math.exp(mean - reach), math.exp(mean + reach)
