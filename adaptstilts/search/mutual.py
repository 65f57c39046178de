"""Exact nearest neighbours in both directions, by whatever finds them fastest; the answer is the same by any way."""

from __future__ import annotations

from adaptstilts.search import faiss, int8
from adaptstilts.search.exact import Found, Vectors, neighbours
from adaptstilts.study import Backend


def mutual(foreign: Vectors, english: Vectors, k: int, backend: Backend = "auto") -> tuple[Found, Found]:
    """The ``k`` nearest rows of the other side, for every row of both sides.

    Args:
        foreign: (n, d) float32, n >= 1, rows of length one or zero.
        english: (m, d) float32, m >= 1, the same.
        k: neighbours; all where there are fewer.
        backend: ``one-pass`` computes every product once, in 8 bits; the others search each direction by itself, see
            :func:`adaptstilts.search.exact.neighbours`. ``auto`` takes the one pass where it pays.

    Returns:
        For foreign and for English rows what :func:`adaptstilts.search.exact.neighbours` gives, to the bit.

    Raises:
        DataError: shapes that do not fit, or a value that is not finite.
        ResourceError: FAISS was asked for and is not installed, or ``one-pass`` on a processor whose 8-bit products
            may be wrong.
    """
    check(backend)
    if backend == "one-pass":
        return int8.mutual(foreign, english, k)
    if backend == "auto" and int8.pays(foreign, english):
        return int8.mutual(foreign, english, k)
    return neighbours(foreign, english, k, backend), neighbours(english, foreign, k, backend)


def check(backend: Backend) -> None:
    """Whether a backend is there; asked before anything is encoded.

    Raises:
        ResourceError: FAISS is not installed, or this processor's 8-bit products may be wrong.
    """
    if backend == "one-pass":
        int8.check()
    elif backend not in ("auto", "numpy"):
        faiss.load()
