"""Paired bootstrap intervals of score differences (Efron and Tibshirani 1993, chapter 13).

Both sides of a difference are scored on the same resampled examples. Where the rows of a task are parallel, the same
items are drawn in every language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adaptstilts.metrics.scores import CONSTANT, LanguageStats, StoredMetric

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Difference:
    """A difference of two scores in points, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Resampled(NamedTuple):
    """A score on the examples as they are, and on every resampling of them: (resamples,)."""

    score: float
    resamples: NDArray[np.float64]


class Draws:
    """Resampled examples of one task's test sets: the same for every phase, so that differences are paired.

    Args:
        names: metrics whose mean is the score.
        parallel: draw the same items in all languages of equal size.
        seed: seed of the resampling.
    """

    def __init__(self, names: Sequence[str], parallel: bool, seed: int = 0) -> None:
        self.names, self.parallel, self.seed = names, parallel, seed
        self._counts: dict[tuple[str, int], NDArray[np.uint8]] = {}

    def scores(self, stats: LanguageStats) -> Resampled:
        """Return the mean score over all languages, with its resamples."""
        score, resamples = 0.0, np.zeros(RESAMPLES)
        for code, metrics in stats.items():
            n = len(metrics[self.names[0]]["stats"])
            once = np.ones((1, n), np.float32)
            score += float(weighted_scores(once, metrics, self.names)[0])
            resamples += weighted_scores(self._weights(code, n), metrics, self.names)
        return Resampled(score / len(stats), resamples / len(stats))

    def _weights(self, code: str, n: int) -> NDArray[np.float32]:
        """Return how often each of ``n`` examples is drawn: (resamples, n)."""
        key = ("", n) if self.parallel else (code, n)
        if key not in self._counts:
            generator = np.random.default_rng([self.seed, n, *key[0].encode()])
            drawn = generator.integers(0, n, size=(RESAMPLES, n))
            places = drawn + n * np.arange(RESAMPLES)[:, None]
            counts = np.bincount(places.ravel(), minlength=RESAMPLES * n)
            self._counts[key] = counts.reshape(RESAMPLES, n).astype(np.uint8)
        return self._counts[key].astype(np.float32)


def paired_difference(ours: Sequence[Resampled], theirs: Sequence[Resampled]) -> Difference:
    """Return the mean difference of two scores and its percentile interval.

    Args:
        ours: one score per seed.
        theirs: the scores to subtract, of the same seeds and over the same draws.
    """
    pairs = list(zip(ours, theirs, strict=True))
    value = float(np.mean([a.score - b.score for a, b in pairs]))
    resamples = np.mean([a.resamples - b.resamples for a, b in pairs], axis=0)
    low, high = np.percentile(resamples, PERCENTILES)
    return Difference(value, float(low), float(high))


def same_examples(ours: LanguageStats, theirs: LanguageStats) -> bool:
    """Tell whether two phases were scored on test sets of the same languages and sizes."""
    return _sizes(ours) == _sizes(theirs)


def weighted_scores(
    weights: NDArray[np.float32], metrics: Mapping[str, StoredMetric], names: Sequence[str]
) -> NDArray[np.float64]:
    """Return the score of one language under several weightings of its examples: (weightings,).

    Args:
        weights: how often each example counts: (weightings, examples).
        metrics: metric -> its measure and its statistics, one row per example.
        names: metrics whose mean is the score.
    """
    total = np.zeros(len(weights))
    for name in names:
        measure = metrics[name]["measure"]
        exact = np.float64 if measure == "pearson" else np.float32  # differences of products need the digits
        stats: NDArray[Any] = np.asarray(metrics[name]["stats"], exact)
        sums = np.matmul(weights.astype(exact, copy=False), stats).astype(np.float64)
        total += _measure(measure, sums.T)
    scores: NDArray[np.float64] = total / len(names)
    return scores


def _measure(name: str, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute :func:`scores.measure` of many sums at once: (statistics, weightings) -> (weightings,)."""
    if name == "pearson":
        return np.clip(_percent(*_pearson(sums)), -100, 100)
    if name == "matthews":
        tp, fp, fn, tn = sums
        return _percent(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    if name == "ratio":
        return _percent(sums[0], sums[1])
    return _percent(2 * sums[0], sums[1] + sums[2])


def _pearson(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return numerator and denominator of the correlation; the denominator is 0 where a side is constant."""
    n, x, y, xx, yy, xy = sums
    across, down = n * xx - x * x, n * yy - y * y
    varied = (across > CONSTANT * n * xx) & (down > CONSTANT * n * yy)
    bottom = np.sqrt(np.where(varied, across, 0)) * np.sqrt(np.where(varied, down, 0))
    return n * xy - x * y, bottom


def _percent(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide and multiply by 100; 0 where the divisor is 0."""
    quotient: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return 100 * quotient


def _sizes(stats: LanguageStats) -> list[tuple[str, int]]:
    return [(code, len(next(iter(metrics.values()))["stats"])) for code, metrics in stats.items()]
