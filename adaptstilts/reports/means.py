"""Mean scores of the phases of one combination, over seeds, languages and headline metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np

from adaptstilts.store.contents import LanguageScores
from adaptstilts.store.entries import LAYERS, SCORES, Entry

ENGLISH = "en"


def mean_scores(entries: Sequence[Entry], headline: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a record that scores give.

    Args:
        entries: evaluate or retrieve phases of one combination, one per seed; all have the same languages.
        headline: metrics whose mean is the score of a language.
    """
    seeds = [SCORES.read(entry) for entry in entries]
    codes = list(seeds[0])
    every = [*chain.from_iterable(seed.values() for seed in seeds)]
    languages = {code: _mean(_values([seed[code] for seed in seeds]), headline) for code in codes}
    means = [_mean(_values(seed.values()), headline) for seed in seeds]
    return {
        **_transfer(languages),
        "languages": languages,
        "mean": float(np.mean(means)),
        "spread": float(np.std(means, ddof=1)) if len(means) > 1 else None,
        "metrics": _metric_means(every),
        **_counts(every),
        "differs": _disagreements(seeds[0]),
        "thresholds": _thresholds(seeds, "threshold"),
        "oracle_thresholds": _thresholds(seeds, "oracle_threshold"),
        "layer": every[0].get("layer"),
        "layers": _layer_means(entries, headline),
        "pool": every[0].get("pool", {}),
    }


def _values(scores: Iterable[LanguageScores]) -> list[dict[str, float]]:
    return [score["values"] for score in scores]


def _mean(values: Iterable[Mapping[str, float]], names: Sequence[str]) -> float:
    """Return the mean of some metrics over languages, seeds or both.

    Args:
        values: metric -> points, once per language and seed.
        names: the metrics.
    """
    points: list[float] = []
    for value in values:
        points += [value[name] for name in names]
    return float(np.mean(points))


def _transfer(languages: Mapping[str, float]) -> dict[str, float | None]:
    """Return the score in English, the mean over the other languages, and the gap between them."""
    english = languages.get(ENGLISH)
    scores = [score for code, score in languages.items() if code != ENGLISH]
    others = float(np.mean(scores)) if scores else None
    gap = english - others if english is not None and others is not None else None
    return {"english": english, "others": others, "gap": gap}


def _metric_means(every: Sequence[LanguageScores]) -> dict[str, float]:
    """Return the mean of every metric that all scores have; entries of earlier versions may have fewer."""
    values = _values(every)
    common = set(values[0]).intersection(*values[1:])
    return {name: _mean(values, [name]) for name in values[0] if name in common}


def _counts(every: Sequence[LanguageScores]) -> dict[str, Any]:
    """Return the number of scored examples, and the fate of the others."""
    counts = [score["n"] for score in every]
    encoded = sum(score.get("sentences", score["n"]) for score in every)
    truncated = sum(score.get("truncated", 0) for score in every)
    return {
        "n": (min(counts), max(counts)),
        "subset": any(score["n"] < score["rows"] for score in every),
        "truncated": truncated / encoded if encoded else 0.0,
        "dropped": sum(_dropped(score) for score in every),
        "unknown_sentences": sum(score.get("unknown_sentences", 0) for score in every),
        "in_training": sum(score.get("in_training", 0) for score in every),
    }


def _disagreements(scores: Mapping[str, LanguageScores]) -> dict[str, dict[str, int]]:
    """Return column -> language -> rows that say something else than those of most languages."""
    found: dict[str, dict[str, int]] = {}
    for code, score in scores.items():
        for column, count in score.get("differs", {}).items():
            found.setdefault(column, {})[code] = count
    return found


def _dropped(score: LanguageScores) -> int:
    return sum(score.get("dropped", {}).values())


def _thresholds(
    seeds: Sequence[Mapping[str, LanguageScores]], name: Literal["threshold", "oracle_threshold"]
) -> dict[str, float]:
    """Return the mean threshold of every language that has one."""
    means = {}
    for code, score in seeds[0].items():
        if name in score:
            means[code] = float(np.mean([seed[code][name] for seed in seeds]))
    return means


def _layer_means(entries: Sequence[Entry], headline: Sequence[str]) -> dict[int, float]:
    """Return the mean score at every hidden state that was searched; empty if only one was."""
    if not all(map(LAYERS.exists, entries)):
        return {}
    seeds = [LAYERS.read(entry) for entry in entries]
    means = {}
    for layer in seeds[0]:
        values = chain.from_iterable(seed[layer].values() for seed in seeds)
        means[int(layer)] = _mean(values, headline)
    return means
