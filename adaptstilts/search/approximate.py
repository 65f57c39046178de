"""Approximate search with a FAISS index, and how many of the true neighbours it misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstilts.search import faiss, neighbours
from adaptstilts.search.base import Neighbours, RowNumbers, Scores, Vectors
from adaptstilts.search.products import check_comparable, rank

_BLOCK_ROWS = 1024
_WIDER = 10  # times k: rows that the index proposes; they are ordered by their true products
SAMPLE = 1000  # queries that are also searched exactly


@dataclass(frozen=True)
class ApproximateNeighbours:
    """What an approximate index found.

    Attributes:
        rows: (m, k) row numbers.
        products: (m, k) inner products in float64.
        recall: share of the true neighbours that it found, over a sample of the queries.
        sampled: queries of the sample.
    """

    rows: RowNumbers
    products: Scores
    recall: float
    sampled: int


def approximate_neighbours(
    queries: Vectors, index: Vectors, k: int, factory: Any, sample: int = SAMPLE
) -> ApproximateNeighbours:
    """Find the ``k`` index rows that an approximate FAISS index returns for every query, and measure what it misses.

    The index proposes ten times as many; their products are exact, and so is the order among equals. A query for which
    the index returns fewer than ``k`` rows is searched exactly.

    Args:
        queries: (m, d) float32, rows of unit length.
        index: (n, d) float32, n >= 1, rows of unit length.
        k: neighbours; all n if there are fewer.
        factory: see :func:`adaptstilts.search.faiss.build_approximate`; or an index that it built of these rows.
        sample: queries, evenly spread, that are also searched exactly. A neighbour counts as found if its product is no
            less than that of the true k-th.

    Raises:
        DataError: shapes that do not fit, or a value that is not finite.
        ConfigError: a factory string from which FAISS cannot build an index of these vectors.
        ResourceError: FAISS is not installed.
    """
    check_comparable(queries, index)
    k = min(k, len(index))
    built = faiss.build_approximate(index, factory) if isinstance(factory, str) else factory
    rows = np.empty((len(queries), k), np.int64)
    products = np.empty((len(queries), k), np.float64)
    for start in range(0, len(queries), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        rows[block], products[block] = _search_block(queries[block], index, k, built)
    step = max(1, -(-len(queries) // sample))
    sampled = np.arange(0, len(queries), step)
    recall = _recall(products[sampled], neighbours(queries[sampled], index, k))
    return ApproximateNeighbours(rows, products, recall, len(sampled))


def _search_block(queries: Vectors, index: Vectors, k: int, built: Any) -> Neighbours:
    """Search some queries in a built index, and exactly those for which it returns fewer than ``k`` rows."""
    _, proposed = faiss.propose(built, queries, min(_WIDER * k, len(index)))
    result = Neighbours.empty(len(queries), k)
    is_short = (proposed >= 0).sum(axis=1) < k
    short, full = np.flatnonzero(is_short), np.flatnonzero(~is_short)
    query_rows, place = np.nonzero(proposed[full] >= 0)
    result.rows[full], result.products[full] = rank(
        queries[full], index, query_rows, proposed[full][query_rows, place], k
    )
    if len(short):
        result.rows[short], result.products[short] = neighbours(queries[short], index, k)
    return result


def _recall(products: Scores, exact: Neighbours) -> float:
    """Return the share of products that are at least the true k-th of their query; 1 without queries."""
    if not len(products):
        return 1.0
    return float((products >= exact.products[:, -1:]).mean())
