"""Neighbours in both directions between collections that lie in shards on disk.

Every shard of one side is searched in every shard of the other, and the k nearest of all are the k nearest of those:
the result is that of one search, whatever the shards. What a piece of this gave is one file, renamed into place when it
is whole, so that an interrupted search continues, and pieces can be done by many workers that see the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from adaptstilts.errors import ResourceError
from adaptstilts.io.folders import failpoint
from adaptstilts.io.hashed_arrays import held, save
from adaptstilts.search import faiss as indexes
from adaptstilts.search.exact import Approximate, Found, Vectors, approximated, grouped
from adaptstilts.search.mutual import mutual as both
from adaptstilts.search.workers import each
from adaptstilts.study import Backend

_SAMPLED = 1000  # queries whose recall is measured, over all pieces


@dataclass(frozen=True)
class Piece:
    """One shard searched in another, in both directions; with an approximate index in one.

    Attributes:
        foreign: shard number and file.
        english: shard number and file.
        k: neighbours.
        index: factory string of an approximate index; None for an exact search.
        back: with an index, whether foreign vectors are indexed and English ones asked.
        sample: queries that are searched exactly beside an approximate search.
        folder: gets the results.
        backend: of an exact search.
    """

    foreign: tuple[int, str]
    english: tuple[int, str]
    k: int
    index: str | None
    back: bool
    sample: int
    folder: str
    backend: Backend

    def name(self, back: bool) -> Path:
        """What the neighbours of the foreign vectors, or, ``back``, of the English ones, are saved as."""
        return Path(self.folder) / f"{self.foreign[0]:06d}-{self.english[0]:06d}-{'back' if back else 'ahead'}.npz"


@dataclass(frozen=True)
class Mutual:
    """Neighbours of both sides, by number among all of the other, and the recall of an approximate search."""

    ahead: Found
    back: Found
    recall: float | None


def mutual(
    foreign: Sequence[Path],
    english: Sequence[Path],
    k: int,
    folder: Path,
    index: str | None = None,
    ray: bool = False,
    report: Callable[[int, int], None] = lambda done, total: None,
    backend: Backend = "auto",
) -> Mutual:
    """The ``k`` nearest rows of the other side, for every row of both sides, best first, equal ones by number.

    Args:
        foreign: files of vectors of unit length (rows, d) float32, one after the other.
        english: the same.
        k: neighbours.
        folder: keeps what pieces gave; a piece that is there is not searched again.
        index: factory string of an approximate index, see :func:`adaptstilts.search.faiss.approximate`.
        ray: see :func:`adaptstilts.search.workers.each`.
        report: told how many pieces of all are done.
        backend: of an exact search, see :func:`adaptstilts.search.mutual.mutual`.

    Raises:
        DataError: vectors that cannot be compared.
        ConfigError: an index that cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pieces = _pieces(foreign, english, k, folder, index, backend)
    there = {name: held(name) for piece in pieces for name in _names(piece)}
    missing = [piece for piece in pieces if not all(there[name] for name in _names(piece))]
    report(len(pieces) - len(missing), len(pieces))
    for number, _ in enumerate(each(work, missing, ray), 1):
        report(len(pieces) - len(missing) + number, len(pieces))
    there |= {name: held(name) for piece in missing for name in _names(piece)}
    sizes = [[len(_load(path)) for path in side] for side in (foreign, english)]
    recalls = [float(_read(there, name)["recall"]) for name in there] if index else []
    return Mutual(
        _joined(_merged(pieces, there, i, False, sizes[1], k) for i in range(len(foreign))),
        _joined(_merged(pieces, there, j, True, sizes[0], k) for j in range(len(english))),
        float(np.mean(recalls)) if recalls else None,
    )


def work(piece: Piece) -> None:
    """Search one piece and write what it gave."""
    foreign, english = _load(piece.foreign[1]), _load(piece.english[1])
    if piece.index is not None:
        queries, others = (english, piece.foreign[1]) if piece.back else (foreign, piece.english[1])
        found = _approximate(queries, others, piece)
        save(piece.name(piece.back), rows=found.rows, products=found.products, recall=np.array(found.recall))
    else:
        results = both(foreign, english, piece.k, piece.backend)
        for back, (rows, products) in zip((False, True), results, strict=True):
            save(piece.name(back), rows=rows, products=products)
    failpoint("mine:after-piece")


def _pieces(
    foreign: Sequence[Path], english: Sequence[Path], k: int, folder: Path, index: str | None, backend: Backend
) -> list[Piece]:
    """All pieces; those that search in one index are next to each other."""
    grid = [(i, j) for j in range(len(english)) for i in range(len(foreign))]
    found = [(i, j, False) for i, j in grid] + ([(i, j, True) for i, j in sorted(grid)] if index else [])
    sample = -(-_SAMPLED // len(found))
    return [
        Piece((i, str(foreign[i])), (j, str(english[j])), k, index, back, sample, str(folder), backend)
        for i, j, back in found
    ]


def _directions(piece: Piece) -> tuple[bool, ...]:
    return (False, True) if piece.index is None else (piece.back,)


def _approximate(queries: Vectors, others: str, piece: Piece) -> Approximate:
    assert piece.index is not None  # noqa: S101
    return approximated(queries, _load(others), piece.k, _index(others, piece.index), piece.sample)


@lru_cache(maxsize=1)
def _index(vectors: str, factory: str) -> Any:
    return indexes.approximate(_load(vectors), factory)


def _names(piece: Piece) -> list[Path]:
    return [piece.name(back) for back in _directions(piece)]


def _merged(
    pieces: Sequence[Piece],
    there: Mapping[Path, Path | None],
    shard: int,
    back: bool,
    others: Sequence[int],
    k: int,
) -> Found:
    """The neighbours of one shard's rows over all shards of the other side."""
    starts = np.cumsum([0, *others])
    rows, products = [], []
    for piece in pieces:
        own, other = (piece.english[0], piece.foreign[0]) if back else (piece.foreign[0], piece.english[0])
        if own == shard and back in _directions(piece):
            found = _read(there, piece.name(back))
            rows.append(found["rows"] + starts[other])
            products.append(found["products"])
    number, product = np.concatenate(rows, axis=1), np.concatenate(products, axis=1)
    owner = np.repeat(np.arange(len(number)), number.shape[1])
    kept = grouped(owner, number.ravel(), product.ravel(), k).reshape(len(number), -1)
    return number.ravel()[kept], product.ravel()[kept]


def _read(there: Mapping[Path, Path | None], name: Path) -> dict[str, Any]:
    """What a piece gave.

    Raises:
        ResourceError: the file was just written, and is not there.
    """
    path = there[name]
    if path is None:
        raise ResourceError(f"{name}: is not what was just written; check the disk")
    with np.load(path) as arrays:
        return dict(arrays)


def _joined(found: Iterator[Found]) -> Found:
    parts = list(found)
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([products for _, products in parts])


def _load(path: str | Path) -> Vectors:
    found: Vectors = np.load(path, mmap_mode="r")
    return found
