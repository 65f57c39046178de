"""The interface of search backends, and the arrays that go in and come out."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]  # (n, d)
RowNumbers = NDArray[np.int64]
Scores = NDArray[np.float64]


class Neighbours(NamedTuple):
    """The nearest rows of every query.

    Attributes:
        rows: (m, k) row numbers in the index, the nearest first.
        products: (m, k) their inner products with the query, in float64.
    """

    rows: RowNumbers
    products: Scores

    @classmethod
    def empty(cls, queries: int, k: int) -> Neighbours:
        """Return uninitialised arrays for a number of queries."""
        return cls(np.empty((queries, k), np.int64), np.empty((queries, k), np.float64))


@runtime_checkable
class Backend(Protocol):
    """A way to find exact nearest neighbours by inner product.

    All backends return the same: products summed in float64 by :func:`adaptstilts.search.products.exact_products`, the
    largest first, and equal ones by row number. A backend that computes in lower precision only proposes rows, and lets
    :func:`adaptstilts.search.products.rank` compute and order them.

    :func:`adaptstilts.search.neighbours` and :func:`adaptstilts.search.mutual_neighbours` check what they pass on:
    vectors are finite, as wide as each other and of length one (or zero), the index has at least one row, and
    1 <= ``k`` <= its rows. There may be no queries.

    A subclass has to define ``name`` and :meth:`neighbours`. An instance in a module of this folder, in a plug-in of
    the group ``adaptstilts.search``, or passed to :func:`adaptstilts.search.add` can be chosen by its name.

    Attributes:
        name: what ``retrieve.backend`` and ``--backend`` call it.
    """

    name: str

    @abstractmethod
    def neighbours(self, queries: Vectors, index: Vectors, k: int) -> Neighbours:
        """Find the ``k`` nearest rows of the index for every query.

        Args:
            queries: (m, d).
            index: (n, d).
            k: neighbours of each query, at most n.

        Returns:
            Row numbers and products, (m, k) each.
        """

    def mutual_neighbours(self, foreign: Vectors, english: Vectors, k: int) -> tuple[Neighbours, Neighbours]:
        """Find the nearest rows of the other side for the rows of both sides.

        Override it if one pass over the products can serve both directions.

        Args:
            foreign: (n, d), n >= 1.
            english: (m, d), m >= 1.
            k: neighbours of each row; all rows of the other side if it has fewer.

        Returns:
            The neighbours of the foreign rows and those of the English rows.
        """
        forward = self.neighbours(foreign, english, min(k, len(english)))
        backward = self.neighbours(english, foreign, min(k, len(foreign)))
        return forward, backward

    def why_not_available(self) -> str | None:
        """Return what is missing on this machine and what to do about it, or None if the backend works here."""
        return None

    def priority(self, queries: int, index: int, mutual: bool) -> int | None:
        """Return how early ``auto`` should prefer this backend; it takes the available one with the highest number.

        The shipped ones return 0 (numpy), 10 (FAISS on a CPU), 20 (one-pass, for many rows in both directions) and 30
        (FAISS on GPUs).

        Args:
            queries: number of queries, or of foreign rows.
            index: rows of the index, or English rows.
            mutual: whether both directions are searched.

        Returns:
            A number; None if ``auto`` should never take this backend.
        """
        return None
