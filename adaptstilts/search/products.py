"""Code that backends share: inner products in float64, their order, and error bounds of lower precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptstilts.errors import DataError
from adaptstilts.search.base import Neighbours, RowNumbers, Scores, Vectors

_BLOCK_ROWS = 1024
_BLOCK_PAIRS = 256  # the float64 vectors of this many pairs stay in the cache
FLOAT32_BITS = 24
FLOAT64_BITS = 53


def normalize(vectors: Vectors) -> Vectors:
    """Scale rows to length one, in float32; a zero row stays zero.

    Raises:
        DataError: a value is not finite.
    """
    scaled = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS].astype(np.float64)
        if not np.isfinite(block).all():
            raise DataError("sentence vectors contain values that are not finite")
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        scaled[start : start + _BLOCK_ROWS] = block / np.where(norms > 0, norms, 1)
    return scaled


def check_comparable(queries: Vectors, index: Vectors, mutual: bool = False) -> None:
    """Raise if two sides cannot be compared.

    Args:
        queries: (m, d).
        index: (n, d).
        mutual: whether the queries are searched as well, so that there must be some.

    Raises:
        DataError: the widths differ, the index is empty, or a value is not finite.
    """
    comparable = queries.ndim == index.ndim == 2 and queries.shape[1] == index.shape[1]
    if not comparable or not len(index) or (mutual and not len(queries)):
        raise DataError(f"vectors of shapes {queries.shape} and {index.shape} cannot be compared")
    for side in (queries, index):
        for block in _row_blocks(side):
            if not np.isfinite(block).all():
                raise DataError("sentence vectors contain values that are not finite")


def rounding_bound(width: int, bits: int = FLOAT32_BITS, half: bool = False) -> float:
    """Bound the rounding error that can swap two inner products of rows of length one.

    A product summed in whatever order with a significand of p bits is off by at most d 2^-p (Higham 2002, section 3.1);
    two of them are compared.

    Args:
        width: d, entries of a row.
        bits: p, :data:`FLOAT32_BITS` or :data:`FLOAT64_BITS`.
        half: whether both rows were rounded to float16 first: each by at most 2^-11 of its length and 2^-25 an entry.
    """
    bound = (width + 8) * 2.0 ** (1 - bits)
    if half:
        bound += 4.01 * (2.0**-11 + width**0.5 * 2.0**-25)
    return bound


def exact_products(queries: Vectors, index: Vectors, query_rows: RowNumbers, index_rows: RowNumbers) -> Scores:
    """Compute inner products of pairs of rows in float64; other pairs beside them do not change their bits.

    Args:
        queries: (m, d).
        index: (n, d).
        query_rows: (p,) row of the queries in each pair.
        index_rows: (p,) row of the index in each pair.

    Returns:
        (p,) products.
    """
    products = np.empty(len(query_rows), np.float64)
    for start in range(0, len(query_rows), _BLOCK_PAIRS):
        block = slice(start, start + _BLOCK_PAIRS)
        left = queries[query_rows[block]].astype(np.float64)
        right = index[index_rows[block]].astype(np.float64)
        products[block] = np.einsum("pd,pd->p", left, right)
    return products


def rank(queries: Vectors, index: Vectors, query_rows: RowNumbers, proposed: RowNumbers, k: int) -> Neighbours:
    """Return the ``k`` best of the rows that were proposed for each query, at least ``k`` of them.

    Args:
        queries: (m, d).
        index: (n, d).
        query_rows: (p,) query of each proposal.
        proposed: (p,) proposed row of the index; no row twice for one query.
        k: neighbours.
    """
    products = exact_products(queries, index, query_rows, proposed)
    best = top_k(query_rows, proposed, products, k).reshape(len(queries), k)
    return Neighbours(proposed[best], products[best])


def kth_largest(products: NDArray[Any], k: int) -> NDArray[Any]:
    """Return the k-th largest product of every row: (m,).

    Args:
        products: (m, n).
        k: at most n.
    """
    place = products.shape[1] - k
    kth: NDArray[Any] = np.partition(products, place, axis=1)[:, place]
    return kth


def top_k(owners: RowNumbers, numbers: RowNumbers, scores: Scores, k: int) -> RowNumbers:
    """Select the ``k`` best entries of every owner, or all if it has fewer.

    Args:
        owners: (p,) owner of each entry.
        numbers: (p,) row number of each entry, by which equal scores are ordered.
        scores: (p,).
        k: entries of an owner.

    Returns:
        Positions of the selected entries, by owner, then score (the best first), then number.
    """
    order = np.lexsort((numbers, -scores, owners))
    begins = np.flatnonzero(np.diff(owners[order], prepend=-1))
    counts = np.diff(begins, append=len(order))
    place = np.arange(len(order)) - np.repeat(begins, counts)  # within the entries of an owner
    selected: RowNumbers = order[place < k]
    return selected


def concatenate(parts: Sequence[Neighbours]) -> Neighbours:
    """Join the neighbours of successive blocks of queries."""
    rows = np.concatenate([part.rows for part in parts])
    products = np.concatenate([part.products for part in parts])
    return Neighbours(rows, products)


def _row_blocks(vectors: Vectors) -> Iterator[Vectors]:
    for start in range(0, len(vectors), _BLOCK_ROWS):
        yield vectors[start : start + _BLOCK_ROWS]
