"""One pass in 8 bits gives what two exact searches give, to the bit: neighbours, order among equals, products."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adaptstilts.errors import DataError
from adaptstilts.search import exact, int8, mutual_neighbours, neighbours
from adaptstilts.search.base import Neighbours, Vectors
from adaptstilts.search.int8 import candidates, tiles
from adaptstilts.search.int8.quantize import quantize_sides
from adaptstilts.search.margin import candidate_pairs
from adaptstilts.search.products import normalize

pytestmark = pytest.mark.skipif(not int8.has_int8(), reason="the processor has no 8-bit products")
SHAPES = [(1, 1, 4), (3, 200, 8), (200, 3, 8), (130, 70, 16), (64, 64, 32), (300, 500, 33), (1100, 90, 24)]


def one_pass(x: Vectors, y: Vectors, k: int) -> tuple[Neighbours, Neighbours]:
    return mutual_neighbours(x, y, k, "one-pass")


def random(n: int, d: int, seed: int) -> Vectors:
    return normalize(np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32))


def planted(n: int, m: int, d: int) -> tuple[Vectors, Vectors]:
    """Pairs that are near each other among others that are not."""
    y = random(m, d, 1)
    x = random(n, d, 2)
    both = min(n, m)
    x[:both] = normalize(y[:both] + 0.5 * x[:both])
    return x, y


def brute(x: Vectors, y: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All products in float64, the best first, equal ones by number."""
    rows, columns = np.divmod(np.arange(len(x) * len(y)), len(y))
    products = np.einsum("pd,pd->p", x[rows].astype(np.float64), y[columns].astype(np.float64)).reshape(len(x), len(y))
    best = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return best, np.take_along_axis(products, best, axis=1)


def same(x: Vectors, y: Vectors, k: int) -> None:
    for found in (one_pass(x, y, k), (neighbours(x, y, k, "numpy"), neighbours(y, x, k, "numpy"))):
        for (rows, products), (expected, wanted) in zip(found, (brute(x, y, k), brute(y, x, k)), strict=True):
            assert np.array_equal(rows, expected)
            assert np.array_equal(products, wanted)


@pytest.mark.parametrize("k", [1, 4, 9])
@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_planted_pairs(n: int, m: int, d: int, k: int) -> None:
    same(*planted(n, m, d), k)


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_blocks_of_any_size(n: int, m: int, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the columns learn from one block is right in the next."""
    small(monkeypatch)
    same(*planted(n, m, d), 4)


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of odd sizes, so that there are many."""
    monkeypatch.setattr(tiles, "TILE_ROWS", 37)
    monkeypatch.setattr(tiles, "TILE_COLUMNS", 53)
    monkeypatch.setattr(tiles, "STRIP_ROWS", 11)
    monkeypatch.setattr(candidates, "GROUP_COLUMNS", 7)


HARD = "clustered shifted duplicated zero one-entry opposite all-equal denormal outliers near-ties".split()


@pytest.mark.parametrize("name", HARD)
def test_hard_vectors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    same(*hard(name), 4)


def hard(name: str) -> tuple[Vectors, Vectors]:
    """Vectors that are hard to round or to tell apart."""
    x, y = planted(160, 220, 24)
    if name == "clustered":  # differences far below what 8 bits can tell
        x, y = (normalize(random(len(s), 24, 3) * 1e-4 + random(1, 24, 4)) for s in (x, y))
    elif name == "shifted":  # a direction that all share, another one on each side
        x, y = normalize(x + 2 * random(1, 24, 5)), normalize(y + 2 * random(1, 24, 5) + random(1, 24, 6))
    elif name == "duplicated":
        x, y = np.repeat(x[:20], 8, axis=0), np.repeat(y[:20], 11, axis=0)
    elif name == "zero":
        x[::3], y[::4] = 0, 0
    elif name == "one-entry":  # nearly all of every vector in one place, as some encoders have it
        x[:, 0] += 40
        y[:, 0] += 40
        x, y = normalize(x), normalize(y)
    elif name == "opposite":
        y[:160] = -x
    elif name == "denormal":
        x, y = normalize(x * np.float32(1e-44)), normalize(y * np.float32(1e30))
    elif name == "outliers":  # a few rows that 8 bits hold much worse than the others
        x[:2], y[:2] = np.eye(24, dtype=np.float32)[:2], np.eye(24, dtype=np.float32)[1:3]
    elif name == "near-ties":  # neighbouring floats
        x[:], y[:] = x[0], x[0]
        y[::2, 3] = np.nextafter(y[::2, 3], np.float32(2))
    else:
        x[:], y[:] = x[0], x[0]
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_vectors(data: Any) -> None:
    """Whatever their entries, ties included: small whole numbers make many."""
    n, m = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    d, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    entries = st.integers(-2, 2)
    sides = [np.array(data.draw(st.lists(entries, min_size=s * d, max_size=s * d)), np.float32) for s in (n, m)]
    same(normalize(sides[0].reshape(n, d)), normalize(sides[1].reshape(m, d)), k)


@pytest.mark.parametrize("name", [*HARD, "planted"])
def test_the_bound_holds(name: str) -> None:
    """No product is further from its 8-bit one than is said."""
    x, y = planted(300, 300, 48) if name == "planted" else hard(name)
    left, right, steps = quantize_sides(x, y)
    rough = (left.rounded.double() @ right.rounded.double().T).numpy() * steps.unit + steps.offset
    off = np.abs(rough - x.astype(np.float64) @ y.astype(np.float64).T)
    assert (off <= left.bound.numpy()[:, None] + right.excess.numpy()[None, :]).all()
    assert (off <= right.bound.numpy()[None, :] + left.excess.numpy()[:, None]).all()
    assert left.bound.max() < 0.2


def test_what_all_vectors_share_is_taken_out() -> None:
    """Vectors around one direction are told apart as well as others are."""
    x, y = planted(400, 400, 64)
    _, _, alone = quantize_sides(x, y)
    shared = 4 * random(1, 64, 5)
    left, _, steps = quantize_sides(normalize(x + shared), normalize(y + shared))
    assert left.rounded.shape[1] > 64
    assert steps.offset > 0.8
    assert steps.unit < alone.unit / 10
    assert left.bound.mean() < 0.01


def test_every_width() -> None:
    for d in (1, 2, 3, 5, 7, 31, 32, 64, 97):
        same(random(40, d, 1), random(60, d, 2), 4)


def test_few_candidates_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes it fast: of a million products a small share is computed in float32."""
    x, y = planted(1024, 1024, 256)
    computed = []
    products = candidates.products_of_pairs

    def counted(left: Any, right: Any, owners: Any, cells: Any) -> Any:
        computed.append(len(owners))
        return products(left, right, owners, cells)

    monkeypatch.setattr(candidates, "products_of_pairs", counted)
    one_pass(x, y, 4)
    assert 0 < sum(computed) < x.shape[0] * y.shape[0] / 10


ALIKE = {
    "equal": lambda source, n: np.ones((n, 24)),
    "nearly equal": lambda source, n: 1 + 1e-6 * source.standard_normal((n, 24)),
    "two distinct": lambda source, n: np.eye(24)[source.integers(0, 2, n)] + 0.1,
    "zero": lambda source, n: np.zeros((n, 24)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_rows_that_float32_does_not_tell_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of an encoder that has collapsed: other ways find them than the usual ones, which would compute all twice."""
    source, called = np.random.default_rng(7), []
    torch.set_num_threads(1)  # so that blocks are large enough to tell
    alike = exact._search_similar_rows
    monkeypatch.setattr(exact, "_search_similar_rows", lambda *given: called.append(len(given[0])) or alike(*given))
    x, y = (normalize(ALIKE[name](source, n).astype(np.float32)) for n in (700, 600))
    same(x, y, 2)
    assert called == [700, 600, 700, 600], "both by one pass and by numpy"


@pytest.mark.parametrize("k", [1, 16, 40])
@pytest.mark.parametrize("threads", [1, 3])
def test_alike_in_many_blocks_and_for_many_neighbours(threads: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block that notices stops the others."""
    x, y = normalize(np.ones((1500, 8), np.float32)), normalize(np.ones((900, 8), np.float32))
    searched = []
    meet = tiles._Search._search_tile
    monkeypatch.setattr(tiles._Search, "_search_tile", lambda *given: searched.append(given[1].part) or meet(*given))
    monkeypatch.setattr(tiles, "TILE_ROWS", 300)
    with several(threads):
        found = one_pass(x, y, k)
    assert len(searched) <= threads
    assert np.array_equal(found[0][0], np.tile(np.arange(k), (1500, 1)))
    assert np.array_equal(found[1][0], np.tile(np.arange(k), (900, 1)))


@contextlib.contextmanager
def several(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_several_workers_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    with several(3):
        same(*planted(300, 200, 16), 4)
        assert torch.get_num_threads() == 3


def test_mining_does_not_depend_on_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = planted(500, 400, 32)
    expected = candidate_pairs(x, y, 4, "numpy")
    monkeypatch.setattr(int8.OnePass, "priority", lambda *size: 20)
    found = candidate_pairs(x, y, 4)
    for name in ("foreign", "english", "scores"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        one_pass(random(3, 4, 1), random(3, 5, 1), 1)
    bad = random(3, 4, 1)
    bad[1, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        one_pass(bad, random(3, 4, 1), 1)
