"""Searching shard by shard gives what one search gives, to the bit, also after a kill and by Ray's workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from adaptstilts.errors import ConfigError, DataError, ResourceError
from adaptstilts.io.hashed_arrays import save
from adaptstilts.search import int8, neighbours, sharded, workers
from adaptstilts.search.base import Vectors
from adaptstilts.search.products import normalize
from adaptstilts.search.sharded import ShardedNeighbours


def sides() -> tuple[Vectors, Vectors]:
    source = np.random.default_rng(3)
    x, y = (normalize(source.standard_normal((rows, 12)).astype(np.float32)) for rows in (70, 90))
    x[40:50], y[60:70] = x[3], y[5]  # ties across shards
    return x, y


def cut(vectors: Vectors, folder: Path, name: str, *at: int) -> list[Path]:
    paths = []
    for number, part in enumerate(np.split(vectors, at)):
        paths.append(folder / f"{name}{number}.npy")
        paths[-1] = save(paths[-1], _=part)
    return paths


def same(first: ShardedNeighbours, second: ShardedNeighbours) -> None:
    for one, other in zip(first.forward + first.backward, second.forward + second.backward, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("k", [1, 4, 25, 100])
@pytest.mark.parametrize("one_pass", [False, True])
def test_shards_change_nothing(k: int, one_pass: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8.OnePass, "priority", lambda *size: 20 if one_pass else None)
    x, y = sides()
    found = sharded.search_shards(cut(x, tmp_path, "x", 10, 45), cut(y, tmp_path, "y", 64), k, tmp_path / "found")
    for (rows, products), (expected, wanted) in zip(
        (found.forward, found.backward), (neighbours(x, y, k, "numpy"), neighbours(y, x, k, "numpy")), strict=True
    ):
        assert np.array_equal(rows, expected)
        assert np.array_equal(products, wanted)
    assert found.recall is None


def test_what_is_there_is_not_searched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sides()
    paths = cut(x, tmp_path, "x", 30), cut(y, tmp_path, "y", 30)
    told: list[tuple[int, int]] = []
    first = sharded.search_shards(*paths, 4, tmp_path / "found", report=lambda done, total: told.append((done, total)))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    next((tmp_path / "found").glob("000001-000000-back.*.npz")).unlink()
    searched = []
    work = sharded.search_piece
    monkeypatch.setattr(sharded, "search_piece", lambda piece: searched.append(piece.foreign[0]) or work(piece))
    again = sharded.search_shards(*paths, 4, tmp_path / "found")
    assert searched == [1]
    assert all(
        np.array_equal(a, b)
        for a, b in zip(first.forward + first.backward, again.forward + again.backward, strict=True)
    )


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match=r"a.npy: cannot be written: No space left on device \(\d+ MiB free\)"):
        save(tmp_path / "a.npy", _=np.ones(3))
    assert list(tmp_path.iterdir()) == []


def test_an_approximate_index_over_shards(tmp_path: Path) -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    x, y = sides()
    paths = cut(x, tmp_path, "x", 30), cut(y, tmp_path, "y", 40)
    found = sharded.search_shards(*paths, 4, tmp_path / "found", "HNSW16")
    assert found.recall is not None
    assert 0.8 < found.recall <= 1
    exact = neighbours(x, y, 4)[1]
    assert (found.forward[1] <= exact).all()
    assert (found.forward[1] == exact).mean() > 0.8
    with pytest.raises(ConfigError, match="could not parse"):
        sharded.search_shards(*paths, 4, tmp_path / "other", "nothing")


def test_ray_gives_the_same(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    x, y = sides()
    paths = cut(x, tmp_path, "x", 30), cut(y, tmp_path, "y", 40)
    here = sharded.search_shards(*paths, 4, tmp_path / "here")
    try:
        there = sharded.search_shards(*paths, 4, tmp_path / "there", ray=True)
        bad = cut(x[:, :5], tmp_path, "bad", 30)
        with pytest.raises(DataError, match="cannot be compared"):
            sharded.search_shards(bad, paths[1], 4, tmp_path / "bad", ray=True)
    finally:
        ray.shutdown()
    assert all(
        np.array_equal(a, b) for a, b in zip(here.forward + here.backward, there.forward + there.backward, strict=True)
    )


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ResourceError, match="ray is not installed"):
        list(workers.map_pieces(str, [1, 2], ray=True))
    assert list(workers.map_pieces(str, [1, 2])) == ["1", "2"]
