"""Candidates for the neighbours of a block of rows or columns, and the thresholds that new ones have to reach."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptstilts.search.base import Neighbours, RowNumbers, Scores
from adaptstilts.search.int8.quantize import ProductScale, QuantizedSide
from adaptstilts.search.products import exact_products, rounding_bound, top_k

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
GROUP_COLUMNS = 32  # neighbouring cells whose largest product stands for them when a search begins
SETTLE_ABOVE = 4  # times k: candidates that an owner may have on average before they are settled in float64
MERGE_SHARE = 0.25  # merge once the pending candidates exceed this share of the others
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1


class Candidates:
    """Candidates of some owners, which are rows of one side and rows or columns of a tile.

    Args:
        side: the side that the owners belong to.
        other: the side that the candidates belong to.
        part: which rows of their side the owners are.
        scale: what 8-bit products stand for.
        k: neighbours.

    Attributes:
        vectors: (owners, d) float32.
        rounded: (owners, d or more) int8.
        kth: (owners,) a lower bound of the k-th best float32 product so far; -inf before the first.
    """

    def __init__(self, side: QuantizedSide, other: QuantizedSide, part: slice, scale: ProductScale, k: int) -> None:
        self.part, self.scale, self.k = part, scale, min(k, len(other.vectors))
        self.vectors, self.rounded = side.vectors[part], side.rounded[part]
        self.kth = np.full(len(self.vectors), -np.inf)
        self._all_vectors, self._other_vectors = side.vectors.numpy(), other.vectors.numpy()
        self._bound, self._excess = side.bound[part].numpy(), side.excess[part].numpy()
        self._float32_error = rounding_bound(self.vectors.shape[1])
        self._owners, self._rows = np.empty(0, np.int64), np.empty(0, np.int64)
        self._products = np.empty(0, np.float32)
        self._pending: list[tuple[RowNumbers, RowNumbers, Float32]] = []
        self._pending_count = 0

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def is_started(self) -> bool:
        """Whether any threshold is known yet."""
        return bool(np.isfinite(self.kth[0]))

    def int8_thresholds(self, others: Candidates) -> Int32:
        """Return the smallest 8-bit product of each owner that can stand for one of its best.

        Owners that lost more than usual in 8 bits get a lower threshold, so that the best of the others are not missed.

        Args:
            others: the owners on the other side of the tile.
        """
        smallest = self.kth - self._bound
        unusual = np.flatnonzero(self._excess)
        if len(unusual):
            smallest_of_others = (others.kth - others._bound).min()
            smallest[unusual] = np.minimum(smallest[unusual], smallest_of_others - self._excess[unusual])
        steps = np.floor((smallest - self._float32_error - self.scale.offset) / self.scale.unit)
        thresholds: Int32 = np.clip(steps, _INT32_MIN, _INT32_MAX).astype(np.int32)
        return thresholds

    def float32_thresholds(self) -> Float32:
        """Return the smallest float32 product of each owner that can be among its best."""
        return np.nextafter((self.kth - self._float32_error).astype(np.float32), np.float32(-np.inf))

    def start(self, rough: Tensor, others: Candidates) -> None:
        """Set the first thresholds, unless there are some: what the largest cells of k groups reach at least.

        Args:
            rough: 8-bit products (owners, others).
            others: the owners on the other side of the tile.
        """
        if self.is_started or len(others) < self.k:
            return
        groups = max(len(others) // GROUP_COLUMNS, self.k)
        width = len(others) // groups
        grouped = torch.unflatten(rough[:, : groups * width], 1, (groups, width))
        if rough.is_contiguous():
            largest = grouped.amax(2)
        else:  # the same, ten times faster: the columns are next to each other in memory
            largest = rough.T[: groups * width].view(groups, width, len(self)).amax(1).T
        best_groups = largest.topk(self.k, dim=1).indices
        cells_of_best = grouped.gather(1, best_groups[:, :, None].expand(-1, -1, width))
        cells = (best_groups * width + cells_of_best.argmax(2)).sort(dim=1).values.numpy()
        owners = np.repeat(np.arange(len(cells)), self.k)
        products = products_of_pairs(self.vectors, others.vectors, owners, cells.ravel())
        self.kth = products.reshape(cells.shape).min(axis=1).astype(np.float64)

    def add(self, owners: RowNumbers, rows: RowNumbers, products: Float32) -> None:
        """Add candidates that reach the threshold of their owner.

        Args:
            owners: (p,) from 0, within this block.
            rows: (p,) rows of the other side.
            products: (p,) in float32.
        """
        reaches = products >= self.float32_thresholds()[owners]
        self._pending.append((owners[reaches], rows[reaches], products[reaches]))
        self._pending_count += len(self._pending[-1][0])
        if self._pending_count > MERGE_SHARE * len(self._owners):
            self._merge_pending()

    def result(self) -> Neighbours:
        """Return the neighbours of every owner."""
        products = self._settle()
        return Neighbours(self._rows.reshape(-1, self.k), products.reshape(-1, self.k))

    def _merge_pending(self) -> None:
        """Raise the thresholds by the pending candidates, and drop what no longer reaches them."""
        parts = [(self._owners, self._rows, self._products), *self._pending]
        owners, rows, products = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._pending, self._pending_count = [], 0
        order = np.argsort((owners << 32) - _sortable(products))
        self._owners, self._rows, self._products = owners[order], rows[order], products[order]
        begins = np.searchsorted(self._owners, np.arange(len(self) + 1))
        full = np.flatnonzero(np.diff(begins) >= self.k)
        kth_of_full = self._products[begins[full] + self.k - 1]
        self.kth[full] = np.maximum(self.kth[full], kth_of_full)
        self._select(self._products >= self.float32_thresholds()[self._owners])
        if len(self._owners) > SETTLE_ABOVE * self.k * len(self):
            self._settle()

    def _settle(self) -> Scores:
        """Keep the k best of every owner by float64 product and then by number, and return their products."""
        if self._pending:
            self._merge_pending()
        products = exact_products(self._all_vectors, self._other_vectors, self._owners + self.part.start, self._rows)
        best = top_k(self._owners, self._rows, products, self.k)
        self._select(best)
        return products[best]

    def _select(self, which: NDArray[np.bool_] | RowNumbers) -> None:
        self._owners = self._owners[which]
        self._rows = self._rows[which]
        self._products = self._products[which]


def products_of_pairs(left: Tensor, right: Tensor, left_rows: RowNumbers, right_rows: RowNumbers) -> Float32:
    """Compute float32 inner products of pairs of rows, (p,).

    Args:
        left: (n, d).
        right: (m, d).
        left_rows: (p,) ascending.
        right_rows: (p,).
    """
    begins = torch.from_numpy(np.searchsorted(left_rows, np.arange(len(left) + 1)))
    pattern = torch.sparse_csr_tensor(
        begins,
        torch.from_numpy(right_rows),
        torch.zeros(len(right_rows)),
        (len(left), len(right)),
        check_invariants=False,
    )
    products: Float32 = torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values().numpy()
    return products


def _sortable(values: Float32) -> RowNumbers:
    """Map float32 values to 32-bit integers in the same order."""
    bits = values.view(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
