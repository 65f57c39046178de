"""The backend ``numpy``: products in blocks, first in float32, then in float64 for the rows that may be among the best.

It needs only numpy, and handles the hard cases for other backends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from adaptstilts.search.base import Backend, Neighbours, RowNumbers, Scores, Vectors
from adaptstilts.search.products import FLOAT64_BITS, concatenate, kth_largest, rank, rounding_bound, top_k

_BLOCK_ROWS = 1024
_BLOCK_PRODUCTS = 2**25  # products in memory at once
_DIGEST_BYTES = 16
MANY = 64  # times k: with this many candidates per query, float32 does not distinguish the rows


class Numpy(Backend):
    """Exact search with numpy alone."""

    name = "numpy"

    def neighbours(self, queries: Vectors, index: Vectors, k: int) -> Neighbours:
        """Find the ``k`` nearest rows of the index for every query."""
        result = Neighbours.empty(len(queries), k)
        unresolved = []
        for block in _blocks(np.arange(len(queries)), len(index)):
            best = _search_block(queries[block], index, k)
            if best is None:
                unresolved.append(block)
            else:
                result.rows[block], result.products[block] = best
        if unresolved:
            rest = np.concatenate(unresolved)
            result.rows[rest], result.products[rest] = _search_similar_rows(queries[rest], index, k)
        return result

    def priority(self, queries: int, index: int, mutual: bool) -> int | None:
        """Return 0: any other backend comes first."""
        return 0


BACKEND = Numpy()


def _blocks(rows: RowNumbers, others: int) -> Iterator[RowNumbers]:
    """Split rows into blocks whose products with the others fit into memory."""
    size = max(1, min(_BLOCK_ROWS, _BLOCK_PRODUCTS // others))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _search_block(queries: Vectors, index: Vectors, k: int) -> Neighbours | None:
    """Search by products in float32 first; return None if these cannot distinguish the rows."""
    products = queries @ index.T
    kth = kth_largest(products, k)
    near = products >= kth[:, None] - rounding_bound(index.shape[1])
    if near.sum() > MANY * k * len(queries):
        return None
    query_rows, candidates = np.nonzero(near)
    return rank(queries, index, query_rows, candidates, k)


def _search_similar_rows(queries: Vectors, index: Vectors, k: int) -> Neighbours:
    """Search rows that are equal or nearly so: in float64, and each distinct row once."""
    first, group_of = _group_equal_vectors(index)
    groups = _Groups(first, group_of)
    blocks = [
        _search_distinct(queries[block], index[first], groups, k)
        for block in _blocks(np.arange(len(queries)), 2 * len(first))
    ]
    return concatenate(blocks)


class _Groups:
    """Rows of the index in groups of equal ones.

    Args:
        first: (t,) first row of each group.
        group_of: (n,) group of each row.
    """

    def __init__(self, first: RowNumbers, group_of: RowNumbers) -> None:
        self.members = np.argsort(group_of, kind="stable")
        self.begins = np.searchsorted(group_of[self.members], np.arange(len(first) + 1))
        self.sizes = np.diff(self.begins)

    def expand(self, nearest: Neighbours, k: int) -> Neighbours:
        """Replace each group by its members and return the ``k`` best rows of every query.

        Args:
            nearest: groups and their products, (m, groups) each; together at least ``k`` rows.
            k: neighbours.
        """
        groups = nearest.rows
        counts = np.minimum(self.sizes[groups], k).ravel()
        first_members = np.repeat(self.begins[groups].ravel(), counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)  # within a group
        rows = self.members[first_members + place]
        query_of_group = np.repeat(np.arange(len(groups)), groups.shape[1])
        queries = np.repeat(query_of_group, counts)
        products = np.repeat(nearest.products.ravel(), counts)
        best = top_k(queries, rows, products, k).reshape(len(groups), k)
        return Neighbours(rows[best], products[best])


def _search_distinct(queries: Vectors, distinct: Vectors, groups: _Groups, k: int) -> Neighbours:
    """Search distinct rows by products in float64 and expand them to the rows that they stand for."""
    products = _products_float64(queries, distinct)
    wanted = min(k, len(distinct))
    kth = kth_largest(products, wanted)
    # the final products are float64 too, but summed in another order
    margin = 2 * rounding_bound(distinct.shape[1], FLOAT64_BITS)
    query_rows, near = np.nonzero(products >= kth[:, None] - margin)
    return groups.expand(rank(queries, distinct, query_rows, near, wanted), k)


def _products_float64(queries: Vectors, others: Vectors) -> Scores:
    """Multiply all pairs in float64, (m, n), block by block."""
    products = np.empty((len(queries), len(others)))
    wide = queries.astype(np.float64)
    for start in range(0, len(others), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        products[:, block] = wide @ others[block].astype(np.float64).T
    return products


def _group_equal_vectors(vectors: Vectors) -> tuple[RowNumbers, RowNumbers]:
    """Group equal vectors.

    Returns:
        The first row of each group, ascending (t,), and the group of every row (n,).
    """
    seen: dict[bytes, int] = {}
    group_of = np.empty(len(vectors), np.int64)
    for row, vector in enumerate(vectors):
        digest = hashlib.blake2b(vector, digest_size=_DIGEST_BYTES).digest()
        group_of[row] = seen.setdefault(digest, len(seen))
    return np.unique(group_of, return_index=True)[1].astype(np.int64), group_of
