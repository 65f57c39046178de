"""Exact nearest neighbours by inner product, with FAISS where it is installed and numpy where it is not."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adaptstilts.errors import DataError, ResourceError

Vectors = NDArray[np.float32]
Backend = Literal["auto", "faiss", "numpy"]
_BLOCK = 1024
_PRODUCTS = 2**25  # held at once
_NEAR = 1e-5  # more than a float32 product of unit rows is off by
_SPARE = 8  # rows asked of FAISS beyond k, to see that no tie was cut off


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one, in float32; a zero row stays zero.

    Raises:
        DataError: a value is not finite.
    """
    if not np.isfinite(vectors).all():
        raise DataError("sentence vectors hold values that are not finite")
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled


def nearest(queries: Vectors, index: Vectors, backend: Backend = "auto") -> tuple[NDArray[np.int64], Vectors]:
    """The index row with the largest inner product for every query.

    Args:
        queries: (m, d) float32.
        index: (n, d) float32, n >= 1.
        backend: ``auto`` takes FAISS (on the GPU where there is one) if it is installed.

    Returns:
        Row numbers (m,) and inner products (m,). Equal products give the smallest row number, on every backend:
        FAISS proposes, and rows that score the same as its answer are looked up again.

    Raises:
        DataError: shapes that do not fit, or a value that is not finite.
        ResourceError: FAISS was asked for and is not installed.
    """
    comparable(queries, index)
    flat = _flat(index, backend)
    return _numpy(queries, index) if flat is None else _faiss(queries, index, flat)


def neighbours(
    queries: Vectors, index: Vectors, k: int, backend: Backend = "auto"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ``k`` index rows with the largest inner products for every query, the best first.

    Args:
        queries: (m, d) float32, rows of unit length.
        index: (n, d) float32, n >= 1, rows of unit length.
        k: neighbours; all n where there are fewer.
        backend: ``auto`` takes FAISS (on the GPU where there is one) if it is installed.

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
    flat = _flat(index, backend)
    if flat is not None and len(queries):
        wide = min(k + _SPARE, len(index))
        scores, found = flat.search(np.ascontiguousarray(queries, dtype=np.float32), wide)
        sure = (scores[:, -1] < scores[:, k - 1] - _NEAR) | (wide == len(index))
        at = np.flatnonzero(sure)
        rows[at], products[at] = _best(queries[at], index, np.repeat(np.arange(len(at)), wide), found[at].ravel(), k)
        left = np.flatnonzero(~sure)
    size = max(1, min(_BLOCK, _PRODUCTS // len(index)))
    for start in range(0, len(left), size):
        at = left[start : start + size]
        blocked = queries[at] @ index.T
        last = np.partition(blocked, len(index) - k, axis=1)[:, len(index) - k]
        asking, near = np.nonzero(blocked >= last[:, None] - _NEAR)
        rows[at], products[at] = _best(queries[at], index, asking, near, k)
    return rows, products


def _best(
    queries: Vectors, index: Vectors, asking: NDArray[np.int64], proposed: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best ``k`` of at least ``k`` proposals for every query; proposal ``p`` is (asking[p], proposed[p])."""
    products = exact(queries, index, asking, proposed)
    order = np.lexsort((proposed, -products, asking))
    first = np.searchsorted(asking[order], np.arange(len(queries)))
    kept = order[first[:, None] + np.arange(k)]
    return proposed[kept], products[kept]


def exact(queries: Vectors, index: Vectors, asking: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.float64]:
    """Inner products in float64 of the pairs (asking[p], asked[p]): (p,)."""
    products = np.empty(len(asking), np.float64)
    for start in range(0, len(asking), _BLOCK):
        block = slice(start, start + _BLOCK)
        left, right = queries[asking[block]].astype(np.float64), index[asked[block]].astype(np.float64)
        products[block] = np.einsum("pd,pd->p", left, right)
    return products


def comparable(queries: Vectors, index: Vectors) -> None:
    """Refuse vectors of different sizes, an empty index, and values that are not finite."""
    if queries.ndim != 2 or index.ndim != 2 or queries.shape[1] != index.shape[1] or not len(index):
        raise DataError(f"vectors of shapes {queries.shape} and {index.shape} cannot be compared")
    if not (np.isfinite(queries).all() and np.isfinite(index).all()):
        raise DataError("sentence vectors hold values that are not finite")


def _numpy(queries: Vectors, index: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    rows = np.empty(len(queries), np.int64)
    scores = np.empty(len(queries), np.float32)
    for start in range(0, len(queries), _BLOCK):
        products = queries[start : start + _BLOCK] @ index.T
        best = products.argmax(axis=1)
        rows[start : start + len(best)] = best
        scores[start : start + len(best)] = products[np.arange(len(best)), best]
    return _first_of_equal(queries, index, rows, scores)


def _flat(index: Vectors, backend: Backend) -> Any:
    """FAISS's exact index; None where numpy is to search."""
    if backend == "numpy":
        return None
    try:
        import faiss
        import torch  # noqa: F401 (before faiss: their OpenMP runtimes clash in the other order)
    except ImportError:
        if backend == "faiss":
            raise ResourceError(
                "faiss is not installed; install the extra cpu or gpu, or use the numpy backend"
            ) from None
        return None
    flat: Any = faiss.IndexFlatIP(index.shape[1])
    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        flat = faiss.index_cpu_to_all_gpus(flat)
    flat.add(np.ascontiguousarray(index, dtype=np.float32))
    return flat


def _faiss(queries: Vectors, index: Vectors, flat: Any) -> tuple[NDArray[np.int64], Vectors]:
    scores, rows = flat.search(np.ascontiguousarray(queries, dtype=np.float32), min(2, len(index)))
    best = rows[:, 0].astype(np.int64)
    if len(index) > 1:
        tied = np.flatnonzero(scores[:, 1] >= scores[:, 0] - 1e-6)
        if len(tied):
            fixed, values = _numpy(queries[tied], index)
            best[tied], scores[tied, 0] = fixed, values
    return best, scores[:, 0]


def _first_of_equal(
    queries: Vectors, index: Vectors, rows: NDArray[np.int64], scores: Vectors
) -> tuple[NDArray[np.int64], Vectors]:
    """Identical vectors can differ in the last bit of a blocked product: settle near ties in float64."""
    for start in range(0, len(queries), _BLOCK):
        block = slice(start, start + _BLOCK)
        near = queries[block] @ index.T >= scores[block, None] - 1e-6
        for i in np.flatnonzero(near.sum(axis=1) > 1):
            candidates = np.flatnonzero(near[i])
            exact = index[candidates].astype(np.float64) @ queries[start + i].astype(np.float64)
            rows[start + i] = candidates[exact >= exact.max() - 1e-12][0]
            scores[start + i] = exact.max()
    return rows, scores
