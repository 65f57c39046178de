"""Margin scores: how much nearer two sentences are than their neighbourhoods (Artetxe and Schwenk 2019, 1811.01136).

A cosine alone cannot be compared between sentences: some are near to everything. The ratio margin divides it by the
mean cosine of both sentences with their ``k`` nearest neighbours on the other side; translations score above one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.search import AUTO, mutual_neighbours
from adaptstilts.search.base import Neighbours, RowNumbers, Scores, Vectors
from adaptstilts.study import Margin, Retrieval

NEIGHBOURS = 4


@dataclass(frozen=True)
class Pairs:
    """Scored pairs: row numbers on both sides and scores, (p,) each."""

    foreign: RowNumbers
    english: RowNumbers
    scores: Scores

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs, by position or by mask."""
        return Pairs(self.foreign[which], self.english[which], self.scores[which])


def ratio(cosines: Scores, means: Scores) -> Scores:
    """Compute the ratio margin a / b (equation 2 of the paper, with its margin function ``ratio``).

    Args:
        cosines: cosines of pairs, any shape.
        means: mean of the two neighbourhoods' mean cosines, same shape. Where it is not positive a ratio says nothing
            (two negative numbers would give a large one), and the score is 0.
    """
    scores: Scores = np.divide(cosines, means, out=np.zeros_like(cosines), where=means > 0)
    return scores


def distance(cosines: Scores, means: Scores) -> Scores:
    """Compute the distance margin a - b (equation 2 of the paper, with its margin function ``distance``)."""
    return cosines - means


def absolute(cosines: Scores, means: Scores) -> Scores:
    """Return the cosine a alone (equation 2 of the paper, with its margin function ``absolute``)."""
    return cosines


MARGINS: Mapping[Margin, Callable[[Scores, Scores], Scores]] = {
    "ratio": ratio,
    "distance": distance,
    "absolute": absolute,
}


def candidate_pairs(
    foreign: Vectors,
    english: Vectors,
    k: int = NEIGHBOURS,
    backend: str = AUTO,
    margin: Margin = "ratio",
    retrieval: Retrieval = "max",
) -> Pairs:
    """Search both sides and pair every sentence with its best partner by margin.

    Args:
        foreign: (n, d) float32, unit length.
        english: (m, d) float32, unit length.
        k: neighbours on the other side; all if there are fewer.
        backend: name of a search backend; the result does not depend on it.
        margin: ``ratio``, ``distance`` or ``absolute``.
        retrieval: see :func:`best_pairs`.

    Returns:
        As :func:`best_pairs`.

    Raises:
        DataError: shapes that do not fit, an empty side, or a value that is not finite.
    """
    return best_pairs(*mutual_neighbours(foreign, english, k, backend), margin, retrieval)


def best_pairs(
    forward: Neighbours, backward: Neighbours, margin: Margin = "ratio", retrieval: Retrieval = "max"
) -> Pairs:
    """Pair every sentence with its best partner by margin, from the neighbours in both directions.

    Only the ``k`` nearest neighbours of a sentence are scored; equal scores go to the nearer one, then to the smaller
    row. A pair that both of its sentences choose is returned once.

    Args:
        forward: English neighbours of every foreign row (n, k), with cosines.
        backward: foreign neighbours of every English row (m, k), with cosines.
        margin: ``ratio``, ``distance`` or ``absolute``.
        retrieval: whose choices count (section 3 of the paper): ``forward`` those of foreign sentences, ``backward``
            those of English ones, ``intersect`` those that both make, ``max`` all, of which the best are then taken
            one-to-one (:func:`adaptstilts.search.bucc.one_to_one`).

    Returns:
        At most n + m pairs, in the order of foreign and then English rows.
    """
    score = MARGINS[margin]
    foreign_means, english_means = forward.products.mean(axis=1), backward.products.mean(axis=1)
    english, forward_scores = _best_partners(forward, foreign_means, english_means, score)
    foreign, backward_scores = _best_partners(backward, english_means, foreign_means, score)
    of_foreign = Pairs(np.arange(len(english)), english, forward_scores)
    of_english = Pairs(foreign, np.arange(len(foreign)), backward_scores)
    if retrieval == "forward":
        return of_foreign
    if retrieval == "backward":
        return of_english.at(np.lexsort((of_english.english, of_english.foreign)))
    if retrieval == "intersect":
        return of_foreign.at(foreign[english] == of_foreign.foreign)
    pairs = Pairs(
        np.concatenate([of_foreign.foreign, of_english.foreign]),
        np.concatenate([of_foreign.english, of_english.english]),
        np.concatenate([of_foreign.scores, of_english.scores]),
    )
    _, first = np.unique(pairs.foreign * len(foreign) + pairs.english, return_index=True)
    return pairs.at(first)


def _best_partners(
    neighbours: Neighbours, means: Scores, other_means: Scores, score: Callable[[Scores, Scores], Scores]
) -> tuple[RowNumbers, Scores]:
    """Choose the neighbour with the best margin for every sentence.

    Args:
        neighbours: (n, k).
        means: (n,) mean cosine of each neighbourhood on this side.
        other_means: (m,) the same on the other side.
        score: the margin.

    Returns:
        The chosen rows and their margins, (n,) each.
    """
    scores = score(neighbours.products, (means[:, None] + other_means[neighbours.rows]) / 2)
    best = scores.argmax(axis=1)[:, None]
    rows = np.take_along_axis(neighbours.rows, best, axis=1)
    return rows[:, 0], np.take_along_axis(scores, best, axis=1)[:, 0]
