"""Kinds: behaviour shared by tasks, one module each, found by the ``kind`` of a task declaration."""

from __future__ import annotations

from adaptstilts.kinds.base import Kind
from adaptstilts.registry import Registry

__all__ = ["REGISTRY", "add", "get", "known"]


def _name(kind: Kind) -> str:
    return kind.name


def _is_kind(value: object) -> bool:
    return not isinstance(value, type) and isinstance(value, Kind)


REGISTRY: Registry[Kind] = Registry(
    "task kind", "adaptstilts.kinds", name_of=_name, is_member=_is_kind, package=__name__
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known
