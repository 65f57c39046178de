"""Kinds: behaviour shared by tasks. One module each, found by the ``kind`` of a task declaration."""

from __future__ import annotations

import importlib
from functools import cache

from adaptstilts.errors import ConfigError
from adaptstilts.kinds.base import Kind


@cache
def get(name: str) -> Kind:
    """The kind of a name: the ``KIND`` of the module ``adaptstilts.kinds.<name>``.

    Raises:
        ConfigError: there is no such kind.
    """
    if not name.isidentifier():
        raise ConfigError(f"unknown kind {name!r}")
    try:
        kind: Kind = importlib.import_module(f"{__name__}.{name}").KIND
    except (ModuleNotFoundError, AttributeError):
        raise ConfigError(f"unknown kind {name!r}; adaptstilts.kinds has no such module") from None
    return kind
