"""An approximate index says what it misses; what it does not return is searched exactly."""

from __future__ import annotations

import numpy as np
import pytest
from support.vectors import clustered

from adaptstilts.errors import ConfigError
from adaptstilts.search import neighbours
from adaptstilts.search.approximate import approximate_neighbours

pytest.importorskip("faiss", reason="faiss is not installed")


@pytest.mark.parametrize("factory", ["HNSW16", "IVF8,Flat", "IVF8,SQ8;nprobe=3", "Flat", "PCA8,IVF8_HNSW4,SQfp16"])
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
        ("HNSW0", "HNSW0: expected a number from 2 to 512, found 0"),  # ends the process in FAISS, as do the next ones
        ("HNSW1", "HNSW1: "),
        ("IVF4_HNSW0,Flat", "HNSW0: "),
        ("IVF4(HNSW0),Flat", "HNSW0: "),
        ("Flat,Refine(HNSW0)", "HNSW0: "),
        ("PQ4x0", "PQ4x0: expected a number from 1 to 16, found 0"),
        ("LSQ4x0", "LSQ4x0: "),
        ("RQ0x8", "RQ0: expected a number from 1 to 1,048,576, found 0"),
        ("RR0,Flat", "RR0: expected a number from 1 to 4,096, found 0"),
        ("IVF99999999,Flat", "IVF99999999: .* found 99,999,999"),  # takes all memory, as do the next ones
        ("RR99999,Flat", "RR99999: "),
        ("Pad99999999,Flat", "Pad99999999: "),
        ("OPQ4_99999,Flat", "99999: "),
        ("RQ4x30", "RQ4x30: expected a number from 1 to 16, found 30"),
        ("IVF4,Flat;nprobe=0", "nprobe=0: expected a number from 1"),  # fails in the search, after everything else
        ("IVF4,Flat;nprobe=99999999999", "nprobe=99999999999: "),
        ("IVF4_HNSW8,Flat;quantizer_efSearch=1000000000", "quantizer_efSearch=1000000000: "),  # never answers
    ],
)
def test_factory_strings_that_cannot_be_meant(factory: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        approximate_neighbours(clustered(20, 16, 1), clustered(100, 16, 2), 2, factory)
    assert "\n" not in str(error.value)
