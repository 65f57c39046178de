"""Bitext mining as in the BUCC shared task: one-to-one pairs above a score threshold, and their F1.

The steps are those of LASER's and XTREME's scripts (Zweigenbaum et al. 2018; Artetxe and Schwenk 2019, 1811.01136).
Cases that these leave open (equal scores, an optimum at the last pair) are settled here, and described below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.search.base import RowNumbers, Scores
from adaptstilts.search.margin import Pairs

Flags = NDArray[np.bool_]


def merge_equal_texts(texts: RowNumbers) -> tuple[RowNumbers, RowNumbers]:
    """Merge equal sentences, so that a sentence that occurs twice is used at most once.

    Args:
        texts: (n,) number of each row's text; equal numbers, equal texts.

    Returns:
        The first row of each distinct text, ascending (t,), and for every row the position of its text there (n,).
    """
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.argsort(order)[group.reshape(-1)]
    return first[order].astype(np.int64), position.astype(np.int64)


def one_to_one(pairs: Pairs, floor: float = 0.0) -> Pairs:
    """Accept pairs greedily, the best score first, each sentence of either side at most once.

    Equal scores are ordered by foreign, then by English row.

    Args:
        pairs: candidates.
        floor: pairs have to score above it.

    Returns:
        The accepted pairs, the best first.
    """
    order = np.lexsort((pairs.english, pairs.foreign, -pairs.scores))
    order = order[pairs.scores[order] > floor]
    used_foreign: set[int] = set()
    used_english: set[int] = set()
    accepted = []
    ranked = pairs.at(order)
    rows = zip(order.tolist(), ranked.foreign.tolist(), ranked.english.tolist(), strict=True)
    for position, foreign, english in rows:
        if foreign not in used_foreign and english not in used_english:
            used_foreign.add(foreign)
            used_english.add(english)
            accepted.append(position)
    return pairs.at(np.array(accepted, np.int64))


def is_correct(pairs: Pairs, gold: RowNumbers) -> Flags:
    """Mark the pairs that are in the gold list: (p,).

    Args:
        pairs: extracted pairs.
        gold: (g, 2) foreign and English rows.
    """
    gold_foreign, gold_english = gold[:, 0], gold[:, 1]
    width = 1 + max(pairs.english.max(initial=0), gold_english.max(initial=0))
    flags: Flags = np.isin(pairs.foreign * width + pairs.english, gold_foreign * width + gold_english)
    return flags


def best_threshold(scores: Scores, correct: Flags, gold: int) -> float:
    """Return the score threshold with the best F1, to be used as ``score >= threshold``.

    F1 is computed for every prefix of the ranking that a threshold can cut off, that is before a lower score. The
    first best one counts; the threshold is the mean of its last score and the next one, or its last score if no pair
    follows. If no pair is correct, every threshold is as good as another and it is 0: all pairs are kept, as in the
    reference scripts.

    Args:
        scores: (p,) descending.
        correct: (p,) whether a pair is in the gold list.
        gold: number of gold pairs.
    """
    if not correct.any():
        return 0.0
    values = f1(np.cumsum(correct), np.arange(1, len(scores) + 1), gold)
    can_cut = np.append(scores[:-1] > scores[1:], True)
    best = int(np.where(can_cut, values, -1.0).argmax())
    if best == len(scores) - 1:
        return float(scores[best])
    middle = float((scores[best] + scores[best + 1]) / 2)
    if middle > scores[best + 1]:
        return middle
    return float(scores[best])  # there is no float between them


@dataclass(frozen=True)
class Quality:
    """F1, precision and recall of extracted pairs, as shares."""

    f1: float
    precision: float
    recall: float


def quality(pairs: Pairs, gold: RowNumbers, threshold: float) -> Quality:
    """Score the one-to-one pairs that reach a threshold, which was set on other sentences.

    Args:
        pairs: one-to-one, of the evaluated sentences.
        gold: (g, 2) foreign and English rows.
        threshold: what :func:`best_threshold` found on dev.
    """
    extracted = pairs.at(pairs.scores >= threshold)
    correct = int(is_correct(extracted, gold).sum())
    score = f1(np.array(correct), np.array(len(extracted)), len(gold))
    return Quality(float(score), _share(correct, len(extracted)), _share(correct, len(gold)))


def _share(part: int, total: int) -> float:
    return part / total if total else 0.0


def oracle_threshold(pairs: Pairs, gold: RowNumbers) -> float:
    """Return the best threshold for the evaluated sentences themselves: an oracle, unavailable in practice."""
    ranked = pairs.at(np.argsort(-pairs.scores, kind="stable"))
    return best_threshold(ranked.scores, is_correct(ranked, gold), len(gold))


def f1(correct: NDArray[np.int64], extracted: NDArray[np.int64], gold: int) -> Scores:
    """Compute 2 PR / (P + R) = 2 correct / (extracted + gold) for every element; 0 if there is nothing to count.

    Args:
        correct: extracted pairs that are in the gold list.
        extracted: number of pairs.
        gold: number of gold pairs.
    """
    total = np.asarray(extracted + gold, np.float64)
    values: Scores = np.divide(2.0 * correct, total, out=np.zeros_like(total), where=total > 0)
    return values
