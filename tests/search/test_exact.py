"""Exact search: every backend gives what a brute-force search in float64 gives, ties by the smallest row."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adaptstilts.errors import DataError, ResourceError
from adaptstilts.search import neighbours
from adaptstilts.search.products import normalize

FAISS = importlib.util.find_spec("faiss") is not None
BACKENDS = [
    pytest.param("faiss", marks=pytest.mark.skipif(not FAISS, reason="faiss is not installed")),
    pytest.param("faiss-float16", marks=pytest.mark.skipif(not FAISS, reason="faiss is not installed")),
    "numpy",
    "auto",
]
backends = pytest.mark.parametrize("backend", BACKENDS)


def nearest(
    queries: NDArray[np.float32], index: NDArray[np.float32], backend: str = "auto"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest row of every query, and its product."""
    rows, products = neighbours(queries, index, 1, backend)
    assert rows.shape == products.shape == (len(queries), 1)
    return rows[:, 0], products[:, 0]


def brute(queries: NDArray[np.float32], index: NDArray[np.float32]) -> list[int]:
    """The first row among those whose float64 product is the largest."""
    products = np.einsum("qd,nd->qn", queries.astype(np.float64), index.astype(np.float64))
    return [int(row.argmax()) for row in products]


@st.composite
def vectors(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Queries and an index with duplicates, zeros, parallel vectors, and huge and tiny norms."""
    width = draw(st.integers(1, 6))
    scales = st.sampled_from([1e-44, 1e-38, 1e-30, 1e-3, 1.0, 3.0, 1e20, 3e37])
    row = st.tuples(st.lists(st.integers(-4, 4), min_size=width, max_size=width), scales)
    pool = draw(st.lists(row, min_size=1, max_size=8))
    pick = st.lists(st.sampled_from(pool), min_size=1, max_size=30)

    def make(rows: list[tuple[list[int], float]]) -> NDArray[np.float32]:
        return np.array([[value * scale for value in values] for values, scale in rows], np.float32)

    return make(draw(pick)), make(draw(pick))


@backends
@settings(max_examples=200, deadline=None)
@given(made=vectors())
def test_equals_brute_force(backend: str, made: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    queries, index = normalize(made[0]), normalize(made[1])
    rows, scores = nearest(queries, index, backend)
    assert rows.tolist() == brute(queries, index)
    assert np.allclose(scores, np.sum(queries * index[rows], axis=1), atol=1e-6)


@backends
@pytest.mark.parametrize(("m", "n", "width"), [(300, 700, 64), (1500, 40, 16), (3, 2100, 256)])
def test_equals_brute_force_on_many_rows(backend: str, m: int, n: int, width: int) -> None:
    generator = np.random.default_rng(m)
    index = generator.standard_normal((n, width)).astype(np.float32)
    index[n // 2 :] = index[generator.integers(0, n // 2, n - n // 2)]
    queries = index[generator.integers(0, n, m)] + 0.01 * generator.standard_normal((m, width)).astype(np.float32)
    queries[::3] = index[generator.integers(0, n, len(queries[::3]))]
    queries, index = normalize(queries), normalize(index)
    rows, _ = nearest(queries, index, backend)
    exact = queries.astype(np.float64) @ index.astype(np.float64).T
    first = (exact >= exact.max(axis=1, keepdims=True) - 1e-12).argmax(axis=1)
    assert rows.tolist() == first.tolist()
    assert (first < n // 2).mean() > 0.9


@backends
def test_all_equal_gives_the_first(backend: str) -> None:
    same = normalize(np.ones((50, 7), np.float32))
    assert nearest(same[:5], same, backend)[0].tolist() == [0] * 5
    zeros = np.zeros((3, 7), np.float32)
    assert nearest(zeros, same, backend)[0].tolist() == [0] * 3
    assert nearest(same[:2], zeros, backend)[0].tolist() == [0] * 2


@backends
def test_one_row_and_no_query(backend: str) -> None:
    rows, scores = nearest(
        normalize(np.array([[1, 2]], np.float32)), normalize(np.array([[2, 4]], np.float32)), backend
    )
    assert rows.tolist() == [0]
    assert scores == pytest.approx([1.0])
    rows, scores = nearest(np.empty((0, 2), np.float32), np.ones((3, 2), np.float32), backend)
    assert len(rows) == len(scores) == 0


@backends
@pytest.mark.parametrize(
    ("queries", "index"), [((2, 3), (4, 5)), ((3,), (4, 3)), ((2, 3), (0, 3))], ids=["width", "flat", "empty"]
)
def test_shapes_that_do_not_fit_are_refused(backend: str, queries: tuple[int, ...], index: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="shapes"):
        nearest(np.ones(queries, np.float32), np.ones(index, np.float32), backend)


@backends
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_values_that_are_not_finite_are_refused(backend: str, value: float, side: int) -> None:
    both = [np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)]
    both[side][1, 2] = value
    with pytest.raises(DataError, match="not finite"):
        normalize(both[side])
    with pytest.raises(DataError, match="not finite"):
        nearest(both[0], both[1], backend)


def drifting(width: int, sign: int, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """A row near the query whose float32 product with it, summed from the left, is rounded one way at every step."""
    source, row, held = np.random.default_rng(5), np.zeros(width, np.float32), 0.0
    for i, entry in enumerate(query):
        tried = (float(entry) * (1 + 0.02 * source.standard_normal(64))).astype(np.float32).astype(np.float64)
        true = held + tried * float(entry)
        rounded = true.astype(np.float32).astype(np.float64)
        best = int(np.argmax(sign * (rounded - true)))
        row[i], held = tried[best], 0.0 if (i + 1) % 448 == 0 else rounded[best]
    return row


@backends
@pytest.mark.parametrize("width", [768, 1024])
def test_products_that_float32_has_in_the_wrong_order(backend: str, width: int) -> None:
    """How far off float32 may be grows with the width; 1e-5 is not enough."""
    query = np.full(width, (0.37 / width) ** 0.5, np.float32)
    query[0], query[-2:] = 0.6**0.5, (0.05, 0.0)
    exact, rows = query.astype(np.float64), []
    for sign, product in ((-1, 0.97 + 3e-8), (1, 0.97)):
        row = drifting(width, sign, query)
        row[-2:] = 0
        row[-2] = (product - row.astype(np.float64) @ exact) / 0.05
        row[-1] = (1 - row.astype(np.float64) @ row.astype(np.float64)) ** 0.5  # which meets a zero
        rows.append(row)
    better, worse = rows
    others = normalize(np.random.default_rng(1).standard_normal((60, width)).astype(np.float32))
    index = np.concatenate([np.repeat(worse[None], 20, axis=0), better[None], others])
    true = index.astype(np.float64) @ exact
    assert true.argmax() == 20
    assert true[20] - true[0] < 1e-6
    found, _ = nearest(np.repeat(query[None], 40, axis=0), index, backend)
    assert found.tolist() == [20] * 40


@settings(max_examples=200, deadline=None)
@given(made=vectors())
def test_unit_length(made: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    given_rows = made[0]
    scaled = normalize(given_rows)
    norms = np.linalg.norm(scaled.astype(np.float64), axis=1)
    zero = ~given_rows.any(axis=1)
    assert np.allclose(norms[~zero], 1, atol=1e-6)
    assert not scaled[zero].any()
    assert scaled.dtype == np.float32


def test_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    vectors = normalize(np.eye(3, dtype=np.float32))
    assert nearest(vectors, vectors)[0].tolist() == [0, 1, 2]
    with pytest.raises(ResourceError, match="faiss is not installed"):
        nearest(vectors, vectors, "faiss")
