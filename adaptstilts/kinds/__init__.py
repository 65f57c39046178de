"""Kinds: what tasks of one form share, one module each; a task's ``kind`` names the spec of its own.

What must be known of a kind before anything runs is its spec, in :mod:`adaptstilts.tasks.kind_specs`; what it does is
an object with one of the protocols of :mod:`adaptstilts.kinds.base`, imported when it is first asked for.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

from adaptstilts.errors import ConfigError
from adaptstilts.tasks import kind_specs
from adaptstilts.tasks.kind_specs import REGISTRY, KindSpec, add, known

if TYPE_CHECKING:
    from adaptstilts.kinds.base import Kind, PoolRanker, Searchable, Trainable

__all__ = ["REGISTRY", "KindSpec", "add", "get", "known", "pool_ranker", "searchable", "trainable"]


def get(name: str) -> Kind:
    """Return the object of a kind.

    Raises:
        ConfigError: the kind is unknown, or its object cannot be imported or lacks a member of its protocol.
    """
    kind: Kind = _checked(kind_specs.get(name))
    return kind


def trainable(name: str) -> Trainable:
    """Return the object of a kind whose tasks are trained.

    Raises:
        ConfigError: tasks of this kind are retrieval tasks; or as :func:`get`.
    """
    spec = kind_specs.get(name)
    if spec.searches:
        raise ConfigError(f"tasks of the kind {name} are retrieval tasks: they have no head and are not trained")
    kind: Trainable = _checked(spec)
    return kind


def pool_ranker(name: str) -> PoolRanker:
    """Return the object of a kind whose languages are ranked against one pool of candidates.

    Raises:
        ConfigError: tasks of this kind have no pool; or as :func:`get`.
    """
    spec = kind_specs.get(name)
    if not spec.shares_pool:
        raise ConfigError(f"tasks of the kind {name} are not ranked against a pool of candidates")
    kind: PoolRanker = _checked(spec)
    return kind


def searchable(name: str) -> Searchable:
    """Return the object of a kind whose tasks are scored by searching sentence vectors.

    Raises:
        ConfigError: tasks of this kind are trained; or as :func:`get`.
    """
    spec = kind_specs.get(name)
    if not spec.searches:
        raise ConfigError(f"tasks of the kind {name} are trained: they are not scored by searching sentence vectors")
    kind: Searchable = _checked(spec)
    return kind


def _checked(spec: KindSpec) -> Any:
    """Return the object of a spec, which must have every member of the protocol that the spec asks for."""
    from adaptstilts.kinds import base

    protocol: type = base.Trainable
    if spec.searches:
        protocol = base.Searchable
    elif spec.shares_pool:
        protocol = base.PoolRanker
    kind = _loaded(spec.implementation)
    missing = sorted(name for name in _members(protocol) if not hasattr(kind, name))
    if missing:
        raise ConfigError(
            f"kind {spec.name!r}: {spec.implementation} lacks {', '.join(missing)}; see adaptstilts.kinds.base"
        )
    return kind


@functools.cache
def _loaded(implementation: str) -> object:
    """Import the object that ``module:attribute`` names; a class is called."""
    module, _, attribute = implementation.partition(":")
    try:
        value: object = getattr(importlib.import_module(module), attribute)
        return value() if isinstance(value, type) else value
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"kind {implementation}: cannot be imported ({reason})") from error


@functools.cache
def _members(protocol: type) -> frozenset[str]:
    """Return the public names that a protocol and those it extends declare."""
    names: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False):
            names |= {*vars(base), *vars(base).get("__annotations__", {})}
    return frozenset(name for name in names if not name.startswith("_"))
