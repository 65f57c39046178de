"""Methods, found by scanning this package: every ``Method`` class with a ``kind`` of its own is known."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any

from adaptstilts.errors import ConfigError
from adaptstilts.methods.base import Method

__all__ = ["Method", "add", "get", "known", "parse"]

_EXTRA: dict[str, type[Method]] = {}
_FOUND: dict[str, type[Method]] = {}


def known() -> dict[str, type[Method]]:
    """Every method class by its kind."""
    if not _FOUND:
        for module in pkgutil.iter_modules(__path__):
            for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
                if isinstance(value, type) and issubclass(value, Method) and value is not Method:
                    _FOUND[value.model_fields["kind"].default] = value
    return {**_FOUND, **_EXTRA}


def add(method: type[Method]) -> None:
    """Make a method from outside the package known for the rest of this process."""
    _EXTRA[method.model_fields["kind"].default] = method


def get(kind: str) -> type[Method]:
    """The method class of a kind.

    Raises:
        ConfigError: no such method; the message suggests the nearest names.
    """
    methods = known()
    if kind in methods:
        return methods[kind]
    near = difflib.get_close_matches(kind, methods, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(methods)}"
    raise ConfigError(f"unknown method {kind!r}; {hint}")


def parse(identity: dict[str, Any]) -> Method:
    """The method that :meth:`Method.identity` describes."""
    return get(identity["kind"]).model_validate_json(_json(identity))


def _json(value: Any) -> str:
    import json

    return json.dumps(value)
