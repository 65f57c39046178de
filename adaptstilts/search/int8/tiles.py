"""Exact nearest neighbours in both directions at once: every product is computed a single time, in 8 bits.

A search from foreign to English and back needs the same matrix of inner products twice. Here a tile of it is computed
once, from vectors rounded to 8-bit integers (:mod:`adaptstilts.search.int8.quantize`). Cells that may be among the
``k`` best of their row or column so far, given how wrong rounding can be, are computed again in float32, and what is
left of them at the end in float64. The result is that of the backend ``numpy`` in both directions, to the bit. If
float32 does not tell the rows apart either, as when an encoder has collapsed, that backend does the search.

Blocks of rows are searched in parallel, one processor core each, because most of the work is in many small steps. They
share the thresholds of the columns: an older, lower threshold only lets more cells pass.
"""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from adaptstilts.search import exact
from adaptstilts.search.base import Neighbours, RowNumbers, Vectors
from adaptstilts.search.int8 import candidates
from adaptstilts.search.int8.candidates import Candidates, Float32, Int32
from adaptstilts.search.int8.quantize import ProductScale, QuantizedSide, quantize_sides
from adaptstilts.search.products import concatenate

TILE_ROWS, TILE_COLUMNS = 2048, 2048  # a tile stays in the cache that cores share
STRIP_ROWS = 256  # a strip of a tile stays in the cache of one core
DENSE = 8  # if one of this many cells passes, the whole tile is computed in float32
SIMILAR_CELLS = 2**15  # that many, and half of a tile, must pass before its rows count as too similar


def mutual_neighbours(foreign: Vectors, english: Vectors, k: int) -> tuple[Neighbours, Neighbours]:
    """Find the ``k`` nearest rows of the other side for every row of both sides.

    Args:
        foreign: (n, d) float32, n >= 1, rows of length one or zero.
        english: (m, d) float32, m >= 1, the same.
        k: neighbours; all if there are fewer.

    Returns:
        The neighbours of the foreign rows and those of the English rows.
    """
    workers = torch.get_num_threads()
    with warnings.catch_warnings(), _worker_pool(workers) as pool:
        # torch calls its CSR tensors beta, and warns of memory-mapped arrays, which are only read
        warnings.filterwarnings("ignore", message="Sparse|The given NumPy array")
        x, y, scale = quantize_sides(_as_one_block(foreign), _as_one_block(english), pool.map)
        with contextlib.suppress(_TooSimilar):
            return _Search(x, y, scale, k).run(pool, workers)
    return exact.BACKEND.mutual_neighbours(foreign, english, k)


@contextlib.contextmanager
def _worker_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Start workers with a single-threaded torch each; several multi-threaded ones would wait for each other."""
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _as_one_block(vectors: Vectors) -> Vectors:
    """Return the vectors as contiguous float32, copied only if they are not; a memory-mapped file stays one."""
    return np.asarray(np.ascontiguousarray(vectors, dtype=np.float32))


class _TooSimilar(Exception):
    """Raised if float32 products do not distinguish the rows."""


class _Search:
    """One search over all tiles, and the candidates of the columns, which the workers share."""

    def __init__(self, x: QuantizedSide, y: QuantizedSide, scale: ProductScale, k: int) -> None:
        self.x, self.y, self.scale, self.k = x, y, scale, k
        self.columns = [Candidates(y, x, part, scale, k) for part in _split(len(y.vectors), TILE_COLUMNS)]
        self.locks = [threading.Lock() for _ in self.columns]
        self.is_too_similar = threading.Event()

    def run(self, pool: ThreadPoolExecutor, workers: int) -> tuple[Neighbours, Neighbours]:
        """Search all blocks of rows, then collect the results of the columns."""
        blocks = _split(len(self.x.vectors), TILE_ROWS, workers)
        forward = list(pool.map(self._search_block, range(len(blocks)), blocks))
        backward = list(pool.map(Candidates.result, self.columns))
        return concatenate(forward), concatenate(backward)

    def _search_block(self, number: int, part: slice) -> Neighbours:
        """Search one block of rows in all columns, beginning half of them further on than the block before."""
        rows, tile = Candidates(self.x, self.y, part, self.scale, self.k), _Tile()
        first = number * max(1, len(self.columns) // 2)
        for i in range(len(self.columns)):
            if self.is_too_similar.is_set():
                raise _TooSimilar
            place = (first + i) % len(self.columns)
            self._search_tile(rows, self.columns[place], self.locks[place], tile)
        return rows.result()

    def _search_tile(self, rows: Candidates, columns: Candidates, lock: threading.Lock, tile: _Tile) -> None:
        """Compute the promising cells of a tile in float32 and add them to the candidates of rows and columns."""
        rough = None
        if not (rows.is_started and columns.is_started):
            rough = tile.multiply(rows.rounded, columns.rounded)
            rows.start(rough, columns)
            with lock:
                columns.start(rough.T, rows)
        thresholds = rows.int8_thresholds(columns), columns.int8_thresholds(rows)
        cells = tile.find_cells(rows.rounded, columns.rounded, *thresholds, rough)
        if DENSE * len(cells) > len(rows) * len(columns):  # 8 bits distinguish too little here
            row, column, products = self._search_dense(rows, columns)
        else:
            row, column = np.divmod(cells, len(columns))
            products = candidates.products_of_pairs(rows.vectors, columns.vectors, row, column)
        rows.add(row, column + columns.part.start, products)
        with lock:
            columns.add(column, row + rows.part.start, products)

    def _search_dense(self, rows: Candidates, columns: Candidates) -> tuple[RowNumbers, RowNumbers, Float32]:
        """Compute a whole tile in float32.

        Returns:
            Row, column and product of the cells that reach a threshold.

        Raises:
            _TooSimilar: too many cells do, so float32 does not distinguish the rows.
        """
        products = (rows.vectors @ columns.vectors.T).numpy()
        reaches = products >= rows.float32_thresholds()[:, None]
        reaches |= products >= columns.float32_thresholds()[None, :]
        row, column = np.nonzero(reaches)
        usual = min(exact.MANY * self.k * sum(products.shape), products.size // 2)
        if len(row) > max(SIMILAR_CELLS, usual):
            self.is_too_similar.set()
            raise _TooSimilar
        return row, column, products[row, column]


class _Tile:
    """Buffers that are reused from tile to tile, because fresh memory is slow."""

    def __init__(self) -> None:
        self._rough = torch.empty(TILE_ROWS * TILE_COLUMNS, dtype=torch.int32)
        self._masks = np.empty((2, STRIP_ROWS * TILE_COLUMNS), np.bool_)

    def multiply(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Multiply integers (r, d) and (c, d): (r, c), valid until the next call."""
        shape = len(rows), len(columns)
        rough = self._rough[: math.prod(shape)].view(shape)
        torch._int_mm(rows, columns.T, out=rough)
        return rough

    def find_cells(
        self, rows: Tensor, columns: Tensor, row_thresholds: Int32, column_thresholds: Int32, rough: Tensor | None
    ) -> RowNumbers:
        """Find the cells that reach the threshold of their row or of their column.

        Args:
            rows: (r, d) int8.
            columns: (c, d) int8.
            row_thresholds: (r,) of 8-bit products.
            column_thresholds: (c,) of 8-bit products.
            rough: (r, c) the products; None to compute them strip by strip, so that a core reads what it just wrote.

        Returns:
            Numbers of the cells, row by row, ascending.
        """
        cells = []
        for strip in _split(len(rows), STRIP_ROWS):
            products = (self.multiply(rows[strip], columns) if rough is None else rough[strip]).numpy()
            by_row, by_column = (mask[: products.size].reshape(products.shape) for mask in self._masks)
            np.greater_equal(products, row_thresholds[strip, None], out=by_row)
            np.greater_equal(products, column_thresholds[None, :], out=by_column)
            np.logical_or(by_row, by_column, out=by_row)
            cells.append(np.flatnonzero(by_row) + strip.start * len(columns))
        return np.concatenate(cells)


def _split(rows: int, size: int, multiple: int = 1) -> list[slice]:
    """Split rows into parts of about equal size.

    Args:
        rows: number of rows.
        size: rows of a part, at most.
        multiple: the number of parts is a multiple of it if there are enough rows.
    """
    parts = multiple * -(-rows // (multiple * size))
    size = -(-rows // parts)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
