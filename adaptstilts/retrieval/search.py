"""Exact nearest neighbours by inner product, with FAISS where it is installed and numpy where it is not."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adaptstilts.errors import DataError, ResourceError

Vectors = NDArray[np.float32]
Backend = Literal["auto", "faiss", "numpy"]
_BLOCK = 1024


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
    if queries.ndim != 2 or index.ndim != 2 or queries.shape[1] != index.shape[1] or not len(index):
        raise DataError(f"vectors of shapes {queries.shape} and {index.shape} cannot be compared")
    if not (np.isfinite(queries).all() and np.isfinite(index).all()):
        raise DataError("sentence vectors hold values that are not finite")
    found = _faiss(queries, index) if backend != "numpy" else None
    if found is None:
        if backend == "faiss":
            raise ResourceError("faiss is not installed; install the extra cpu or gpu, or use the numpy backend")
        return _numpy(queries, index)
    return found


def _numpy(queries: Vectors, index: Vectors) -> tuple[NDArray[np.int64], Vectors]:
    rows = np.empty(len(queries), np.int64)
    scores = np.empty(len(queries), np.float32)
    for start in range(0, len(queries), _BLOCK):
        products = queries[start : start + _BLOCK] @ index.T
        best = products.argmax(axis=1)
        rows[start : start + len(best)] = best
        scores[start : start + len(best)] = products[np.arange(len(best)), best]
    return _first_of_equal(queries, index, rows, scores)


def _faiss(queries: Vectors, index: Vectors) -> tuple[NDArray[np.int64], Vectors] | None:
    try:
        import faiss
        import torch  # noqa: F401 (before faiss: their OpenMP runtimes clash in the other order)
    except ImportError:
        return None
    flat: Any = faiss.IndexFlatIP(index.shape[1])
    if getattr(faiss, "get_num_gpus", lambda: 0)() > 0:
        flat = faiss.index_cpu_to_all_gpus(flat)
    flat.add(np.ascontiguousarray(index, dtype=np.float32))
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
