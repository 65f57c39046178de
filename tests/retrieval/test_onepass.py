"""One pass in 8 bits gives what two exact searches give, to the bit: neighbours, order among equals, products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.errors import DataError
from adaptstilts.retrieval import onepass
from adaptstilts.retrieval.margin import candidates
from adaptstilts.retrieval.search import Vectors, neighbours, unit

SHAPES = [(1, 1, 4), (3, 200, 8), (200, 3, 8), (130, 70, 16), (64, 64, 32), (300, 500, 33), (1100, 90, 24)]


def random(n: int, d: int, seed: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32))


def planted(n: int, m: int, d: int) -> tuple[Vectors, Vectors]:
    """Pairs that are near each other among others that are not."""
    y = random(m, d, 1)
    x = random(n, d, 2)
    both = min(n, m)
    x[:both] = unit(y[:both] + 0.5 * x[:both])
    return x, y


def same(x: Vectors, y: Vectors, k: int) -> None:
    found = onepass.mutual(x, y, k)
    for (rows, products), (expected, wanted) in zip(
        found, (neighbours(x, y, k, "numpy"), neighbours(y, x, k, "numpy")), strict=True
    ):
        assert np.array_equal(rows, expected)
        assert np.array_equal(products, wanted)


@pytest.mark.parametrize("k", [1, 4, 9])
@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_planted_pairs(n: int, m: int, d: int, k: int) -> None:
    same(*planted(n, m, d), k)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_blocks_of_any_size(n: int, m: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the columns learn from one block is right in the next."""
    monkeypatch.setattr(onepass, "BLOCK", 37)
    monkeypatch.setattr(onepass, "STRIP", 5)
    monkeypatch.setattr(onepass, "GROUP", 7)
    same(*planted(n, m, d), 4)


@pytest.mark.parametrize("name", ["clustered", "duplicated", "zero", "one entry", "opposite", "all equal"])
def test_hard_vectors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onepass, "BLOCK", 50)
    x, y = planted(160, 220, 24)
    if name == "clustered":  # differences far below what 8 bits can tell
        x, y = (unit(random(len(s), 24, 3) * 1e-4 + random(1, 24, 4)) for s in (x, y))
    elif name == "duplicated":
        x, y = np.repeat(x[:20], 8, axis=0), np.repeat(y[:20], 11, axis=0)
    elif name == "zero":
        x[::3], y[::4] = 0, 0
    elif name == "one entry":  # nearly all of every vector in one place, as some encoders have it
        x[:, 0] += 40
        y[:, 0] += 40
        x, y = unit(x), unit(y)
    elif name == "opposite":
        y[:160] = -x
    else:
        x[:], y[:] = x[0], x[0]
    same(np.ascontiguousarray(x), np.ascontiguousarray(y), 4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_vectors(data: Any) -> None:
    """Whatever their entries, ties included: small whole numbers make many."""
    n, m = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    d, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    entries = st.integers(-2, 2)
    sides = [np.array(data.draw(st.lists(entries, min_size=s * d, max_size=s * d)), np.float32) for s in (n, m)]
    same(unit(sides[0].reshape(n, d)), unit(sides[1].reshape(m, d)), k)


def test_the_bound_holds() -> None:
    """No product is further from its 8-bit one than is said."""
    x, y = planted(300, 300, 48)
    left, right = onepass._sides(x, y)
    search = onepass._Search(x, y, left, right, 4)
    rough = left.rounded.double() @ right.rounded.double().T * search.unit
    off = np.abs(rough.numpy() - x.astype(np.float64) @ y.astype(np.float64).T)
    assert off.max() <= search.bound
    assert search.bound < 0.2


def test_mining_does_not_depend_on_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = planted(500, 400, 32)
    expected = candidates(x, y, 4, "numpy")
    monkeypatch.setattr(onepass, "pays", lambda foreign, english: True)
    found = candidates(x, y, 4)
    for name in ("foreign", "english", "scores"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        onepass.mutual(random(3, 4, 1), random(3, 5, 1), 1)
    bad = random(3, 4, 1)
    bad[1, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        onepass.mutual(bad, random(3, 4, 1), 1)
