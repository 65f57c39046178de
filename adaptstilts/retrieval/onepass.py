"""Exact nearest neighbours in both directions at once: every product is computed a single time, in 8 bits.

A search from foreign to English and back needs the same matrix of inner products twice. Here a block of it is computed
once, from vectors rounded to 8-bit integers; what could be among the ``k`` best of its row or of its column, given by
how much rounding can be wrong, is computed again in float32, and what is left of that in float64. The result is that of
``search.neighbours`` in both directions, to the bit.

The bound. A row x is s q + r with integers q, one scale s for a side, and the remainder r, whose length e is measured.
Then |x y - s t (q p)| <= e (|y| + f) + (|x| + e) f + e f for a row y = t p + r' with remainder of length f
(Cauchy-Schwarz), which for rows of unit length is e (1 + f) + (1 + e) f + e f. Rows are rotated first by a random
orthogonal matrix, which changes no product but evens out their entries, so that one scale fits them all and e is
small (about 0.01) also for encoders that put much of a vector into few entries. A product of two rows of length one,
summed in float32, is off by at most d 2^-24 (Higham 2002, section 3.1).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.retrieval.search import Vectors, comparable, exact

Rows = NDArray[np.int64]
Scores = NDArray[np.float64]
Found = tuple[Rows, Scores]

BLOCK = 1024  # rows of a block; more need more memory, fewer more time for packing the other side
CELLS = 2**26  # of a block at most
GROUP = 64  # neighbouring columns (or rows) whose largest product stands for them
STRIP = 32  # rows that are compared at once
LEVELS = 127
WIDTH = 32  # entries of a row are a multiple of it: torch's product of narrow ones is wrong
FEWEST = 4096  # rows of a side from which on it pays
_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


@dataclass(frozen=True)
class _Side:
    """Vectors and their 8-bit form.

    Attributes:
        rows: (n, d) float32.
        rounded: (n, d or more) int8, padded with zeros.
        scale: what an integer stands for.
        error: length of the longest remainder.
    """

    rows: Tensor
    rounded: Tensor
    scale: float
    error: float


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
    x, y = _sides(foreign, english)
    return _Search(foreign, english, x, y, k).run()


def pays(foreign: Vectors, english: Vectors) -> bool:
    """Whether this is the fastest search: many rows, no GPU, and a processor with 8-bit products."""
    return min(len(foreign), len(english)) >= FEWEST and not torch.cuda.is_available() and _has_int8()


class _Search:
    def __init__(self, foreign: Vectors, english: Vectors, x: _Side, y: _Side, k: int) -> None:
        self.foreign, self.english, self.x, self.y = foreign, english, x, y
        self.ahead, self.back = min(k, len(english)), min(k, len(foreign))
        self.unit = x.scale * y.scale
        self.bound = x.error * (1 + y.error) + (1 + x.error) * y.error + x.error * y.error + 1e-6
        self.slack = (foreign.shape[1] + 8) * 2.0**-23  # twice what a float32 product is off by, and comparing them
        self.rows = np.empty((len(foreign), self.ahead), np.int64)
        self.products = np.empty((len(foreign), self.ahead), np.float64)
        self.best = np.full((len(english), self.back), -1, np.int64)
        self.best_products = np.full((len(english), self.back), -np.inf)

    def run(self) -> tuple[Found, Found]:
        """Block after block of foreign rows against all English ones."""
        size = max(1, min(BLOCK, CELLS // len(self.english)))
        for start in range(0, len(self.foreign), size):
            self._block(start, min(start + size, len(self.foreign)))
        return (self.rows, self.products), (self.best, self.best_products)

    def _block(self, start: int, stop: int) -> None:
        rough = torch._int_mm(self.x.rounded[start:stop], self.y.rounded.T)
        rows = self._reached(rough, start, self.ahead, 1)
        columns = torch.from_numpy(self.best_products[:, -1])
        if start == 0:  # nothing is known of the columns yet but what this block says
            columns = self._reached(rough, start, self.back, 0).double()
        at, cell = _reaching(rough, self._steps(rows), self._steps(columns))
        begins = torch.searchsorted(at, torch.arange(stop - start + 1))
        near = _sampled(self.x.rows[start:stop], self.y.rows, begins, cell)
        for_row, for_column = near >= rows[at] - self.slack, near >= columns[cell] - self.slack
        self._keep_rows(start, stop, at[for_row].numpy(), cell[for_row].numpy())
        self._keep_columns(at[for_column].numpy() + start, cell[for_column].numpy())

    def _steps(self, products: Tensor) -> Tensor:
        """The least integer product that can stand for a real one of at least this."""
        steps = torch.floor((products.double() - self.slack - self.bound) / self.unit)
        return steps.clamp(-(2**31), 2**31 - 1).to(torch.int32)

    def _reached(self, rough: Tensor, start: int, k: int, dim: int) -> Tensor:
        """A product that k cells of every row (dim 1) or column (dim 0) of a block reach: those of k groups' maxima."""
        table = rough if dim else rough.T
        size = table.shape[1]
        groups = max(size // GROUP, min(k, size))
        if groups < k:
            return torch.full((len(table),), -torch.inf)
        width = size // groups
        parts = table[:, : groups * width].reshape(len(table), groups, width)
        chosen = parts.amax(2).topk(k, dim=1).indices
        inner = parts.gather(1, chosen[:, :, None].expand(-1, -1, width)).argmax(2)
        cells = (chosen * width + inner).sort(dim=1).values
        left, right = (self.x.rows[start:], self.y.rows) if dim else (self.y.rows, self.x.rows[start:])
        return _products(left[: len(table)], right[:size], cells).min(dim=1).values

    def _keep_rows(self, start: int, stop: int, asking: Rows, columns: Rows) -> None:
        """The neighbours of the block's rows, which no later block changes."""
        scores = exact(self.foreign, self.english, asking + start, columns)
        found, products = _first(asking, columns, scores, stop - start, self.ahead)
        self.rows[start:stop], self.products[start:stop] = found, products

    def _keep_columns(self, rows: Rows, columns: Rows) -> None:
        """Merge a block's cells into the neighbours of the columns."""
        scores = exact(self.foreign, self.english, rows, columns)
        touched, place = np.unique(columns, return_inverse=True)
        older = np.repeat(np.arange(len(touched)), self.back)
        found, products = _first(
            np.concatenate([older, place]),
            np.concatenate([self.best[touched].ravel(), rows]),
            np.concatenate([self.best_products[touched].ravel(), scores]),
            len(touched),
            self.back,
        )
        self.best[touched], self.best_products[touched] = found, products


@cache
def _has_int8() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return hasattr(torch, "_int_mm") and not _FLAGS.isdisjoint(text.split())


def _sides(foreign: Vectors, english: Vectors) -> tuple[_Side, _Side]:
    width = foreign.shape[1]
    source = np.random.default_rng(width)
    rotation = torch.from_numpy(np.linalg.qr(source.standard_normal((width, width)))[0].astype(np.float32))
    x, y = (_rounded(torch.from_numpy(np.ascontiguousarray(side)), rotation) for side in (foreign, english))
    return x, y


def _rounded(rows: Tensor, rotation: Tensor) -> _Side:
    """Rotated rows as integers, and the longest remainder (rotation's own rounding added)."""
    turned = rows @ rotation
    scale = max(float(turned.abs().max()), 1e-30) / LEVELS
    width = rows.shape[1]
    rounded = torch.zeros((len(rows), -(-width // WIDTH) * WIDTH), dtype=torch.int8)
    longest = 0.0
    for start in range(0, len(turned), BLOCK):
        block = turned[start : start + BLOCK] / scale
        whole = block.round()
        rounded[start : start + BLOCK, :width] = whole
        longest = max(longest, float((block - whole).norm(dim=1).max()) * scale)
    return _Side(rows, rounded, scale, longest + width * 2.0**-23)


def _reaching(rough: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Cells that reach what is asked of their row or of their column: (cells,) rows and columns."""
    found = []
    for start in range(0, len(rough), STRIP):  # so few that they stay in the cache
        strip = rough[start : start + STRIP]
        asked = torch.minimum(rows[start : start + STRIP, None], columns[None, :])
        at, cell = (strip >= asked).nonzero(as_tuple=True)
        found.append((at + start, cell))
    return torch.cat([at for at, _ in found]), torch.cat([cell for _, cell in found])


def _products(left: Tensor, right: Tensor, cells: Tensor) -> Tensor:
    """Inner products in float32 of every left row with so many right rows each: (rows, k)."""
    begins = torch.arange(len(left) + 1) * cells.shape[1]
    return _sampled(left, right, begins, cells.reshape(-1)).view(cells.shape)


def _sampled(left: Tensor, right: Tensor, begins: Tensor, cells: Tensor) -> Tensor:
    """Inner products in float32 of some pairs: ``cells[begins[i]:begins[i + 1]]`` are the right rows of left row i."""
    shape = (len(left), len(right))
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse"
        )  # torch calls its CSR tensors beta; only this product is used
        pattern = torch.sparse_csr_tensor(begins, cells, torch.zeros(len(cells)), shape, check_invariants=False)
    found: Tensor = torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values()
    return found


def _first(group: Rows, numbers: Rows, scores: Scores, groups: int, k: int) -> Found:
    """The k best of every group by score, then by number; every group has as many."""
    order = np.lexsort((numbers, -scores, group))
    begins = np.searchsorted(group[order], np.arange(groups))
    kept = order[begins[:, None] + np.arange(k)]
    return numbers[kept], scores[kept]
