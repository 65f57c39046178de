"""Metrics as their benchmarks compute them, stored as statistics of every example so that they can be resampled.

A metric of a test set is a function (the *measure*) of the summed statistics of its examples:

========  ==========================================  =====================================
measure   statistics of one example                   value
========  ==========================================  =====================================
ratio     hits, total                                 hits / total
f1        true positives, predicted, gold             2 tp / (predicted + gold)
matthews  true and false positives, false and true    phi coefficient (Matthews 1975)
          negatives
pearson   1, x, y, x x, y y, x y                      product-moment correlation
========  ==========================================  =====================================

Everything here is plain Python: reading results needs no torch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from adaptstilts.metrics.answer_text import SQUAD, Rules

ExampleStats = list[tuple[float, ...]]
Measure = Literal["ratio", "f1", "matthews", "pearson"]
Chunk = tuple[str, int, int]
CONSTANT = 1e-12  # a variance below this share of the mean square is rounding: all values are equal


class StoredMetric(TypedDict):
    """A :class:`Metric` as JSON holds it."""

    measure: Measure
    stats: list[list[float]]


LanguageStats = Mapping[str, Mapping[str, StoredMetric]]  # language -> metric: what a phase stores about its test sets


@dataclass(frozen=True)
class Metric:
    """One metric on a test set.

    Attributes:
        measure: the function of the summed statistics.
        stats: the statistics of every example.
    """

    measure: Measure
    stats: ExampleStats

    @property
    def value(self) -> float:
        """The metric over all examples, times 100."""
        sums = [sum(column) for column in zip(*self.stats, strict=True)]
        return measure(self.measure, sums) if sums else 0.0


def measure(name: Measure, sums: Sequence[float]) -> float:
    """Compute a metric from summed statistics.

    Args:
        name: the measure.
        sums: the sum of every statistic, in the order of the table above.

    Returns:
        The value times 100; 0 if nothing was counted or one side is constant.
    """
    if name == "pearson":
        return _pearson(*sums)
    if name == "matthews":
        tp, fp, fn, tn = sums
        top, bottom = tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    elif name == "ratio":
        top, bottom = sums
    else:
        top, bottom = 2 * sums[0], sums[1] + sums[2]
    return 100.0 * top / bottom if bottom else 0.0


def _pearson(n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
    across, down = n * xx - x * x, n * yy - y * y
    if across <= CONSTANT * n * xx or down <= CONSTANT * n * yy:
        return 0.0
    value = (n * xy - x * y) / math.sqrt(across) / math.sqrt(down)
    return 100.0 * min(1.0, max(-1.0, value))


def accuracy(predicted: Sequence[object], gold: Sequence[object]) -> Metric:
    """Compute the share of examples whose prediction equals the gold label."""
    return Metric("ratio", [(float(p == g), 1.0) for p, g in zip(predicted, gold, strict=True)])


def chunks(tags: Sequence[str]) -> list[Chunk]:
    """Return the chunks (type, first, last) of a tag sequence, by the rules of conlleval in its lenient reading.

    The first character of a tag is its position (B, I, O, E, S), the part after the last hyphen its type. Raw part
    of speech tags are read by the same rules, as XTREME does: runs of one tag fuse into one chunk, ``SCONJ`` and
    ``SYM`` begin with S and are chunks of their own, and ``X`` counts. Equal to seqeval 0.0.12.
    """
    result: list[Chunk] = []
    previous, previous_type, begin = "O", "", 0
    for i, tag in enumerate([*tags, "O"]):
        position, kind = tag[0], tag.split("-")[-1]
        changed = kind != previous_type
        if previous in "ES" or (previous in "BI" and position in "BSO") or (previous not in "O." and changed):
            result.append((previous_type, begin, i - 1))
        if position in "BS" or (previous in "ESO" and position in "EI") or (position not in "O." and changed):
            begin = i
        previous, previous_type = position, kind
    return result


def chunk_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Metric:
    """Compute micro F1 over chunks (PAN-X, UD-POS).

    Args:
        predicted: the tags of each sentence; one example is one sentence.
        gold: the same.
    """
    stats: ExampleStats = []
    for p, g in zip(predicted, gold, strict=True):
        have, want = set(chunks(p)), set(chunks(g))
        stats.append((float(len(have & want)), float(len(have)), float(len(want))))
    return Metric("f1", stats)


def span_f1(predicted: Sequence[Sequence[object]], gold: Sequence[Sequence[object]]) -> Metric:
    """Compute micro F1 over entities, wherever they stand in the text (XTREME-UP).

    Args:
        predicted: the entities of each text, as pairs of label and string; one that is there twice counts twice.
        gold: the same.
    """
    stats: ExampleStats = []
    for p, g in zip(predicted, gold, strict=True):
        same = sum((Counter(p) & Counter(g)).values())
        stats.append((float(same), float(len(p)), float(len(g))))
    return Metric("f1", stats)


def token_accuracy(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Metric:
    """Compute the share of tokens whose tag is right.

    Args:
        predicted: the tags of each sentence; one example is one sentence.
        gold: the same.
    """
    stats: ExampleStats = []
    for p, g in zip(predicted, gold, strict=True):
        hits = sum(a == b for a, b in zip(p, g, strict=True))
        stats.append((float(hits), float(len(g))))
    return Metric("ratio", stats)


def exact_match(
    predicted: Sequence[str], gold: Sequence[Sequence[str]], rules: Rules = SQUAD, unanswerable: bool = False
) -> Metric:
    """Compute the share of questions whose normalized answer equals one of the references.

    Args:
        predicted: one answer for each question.
        gold: the references of each question.
        rules: how answers are normalized.
        unanswerable: score as SQuAD 2.0: without a reference (or with none that normalizes to anything) the only
            right answer is the empty one. Otherwise no answer is right without a reference.
    """
    stats: ExampleStats = []
    for p, references in zip(predicted, gold, strict=True):
        right = rules.normalize(p) in _references(references, rules, unanswerable)
        stats.append((float(right), 1.0))
    return Metric("ratio", stats)


def answer_f1(
    predicted: Sequence[str], gold: Sequence[Sequence[str]], rules: Rules = SQUAD, unanswerable: bool = False
) -> Metric:
    """Compute the token F1 of the normalized answers, each against its best reference.

    If one side has no tokens the F1 is 0; with ``unanswerable`` it is 1 if neither side has any.

    Args:
        predicted: one answer for each question.
        gold: the references of each question.
        rules: how answers are normalized.
        unanswerable: as in :func:`exact_match`.
    """
    stats: ExampleStats = []
    for p, references in zip(predicted, gold, strict=True):
        have = rules.tokens(p)
        best = 0.0
        for reference in _references(references, rules, unanswerable):
            best = max(best, _token_f1(have, reference.split(), unanswerable))
        stats.append((best, 1.0))
    return Metric("ratio", stats)


def _references(references: Sequence[str], rules: Rules, unanswerable: bool) -> list[str]:
    """Return the normalized references; with ``unanswerable`` the non-empty ones, or else one empty reference."""
    texts = [rules.normalize(reference) for reference in references]
    if unanswerable:
        return [text for text in texts if text] or [""]
    return texts


def _token_f1(have: Sequence[str], want: Sequence[str], unanswerable: bool) -> float:
    if unanswerable and not (have and want):
        return float(not have and not want)
    same = sum((Counter(have) & Counter(want)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(have), same / len(want)
    return 2 * precision * recall / (precision + recall)


def binary_f1(predicted: Sequence[object], gold: Sequence[object], positive: object) -> Metric:
    """Compute the F1 of one of two labels (GLUE reports it for QQP and MRPC)."""
    sides = [(p == positive, g == positive) for p, g in zip(predicted, gold, strict=True)]
    return Metric("f1", [(float(p and g), float(p), float(g)) for p, g in sides])


def matthews(predicted: Sequence[object], gold: Sequence[object], positive: object) -> Metric:
    """Compute the Matthews correlation of one label against the rest (Matthews 1975; CoLA); 0 if a side is constant."""
    stats: ExampleStats = []
    for label, gold_label in zip(predicted, gold, strict=True):
        p, g = label == positive, gold_label == positive
        stats.append((float(p and g), float(p and not g), float(g and not p), float(not (p or g))))
    return Metric("matthews", stats)


def pearson(predicted: Sequence[float], gold: Sequence[float]) -> Metric:
    """Compute the product-moment correlation; 0 if a side is constant.

    Both sides are first centred on their mean over the whole set and scaled to at most 1. That changes no
    correlation, not even that of a subset, and keeps the differences of products in :func:`measure` exact enough.
    """
    pairs = zip(_centred(predicted), _centred(gold), strict=True)
    return Metric("pearson", [(1.0, x, y, x * x, y * y, x * y) for x, y in pairs])


def spearman(predicted: Sequence[float], gold: Sequence[float]) -> Metric:
    """Compute the rank correlation; equal values get their mean rank (Spearman 1904).

    Ranks are those in the whole set: intervals count how examples with these ranks vary, not how ranks would.
    """
    return pearson(mean_ranks(predicted), mean_ranks(gold))


def _centred(values: Sequence[float]) -> list[float]:
    if not values or min(values) == max(values):
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    offsets = [value - mean for value in values]
    scale = max(map(abs, offsets))
    return [value / scale for value in offsets] if scale else offsets


def mean_ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of every value, counted from 1; equal values get the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for i in order[first : last + 1]:
            ranks[i] = (first + last) / 2 + 1
        first = last + 1
    return ranks


def average_precision(rankings: Sequence[Sequence[object]], gold: Sequence[Collection[object]], k: int = 20) -> Metric:
    """Compute mean average precision at ``k`` (LAReQA in XTREME-R).

    The average precision of a query is the sum of the precisions at each retrieved target, divided by min(targets, k).

    Args:
        rankings: the ranked items of each query, the best first; a repeated item is no second hit.
        gold: the targets of each query. A query without targets counts as 0.
        k: how far a ranking is read.
    """
    stats: ExampleStats = []
    for ranking, targets in zip(rankings, gold, strict=True):
        remaining, hits, total = set(targets), 0, 0.0
        most = min(len(remaining), k)
        for place, item in enumerate(ranking[:k], start=1):
            if item in remaining:
                remaining.remove(item)
                hits += 1
                total += hits / place
        stats.append((total / most if most else 0.0, 1.0))
    return Metric("ratio", stats)


def reciprocal_rank(rankings: Sequence[Sequence[object]], gold: Sequence[Collection[object]], k: int = 20) -> Metric:
    """Compute the mean reciprocal rank of the first target within ``k`` (Mewsli-X, which calls it MAP@20).

    Args:
        rankings: the ranked items of each query, the best first.
        gold: the targets of each query. A query without a target among its first ``k`` items counts as 0.
        k: how far a ranking is read.
    """
    stats: ExampleStats = []
    for ranking, targets in zip(rankings, gold, strict=True):
        places = (1 / place for place, item in enumerate(ranking[:k], start=1) if item in targets)
        stats.append((next(places, 0.0), 1.0))
    return Metric("ratio", stats)


def pair_metrics(predicted: Sequence[object], gold: Sequence[Collection[object]]) -> dict[str, Metric]:
    """Compute F1, precision and recall of extracted pairs (bitext mining); one example is one sentence of one side.

    Args:
        predicted: the partner of each sentence; None if it has none.
        gold: the true partners of each sentence, mostly none.
    """
    counts = [(float(p in g), float(p is not None), float(len(g))) for p, g in zip(predicted, gold, strict=True)]
    return f1_precision_recall(counts)


def f1_precision_recall(counts: Sequence[tuple[float, ...]]) -> dict[str, Metric]:
    """Return the three metrics of the same counts.

    Args:
        counts: true positives, predicted and gold, of every example.
    """
    return {
        "f1": Metric("f1", list(counts)),
        "precision": Metric("ratio", [(right, predicted) for right, predicted, _ in counts]),
        "recall": Metric("ratio", [(right, gold) for right, _, gold in counts]),
    }
