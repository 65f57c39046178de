"""Metrics as their benchmarks compute them, as sufficient statistics per example so that intervals can be bootstrapped.

A metric of a test set is a measure of the *summed* statistics of its examples:

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
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from adaptstilts.metrics.answer_text import SQUAD, Rules
from adaptstilts.metrics.answer_text import normalize_answer as normalize_answer

Stats = list[tuple[float, ...]]
Measure = Literal["ratio", "f1", "matthews", "pearson"]
Chunk = tuple[str, int, int]
CONSTANT = 1e-12  # a variance below this share of the mean square is rounding: the values are all the same


@dataclass(frozen=True)
class Metric:
    """Statistics of one metric, one tuple per example."""

    measure: Measure
    stats: Stats

    @property
    def value(self) -> float:
        """The metric over all examples, times 100."""
        sums = [sum(column) for column in zip(*self.stats, strict=True)]
        return measure(self.measure, sums) if sums else 0.0


def measure(name: Measure, sums: Sequence[float]) -> float:
    """A measure of summed statistics, times 100; 0 where nothing could be counted or a side is constant."""
    if name == "pearson":
        return _pearson(*sums)
    if name == "matthews":
        tp, fp, fn, tn = sums
        top, bottom = tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    else:
        top, bottom = (sums[0], sums[1]) if name == "ratio" else (2 * sums[0], sums[1] + sums[2])
    return 100.0 * top / bottom if bottom else 0.0


def _pearson(n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
    across, down = n * xx - x * x, n * yy - y * y
    if across <= CONSTANT * n * xx or down <= CONSTANT * n * yy:
        return 0.0
    value = (n * xy - x * y) / math.sqrt(across) / math.sqrt(down)
    return 100.0 * min(1.0, max(-1.0, value))


def accuracy(predicted: Sequence[object], gold: Sequence[object]) -> Metric:
    """Share of examples whose prediction equals the gold label."""
    return Metric("ratio", [(float(p == g), 1.0) for p, g in zip(predicted, gold, strict=True)])


def chunks(tags: Sequence[str]) -> list[Chunk]:
    """Chunks (type, first, last) of a tag sequence, by the rules of conlleval in its lenient reading.

    The first character of a tag is its position (B, I, O, E, S), the part after the last hyphen its type. Raw part
    of speech tags are read by the same rules, as XTREME does: runs of one tag fuse into one chunk, ``SCONJ`` and
    ``SYM`` begin with S and are chunks of their own, and ``X`` counts. Equal to seqeval 0.0.12.
    """
    found: list[Chunk] = []
    previous, previous_type, begin = "O", "", 0
    for i, tag in enumerate([*tags, "O"]):
        position, kind = tag[0], tag.split("-")[-1]
        changed = kind != previous_type
        if previous in "ES" or (previous in "BI" and position in "BSO") or (previous not in "O." and changed):
            found.append((previous_type, begin, i - 1))
        if position in "BS" or (previous in "ESO" and position in "EI") or (position not in "O." and changed):
            begin = i
        previous, previous_type = position, kind
    return found


def chunk_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Metric:
    """Micro F1 over chunks (PAN-X, UD-POS); one example is one sentence."""
    stats: Stats = []
    for p, g in zip(predicted, gold, strict=True):
        have, want = set(chunks(p)), set(chunks(g))
        stats.append((float(len(have & want)), float(len(have)), float(len(want))))
    return Metric("f1", stats)


def token_accuracy(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Metric:
    """Share of tokens whose tag is right; one example is one sentence."""
    pairs = zip(predicted, gold, strict=True)
    hits = [(float(sum(a == b for a, b in zip(p, g, strict=True))), float(len(g))) for p, g in pairs]
    return Metric("ratio", [(hit, total) for hit, total in hits])


def exact_match(
    predicted: Sequence[str], gold: Sequence[Sequence[str]], rules: Rules = SQUAD, unanswerable: bool = False
) -> Metric:
    """Share of questions whose normalised answer equals one of the references.

    Args:
        predicted: one answer for each question.
        gold: the references of each question.
        rules: how answers are normalised.
        unanswerable: score as SQuAD 2.0: with no reference (or none that normalises to anything) the only right
            answer is the empty one. Otherwise no reference means that nothing is right.
    """
    stats: Stats = []
    for p, references in zip(predicted, gold, strict=True):
        answer = rules.normalize(p)
        right = any(answer == reference for reference in _references(references, rules, unanswerable))
        stats.append((float(right), 1.0))
    return Metric("ratio", stats)


def answer_f1(
    predicted: Sequence[str], gold: Sequence[Sequence[str]], rules: Rules = SQUAD, unanswerable: bool = False
) -> Metric:
    """Token F1 of the normalised answer, the best over the references; arguments as of :func:`exact_match`.

    Where a side has no tokens it is 0; with ``unanswerable`` it is 1 when neither side has any.
    """
    stats: Stats = []
    for p, references in zip(predicted, gold, strict=True):
        have = rules.tokens(p)
        wanted = [reference.split() for reference in _references(references, rules, unanswerable)]
        stats.append((max((_overlap(have, want, unanswerable) for want in wanted), default=0.0), 1.0))
    return Metric("ratio", stats)


def _references(references: Sequence[str], rules: Rules, unanswerable: bool) -> list[str]:
    """Normalised; with ``unanswerable`` those that are not empty, or the empty one alone."""
    found = [rules.normalize(reference) for reference in references]
    return ([text for text in found if text] or [""]) if unanswerable else found


def _overlap(have: Sequence[str], want: Sequence[str], unanswerable: bool) -> float:
    if unanswerable and not (have and want):
        return float(not have and not want)
    same = sum((Counter(have) & Counter(want)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(have), same / len(want)
    return 2 * precision * recall / (precision + recall)


def binary_f1(predicted: Sequence[object], gold: Sequence[object], positive: object) -> Metric:
    """F1 of one of two labels (GLUE reports it for QQP and MRPC)."""
    sides = [(p == positive, g == positive) for p, g in zip(predicted, gold, strict=True)]
    return Metric("f1", [(float(p and g), float(p), float(g)) for p, g in sides])


def matthews(predicted: Sequence[object], gold: Sequence[object], positive: object) -> Metric:
    """Matthews correlation of one label against the rest (Matthews 1975; CoLA); 0 when a side is constant."""
    sides = [(p == positive, g == positive) for p, g in zip(predicted, gold, strict=True)]
    return Metric(
        "matthews",
        [(float(p and g), float(p and not g), float(g and not p), float(not (p or g))) for p, g in sides],
    )


def pearson(predicted: Sequence[float], gold: Sequence[float]) -> Metric:
    """Product-moment correlation; 0 when a side is constant.

    Both sides are centred on their mean over the whole set and scaled to at most 1 first. That changes no
    correlation, not that of a subset either, and keeps the differences of products in :func:`measure` exact enough.
    """
    pairs = zip(_centred(predicted), _centred(gold), strict=True)
    return Metric("pearson", [(1.0, x, y, x * x, y * y, x * y) for x, y in pairs])


def spearman(predicted: Sequence[float], gold: Sequence[float]) -> Metric:
    """Rank correlation: that of the average ranks, ties having the same (Spearman 1904).

    Ranks are those in the whole set. A bootstrap that sums these statistics resamples ranked examples and does not
    rank every resample anew.
    """
    return pearson(_ranks(predicted), _ranks(gold))


def _centred(values: Sequence[float]) -> list[float]:
    if not values or min(values) == max(values):
        return [0.0] * len(values)
    mean = math.fsum(values) / len(values)
    away = [value - mean for value in values]
    scale = max(map(abs, away))
    return [value / scale for value in away] if scale else away


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values get the mean of theirs."""
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
    """Mean average precision at ``k`` (LAReQA in XTREME-R): precision at each target found, over min(targets, k).

    Args:
        rankings: what was found for each query, the best first; an item that comes again is no second hit.
        gold: the targets of each query. A query without targets counts 0.
        k: how far a ranking is read.
    """
    stats: Stats = []
    for ranking, targets in zip(rankings, gold, strict=True):
        wanted, found, total = set(targets), 0, 0.0
        most = min(len(wanted), k)
        for place, item in enumerate(ranking[:k], start=1):
            if item in wanted:
                wanted.remove(item)
                found += 1
                total += found / place
        stats.append((total / most if most else 0.0, 1.0))
    return Metric("ratio", stats)


def reciprocal_rank(rankings: Sequence[Sequence[object]], gold: Sequence[Collection[object]], k: int = 20) -> Metric:
    """Mean reciprocal rank of the first target within ``k``, else 0 (Mewsli-X, where it is called MAP@20).

    Arguments are those of :func:`average_precision`.
    """
    stats: Stats = []
    for ranking, targets in zip(rankings, gold, strict=True):
        places = (1 / place for place, item in enumerate(ranking[:k], start=1) if item in targets)
        stats.append((next(places, 0.0), 1.0))
    return Metric("ratio", stats)


def pair_metrics(predicted: Sequence[object], gold: Sequence[Collection[object]]) -> dict[str, Metric]:
    """F1, precision and recall of extracted pairs (bitext mining); one example is one sentence of one side.

    Args:
        predicted: the partner given to each sentence; None where it has none.
        gold: the true partners of each sentence, mostly none.
    """
    sums = [(float(p in g), float(p is not None), float(len(g))) for p, g in zip(predicted, gold, strict=True)]
    return {
        "f1": Metric("f1", list(sums)),
        "precision": Metric("ratio", [(right, given) for right, given, _ in sums]),
        "recall": Metric("ratio", [(right, wanted) for right, _, wanted in sums]),
    }
