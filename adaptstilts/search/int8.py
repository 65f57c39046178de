"""Exact nearest neighbours in both directions at once: every product is computed a single time, in 8 bits.

A search from foreign to English and back needs the same matrix of inner products twice. Here a tile of it is computed
once, from vectors rounded to 8-bit integers (see ``rounded``). What could be among the ``k`` best of its row or of its
column so far, given by how much rounding can be wrong, is computed again in float32, and what is left of that at the
end in float64. The result is that of ``search.neighbours`` in both directions, to the bit. Where float32 does not tell
rows apart either, as when an encoder has collapsed, it is left to ``search.neighbours``.

Blocks of rows are searched in parallel, one processor core each, for most of the work is in many small steps. They
share what is known of the columns: an older, lower threshold only lets more pass.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.errors import ResourceError
from adaptstilts.search import faiss
from adaptstilts.search.exact import (
    MANY,
    Found,
    Rows,
    Scores,
    Vectors,
    comparable,
    exact,
    flat_memory,
    grouped,
    neighbours,
    slack,
)
from adaptstilts.search.quantize import Side, Steps, sides

Mask = NDArray[np.bool_]
Rough = NDArray[np.int32]  # 8-bit products

TILE_ROWS, TILE_COLUMNS = 2048, 2048  # so few that a tile stays in the cache that cores share
STRIP = 256  # rows of a tile at a time, which stay in a core's own
GROUP = 32  # neighbouring cells whose largest product stands for them when a search begins
DENSE = 8  # a tile of which one cell in so many passes is computed in float32 as a whole
SPARE = 4  # candidates that an owner may have, times k on average, before they are settled
SOME = 0.25  # as many new candidates, of those that are held, wait before they are sorted in
ALIKE = 2**15  # cells of a tile that must pass, and half of all, before rows are taken to be alike
FEWEST = 4096  # rows of a side from which on it pays
_LEAST, _MOST = -(2**31), 2**31 - 1
_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


def mutual(foreign: Vectors, english: Vectors, k: int) -> tuple[Found, Found]:
    """The ``k`` nearest rows of the other side, for every row of both sides.

    Args:
        foreign: (n, d) float32, n >= 1, rows of length one or zero.
        english: (m, d) float32, m >= 1, the same.
        k: neighbours; all where there are fewer.

    Returns:
        For foreign and for English rows: numbers of the nearest ones (rows, k) and inner products in float64, the best
        first, equal ones by number; as ``search.neighbours`` gives them in each direction.

    Raises:
        DataError: shapes that do not fit, or a value that is not finite.
    """
    comparable(foreign, english)
    with warnings.catch_warnings():  # torch calls its CSR tensors beta, and mapped files are only read
        warnings.filterwarnings("ignore", message="Sparse|The given NumPy array")
        with _pool(workers := torch.get_num_threads()) as pool:
            x, y, products = sides(flat_memory(foreign), flat_memory(english), pool.map)
            with contextlib.suppress(_Alike):
                return _Search(x, y, products, k).run(pool, workers)
    return neighbours(foreign, english, k, "numpy"), neighbours(english, foreign, k, "numpy")


@contextlib.contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """So many workers, each with a torch of one thread: several of it would wait for each other."""
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def pays(foreign: Vectors, english: Vectors) -> bool:
    """Whether this is the fastest search: many rows, no GPU for FAISS, and a processor with 8-bit products."""
    return min(len(foreign), len(english)) >= FEWEST and has_int8() and faiss.gpus() == 0


class _Search:
    """Both sides, what their 8-bit products stand for, and what is known of the columns so far."""

    def __init__(self, x: Side, y: Side, products: Steps, k: int) -> None:
        self.x, self.y, self.products, self.k = x, y, products, k
        self.columns = [_Kept(y, x, at, products, k) for at in _parts(len(y.rows), TILE_COLUMNS)]
        self.locks = [threading.Lock() for _ in self.columns]
        self.alike = threading.Event()

    def run(self, pool: ThreadPoolExecutor, workers: int) -> tuple[Found, Found]:
        """All blocks of rows, then the columns."""
        blocks = _parts(len(self.x.rows), TILE_ROWS, workers)
        ahead = list(pool.map(self._block, range(len(blocks)), blocks))
        return _joined(ahead), _joined(list(pool.map(_Kept.best, self.columns)))

    def _block(self, number: int, at: slice) -> Found:
        """One block of rows against all columns, beginning elsewhere than its neighbour does."""
        rows, tile = _Kept(self.x, self.y, at, self.products, self.k), _Tile()
        for i in range(len(self.columns)):
            if self.alike.is_set():
                raise _Alike
            place = (i + number * max(1, len(self.columns) // 2)) % len(self.columns)
            self._meet(rows, self.columns[place], self.locks[place], tile)
        return rows.best()

    def _meet(self, rows: _Kept, columns: _Kept, lock: threading.Lock, tile: _Tile) -> None:
        """Find what is near enough for its row or its column, in float32, and give it to both."""
        made = None
        if not (rows.begun and columns.begun):
            made = tile.products(rows.whole, columns.whole)
            rows.begin(made, columns)
            with lock:
                columns.begin(made.T, rows)
        cells = tile.reaching(rows.whole, columns.whole, rows.steps(columns), columns.steps(rows), made)
        row, column = np.divmod(cells, len(columns.own))
        if DENSE * len(cells) > len(rows.own) * len(columns.own):  # 8 bits say little here
            real = (rows.own @ columns.own.T).numpy()
            row, column = np.nonzero((real >= rows.floor()[:, None]) | (real >= columns.floor()[None, :]))
            near = real[row, column]
            if len(row) > max(ALIKE, min(MANY * self.k * sum(real.shape), real.size // 2)):
                self.alike.set()
                raise _Alike
        else:
            near = _products(rows.own, columns.own, row, column)
        rows.add(row, column + columns.at.start, near)
        with lock:
            columns.add(column, row + rows.at.start, near)


class _Alike(Exception):
    """Float32 products do not tell the rows apart."""


class _Tile:
    """Room to work a tile out in, kept from tile to tile, for fresh memory is slow."""

    def __init__(self) -> None:
        self.rough = torch.empty(TILE_ROWS * TILE_COLUMNS, dtype=torch.int32)
        self.masks = np.empty((2, STRIP * TILE_COLUMNS), np.bool_)

    def products(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Those of integers (r, d) and (c, d): (r, c), valid until the next call."""
        rough = self.rough[: len(rows) * len(columns)].view(len(rows), len(columns))
        torch._int_mm(rows, columns.T, out=rough)
        return rough

    def reaching(self, rows: Tensor, columns: Tensor, for_rows: Rough, for_columns: Rough, made: Tensor | None) -> Rows:
        """Numbers of the cells that reach what is asked of their row or of their column, ascending.

        Where products are not made yet, they are strip by strip, so that a core reads back what it has just written.
        """
        found = []
        for at in _parts(len(rows), STRIP):
            rough = (self.products(rows[at], columns) if made is None else made[at]).numpy()
            mask, other = (held[: rough.size].reshape(rough.shape) for held in self.masks)
            np.greater_equal(rough, for_rows[at, None], out=mask)
            np.greater_equal(rough, for_columns[None, :], out=other)
            found.append(np.flatnonzero(np.logical_or(mask, other, out=mask)) + at.start * len(columns))
        return np.concatenate(found)


class _Kept:
    """Candidates of some owners, rows or columns, and the k-th best product of each so far.

    Args:
        side: theirs.
        other: the other side.
        at: which rows of their side they are.
        products: what an 8-bit product stands for.
        k: neighbours.
    """

    def __init__(self, side: Side, other: Side, at: slice, products: Steps, k: int) -> None:
        self.at, self.k, self.products = at, min(k, len(other.rows)), products
        self.side, self.other = side.rows.numpy(), other.rows.numpy()
        self.own, self.whole = side.rows[at], side.rounded[at]
        self.bound, self.extra = side.bound[at].numpy(), side.extra[at].numpy()
        self.slack = slack(self.own.shape[1])
        self.least = np.full(len(self.own), -np.inf)
        self.owners, self.cells, self.near = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
        self.new: list[tuple[Rows, Rows, NDArray[np.float32]]] = []
        self.waiting = 0

    @property
    def begun(self) -> bool:
        """Whether anything is known yet."""
        return bool(np.isfinite(self.least[0]))

    def steps(self, others: _Kept) -> Rough:
        """The least 8-bit product of each owner that can stand for a real one among its best.

        Owners that lost more than usual in 8 bits are asked for less, so that the others' best are not missed.
        """
        asked = self.least - self.bound
        odd = np.flatnonzero(self.extra)
        if len(odd):
            asked[odd] = np.minimum(asked[odd], (others.least - others.bound).min() - self.extra[odd])
        steps = np.floor((asked - self.slack - self.products.zero) / self.products.unit)
        clipped: Rough = np.clip(steps, _LEAST, _MOST).astype(np.int32)
        return clipped

    def floor(self) -> NDArray[np.float32]:
        """The least float32 product of each owner that can be among its best."""
        return np.nextafter((self.least - self.slack).astype(np.float32), np.float32(-np.inf))

    def begin(self, rough: Tensor, others: _Kept) -> None:
        """Where nothing is known yet: what the largest cells of k groups reach at least.

        Args:
            rough: 8-bit products (owners, others).
            others: whose cells they are.
        """
        if self.begun or len(others.own) < self.k:
            return
        groups = max(len(others.own) // GROUP, self.k)
        width = len(others.own) // groups
        parts = torch.unflatten(rough[:, : groups * width], 1, (groups, width))
        if rough.is_contiguous():
            top = parts.amax(2)
        else:  # the same, ten times faster: columns are next to each other
            top = rough.T[: groups * width].view(groups, width, len(self.own)).amax(1).T
        chosen = top.topk(self.k, dim=1).indices
        inner = parts.gather(1, chosen[:, :, None].expand(-1, -1, width)).argmax(2)
        cells = (chosen * width + inner).sort(dim=1).values.numpy()
        near = _products(self.own, others.own, np.repeat(np.arange(len(cells)), self.k), cells.ravel())
        self.least = near.reshape(cells.shape).min(axis=1).astype(np.float64)

    def add(self, owners: Rows, cells: Rows, near: NDArray[np.float32]) -> None:
        """Take candidates with their float32 products."""
        fits = near >= self.floor()[owners]
        self.new.append((owners[fits], cells[fits], near[fits]))
        self.waiting += len(self.new[-1][0])
        if self.waiting > SOME * len(self.owners):
            self._sort()

    def _sort(self) -> None:
        """Let what is new raise what is known, and drop what is no longer among the best."""
        owners, cells, near = (
            np.concatenate(parts) for parts in zip((self.owners, self.cells, self.near), *self.new, strict=True)
        )
        self.new, self.waiting = [], 0
        order = np.argsort((owners << 32) - _ordered(near))
        self.owners, self.cells, self.near = owners[order], cells[order], near[order]
        begins = np.searchsorted(self.owners, np.arange(len(self.own) + 1))
        full = np.flatnonzero(np.diff(begins) >= self.k)
        self.least[full] = np.maximum(self.least[full], self.near[begins[full] + self.k - 1])
        self._only(self.near >= self.floor()[self.owners])
        if len(self.owners) > SPARE * self.k * len(self.own):
            self._settle()

    def best(self) -> Found:
        """The neighbours of every owner: (owners, k) numbers and products."""
        products = self._settle()
        return self.cells.reshape(-1, self.k), products.reshape(-1, self.k)

    def _settle(self) -> Scores:
        """Keep the k best of every owner by product in float64 and then by number, in this order."""
        if self.new:
            self._sort()
        products = exact(self.side, self.other, self.owners + self.at.start, self.cells)
        kept = grouped(self.owners, self.cells, products, self.k)
        self._only(kept)
        return products[kept]

    def _only(self, which: Mask | Rows) -> None:
        self.owners, self.cells, self.near = self.owners[which], self.cells[which], self.near[which]


def _products(left: Tensor, right: Tensor, owners: Rows, cells: Rows) -> NDArray[np.float32]:
    """Inner products in float32 of the pairs (owners[p], cells[p]), owners ascending: (p,)."""
    begins = torch.from_numpy(np.searchsorted(owners, np.arange(len(left) + 1)))
    shape, values = (len(left), len(right)), torch.zeros(len(cells))
    pattern = torch.sparse_csr_tensor(begins, torch.from_numpy(cells), values, shape, check_invariants=False)
    found: NDArray[np.float32] = torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values().numpy()
    return found


def _ordered(values: NDArray[np.float32]) -> Rows:
    """Whole numbers of 32 bits in the order of float32 values."""
    bits = values.view(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)


def _parts(rows: int, size: int, times: int = 1) -> list[slice]:
    """Parts of at most ``size`` rows and about equal; their number is a multiple of ``times`` where rows suffice."""
    size = -(-rows // (times * -(-rows // (times * size))))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _joined(found: list[Found]) -> Found:
    return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])


def check() -> None:
    """Whether 8-bit products are exact here; without instructions for them sums may be cut off at 16 bits.

    Raises:
        ResourceError: they may not be.
    """
    if not has_int8():
        raise ResourceError(
            f"backend one-pass needs a processor with 8-bit products ({', '.join(sorted(_FLAGS))}); take auto"
        )


@cache
def has_int8() -> bool:
    """Whether the processor has instructions for 8-bit products."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return hasattr(torch, "_int_mm") and not _FLAGS.isdisjoint(text.split())
