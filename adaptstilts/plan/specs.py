"""Specs: dataclasses as plain values, as content keys and manifests hold them, and back.

A field is written under its own name, or under the one that :class:`SpecField` gives. Fields that equality ignores
(``field(compare=False)``) are not written, nor are fields at their default and empty ones, so a new field with a
default leaves old keys unchanged. Settings and methods are written as their ``identity()``, which does the same.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from adaptstilts import methods
from adaptstilts.methods import Method
from adaptstilts.study import StrictModel

T = TypeVar("T")
_EMPTY: tuple[Any, ...] = (None, [], {})


@dataclass(frozen=True)
class SpecField:
    """How a field of a dataclass is written, as in ``settings: Annotated[Train, SpecField("train")]``.

    Attributes:
        name: what the spec calls it; empty for the field's own name.
        same_as: another field; the value is left out if it equals that field's.
    """

    name: str = ""
    same_as: str = ""


@dataclass(frozen=True)
class _WrittenField:
    """One field that is written."""

    field: str
    name: str
    hint: Any
    same_as: str
    default: Any


def write(instance: Any) -> dict[str, Any]:
    """Return the spec of a dataclass instance, as values that JSON has."""
    spec: dict[str, Any] = {}
    for part in _parts(type(instance)):
        value = getattr(instance, part.field)
        if part.same_as and value == getattr(instance, part.same_as):
            continue
        plain = _plain(value)
        if plain not in _EMPTY and value != part.default:
            spec[part.name] = plain
    return spec


def read(cls: type[T], spec: Mapping[str, Any]) -> T:
    """Return the instance that :func:`write` wrote.

    Raises:
        ValueError: a field is missing, unknown, or of another type.
    """
    parts = _parts(cls)
    unknown = set(spec) - {part.name for part in parts}
    if unknown:
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}
    for part in parts:
        if part.name in spec:
            values[part.field] = _read_value(part.hint, spec[part.name], part.name)
        elif part.same_as:
            values[part.field] = values[part.same_as]
        elif part.default is MISSING:
            values[part.field] = _empty(part.hint, part.name)
    return cls(**values)


_PARTS: dict[type, tuple[_WrittenField, ...]] = {}


def _parts(cls: type) -> tuple[_WrittenField, ...]:
    """Return the written fields of a dataclass, computed once."""
    if cls not in _PARTS:
        _PARTS[cls] = tuple(_list_parts(cls))
    return _PARTS[cls]


def _list_parts(cls: Any) -> list[_WrittenField]:
    """Return the written fields of a dataclass; those that repeat another one come last."""
    hints = get_type_hints(cls, include_extras=True)
    parts = []
    for field in dataclasses.fields(cls):
        if not field.compare:
            continue
        hint, marks = _without_marks(hints[field.name])
        mark = next((mark for mark in marks if isinstance(mark, SpecField)), SpecField())
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        parts.append(_WrittenField(field.name, mark.name or field.name, hint, mark.same_as, default))
    return sorted(parts, key=lambda part: bool(part.same_as))


def _without_marks(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(hint) is Annotated:
        return hint.__origin__, hint.__metadata__
    return hint, ()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "identity"):
        return value.identity()
    if dataclasses.is_dataclass(value):
        return write(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _read_value(hint: Any, value: Any, name: str) -> Any:
    """Convert a plain value to the type of its field."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _read_value(hint, value, name)
    if origin is tuple:
        _check(isinstance(value, list | tuple), "a list", value, name)
        return tuple(_read_value(arguments[0], item, name) for item in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _check(isinstance(value, Mapping), "a mapping", value, name)
        return {key: _read_value(arguments[1], item, name) for key, item in value.items()}
    if hint is Any or origin is Literal:
        return value
    if issubclass(hint, Method):
        _check(isinstance(value, Mapping) and isinstance(value.get("kind"), str), "a method", value, name)
        return methods.parse(dict(value))
    if issubclass(hint, StrictModel):
        return hint.from_identity(value)
    if issubclass(hint, BaseModel):
        return hint.model_validate_json(json.dumps(value))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        _check(isinstance(value, Mapping), "a mapping", value, name)
        return read(hint, value)
    return _read_scalar(hint, value, name)


def _read_scalar(hint: type, value: Any, name: str) -> Any:
    """Return a string, a number or a truth value; a whole float may have been written as an integer."""
    if hint is float and type(value) is int:
        return float(value)
    _check(type(value) is hint, f"a value of type {hint.__name__}", value, name)
    return value


def _empty(hint: Any, name: str) -> Any:
    """Return the value of a field without a default that was not written."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return None
    if origin is tuple:
        return ()
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {}
    if isinstance(hint, type) and issubclass(hint, StrictModel):
        return hint.from_identity({})
    raise ValueError(f"{name} is missing")


def _check(condition: bool, expected: str, value: Any, name: str) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, found {value!r}")
