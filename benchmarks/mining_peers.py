"""How other programs mine, written here after their documentation, to compare with.

Both search a flat FAISS index in each direction and score the neighbours by ratio margin. They differ in how they
compute the scores and in which pairs they keep. None of this is their code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Neighbours = tuple[NDArray[np.float32], NDArray[np.int64]]  # products, rows: (n, k)
Pairs = set[tuple[int, int]]


def faiss_twice(foreign: Vectors, english: Vectors, k: int) -> tuple[Neighbours, Neighbours]:
    """Search a flat index in both directions.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        k: neighbours of a row.

    Returns:
        The neighbours of the foreign rows, and of the English rows.
    """
    return _faiss(foreign, english, k), _faiss(english, foreign, k)


def _faiss(queries: Vectors, rows: Vectors, k: int) -> Neighbours:
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    products, neighbours = index.search(queries, k)
    return products, neighbours


def sentence_transformers(foreign: Vectors, english: Vectors, k: int) -> Pairs:
    """Mine like the bitext mining example of sentence-transformers.

    Scores are computed in loops; the best candidates of both directions are joined and made one-to-one greedily.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        k: neighbours of a row.

    Returns:
        Pairs of a foreign and an English row.
    """
    ahead, back = faiss_twice(foreign, english, k)
    foreign_scores = _scores(foreign, english, ahead, back)
    english_scores = _scores(english, foreign, back, ahead)
    foreign_rows = np.arange(len(foreign))
    english_rows = np.arange(len(english))
    there = ahead[1][foreign_rows, foreign_scores.argmax(axis=1)]
    here = back[1][english_rows, english_scores.argmax(axis=1)]
    pairs = np.concatenate([np.c_[foreign_rows, there], np.c_[here, english_rows]])
    scores = np.concatenate([foreign_scores.max(axis=1), english_scores.max(axis=1)])
    return _greedy(pairs, scores)


def _scores(vectors: Vectors, others: Vectors, there: Neighbours, here: Neighbours) -> NDArray[np.float64]:
    """Return the ratio margin of every row's neighbours: (n, k)."""
    means = there[0].mean(axis=1)
    other_means = here[0].mean(axis=1)
    scores = np.zeros(there[1].shape)
    for i in range(len(vectors)):
        for place, j in enumerate(there[1][i]):
            product = float(vectors[i].dot(others[j]))
            scores[i, place] = product / ((means[i] + other_means[j]) / 2)
    return scores


def laser(foreign: Vectors, english: Vectors, k: int) -> Pairs:
    """Mine like LASER's script with retrieval ``max``.

    The means of both sides come first; candidates are then scored from the vectors one by one.

    Args:
        foreign: unit vectors (n, width).
        english: unit vectors (m, width).
        k: neighbours of a row.

    Returns:
        Pairs of a foreign and an English row.
    """
    (ahead, there), (back, here) = faiss_twice(foreign, english, k)
    foreign_means = ahead.mean(axis=1)
    english_means = back.mean(axis=1)

    def margin(i: int, j: int) -> float:
        return float(foreign[i] @ english[j]) / ((foreign_means[i] + english_means[j]) / 2)

    pairs = []
    scores = []
    for i, candidates in enumerate(there):
        margins = [margin(i, j) for j in candidates]
        best = int(np.argmax(margins))
        pairs.append((i, int(candidates[best])))
        scores.append(margins[best])
    for j, candidates in enumerate(here):
        margins = [margin(i, j) for i in candidates]
        best = int(np.argmax(margins))
        pairs.append((int(candidates[best]), j))
        scores.append(margins[best])
    return _greedy(np.array(pairs), np.array(scores))


def _greedy(pairs: NDArray[np.int64], scores: NDArray[np.float64]) -> Pairs:
    """Keep pairs from the best score down if neither row is used yet."""
    used_foreign: set[int] = set()
    used_english: set[int] = set()
    kept = set()
    order = np.argsort(-scores, kind="stable")
    for i, j in pairs[order].tolist():
        if i not in used_foreign and j not in used_english:
            used_foreign.add(i)
            used_english.add(j)
            kept.add((i, j))
    return kept
