"""Margin scores: how much nearer two sentences are than their neighbourhoods (Artetxe and Schwenk 2019, 1811.01136).

A cosine alone cannot be compared between sentences: some are near to everything. The ratio margin divides it by the
mean cosine of both sentences with their ``k`` nearest neighbours on the other side; translations score above one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.retrieval import onepass
from adaptstilts.retrieval.search import Backend, Vectors, neighbours

NEIGHBOURS = 4
Rows = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Scored pairs: row numbers on both sides and scores, (p,) each."""

    foreign: Rows
    english: Rows
    scores: Scores

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
        """Some of the pairs: by number or by mask."""
        return Pairs(self.foreign[which], self.english[which], self.scores[which])


def ratio(cosines: Scores, means: Scores) -> Scores:
    """Ratio margin a / b (equation 2 of the paper, with its margin function ``ratio``).

    Args:
        cosines: of pairs, any shape.
        means: mean of the two neighbourhoods' mean cosines, same shape. Where it is not positive a ratio says nothing
            (two negative numbers would give a large one), and the score is 0.
    """
    scores: Scores = np.divide(cosines, means, out=np.zeros_like(cosines), where=means > 0)
    return scores


def candidates(foreign: Vectors, english: Vectors, k: int = NEIGHBOURS, backend: Backend = "auto") -> Pairs:
    """The best partner of every sentence by ratio margin, from both directions.

    Only the ``k`` nearest neighbours of a sentence are scored; equal scores go to the nearer one, then to the
    smaller row. A pair that both of its sentences choose is there once.

    Args:
        foreign: (n, d) float32, unit length.
        english: (m, d) float32, unit length.
        k: neighbours on the other side; all where there are fewer.
        backend: of the search; ``auto`` takes the fastest, and the answer does not depend on it.

    Returns:
        At most n + m pairs, in the order of foreign and then English rows.

    Raises:
        DataError: shapes that do not fit, an empty side, or a value that is not finite.
    """
    if backend == "auto" and onepass.pays(foreign, english):
        (forward, forward_cosines), (backward, backward_cosines) = onepass.mutual(foreign, english, k)
    else:
        forward, forward_cosines = neighbours(foreign, english, k, backend)
        backward, backward_cosines = neighbours(english, foreign, k, backend)
    foreign_means, english_means = forward_cosines.mean(axis=1), backward_cosines.mean(axis=1)
    there, there_scores = _choose(forward, forward_cosines, foreign_means, english_means)
    back, back_scores = _choose(backward, backward_cosines, english_means, foreign_means)
    pairs = Pairs(
        np.concatenate([np.arange(len(foreign)), back]),
        np.concatenate([there, np.arange(len(english))]),
        np.concatenate([there_scores, back_scores]),
    )
    _, first = np.unique(pairs.foreign * len(english) + pairs.english, return_index=True)
    return pairs.at(first)


def _choose(rows: Rows, cosines: Scores, own: Scores, other: Scores) -> tuple[Rows, Scores]:
    """The neighbour with the best margin of every sentence, and the margin.

    Args:
        rows: (n, k) neighbours, the nearest first.
        cosines: (n, k).
        own: (n,) means of this side.
        other: (m,) means of the other side.
    """
    scores = ratio(cosines, (own[:, None] + other[rows]) / 2)
    best = scores.argmax(axis=1)[:, None]
    return np.take_along_axis(rows, best, axis=1)[:, 0], np.take_along_axis(scores, best, axis=1)[:, 0]
