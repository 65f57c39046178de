"""Pareto fronts of configurations whose scores are uncertain: which ones no other beats at lower cost.

A front of measured scores alone puts a dominated configuration on it whenever luck lifts it a little. So scores are
drawn many times from their joint normal distribution, and every configuration gets the share of draws in which it is on
the front. The draws have a seed of their own: the same scores give the same shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Place = Literal["on", "open", "off"]

DRAWS = 1000
ON, OFF = 0.95, 0.05  # shares of draws


def draws(scores: Sequence[float], covariance: Array, count: int = DRAWS) -> Array:
    """Draw scores from their joint normal distribution: (draws, configurations).

    Args:
        scores: scores of the configurations.
        covariance: covariance of the scores, symmetric and without negative eigenvalues.
        count: number of draws.
    """
    values, vectors = np.linalg.eigh(np.asarray(covariance, float))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal = np.random.default_rng(0).standard_normal((count, len(values)))
    drawn: Array = np.asarray(scores, float) + normal @ root.T
    return drawn


def on_front(costs: Sequence[float], scores: Array) -> Mask:
    """Tell which configurations are not dominated: no other scores as much for less, or more for the same cost.

    Configurations of equal cost and score are both on the front.

    Args:
        costs: costs of the configurations.
        scores: (draws, configurations).
    """
    prices = np.asarray(costs, float)
    mask = np.zeros(scores.shape, bool)
    best = np.full(len(scores), -np.inf)
    for price in np.unique(prices):
        chosen = prices == price
        highest = scores[:, chosen].max(axis=1)
        mask[:, chosen] = (scores[:, chosen] >= highest[:, None]) & (highest > best)[:, None]
        best = np.maximum(best, highest)
    return mask


def best_within(costs: Sequence[float], scores: Array, budgets: Sequence[float]) -> Array:
    """Return the best score that every budget buys: (draws, budgets); it never falls with the budget.

    Args:
        costs: costs of the configurations.
        scores: (draws, configurations).
        budgets: each at least the lowest cost.
    """
    prices = np.asarray(costs, float)
    return np.stack([scores[:, prices <= budget].max(axis=1) for budget in budgets], axis=1)


def cheapest(costs: Sequence[float], scores: Sequence[float], margin: float) -> int:
    """Return the cheapest configuration within a margin of the best score; the best of several of equal cost.

    Args:
        costs: costs of the configurations.
        scores: scores of the configurations.
        margin: points.
    """
    limit = max(scores) - margin
    near = [number for number, score in enumerate(scores) if score >= limit]
    return min(near, key=lambda number: (costs[number], -scores[number]))


def place(share: float) -> Place:
    """Return whether a configuration is on the front, off it, or neither is sure.

    Args:
        share: share of the draws in which it is on the front.
    """
    if share >= ON:
        return "on"
    return "off" if share <= OFF else "open"
