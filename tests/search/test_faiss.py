"""FAISS indexes propose, exact products decide: float16 changes nothing, an approximate index says what it misses."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vectors import clustered

from adaptstilts import search
from adaptstilts.errors import DataError, ResourceError
from adaptstilts.search import faiss, int8, mutual_neighbours, neighbours
from adaptstilts.search.products import normalize

pytest.importorskip("faiss", reason="faiss is not installed")


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


def test_a_wrong_width_is_an_error_that_says_so() -> None:
    made = faiss.build_flat(clustered(20, 16, 1))
    with pytest.raises(DataError, match="width 16"):
        faiss.propose(made, np.ones((2, 3), np.float32), 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "raise AttributeError('numpy has no attribute\\n_ARRAY_API')",
            "AttributeError: numpy has no attribute _ARRAY",
        ),
        ("raise OSError('libopenblas.so.0: cannot open')", r"OSError: libopenblas.so.0: cannot open"),
        ("import swigfaiss_that_is_not_there", "ModuleNotFoundError: No module named 'swigfaiss_that_is_not_there'"),
    ],
)
def test_a_broken_package_is_as_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    (tmp_path / "faiss.py").write_text(content)
    monkeypatch.delitem(sys.modules, "faiss")
    monkeypatch.syspath_prepend(tmp_path)
    x = clustered(20, 16, 1)
    assert np.array_equal(search.neighbours(x, x, 2)[0], search.neighbours(x, x, 2, "numpy")[0])
    with pytest.raises(
        ResourceError, match=rf"backend faiss: faiss cannot be imported \({reason}.*\); install it again"
    ):
        search.neighbours(x, x, 2, "faiss")
