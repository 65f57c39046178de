"""Arrays in, neighbours out: exact search by any backend, approximate search, margins and mining.

A backend is one module of this folder, or comes from a plug-in, and is chosen by its name. All return the same
neighbours, so the choice is only one of speed and memory, and no content key depends on it.
"""

from __future__ import annotations

import numpy as np

from adaptstilts.errors import ConfigError, ResourceError
from adaptstilts.registry import Registry, nearest
from adaptstilts.search.base import Backend, Neighbours, Vectors
from adaptstilts.search.products import check_comparable

__all__ = [
    "AUTO",
    "REGISTRY",
    "Backend",
    "Neighbours",
    "add",
    "check_available",
    "get",
    "known",
    "mutual_neighbours",
    "neighbours",
    "remove",
    "why_not_known",
]

AUTO = "auto"


def _name(backend: Backend) -> str:
    return backend.name


def _is_backend(value: object) -> bool:
    return not isinstance(value, type) and isinstance(value, Backend)


REGISTRY: Registry[Backend] = Registry(
    "search backend",
    "adaptstilts.search",
    name_of=_name,
    is_member=_is_backend,
    expected="an instance of a class derived from Backend",
    package=__name__,
)
add = REGISTRY.add
remove = REGISTRY.remove
known = REGISTRY.known


def why_not_known(name: str) -> str | None:
    """Return what is wrong with the name of a backend, or None for ``auto`` and those that are registered."""
    if name == AUTO or name in known():
        return None
    names = [AUTO, *known()]
    near = nearest(name, names)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(names)}"
    return f"unknown search backend {name!r}; {hint}"


def get(name: str) -> Backend:
    """Return the backend of a name.

    Raises:
        ConfigError: there is none.
        ResourceError: it does not work on this machine.
    """
    if reason := why_not_known(name):
        raise ConfigError(reason)
    backend = known()[name]
    if reason := backend.why_not_available():
        raise ResourceError(f"backend {name}: {reason}")
    return backend


def check_available(name: str) -> None:
    """Raise if a backend is unknown or does not work on this machine; call it before sentences are encoded.

    Raises:
        ConfigError, ResourceError: as :func:`get`.
    """
    if name != AUTO:
        get(name)


def neighbours(queries: Vectors, index: Vectors, k: int, backend: str = AUTO) -> Neighbours:
    """Find the ``k`` index rows with the largest inner products for every query.

    Args:
        queries: (m, d) float32, rows of length one or zero.
        index: (n, d) float32, n >= 1, the same.
        k: neighbours; all n if there are fewer.
        backend: name of a backend; ``auto`` for the one that prefers this search most.

    Returns:
        The neighbours, the best first, equal products in the order of their rows; the same from every backend.

    Raises:
        ConfigError: no such backend.
        DataError: shapes that do not fit, or a value that is not finite.
        ResourceError: the backend does not work on this machine.
    """
    check_comparable(queries, index)
    chosen = _preferred(len(queries), len(index), False) if backend == AUTO else get(backend)
    k = min(k, len(index))
    return _checked(chosen.neighbours(queries, index, k), chosen, len(queries), len(index), k)


def mutual_neighbours(foreign: Vectors, english: Vectors, k: int, backend: str = AUTO) -> tuple[Neighbours, Neighbours]:
    """Find the ``k`` nearest rows of the other side for every row of both sides.

    Args:
        foreign: (n, d) float32, n >= 1, rows of length one or zero.
        english: (m, d) float32, m >= 1, the same.
        k: neighbours; all if there are fewer.
        backend: name of a backend; ``auto`` for the one that prefers this search most.

    Returns:
        What :func:`neighbours` returns for the foreign rows, and for the English rows.

    Raises:
        ConfigError, DataError, ResourceError: as :func:`neighbours`.
    """
    check_comparable(foreign, english, mutual=True)
    chosen = _preferred(len(foreign), len(english), True) if backend == AUTO else get(backend)
    both = chosen.mutual_neighbours(foreign, english, k)
    if not isinstance(both, tuple) or len(both) != 2:
        raise ConfigError(f"search backend {chosen.name}: expected a pair of Neighbours, found {type(both).__name__}")
    n, m = len(foreign), len(english)
    return _checked(both[0], chosen, n, m, min(k, m)), _checked(both[1], chosen, m, n, min(k, n))


def _checked(result: Neighbours, backend: Backend, queries: int, index: int, k: int) -> Neighbours:
    """Return what a backend found, if it can be that.

    Args:
        result: of the backend.
        backend: perhaps somebody else's.
        queries: how many there are.
        index: rows of the index.
        k: neighbours of each query.

    Raises:
        ConfigError: arrays of another shape or type, rows that the index does not have, or products that are not
            finite.
    """
    if problem := _why_not_neighbours(result, (queries, k), index):
        raise ConfigError(f"search backend {backend.name}: {problem}")
    return result


def _why_not_neighbours(result: object, shape: tuple[int, int], index: int) -> str | None:
    """Return why a result cannot be the neighbours in an index of so many rows; None if it can."""
    if not isinstance(result, Neighbours):
        return f"expected Neighbours, found {type(result).__name__}"
    rows, products = np.asarray(result.rows), np.asarray(result.products)
    if rows.shape != shape or products.shape != shape:
        return f"expected two arrays of the shape {shape}, found {rows.shape} and {products.shape}"
    if rows.dtype.kind != "i" or rows.min(initial=0) < 0 or rows.max(initial=0) >= index:
        return f"expected row numbers from 0 to {index - 1}"
    if products.dtype.kind != "f" or not np.isfinite(products).all():
        return "expected finite products"
    return None


def _preferred(queries: int, index: int, mutual: bool) -> Backend:
    """Return the available backend with the highest priority for a search of this size."""
    priorities = {}
    for name, backend in known().items():
        if backend.why_not_available() is None:
            priorities[name] = backend.priority(queries, index, mutual)
    ranked = {name: priority for name, priority in priorities.items() if priority is not None}
    return known()[max(ranked, key=lambda name: ranked[name])]
