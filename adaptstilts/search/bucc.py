"""Bitext mining as in the BUCC shared task: one-to-one pairs above a score threshold, and their F1.

The steps are those of LASER's and XTREME's scripts (Zweigenbaum et al. 2018; Artetxe and Schwenk 2019, 1811.01136).
Where these leave a case open (equal scores, an optimum at the last pair) it is settled and said here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.search.exact import Rows
from adaptstilts.search.margin import Pairs

Flags = NDArray[np.bool_]


def merge(texts: Rows) -> tuple[Rows, Rows]:
    """Equal sentences as one: a sentence that occurs twice is still used at most once.

    Args:
        texts: (n,) number of each row's text; equal numbers, equal texts.

    Returns:
        The first row of each distinct text, ascending (t,), and for every row the place of its text there (n,).
    """
    _, first, group = np.unique(texts, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order].astype(np.int64), np.argsort(order)[group.reshape(-1)].astype(np.int64)


def one_to_one(pairs: Pairs, floor: float = 0.0) -> Pairs:
    """Pairs accepted greedily, the best score first, each sentence of either side at most once.

    Equal scores go by foreign, then by English row. Scores that are not above the floor are never accepted.

    Returns:
        The accepted pairs, the best first.
    """
    order = np.lexsort((pairs.english, pairs.foreign, -pairs.scores))
    order = order[pairs.scores[order] > floor]
    used_foreign: set[int] = set()
    used_english: set[int] = set()
    kept = []
    ranked = zip(order.tolist(), pairs.foreign[order].tolist(), pairs.english[order].tolist(), strict=True)
    for number, foreign, english in ranked:
        if foreign not in used_foreign and english not in used_english:
            used_foreign.add(foreign)
            used_english.add(english)
            kept.append(number)
    return pairs.at(np.array(kept, np.int64))


def correct(pairs: Pairs, gold: Rows) -> Flags:
    """Which pairs are in the gold list: (p,).

    Args:
        pairs: found.
        gold: (g, 2) foreign and English rows.
    """
    width = 1 + max((int(side.max()) for side in (pairs.english, gold[:, 1]) if len(side)), default=0)
    found: Flags = np.isin(pairs.foreign * width + pairs.english, gold[:, 0] * width + gold[:, 1])
    return found


def best_threshold(scores: NDArray[np.float64], right: Flags, gold: int) -> float:
    """The score threshold with the best F1, to be used as ``score >= threshold``.

    F1 is computed for every prefix of the ranking that a threshold can cut off, that is before a lower score. The
    first best one counts; the threshold is the mean of its last score and the next one, or its last score where no
    pair follows. If no pair is right, every threshold is as good as another and it is 0: all pairs are kept, as in
    the reference scripts.

    Args:
        scores: (p,) descending.
        right: (p,) whether a pair is in the gold list.
        gold: gold pairs.
    """
    if not right.any():
        return 0.0
    values = f1(np.cumsum(right), np.arange(1, len(scores) + 1), gold)
    cuts = np.append(scores[:-1] > scores[1:], True)
    best = int(np.where(cuts, values, -1.0).argmax())
    if best == len(scores) - 1:
        return float(scores[best])
    middle = float((scores[best] + scores[best + 1]) / 2)
    return middle if middle > scores[best + 1] else float(scores[best])  # neighbouring floats have none between


@dataclass(frozen=True)
class Quality:
    """How many of the extracted pairs are right, and how many of the gold pairs were extracted, as shares."""

    f1: float
    precision: float
    recall: float


def quality(pairs: Pairs, gold: Rows, threshold: float) -> Quality:
    """Of one-to-one pairs that score at least a threshold, which was set on other sentences.

    Args:
        pairs: one-to-one, of the evaluated sentences.
        gold: (g, 2) foreign and English rows.
        threshold: of :func:`best_threshold` on dev.
    """
    above = pairs.at(pairs.scores >= threshold)
    right = int(correct(above, gold).sum())
    shares = [right / total if total else 0.0 for total in (len(above), len(gold))]
    return Quality(float(f1(np.array(right), np.array(len(above)), len(gold))), *shares)


def oracle_threshold(pairs: Pairs, gold: Rows) -> float:
    """The best threshold for the very sentences that are evaluated: what nobody has who mines."""
    ranked = pairs.at(np.argsort(-pairs.scores, kind="stable"))
    return best_threshold(ranked.scores, correct(ranked, gold), len(gold))


def f1(right: NDArray[np.int64], extracted: NDArray[np.int64], gold: int) -> NDArray[np.float64]:
    """2 PR / (P + R) = 2 right / (extracted + gold), for every element; 0 where nothing can be counted."""
    total = np.asarray(extracted + gold, np.float64)
    values: NDArray[np.float64] = np.divide(2.0 * right, total, out=np.zeros_like(total), where=total > 0)
    return values
