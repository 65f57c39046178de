"""Ratio margins and candidates equal a plain float64 computation over all pairs."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adaptstilts.errors import DataError
from adaptstilts.search import bucc, neighbours
from adaptstilts.search.margin import Pairs, candidate_pairs, ratio
from adaptstilts.search.products import normalize
from adaptstilts.study import Margin, Retrieval

FAISS = importlib.util.find_spec("faiss") is not None
backends = pytest.mark.parametrize(
    "backend", ["numpy", pytest.param("faiss", marks=pytest.mark.skipif(not FAISS, reason="faiss is not installed"))]
)
Vectors = NDArray[np.float32]


def brute_neighbours(queries: Vectors, index: Vectors, k: int) -> tuple[list[list[int]], list[list[float]]]:
    """All products in float64, sorted by value and then by row."""
    rows, values = [], []
    for query in queries.astype(np.float64):
        products = [float((query * row).sum()) for row in index.astype(np.float64)]
        rows.append(sorted(range(len(index)), key=lambda j: (-products[j], j))[:k])
        values.append([products[j] for j in rows[-1]])
    return rows, values


def brute(foreign: Vectors, english: Vectors, k: int = 4) -> dict[tuple[int, int], float]:
    """(foreign, English) -> margin, for the best neighbour of every sentence of both sides."""
    there, there_values = brute_neighbours(foreign, english, k)
    back, back_values = brute_neighbours(english, foreign, k)
    foreign_means = [sum(values) / len(values) for values in there_values]
    english_means = [sum(values) / len(values) for values in back_values]

    def margin(i: int, j: int) -> float:
        mean = (foreign_means[i] + english_means[j]) / 2
        return float((foreign[i].astype(np.float64) * english[j]).sum()) / mean if mean > 0 else 0.0

    pairs = [(i, max(rows, key=lambda j: margin(i, j))) for i, rows in enumerate(there)]
    pairs += [(max(rows, key=lambda i: margin(i, j)), j) for j, rows in enumerate(back)]
    return {pair: margin(*pair) for pair in pairs}


def found(pairs: Pairs) -> dict[tuple[int, int], float]:
    return dict(zip(zip(pairs.foreign.tolist(), pairs.english.tolist(), strict=True), pairs.scores, strict=True))


@st.composite
def sides(draw: st.DrawFn) -> tuple[Vectors, Vectors]:
    """Two sides of unit vectors around a shared direction or not, with sentences that occur on both and repeat."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = draw(st.integers(3, 8))
    shift = draw(st.sampled_from([0.0, 1.0, 3.0]))
    pool = normalize((generator.standard_normal((12, width)) + shift).astype(np.float32))
    pool[0] = 0
    pick = st.lists(st.integers(0, 11), min_size=1, max_size=14)
    return pool[draw(pick)], pool[draw(pick)]


@backends
@settings(max_examples=150, deadline=None)
@given(made=sides(), k=st.integers(1, 6))
def test_candidates_equal_brute_force(backend: str, made: tuple[Vectors, Vectors], k: int) -> None:
    pairs = candidate_pairs(*made, k, backend)
    expected = brute(*made, k)
    assert found(pairs) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert len(pairs) == len(expected) <= len(made[0]) + len(made[1])
    assert list(found(pairs)) == sorted(expected)


@backends
@settings(max_examples=150, deadline=None)
@given(made=sides(), k=st.integers(1, 20))
def test_neighbours_equal_brute_force(backend: str, made: tuple[Vectors, Vectors], k: int) -> None:
    rows, products = neighbours(*made, k, backend)
    expected, values = brute_neighbours(*made, k)
    assert rows.tolist() == expected
    assert np.allclose(products, values, atol=1e-12)
    assert products.dtype == np.float64


def test_backends_agree_to_the_bit_on_many_rows() -> None:
    pytest.importorskip("faiss")
    generator = np.random.default_rng(0)
    index = normalize(generator.standard_normal((3000, 48)).astype(np.float32))
    index[1500:] = index[generator.integers(0, 1500, 1500)]
    queries = index[generator.integers(0, 3000, 1300)]
    plain, fast = neighbours(queries, index, 4, "numpy"), neighbours(queries, index, 4, "faiss")
    assert np.array_equal(plain[0], fast[0])
    assert np.array_equal(plain[1], fast[1])
    exact = np.einsum("qd,nd->qn", queries.astype(np.float64), index.astype(np.float64))
    assert np.array_equal(plain[0], np.argsort(-exact, axis=1, kind="stable")[:, :4])


@backends
def test_ties_are_in_the_order_of_rows(backend: str) -> None:
    same = normalize(np.ones((60, 5), np.float32))
    assert neighbours(same[:3], same, 4, backend)[0].tolist() == [[0, 1, 2, 3]] * 3
    pairs = candidate_pairs(same[:3], same[:5], 4, backend)
    assert found(pairs) == pytest.approx({(0, 0): 1, (1, 0): 1, (2, 0): 1, **{(0, j): 1 for j in range(1, 5)}})


@backends
def test_no_queries_and_few_sentences(backend: str) -> None:
    index = normalize(np.eye(3, dtype=np.float32))
    assert [a.shape for a in neighbours(index[:0], index, 4, backend)] == [(0, 3), (0, 3)]
    assert found(candidate_pairs(index[:1], index[:1], 4, backend)) == {(0, 0): 1.0}
    with pytest.raises(DataError, match="shapes"):
        candidate_pairs(index, index[:0], 4, backend)


def test_a_toy_by_hand() -> None:
    """Foreign 0 is nearer to English 0 (0.8) than to English 1 (0.6); but English 0 is near to everybody."""
    foreign = np.array([[1, 0], [0.6, 0.8]], np.float32)
    english = np.array([[0.8, 0.6], [0.6, -0.8]], np.float32)
    expected = {(0, 1): 0.6 / ((0.7 + 0.16) / 2), (1, 0): 0.96 / ((0.34 + 0.88) / 2)}
    assert found(candidate_pairs(foreign, english, 2)) == pytest.approx(expected, abs=1e-6)
    alone = {(0, 0): 0.8 / ((0.8 + 0.96) / 2), (1, 0): 1.0, (0, 1): 0.6 / ((0.8 + 0.6) / 2)}
    assert found(candidate_pairs(foreign, english, 1)) == pytest.approx(alone, abs=1e-6)


def test_no_ratio_over_a_mean_that_is_not_positive() -> None:
    scores = ratio(np.array([0.5, -0.5, -0.5, 0.5]), np.array([0.25, -0.25, 0.0, 0.0]))
    assert scores.tolist() == [2.0, 0.0, 0.0, 0.0]


def plain_mining(
    foreign: Vectors, english: Vectors, k: int, margin: str, retrieval: str
) -> list[tuple[int, int, float]]:
    """Margin mining as the paper has it, with loops over everything: one-to-one pairs, the best first."""
    cosines = [[float((a * b).sum()) for b in english.astype(np.float64)] for a in foreign.astype(np.float64)]
    ahead = [sorted(range(len(english)), key=lambda j, i=i: (-cosines[i][j], j))[:k] for i in range(len(foreign))]
    back = [sorted(range(len(foreign)), key=lambda i, j=j: (-cosines[i][j], i))[:k] for j in range(len(english))]

    def score(i: int, j: int) -> float:
        near = [
            sum(cosines[i][b] for b in ahead[i]) / len(ahead[i]),
            sum(cosines[a][j] for a in back[j]) / len(back[j]),
        ]
        mean = sum(near) / 2
        if margin == "ratio":
            return cosines[i][j] / mean if mean > 0 else 0.0
        return cosines[i][j] - (mean if margin == "distance" else 0)

    forward = {(i, max(ahead[i], key=lambda j, i=i: score(i, j))) for i in range(len(foreign))}
    backward = {(max(back[j], key=lambda i, j=j: score(i, j)), j) for j in range(len(english))}
    chosen = {"forward": forward, "backward": backward, "intersect": forward & backward, "max": forward | backward}
    kept: list[tuple[int, int, float]] = []
    for i, j in sorted(chosen[retrieval], key=lambda pair: (-score(*pair), pair)):
        if score(i, j) > 0 and all(i != a and j != b for a, b, _ in kept):
            kept.append((i, j, score(i, j)))
    return kept


@pytest.mark.parametrize("retrieval", ["max", "intersect", "forward", "backward"])
@pytest.mark.parametrize("margin", ["ratio", "distance", "absolute"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 5))
def test_every_margin_and_retrieval(margin: Margin, retrieval: Retrieval, seed: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    foreign, english = (normalize(generator.standard_normal((n, 6)).astype(np.float32) + 0.7) for n in (9, 11))
    expected = plain_mining(foreign, english, k, margin, retrieval)
    for backend in ("numpy", "auto"):
        kept = bucc.one_to_one(candidate_pairs(foreign, english, k, backend, margin, retrieval))
        assert list(zip(kept.foreign.tolist(), kept.english.tolist(), strict=True)) == [pair[:2] for pair in expected]
        assert kept.scores == pytest.approx([score for _, _, score in expected], rel=1e-9)
