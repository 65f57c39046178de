"""An approximate index says what it misses; what it does not return is searched exactly."""

from __future__ import annotations

import numpy as np
import pytest
from support.vectors import clustered

from adaptstilts.errors import ConfigError
from adaptstilts.search import neighbours
from adaptstilts.search.approximate import approximate_neighbours

pytest.importorskip("faiss", reason="faiss is not installed")


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
