"""Dotted overrides of a config file's values, and the nearest known word for a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.registry import nearest


def split_override(override: str) -> tuple[list[str], Any]:
    """``key.path=value`` as keys and value.

    Raises:
        ConfigError: it has another form.
    """
    path, sign, text = override.partition("=")
    if not sign or not path:
        raise ConfigError(f"override {override!r}: expected key.path=value")
    return path.split("."), yaml.parse(text, f"override {override!r}").data


def override_key(data: dict[str, Any], keys: list[str], value: Any, override: str, fields: Iterable[str]) -> None:
    """Set one value in the data of a config file; ``fields`` are its top-level keys.

    Raises:
        ConfigError: there is no such key.
    """
    if keys[0] not in fields:
        raise ConfigError(f"override {override!r}: no key {keys[0]!r}{near(keys[0], fields)}")
    place(data, keys, value, override)


def place(data: Any, keys: list[str], value: Any, override: str) -> None:
    """Put a value where the keys lead; a member of a list is named by its number, kind or task."""
    for key in keys[:-1]:
        data = member(data, key, override) if isinstance(data, list) else data.setdefault(key, {})
        if not isinstance(data, dict | list):
            raise ConfigError(f"override {override!r}: {key!r} is a value, not a part that has keys")
    if isinstance(data, list):
        wanted = member(data, keys[-1], override)
        at = int(keys[-1]) if keys[-1].isdecimal() else next(i for i, item in enumerate(data) if item is wanted)
        data[at] = value
    else:
        data[keys[-1]] = value


def member(items: list[Any], key: str, override: str) -> Any:
    """One member of a list by its number, kind or task.

    Raises:
        ConfigError: there is none.
    """
    names = {str(i): item for i, item in enumerate(items)}
    names |= {str(item.get("kind", item.get("task"))): item for item in items if isinstance(item, dict)}
    if key not in names:
        raise ConfigError(f"override {override!r}: no member {key!r}{near(key, names)}")
    return names[key]


def near(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the known words like this one, else all of them."""
    known = list(known)
    similar = nearest(word, known)
    return f"; did you mean {' or '.join(similar)}?" if similar else f"; known here: {', '.join(sorted(known))}"
