"""Exact nearest neighbours by inner product, with FAISS where it is installed and numpy where it is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adaptstilts.errors import DataError
from adaptstilts.search import faiss

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Scores = NDArray[np.float64]
Found = tuple[Rows, Scores]
OneWay = Literal["auto", "faiss", "faiss-float16", "numpy"]  # the backends that search one direction
_BLOCK = 1024
_PAIRS = 256  # whose vectors in float64 stay in the cache
_PRODUCTS = 2**25  # held at once
_SPARE = 8  # rows asked of FAISS beyond k, to see that no tie was cut off
_HALF_SPARE = 64
_BYTES = 16  # of a vector's digest
MANY = 64  # times k: so many candidates of a query are a sign that float32 does not tell the rows apart
_WIDER = 10  # times k: rows asked of an approximate index, to be ordered by their true products


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one, in float32; a zero row stays zero.

    Raises:
        DataError: a value is not finite.
    """
    scaled = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float64)
        if not np.isfinite(block).all():
            raise DataError("sentence vectors hold values that are not finite")
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        scaled[start : start + _BLOCK] = block / np.where(norms > 0, norms, 1)
    return scaled


def slack(width: int, bits: int = 24, half: bool = False) -> float:
    """How much larger the computed product of one pair of rows may be than that of another whose true one is larger.

    The product of two rows of length one, summed in whatever order with a significand of p bits, is off by at most
    d 2^-p (Higham 2002, section 3.1); two of them are compared.

    Args:
        width: d, entries of a row.
        bits: of the significand: 24 in float32, 53 in float64.
        half: both rows are rounded to float16 before, each by at most 2^-11 of its length, and 2^-25 an entry.
    """
    rounded = 4.01 * (2.0**-11 + width**0.5 * 2.0**-25) if half else 0.0
    return (width + 8) * 2.0 ** (1 - bits) + rounded


def neighbours(queries: Vectors, index: Vectors, k: int, backend: OneWay = "auto") -> Found:
    """The ``k`` index rows with the largest inner products for every query, the best first.

    Args:
        queries: (m, d) float32, rows of unit length.
        index: (n, d) float32, n >= 1, rows of unit length.
        k: neighbours; all n where there are fewer.
        backend: ``faiss`` (on the GPU where there is one), ``faiss-float16``, whose index takes half the memory and
            only proposes, or ``numpy``; ``auto`` takes FAISS if it is installed.

    Returns:
        Row numbers (m, min(k, n)) and inner products of the same shape, summed in float64, so that backends agree to
        the bit: FAISS and blocked products only propose. Equal products are in the order of their rows.

    Raises:
        DataError: shapes that do not fit, or a value that is not finite.
        ResourceError: FAISS was asked for and is not installed.
    """
    comparable(queries, index)
    k = min(k, len(index))
    rows = np.empty((len(queries), k), np.int64)
    products = np.empty((len(queries), k), np.float64)
    left = np.arange(len(queries))
    half = backend == "faiss-float16"
    flat = _flat(index, backend, half)
    if flat is not None and len(queries):
        wide = min(k + (_HALF_SPARE if half else _SPARE), len(index))
        scores, found = faiss.propose(flat, queries, wide)
        sure = (scores[:, -1] < scores[:, k - 1] - slack(index.shape[1], half=half)) | (wide == len(index))
        at = np.flatnonzero(sure)
        rows[at], products[at] = _best(queries[at], index, np.repeat(np.arange(len(at)), wide), found[at].ravel(), k)
        left = np.flatnonzero(~sure)
    alike = [left[:0]]
    for at in _blocks(left, len(index)):
        best = _blocked(queries[at], index, k)
        if best is None:
            alike.append(at)
        else:
            rows[at], products[at] = best
    if len(at := np.concatenate(alike)):
        rows[at], products[at] = _alike(queries[at], index, k)
    return rows, products


@dataclass(frozen=True)
class Approximate:
    """What an approximate index found.

    Attributes:
        rows: (m, k) row numbers.
        products: (m, k) inner products in float64.
        recall: share of the true neighbours that it found, over a sample of the queries.
        sampled: queries of the sample.
    """

    rows: Rows
    products: Scores
    recall: float
    sampled: int


def approximated(queries: Vectors, index: Vectors, k: int, factory: Any, sample: int = 1000) -> Approximate:
    """The ``k`` index rows that an approximate FAISS index finds for every query, and how many it misses.

    The index proposes ten times as many; products are those of :func:`neighbours`, and so is the order among equals. A
    query for which it finds fewer than ``k`` rows is searched exactly.

    Args:
        queries: (m, d) float32, rows of unit length.
        index: (n, d) float32, n >= 1, rows of unit length.
        k: neighbours; all n where there are fewer.
        factory: see :func:`adaptstilts.search.faiss.approximate`; or an index that it made of these rows.
        sample: queries, evenly spread, that are searched exactly too. A neighbour counts as found if its product is no
            less than that of the true k-th.

    Raises:
        DataError: shapes that do not fit, or a value that is not finite.
        ConfigError: a factory string that FAISS cannot make an index of these vectors of.
        ResourceError: FAISS is not installed.
    """
    comparable(queries, index)
    k = min(k, len(index))
    made = faiss.approximate(index, factory) if isinstance(factory, str) else factory
    rows = np.empty((len(queries), k), np.int64)
    products = np.empty((len(queries), k), np.float64)
    for start in range(0, len(queries), _BLOCK):
        asked = queries[start : start + _BLOCK]
        at = np.arange(start, start + len(asked))
        _, found = faiss.propose(made, asked, min(_WIDER * k, len(index)))
        few = (found >= 0).sum(axis=1) < k
        full = np.flatnonzero(~few)
        asking, place = np.nonzero(found[full] >= 0)
        rows[at[full]], products[at[full]] = _best(asked[full], index, asking, found[full][asking, place], k)
        if few.any():
            rows[at[few]], products[at[few]] = neighbours(asked[few], index, k)
    some = np.arange(0, len(queries), max(1, -(-len(queries) // sample)))
    _, true = neighbours(queries[some], index, k)
    recall = float((products[some] >= true[:, -1:]).mean()) if len(some) else 1.0
    return Approximate(rows, products, recall, len(some))


def _blocks(rows: Rows, others: int) -> Iterator[Rows]:
    """Some rows after the other, so few that their products with the others can be held."""
    size = max(1, min(_BLOCK, _PRODUCTS // others))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _blocked(queries: Vectors, index: Vectors, k: int) -> Found | None:
    """The best of each query, by products in float32 first; None where these do not tell the rows apart."""
    products = queries @ index.T
    last = np.partition(products, len(index) - k, axis=1)[:, len(index) - k]
    near = products >= last[:, None] - slack(index.shape[1])
    if near.sum() > MANY * k * len(queries):
        return None
    asking, asked = np.nonzero(near)
    return _best(queries, index, asking, asked, k)


def _alike(queries: Vectors, index: Vectors, k: int) -> Found:
    """The same for rows that are equal or nearly so: by products in float64 of those that are distinct."""
    first, group = _distinct(index)
    own, few = index[first], min(k, len(first))
    members = np.argsort(group, kind="stable")
    begins = np.searchsorted(group[members], np.arange(len(first) + 1))
    found = []
    for at in _blocks(np.arange(len(queries)), 2 * len(first)):
        products = np.empty((len(at), len(first)))
        for start in range(0, len(first), _BLOCK):
            part = slice(start, start + _BLOCK)
            products[:, part] = queries[at].astype(np.float64) @ own[part].astype(np.float64).T
        last = np.partition(products, len(first) - few, axis=1)[:, len(first) - few]
        off = 2 * slack(index.shape[1], 53)  # what they are ranked by is in float64 too, and summed in another order
        asking, near = np.nonzero(products >= last[:, None] - off)
        rows, scores = _best(queries[at], own, asking, near, few)
        counts = np.minimum(np.diff(begins)[rows], k).ravel()  # each of them stands for all that are equal to it
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        numbers = members[np.repeat(begins[rows].ravel(), counts) + place]
        owners = np.repeat(np.repeat(np.arange(len(at)), few), counts)
        values = np.repeat(scores.ravel(), counts)
        kept = grouped(owners, numbers, values, k).reshape(len(at), k)
        found.append((numbers[kept], values[kept]))
    return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])


def _distinct(vectors: Vectors) -> tuple[Rows, Rows]:
    """The first row of each distinct vector, ascending (t,), and for every row the place of its vector there (n,)."""
    seen: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row, digest_size=_BYTES).digest() for row in vectors)
    group = np.array([seen.setdefault(digest, len(seen)) for digest in digests], np.int64)
    return np.unique(group, return_index=True)[1].astype(np.int64), group


def _best(queries: Vectors, index: Vectors, asking: Rows, proposed: Rows, k: int) -> Found:
    """The best ``k`` of at least ``k`` proposals for every query; proposal ``p`` is (asking[p], proposed[p])."""
    products = exact(queries, index, asking, proposed)
    kept = grouped(asking, proposed, products, k).reshape(len(queries), k)
    return proposed[kept], products[kept]


def grouped(owners: Rows, numbers: Rows, scores: Scores, k: int) -> Rows:
    """Which are the ``k`` best of every owner (all where it has fewer): by owner, score descending, then number."""
    order = np.lexsort((numbers, -scores, owners))
    ranked = owners[order]
    begins = np.flatnonzero(np.diff(ranked, prepend=-1))
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    kept: Rows = order[rank < k]
    return kept


def exact(queries: Vectors, index: Vectors, asking: Rows, asked: Rows) -> Scores:
    """Inner products in float64 of the pairs (asking[p], asked[p]), the same whatever they are asked with: (p,)."""
    products = np.empty(len(asking), np.float64)
    for start in range(0, len(asking), _PAIRS):
        block = slice(start, start + _PAIRS)
        left, right = queries[asking[block]].astype(np.float64), index[asked[block]].astype(np.float64)
        products[block] = np.einsum("pd,pd->p", left, right)
    return products


def comparable(queries: Vectors, index: Vectors) -> None:
    """Refuse vectors of different sizes, an empty index, and values that are not finite."""
    if queries.ndim != 2 or index.ndim != 2 or queries.shape[1] != index.shape[1] or not len(index):
        raise DataError(f"vectors of shapes {queries.shape} and {index.shape} cannot be compared")
    for side in (queries, index):
        if not all(np.isfinite(side[start : start + _BLOCK]).all() for start in range(0, len(side), _BLOCK)):
            raise DataError("sentence vectors hold values that are not finite")


def flat_memory(vectors: Vectors) -> Vectors:
    """As one block of float32, not copied where it is one; a file that is mapped stays one."""
    return np.asarray(np.ascontiguousarray(vectors, dtype=np.float32))


def _flat(index: Vectors, backend: OneWay, half: bool) -> Any:
    """FAISS's exact index; None where numpy is to search."""
    if backend == "numpy" or (backend == "auto" and not faiss.installed()):
        return None
    return faiss.flat(index, half)
