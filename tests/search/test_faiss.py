"""FAISS indexes propose, exact products decide: float16 changes nothing, an approximate index says what it misses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts import search
from adaptstilts.errors import ConfigError, DataError
from adaptstilts.search import faiss, int8, mutual_neighbours, neighbours
from adaptstilts.search.approximate import approximate_neighbours
from adaptstilts.search.base import Vectors
from adaptstilts.search.products import normalize

pytest.importorskip("faiss", reason="faiss is not installed")


def clustered(rows: int, width: int, seed: int) -> Vectors:
    source = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((12, width))
    return normalize(
        (centres[source.integers(0, 12, rows)] + 0.5 * source.standard_normal((rows, width))).astype(np.float32)
    )


@pytest.mark.parametrize("k", [1, 4, 300])
def test_an_index_in_half_precision_finds_the_same(k: int) -> None:
    x, y = clustered(90, 24, 1), clustered(260, 24, 2)
    y[100:120] = y[0]
    exact, half = neighbours(x, y, k, "numpy"), neighbours(x, y, k, "faiss-float16")
    assert np.array_equal(exact[0], half[0])
    assert np.array_equal(exact[1], half[1])
    assert exact[0].shape == (90, min(k, 260))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([1e-42, 1e-3, 1.0, 1e30]))
def test_every_backend_on_any_vectors(seed: int, k: int, scale: float) -> None:
    """Random, repeated, zero, huge and denormal vectors against all products in float64."""
    source = np.random.default_rng(seed)
    pool = (source.integers(-3, 4, (9, 5)) * scale).astype(np.float32)
    x, y = (normalize(pool[source.integers(0, 9, rows)]) for rows in (13, 17))
    products = np.einsum("xd,yd->xy", x.astype(np.float64), y.astype(np.float64))
    expected = np.argsort(-products, axis=1, kind="stable")[:, :k]
    for backend in ("faiss", "faiss-float16", "numpy"):
        assert np.array_equal(neighbours(x, y, k, backend)[0], expected)
    for backend in (name for name in ("auto", *search.known()) if name != "one-pass" or int8.has_int8()):
        ahead, back = mutual_neighbours(x, y, k, backend)
        assert np.array_equal(ahead[0], expected)
        assert np.array_equal(back[0], np.argsort(-products.T, axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize("factory", ["HNSW16", "IVF8,Flat", "IVF8,SQ8;nprobe=3", "Flat"])
def test_an_approximate_index_measures_what_it_misses(factory: str) -> None:
    x, y = clustered(300, 16, 1), clustered(900, 16, 2)
    found = approximate_neighbours(x, y, 4, factory, sample=300)
    exact, products = neighbours(x, y, 4)
    true = (found.products >= products[:, -1:]).mean()
    assert found.sampled == 300
    assert found.recall == pytest.approx(true)
    assert 0.5 < found.recall <= 1
    assert found.recall == 1 or not factory.startswith("Flat")
    own = np.einsum("qd,qkd->qk", x.astype(np.float64), y[found.rows].astype(np.float64))
    assert np.allclose(found.products, own, atol=1e-12)
    assert (np.diff(found.products, axis=1) <= 0).all()
    same = found.rows == exact
    assert same.mean() > 0.5


def test_what_an_index_does_not_find_is_searched_exactly() -> None:
    """One list of many is looked at, so that there are not k rows in it."""
    x, y = clustered(40, 8, 1), clustered(60, 8, 2)
    found = approximate_neighbours(x, y, 20, "IVF12,Flat;nprobe=1")
    assert (found.rows >= 0).all()
    assert (np.sort(found.rows, axis=1)[:, 1:] != np.sort(found.rows, axis=1)[:, :-1]).all()


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("nothing", "could not parse"),
        ("IVF5000,Flat", "training points"),
        ("PQ7", "multiple"),
        ("Flat;nprobe=x", "FAISS"),
    ],
)
def test_factory_strings_that_cannot_be_meant(factory: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        approximate_neighbours(clustered(20, 16, 1), clustered(100, 16, 2), 2, factory)
    assert "\n" not in str(error.value)


def test_a_wrong_width_is_an_error_that_says_so() -> None:
    made = faiss.build_flat(clustered(20, 16, 1))
    with pytest.raises(DataError, match="width 16"):
        faiss.propose(made, np.ones((2, 3), np.float32), 1)
