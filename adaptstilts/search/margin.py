"""Margin scores: how much nearer two sentences are than their neighbourhoods (Artetxe and Schwenk 2019, 1811.01136).

A cosine alone cannot be compared between sentences: some are near to everything. The ratio margin divides it by the
mean cosine of both sentences with their ``k`` nearest neighbours on the other side; translations score above one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.search.exact import Found, Rows, Scores, Vectors
from adaptstilts.search.mutual import mutual
from adaptstilts.study import Backend, Margin, Retrieval

NEIGHBOURS = 4


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


def distance(cosines: Scores, means: Scores) -> Scores:
    """Distance margin a - b (equation 2 of the paper, with its margin function ``distance``)."""
    return cosines - means


def absolute(cosines: Scores, means: Scores) -> Scores:
    """The cosine a alone (equation 2 of the paper, with its margin function ``absolute``)."""
    return cosines


MARGINS: Mapping[Margin, Callable[[Scores, Scores], Scores]] = {
    "ratio": ratio,
    "distance": distance,
    "absolute": absolute,
}


def candidates(
    foreign: Vectors,
    english: Vectors,
    k: int = NEIGHBOURS,
    backend: Backend = "auto",
    margin: Margin = "ratio",
    retrieval: Retrieval = "max",
) -> Pairs:
    """The best partner of every sentence by margin.

    Only the ``k`` nearest neighbours of a sentence are scored; equal scores go to the nearer one, then to the
    smaller row. A pair that both of its sentences choose is there once.

    Args:
        foreign: (n, d) float32, unit length.
        english: (m, d) float32, unit length.
        k: neighbours on the other side; all where there are fewer.
        backend: see :func:`adaptstilts.search.mutual.mutual`; the answer does not depend on it.
        margin: ``ratio``, ``distance`` or ``absolute``.
        retrieval: see :func:`scored`.

    Returns:
        At most n + m pairs, in the order of foreign and then English rows.

    Raises:
        DataError: shapes that do not fit, an empty side, or a value that is not finite.
    """
    return scored(*mutual(foreign, english, k, backend), margin, retrieval)


def scored(ahead: Found, back: Found, margin: Margin = "ratio", retrieval: Retrieval = "max") -> Pairs:
    """The best partner of every sentence by margin, from the neighbours in both directions.

    Args:
        ahead: English rows next to every foreign one, the nearest first, and cosines: (n, k) each.
        back: foreign rows next to every English one: (m, k) each.
        margin: ``ratio``, ``distance`` or ``absolute``.
        retrieval: whose choices count (section 3 of the paper): ``forward`` those of foreign sentences, ``backward``
            those of English ones, ``intersect`` those that both make, ``max`` all, of which the best are then taken
            one-to-one (:func:`adaptstilts.search.bucc.one_to_one`).
    """
    score = MARGINS[margin]
    foreign_means, english_means = ahead[1].mean(axis=1), back[1].mean(axis=1)
    there, there_scores = _choose(*ahead, foreign_means, english_means, score)
    here, here_scores = _choose(*back, english_means, foreign_means, score)
    forward = Pairs(np.arange(len(there)), there, there_scores)
    backward = Pairs(here, np.arange(len(here)), here_scores)
    if retrieval == "forward":
        return forward
    if retrieval == "backward":
        return backward.at(np.lexsort((backward.english, backward.foreign)))
    if retrieval == "intersect":
        return forward.at(here[there] == forward.foreign)
    pairs = Pairs(
        np.concatenate([forward.foreign, backward.foreign]),
        np.concatenate([forward.english, backward.english]),
        np.concatenate([forward.scores, backward.scores]),
    )
    _, first = np.unique(pairs.foreign * len(here) + pairs.english, return_index=True)
    return pairs.at(first)


def _choose(
    rows: Rows, cosines: Scores, own: Scores, other: Scores, score: Callable[[Scores, Scores], Scores]
) -> tuple[Rows, Scores]:
    """The neighbour with the best margin of every sentence, and the margin.

    Args:
        rows: (n, k) neighbours, the nearest first.
        cosines: (n, k).
        own: (n,) means of this side.
        other: (m,) means of the other side.
        score: the margin.
    """
    scores = score(cosines, (own[:, None] + other[rows]) / 2)
    best = scores.argmax(axis=1)[:, None]
    return np.take_along_axis(rows, best, axis=1)[:, 0], np.take_along_axis(scores, best, axis=1)[:, 0]
