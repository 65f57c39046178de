"""Dotted overrides of the values of a config file, such as ``train.lr=1e-4`` or ``targets.udpos.train.epochs=9``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adaptstilts.errors import ConfigError
from adaptstilts.io import yaml
from adaptstilts.study.messages import near
from adaptstilts.study.places import Keys


def split_override(override: str) -> tuple[list[str], Any]:
    """Split ``key.path=value`` into keys and value.

    Raises:
        ConfigError: the override has another form.
    """
    path, sign, text = override.partition("=")
    keys = path.split(".")
    if not sign or not all(key.strip() for key in keys):
        raise ConfigError(f"override {override!r}: expected key.path=value, such as train.lr=1e-4")
    return keys, yaml.parse(text, f"override {override!r}", has_lines=False).data


def override_key(data: dict[str, Any], keys: list[str], value: Any, override: str, fields: Iterable[str]) -> Keys:
    """Set one value in the data of a config file.

    Args:
        data: changed in place.
        keys: path to the value; members of lists are named by their number, kind or task.
        value: the new value.
        override: the whole override, for messages.
        fields: the keys that the file may have.

    Returns:
        The path to what is new: the value, or the first part around it that the file did not have.

    Raises:
        ConfigError: there is no such key.
    """
    if keys[0] not in fields:
        raise ConfigError(f"override {override!r}: no key {keys[0]!r}{near(keys[0], fields)}")
    return set_value(data, keys, value, override)


def set_value(data: Any, keys: list[str], value: Any, override: str) -> Keys:
    """Set the value to which the keys lead; see :func:`override_key`.

    Returns:
        The path to what is new: the value, or the first part around it that the file did not have.
    """
    path: list[str | int] = []
    new: Keys | None = None
    for number, key in enumerate(keys[:-1]):
        step: str | int = member(data, key, override) if isinstance(data, list) else key
        path.append(step)
        if isinstance(step, str) and step not in data:
            if any(inner.isdecimal() for inner in keys[number:]):
                raise ConfigError(
                    f"override {override!r}: the file has no {key} with members; give all of {key} at once"
                )
            data[step] = {}
            new = new or tuple(path)
        data = data[step]
        if not isinstance(data, dict | list):
            raise ConfigError(f"override {override!r}: {key!r} is a value and has no keys")
    last: str | int = member(data, keys[-1], override) if isinstance(data, list) else keys[-1]
    data[last] = value
    return new or (*path, last)


def member(items: list[Any], key: str, override: str) -> int:
    """Return the number of the member of a list that a key names: by number, kind or task.

    Raises:
        ConfigError: no member has that name.
    """
    numbers = {str(number): number for number in range(len(items))}
    for number, item in enumerate(items):
        if isinstance(item, dict):
            numbers[str(item.get("kind", item.get("task")))] = number
    if key not in numbers:
        raise ConfigError(f"override {override!r}: no member {key!r}{near(key, numbers)}")
    return numbers[key]
