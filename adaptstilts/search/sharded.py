"""Neighbours in both directions between collections that are stored in shards on disk.

Every shard of one side is searched in every shard of the other, and the k nearest of all are among the k nearest of
each: the result is that of one search, whatever the shards. The result of such a piece is one file, renamed into place
when it is complete, so that an interrupted search continues, and pieces can be spread over workers that see the same
files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adaptstilts.errors import ResourceError
from adaptstilts.io.folders import failpoint
from adaptstilts.io.hashed_arrays import find, save
from adaptstilts.search import AUTO, faiss, mutual_neighbours
from adaptstilts.search.approximate import approximate_neighbours
from adaptstilts.search.base import Neighbours, Vectors
from adaptstilts.search.products import concatenate, top_k
from adaptstilts.search.workers import map_pieces

_SAMPLED = 1000  # queries whose recall is measured, over all pieces
FORWARD, BACKWARD = "ahead", "back"  # in file names: from foreign to English rows, and from English to foreign ones


class Shard(NamedTuple):
    """A shard of one side: its number, and the file of its vectors."""

    number: int
    file: str


@dataclass(frozen=True)
class Piece:
    """One shard searched in another: exactly in both directions, or approximately in one.

    Attributes:
        foreign: the foreign shard.
        english: the English shard.
        k: neighbours.
        index: factory string of an approximate index; None for an exact search.
        directions: :data:`FORWARD`, :data:`BACKWARD` or both.
        sample: queries that are also searched exactly, to measure the recall of an approximate search.
        folder: gets the results.
        backend: name of the backend of an exact search.
    """

    foreign: Shard
    english: Shard
    k: int
    index: str | None
    directions: tuple[str, ...]
    sample: int
    folder: str
    backend: str

    def file(self, direction: str) -> Path:
        """Return the file of the neighbours in one direction, without the hash that its name gets."""
        shards = f"{self.foreign.number:06d}-{self.english.number:06d}"
        return Path(self.folder) / f"{shards}-{direction}.npz"

    def files(self) -> list[Path]:
        """Return the files of all directions."""
        return [self.file(direction) for direction in self.directions]


@dataclass(frozen=True)
class ShardedNeighbours:
    """Neighbours of both sides, by row number over all shards, and the recall of an approximate search."""

    forward: Neighbours
    backward: Neighbours
    recall: float | None


def search_shards(
    foreign: Sequence[Path],
    english: Sequence[Path],
    k: int,
    folder: Path,
    index: str | None = None,
    ray: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
    backend: str = AUTO,
) -> ShardedNeighbours:
    """Find the ``k`` nearest rows of the other side for every row of both sides, best first, equal ones by number.

    Args:
        foreign: files of vectors of unit length (rows, d) float32, one after the other.
        english: the same.
        k: neighbours.
        folder: keeps the results of pieces; a piece whose results are there is not searched again.
        index: factory string of an approximate index, see :func:`adaptstilts.search.faiss.build_empty`.
        ray: see :func:`adaptstilts.search.workers.map_pieces`.
        report: called with the number of finished pieces, and their total.
        backend: name of the backend of an exact search. With ``ray`` the workers must know it too.

    Raises:
        DataError: vectors that cannot be compared.
        ConfigError: an index that cannot be built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pieces = _pieces(foreign, english, k, folder, index, backend)
    saved = _saved(pieces)
    missing = [piece for piece in pieces if None in map(saved.get, piece.files())]
    finished = len(pieces) - len(missing)
    report(finished, len(pieces))
    for _ in map_pieces(search_piece, missing, ray):
        finished += 1
        report(finished, len(pieces))
    saved |= _saved(missing)
    foreign_sizes, english_sizes = _sizes(foreign), _sizes(english)
    forward = [_merge(pieces, saved, i, FORWARD, english_sizes, k) for i in range(len(foreign))]
    backward = [_merge(pieces, saved, j, BACKWARD, foreign_sizes, k) for j in range(len(english))]
    recalls = [float(_read(saved, file)["recall"]) for file in saved if index is not None]
    recall = float(np.mean(recalls)) if recalls else None
    return ShardedNeighbours(concatenate(forward), concatenate(backward), recall)


def search_piece(piece: Piece) -> None:
    """Search one piece and write its results."""
    if piece.index is None:
        foreign, english = _load(piece.foreign.file), _load(piece.english.file)
        both = mutual_neighbours(foreign, english, piece.k, piece.backend)
        for direction, neighbours in zip((FORWARD, BACKWARD), both, strict=True):
            save(piece.file(direction), rows=neighbours.rows, products=neighbours.products)
    else:
        (direction,) = piece.directions
        queries, indexed = piece.foreign.file, piece.english.file
        if direction == BACKWARD:
            queries, indexed = indexed, queries
        index = _build_index(indexed, piece.index)
        approximate = approximate_neighbours(_load(queries), _load(indexed), piece.k, index, piece.sample)
        recall = np.array(approximate.recall)
        save(piece.file(direction), rows=approximate.rows, products=approximate.products, recall=recall)
    failpoint("mine:after-piece")


def _pieces(
    foreign: Sequence[Path], english: Sequence[Path], k: int, folder: Path, index: str | None, backend: str
) -> list[Piece]:
    """Return all pieces; those that search the same approximate index follow each other."""
    searches = list(_searches(len(foreign), len(english), index is not None))
    sample = -(-_SAMPLED // len(searches))
    pieces = []
    for i, j, directions in searches:
        left, right = Shard(i, str(foreign[i])), Shard(j, str(english[j]))
        pieces.append(Piece(left, right, k, index, directions, sample, str(folder), backend))
    return pieces


def _searches(foreign: int, english: int, approximate: bool) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the numbers of a foreign and an English shard, and the directions that are searched together."""
    grid = list(itertools.product(range(english), range(foreign)))
    if not approximate:
        yield from ((i, j, (FORWARD, BACKWARD)) for j, i in grid)
        return
    yield from ((i, j, (FORWARD,)) for j, i in grid)
    yield from ((i, j, (BACKWARD,)) for i, j in itertools.product(range(foreign), range(english)))


def _saved(pieces: Iterable[Piece]) -> dict[Path, Path | None]:
    """Map the files of pieces to the verified ones on disk, or to None."""
    files = itertools.chain.from_iterable(piece.files() for piece in pieces)
    return {file: find(file) for file in files}


def _sizes(paths: Sequence[Path]) -> list[int]:
    return [len(_load(path)) for path in paths]


@lru_cache(maxsize=1)
def _build_index(vectors: str, factory: str) -> Any:
    return faiss.build_approximate(_load(vectors), factory)


def _merge(
    pieces: Sequence[Piece],
    saved: Mapping[Path, Path | None],
    shard: int,
    direction: str,
    other_sizes: Sequence[int],
    k: int,
) -> Neighbours:
    """Merge the neighbours of one shard's rows in all shards of the other side.

    Args:
        pieces: all.
        saved: see :func:`_saved`.
        shard: number of the shard.
        direction: :data:`FORWARD` for a foreign shard, :data:`BACKWARD` for an English one.
        other_sizes: rows of each shard of the other side.
        k: neighbours.
    """
    starts = np.cumsum([0, *other_sizes])
    rows, products = [], []
    for piece in pieces:
        this, other = piece.foreign.number, piece.english.number
        if direction == BACKWARD:
            this, other = other, this
        if this == shard and direction in piece.directions:
            arrays = _read(saved, piece.file(direction))
            rows.append(arrays["rows"] + starts[other])
            products.append(arrays["products"])
    all_rows, all_products = np.concatenate(rows, axis=1), np.concatenate(products, axis=1)
    owners = np.repeat(np.arange(len(all_rows)), all_rows.shape[1])
    flat_rows, flat_products = all_rows.ravel(), all_products.ravel()
    best = top_k(owners, flat_rows, flat_products, k).reshape(len(all_rows), -1)
    return Neighbours(flat_rows[best], flat_products[best])


def _read(saved: Mapping[Path, Path | None], file: Path) -> dict[str, Any]:
    """Read the results of a piece.

    Raises:
        ResourceError: the file was just written, but is missing or damaged.
    """
    path = saved[file]
    if path is None:
        raise ResourceError(f"{file}: missing or damaged just after it was written; check the disk")
    with np.load(path) as arrays:
        return dict(arrays)


def _load(path: str | Path) -> Vectors:
    vectors: Vectors = np.load(path, mmap_mode="r")
    return vectors
