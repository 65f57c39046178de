"""Methods by kind: every ``Method`` class in a module of this folder, in a plug-in, or given to :func:`add`."""

from __future__ import annotations

import json
from typing import Any

from adaptstilts.methods.base import Method
from adaptstilts.registry import Registry

__all__ = ["REGISTRY", "Method", "add", "get", "known", "parse"]


def _kind(method: type[Method]) -> str:
    return str(method.model_fields["kind"].default)


def _is_method(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Method) and value is not Method


REGISTRY: Registry[type[Method]] = Registry(
    "method", "adaptstilts.methods", name_of=_kind, is_member=_is_method, package=__name__
)
add = REGISTRY.add
get = REGISTRY.get
known = REGISTRY.known


def parse(identity: dict[str, Any]) -> Method:
    """Return the method that :meth:`Method.identity` describes."""
    return get(identity["kind"]).model_validate_json(json.dumps(identity))
