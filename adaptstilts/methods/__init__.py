"""Methods by kind: every ``Method`` class in a module of this folder, in a plug-in, or given to :func:`add`."""

from __future__ import annotations

import json
from typing import Any

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.methods.base import AdapterMethod, Method
from adaptstilts.registry import Registry

__all__ = ["REGISTRY", "AdapterMethod", "Method", "add", "get", "known", "parse", "parse_adapter"]


def _default_kind(method: type[Method]) -> Any:
    return method.model_fields["kind"].default


def _is_method(value: object) -> bool:
    """Return whether a value is a method class with a kind, not a base class."""
    return isinstance(value, type) and issubclass(value, Method) and isinstance(_default_kind(value), str)


REGISTRY: Registry[type[Method]] = Registry(
    "method",
    "adaptstilts.methods",
    name_of=_default_kind,
    is_member=_is_method,
    expected="a class derived from Method whose kind has a default",
    package=__name__,
)
get = REGISTRY.get
known = REGISTRY.known


def add(method: type[Method]) -> None:
    """Make a method known for the rest of this process.

    Raises:
        ConfigError: it is no method, or it attaches modules and is no :class:`AdapterMethod`, so that nothing would be
            trained by it.
    """
    REGISTRY.check(method)
    if hasattr(method, "activate") and not issubclass(method, AdapterMethod):
        raise ConfigError(
            f"method {_default_kind(method)!r} attaches modules: derive {method.__name__} from AdapterMethod"
        )
    REGISTRY.add(method)


def parse(identity: dict[str, Any]) -> Method:
    """Return the method that :meth:`Method.identity` describes."""
    return get(identity["kind"]).model_validate_json(json.dumps(identity))


def parse_adapter(identity: dict[str, Any]) -> AdapterMethod:
    """Return the adapter method that :meth:`Method.identity` describes.

    Raises:
        ArtifactError: the method attaches nothing.
    """
    method = parse(identity)
    if not isinstance(method, AdapterMethod):
        raise ArtifactError(f"{method.label}: expected a method that attaches an adapter to the encoder")
    return method
