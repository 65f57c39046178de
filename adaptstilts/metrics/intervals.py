"""Confidence intervals for differences of scores that count both seeds and test items.

A difference is averaged over training seeds and over test items, and both are samples: other seeds would have given
other weights, other items other rows. They are crossed (every seed is scored on every item), so the variance of the
mean is that of a two-way random-effects model,

    V = (MS_seed + MS_item - MS_residual) / (S n),

with Satterthwaite's degrees of freedom and a t interval, which is never narrower than that of the seeds alone. Scores
that are not means of items (F1, correlations) enter through their influence values, the first-order change that one
item makes.

Sources: Satterthwaite 1946 (Biometrics Bulletin 2); Searle, Casella and McCulloch 1992 (Variance Components, chapter
4); Owen 2007 (arXiv 0712.1111) on why crossed data have no exact bootstrap. ``benchmarks/intervals.py`` simulates how
often the intervals contain the truth.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from adaptstilts.metrics.scores import CONSTANT, LanguageStats

LEVEL = 0.95
POWER = 0.80
K = TypeVar("K")
LanguagesAs = Literal["fixed", "sample"]
Array = NDArray[np.float64]
Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Difference:
    """A mean difference of two scores, in points, and how certain it is.

    Attributes:
        value: mean over seeds, languages and items.
        low: lower end of the 95 % interval.
        high: upper end.
        seeds: pairs of seeds behind it. With one, the interval is about these weights alone: training noise is not in
            it, and nothing can be claimed.
        error: standard error of ``value``.
        df: Satterthwaite's degrees of freedom.
        holm: p-value corrected by Holm for every comparison of its family; None if it is in no family.
        family: number of comparisons in that family.
    """

    value: float
    low: float
    high: float
    seeds: int
    error: float
    df: float
    holm: float | None = None
    family: int = 0

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference; 1 with fewer than two seeds, because nothing can be claimed then."""
        if self.seeds < 2:
            return 1.0
        if self.error == 0:
            return 0.0 if self.value else 1.0
        from scipy.special import stdtr

        return float(2 * stdtr(self.df, -abs(self.value) / self.error))

    @property
    def detectable(self) -> float:
        """The smallest true difference that such a comparison finds in 80 of 100 studies; infinite with one seed."""
        return detectable(self.error, self.df) if self.seeds > 1 else math.inf

    @property
    def is_claimed(self) -> bool:
        """Whether the difference survives Holm's correction."""
        return self.holm is not None and self.holm <= 1 - LEVEL

    def negated(self) -> Difference:
        """Return the difference with the two sides swapped."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def json(self) -> dict[str, float | int | None]:
        """Return plain JSON values; without an interval, p-values and detectable difference if there is one seed."""
        several = self.seeds > 1
        return {
            "value": self.value,
            "low": self.low if several else None,
            "high": self.high if several else None,
            "seeds": self.seeds,
            "error": self.error,
            "df": self.df,
            "p": self.p if several else None,
            "holm": self.holm,
            "family": self.family,
            "detectable": self.detectable if several else None,
        }


@dataclass(frozen=True)
class Component:
    """One part of the variance of a mean, and its degrees of freedom."""

    variance: float
    df: float


def influence(measure: str, stats: Array) -> Array:
    """Return for every example the score plus the example's influence on it, in points: (examples,).

    The mean over examples is the score itself; the variance of the mean is the score's, to first order (the
    delete-one jackknife's infinitesimal form; Efron and Tibshirani 1993, chapter 21).

    Args:
        measure: ``ratio``, ``f1``, ``matthews`` or ``pearson``, see :mod:`adaptstilts.metrics.scores`.
        stats: (examples, statistics).
    """
    mean = stats.mean(axis=0)
    value, gradient = _GRADIENTS[measure](mean)
    values: Array = 100 * (value + (stats - mean) @ gradient)
    return values


def values_of(stats: LanguageStats, names: Sequence[str]) -> dict[str, Array]:
    """Return the influence values of a score that is the mean of several metrics: language -> (examples,)."""
    values = {}
    for code, metrics in stats.items():
        columns = [influence(metrics[name]["measure"], np.asarray(metrics[name]["stats"], float)) for name in names]
        values[code] = np.mean(columns, axis=0)
    return values


def paired_difference(
    ours: Sequence[Mapping[str, Array]],
    theirs: Sequence[Mapping[str, Array]],
    items: Mapping[str, Numbers] | None = None,
    languages_as: LanguagesAs = "fixed",
) -> Difference:
    """Return the mean difference of two scores with its interval.

    Args:
        ours: per seed, language -> influence values of its examples, from :func:`values_of`.
        theirs: the same for the score that is subtracted, with the same seeds, languages and examples.
        items: language -> the number of each example's item, from :func:`number_items`; None if every language has
            items of its own.
        languages_as: ``fixed`` is about these languages, ``sample`` about languages like these.
    """
    pairs = [*zip(ours, theirs, strict=True)]
    blocks = {code: np.stack([a[code] - b[code] for a, b in pairs]) for code in ours[0]}  # (seeds, items) each
    if items is None:
        items = number_items({code: [(code, i) for i in range(block.shape[1])] for code, block in blocks.items()})
    return _interval([*blocks.values()], [items[code] for code in blocks], languages_as)


def number_items(ids: Mapping[str, Sequence[Hashable]]) -> dict[str, Numbers]:
    """Give every item of a test set a number; examples of several languages with an equal id are one item.

    Args:
        ids: language -> the id of each example's item.

    Returns:
        Language -> the number of each example's item: (examples,).
    """
    known: dict[Hashable, int] = {}
    numbers = {}
    for code, of_language in ids.items():
        numbers[code] = np.array([known.setdefault(each, len(known)) for each in of_language], np.intp)
    return numbers


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the given order (Holm 1979, Scandinavian Journal of Statistics 6)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, largest)
    return adjusted


def corrected(family: Mapping[K, Difference]) -> dict[K, Difference]:
    """Correct differences that answer one question for their number.

    Differences of one seed are not tests, and neither are those of a score with itself: they stay as they are.

    Args:
        family: name -> difference.
    """
    tested = {key: each for key, each in family.items() if each.seeds > 1 and (each.error or each.value)}
    adjusted = holm([each.p for each in tested.values()])
    result = dict(family)
    for (key, each), p_value in zip(tested.items(), adjusted, strict=True):
        result[key] = replace(each, holm=p_value, family=len(tested))
    return result


def detectable(error: float, df: float, level: float = LEVEL, power: float = POWER) -> float:
    """Return the true difference that a two-sided t test finds with a given power.

    Args:
        error: standard error of the difference.
        df: degrees of freedom.
        level: one minus the test's size.
        power: share of studies that find the difference.
    """
    from scipy.optimize import brentq
    from scipy.special import nctdtr, stdtrit

    if error == 0:
        return 0.0
    critical = float(stdtrit(df, (1 + level) / 2))
    return error * float(brentq(lambda shift: 1 - nctdtr(df, shift, critical) - power, 0, 10 * critical + 10))


def _interval(differences: Sequence[Array], numbers: Sequence[Numbers], languages_as: LanguagesAs) -> Difference:
    """Return the mean of differences with its interval; with languages as a sample, never a narrower one than without.

    Args:
        differences: for each language, (seeds, items).
        numbers: for each language, the number of each example's item: (items,).
        languages_as: see :func:`paired_difference`.
    """
    by_language = np.stack([block.mean(axis=1) for block in differences], axis=1)  # (seeds, languages)
    value = float(by_language.mean())
    kinds: tuple[LanguagesAs, ...] = ("fixed",) if languages_as == "fixed" else ("fixed", "sample")
    totals = [_total(*_components(differences, numbers, by_language, kind)) for kind in kinds]
    total = max(totals, key=_reach)
    reach = _reach(total)
    return Difference(value, value - reach, value + reach, len(by_language), math.sqrt(total.variance), total.df)


def _reach(total: Component) -> float:
    """Return half the width of the interval of a mean."""
    from scipy.special import stdtrit

    return math.sqrt(total.variance) * float(stdtrit(total.df, (1 + LEVEL) / 2)) if total.variance else 0.0


def _components(
    differences: Sequence[Array],
    numbers: Sequence[Numbers],
    by_language: Array,
    languages_as: LanguagesAs,
) -> tuple[list[Component], Component | None]:
    """Return the parts whose variances add up to that of the mean, and the part that is counted twice."""
    seeds, languages = by_language.shape
    items = _item_part(differences, numbers)
    seed = [_part_of_means(by_language.mean(axis=1))] if seeds > 1 else []
    if languages_as == "fixed" or languages == 1:
        return [*seed, items], _residual_part(differences, numbers) if seed else None
    language = _part_of_means(by_language.mean(axis=0))
    shared = max(0.0, items.variance - sum(_own_item_parts(differences)))  # the rest is in the language part
    parts = [*seed, language, Component(shared, items.df)]
    return parts, _interaction_part(by_language) if seed else None


def _part_of_means(means: Array) -> Component:
    """Return the variance of the mean of a sample of seeds or languages, from the mean of each."""
    return Component(float(means.var(ddof=1)) / len(means), len(means) - 1)


def _interaction_part(by_language: Array) -> Component:
    """Return the interaction of seeds and languages as a variance of the mean, from (seeds, languages)."""
    seeds, languages = by_language.shape
    of_seed, of_language = by_language.mean(axis=1, keepdims=True), by_language.mean(axis=0)
    rest = by_language - of_seed - of_language + by_language.mean()
    freedom = (seeds - 1) * (languages - 1)
    return Component(float((rest**2).sum()) / freedom / (seeds * languages), freedom)


def _total(parts: Sequence[Component], twice: Component | None) -> Component:
    """Add up parts of a variance, minus what is counted twice, with Satterthwaite's degrees of freedom.

    A sum can come out too small by chance, because what is subtracted is an estimate too. With languages as a sample it
    may not fall below the largest part. Otherwise the interval is never narrower than that of the seeds alone: with
    three seeds, Satterthwaite's formula gives too many degrees of freedom whenever the seeds differ little by chance.
    Which bound and which degrees of freedom keep 95 % at few seeds was chosen by simulation; see
    ``benchmarks/intervals.py`` and ``benchmarks/questions.py``.
    """
    whole = sum(part.variance for part in parts)
    if twice is None:
        return Component(whole, _freedom(whole, parts))
    variance = whole - twice.variance
    if len(parts) > 2:
        return Component(max(variance, *(part.variance for part in parts)), _freedom(whole, parts))
    if variance <= parts[0].variance:
        return parts[0]
    return max(Component(variance, _freedom(variance, [*parts, twice])), parts[0], key=_reach)


def _freedom(variance: float, parts: Sequence[Component]) -> float:
    """Return Satterthwaite's degrees of freedom of a sum of variances; 1 if nothing varies.

    Those of a sum are never below the fewest of its parts. If a part was subtracted, the formula can give less,
    and then endless intervals, so this bound applies.
    """
    spread = sum(part.variance**2 / part.df for part in parts)
    fewest = min(part.df for part in parts)
    return max(fewest, variance**2 / spread) if spread else 1.0


def _item_part(differences: Sequence[Array], numbers: Sequence[Numbers]) -> Component:
    """Return the variance of the mean that is due to the choice of items."""
    count = _count(numbers)
    total = np.zeros(count)
    for block, number in zip(differences, numbers, strict=True):
        total += np.bincount(number, _scaled(block.mean(axis=0), len(differences)), count)
    sizes = [max(1, block.shape[1] - 1) for block in differences]
    parts = [Component(part, size) for part, size in zip(_own_item_parts(differences), sizes, strict=True)]
    nested = _freedom(sum(part.variance for part in parts), parts)
    return Component(float((total**2).sum()), max(1.0, min(count - 1, nested)))


def _own_item_parts(differences: Sequence[Array]) -> list[float]:
    """Return every language's share of the item variance, as if no item were shared."""
    languages = len(differences)
    return [float((_scaled(block.mean(axis=0), languages) ** 2).sum()) for block in differences]


def _residual_part(differences: Sequence[Array], numbers: Sequence[Numbers]) -> Component:
    """Return the residual of seeds and items as a variance of the mean."""
    seeds, count = len(differences[0]), _count(numbers)
    total = np.zeros(seeds * count)
    places = count * np.arange(seeds)[:, None]
    for block, number in zip(differences, numbers, strict=True):
        rest = _scaled(block - block.mean(axis=0), len(differences))
        total += np.bincount((places + number).ravel(), rest.ravel(), seeds * count)
    return Component(float((total**2).sum()) / (seeds - 1) / seeds, (seeds - 1) * max(1, count - 1))


def _count(numbers: Sequence[Numbers]) -> int:
    return 1 + max(int(number.max()) for number in numbers)


def _scaled(values: Array, languages: int) -> Array:
    """Return deviations from the mean of the last axis whose squares add up to the variance of the mean.

    Args:
        values: (..., items) of one language.
        languages: number of languages that the mean is over.
    """
    n = values.shape[-1]
    deviations: Array = values - values.mean(axis=-1, keepdims=True)
    deviations *= math.sqrt(n / max(n - 1, 1)) / (n * languages)
    return deviations


def _ratio_gradient(mean: Array) -> tuple[float, Array]:
    hits, total = mean
    value = hits / total if total else 0.0
    return value, np.array([1.0, -value]) / total if total else np.zeros(2)


def _f1_gradient(mean: Array) -> tuple[float, Array]:
    right, predicted, gold = mean
    size = predicted + gold
    value = 2 * right / size if size else 0.0
    return value, np.array([2.0, -value, -value]) / size if size else np.zeros(3)


def _matthews_gradient(mean: Array) -> tuple[float, Array]:
    tp, fp, fn, tn = mean
    sides = np.array([tp + fp, tp + fn, tn + fp, tn + fn])
    if not sides.all():
        return 0.0, np.zeros(4)
    bottom = math.sqrt(sides.prod())
    value = (tp * tn - fp * fn) / bottom
    # the sides that each count belongs to: their share of the logarithm of the denominator
    inverse = 0.5 / sides
    part = np.array(
        [inverse[0] + inverse[1], inverse[0] + inverse[2], inverse[1] + inverse[3], inverse[2] + inverse[3]]
    )
    return value, np.array([tn, -fn, -fp, tp]) / bottom - value * part


def _pearson_gradient(mean: Array) -> tuple[float, Array]:
    n, x, y, xx, yy, xy = mean
    across, down = n * xx - x * x, n * yy - y * y
    if across <= CONSTANT * n * xx or down <= CONSTANT * n * yy:
        return 0.0, np.zeros(6)
    bottom = math.sqrt(across) * math.sqrt(down)
    value = (n * xy - x * y) / bottom
    top_gradient = np.array([xy, -y, -x, 0.0, 0.0, n])
    across_gradient = np.array([xx, -2 * x, 0.0, n, 0.0, 0.0])
    down_gradient = np.array([yy, 0.0, -2 * y, 0.0, n, 0.0])
    return value, top_gradient / bottom - value * (across_gradient / across + down_gradient / down) / 2


_GRADIENTS = {
    "ratio": _ratio_gradient,
    "f1": _f1_gradient,
    "matthews": _matthews_gradient,
    "pearson": _pearson_gradient,
}
