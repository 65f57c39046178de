"""How others mine, written here after their documentation: what ours is compared with.

Both search a flat FAISS index in each direction and score the neighbours by ratio margin; they differ in how they score
and in what they keep. Neither is their code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Neighbours = tuple[NDArray[np.float32], NDArray[np.int64]]  # products, rows: (n, k)
Pairs = set[tuple[int, int]]


def faiss_twice(foreign: Vectors, english: Vectors, k: int) -> tuple[Neighbours, Neighbours]:
    """A flat index searched in both directions."""
    import faiss

    found = []
    for queries, rows in ((foreign, english), (english, foreign)):
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        found.append(index.search(queries, k))
    return found[0], found[1]


def sentence_transformers(foreign: Vectors, english: Vectors, k: int) -> Pairs:
    """The bitext mining example of sentence-transformers: scores in loops, both directions, greedy one-to-one."""
    ahead, back = faiss_twice(foreign, english, k)
    scores = [_scores(foreign, english, ahead, back), _scores(english, foreign, back, ahead)]
    best = [found.argmax(axis=1) for found in scores]
    there = ahead[1][np.arange(len(foreign)), best[0]]
    here = back[1][np.arange(len(english)), best[1]]
    pairs = np.concatenate([np.c_[np.arange(len(foreign)), there], np.c_[here, np.arange(len(english))]])
    ranked = np.argsort(-np.concatenate([scores[0].max(axis=1), scores[1].max(axis=1)]), kind="stable")
    return _greedy(pairs[ranked])


def laser(foreign: Vectors, english: Vectors, k: int) -> Pairs:
    """LASER's mining script: means of both sides first, scores of candidates from the vectors, retrieval ``max``."""
    (ahead, there), (back, here) = faiss_twice(foreign, english, k)
    means = ahead.mean(axis=1), back.mean(axis=1)
    pairs, scores = [], []
    for i, row in enumerate(there):
        found = [float(foreign[i] @ english[j]) / ((means[0][i] + means[1][j]) / 2) for j in row]
        pairs.append((i, int(row[int(np.argmax(found))])))
        scores.append(max(found))
    for j, row in enumerate(here):
        found = [float(foreign[i] @ english[j]) / ((means[0][i] + means[1][j]) / 2) for i in row]
        pairs.append((int(row[int(np.argmax(found))]), j))
        scores.append(max(found))
    return _greedy(np.array(pairs)[np.argsort(-np.array(scores), kind="stable")])


def _scores(own: Vectors, other: Vectors, there: Neighbours, here: Neighbours) -> NDArray[np.float64]:
    """Ratio margins of the neighbours of every row: (n, k)."""
    means = there[0].mean(axis=1), here[0].mean(axis=1)
    scores = np.zeros(there[1].shape)
    for i in range(len(own)):
        for place, j in enumerate(there[1][i]):
            scores[i, place] = float(own[i].dot(other[j])) / ((means[0][i] + means[1][j]) / 2)
    return scores


def _greedy(ranked: NDArray[np.int64]) -> Pairs:
    used: tuple[set[int], set[int]] = (set(), set())
    kept = set()
    for i, j in ranked.tolist():
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            kept.add((i, j))
    return kept
