"""What pydantic finds wrong with a config file, in plain words: what was expected and what was found."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from adaptstilts.registry import nearest
from adaptstilts.study.places import Keys, Place, Problems
from adaptstilts.tasks.base import NAME, REPO

_PATTERNS = {
    NAME: "a name of at most 96 letters, digits, dots, dashes and underscores, the first a letter or a digit",
    REPO: "owner/name",
}
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
}
_BOUNDS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}
_LISTS = ("tuple_type", "list_type")
_MAPPINGS = ("dict_type", "mapping_type", "model_type", "model_attributes_type")
Detail = Mapping[str, Any]  # one mistake as pydantic describes it


def explain(error: ValidationError, cls: type[BaseModel], place: Place, problems: Problems) -> list[Keys]:
    """Note every mistake that pydantic found.

    Args:
        error: what it raised.
        cls: the model that was to be made.
        place: place of the values that it should be built from.
        problems: where mistakes are noted.

    Returns:
        The path of every wrong value, from ``place``.
    """
    by_value: dict[Keys, list[Detail]] = {}
    details: list[Detail] = [dict(detail) for detail in error.errors(include_url=False)]
    for detail in details:
        by_value.setdefault(_keys(cls, detail["loc"]), []).append(detail)
    wrong = [keys for keys in by_value if not _is_explained_deeper(keys, by_value)]
    for keys in wrong:
        where = place.at(*keys)
        problems.add(where, _message(by_value[keys], cls, where.keys))
    return wrong


def near(word: str, known: Iterable[str]) -> str:
    """Return the end of an error line: the known words nearest to a wrong one, or else all of them."""
    words = list(known)
    similar = nearest(word, words)
    if similar:
        return f"; did you mean {' or '.join(similar)}?"
    return f"; known here: {', '.join(sorted(words))}"


def shown(value: object) -> str:
    """Return a value as a study file would have it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(shown, value))
        return f"[{inner}]" if len(inner) < 60 else "a list"
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]}..."


def _keys(cls: type[BaseModel], loc: tuple[str | int, ...]) -> Keys:
    """Return the path of a value; pydantic's has the names of the alternatives of a union in it as well."""
    keys: list[str | int] = []
    hint: Any = cls
    is_alternative = False
    for step in loc:
        if step == "[key]":  # it is the key of a mapping that is wrong
            continue
        if is_alternative and isinstance(step, str):
            is_alternative = False
            continue
        keys.append(step)
        hint = _inner(hint, step)
        is_alternative = len(_alternatives(hint)) > 1
    return tuple(keys)


def _inner(hint: Any, step: str | int) -> Any:
    """Return the type of a part of a value."""
    for option in _alternatives(hint):
        if isinstance(option, type) and issubclass(option, BaseModel):
            field = option.model_fields.get(str(step))
            return field.annotation if field else Any
        arguments = get_args(option)
        if arguments:
            return arguments[1] if isinstance(step, str) and len(arguments) > 1 else arguments[0]
    return Any


def _alternatives(hint: Any) -> list[Any]:
    """Return what a type may be, None apart."""
    if get_origin(hint) in (Union, types.UnionType):
        return [option for option in get_args(hint) if option is not type(None)]
    return [hint]


def _is_explained_deeper(keys: Keys, by_value: Mapping[Keys, list[Detail]]) -> bool:
    """Return whether parts of a value are wrong in themselves, so that it needs no message of its own."""
    has_wrong_parts = any(len(other) > len(keys) and other[: len(keys)] == keys for other in by_value)
    return has_wrong_parts and all(detail["type"] in ("literal_error", "too_short") for detail in by_value[keys])


def _message(details: list[Detail], cls: type[BaseModel], keys: Keys) -> str:
    """Return what is wrong with one value; several details are the objections of the alternatives of a union."""
    if len(details) > 1 and all(map(_expected, details)):
        expected = " or ".join(dict.fromkeys(map(_expected, details)))
        return f"expected {expected}, found {shown(details[0]['input'])}"
    detail = details[0]
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key{near(str(detail['loc'][-1]), _fields(cls, detail['loc'][:-1]))}"
    if kind == "missing":
        return f"is required; give it in the file or as {'.'.join(map(str, keys))}=VALUE"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:g}, found {shown(value)}"
    if kind == "too_short":
        count = context["min_length"]
        return f"needs {count} {'member' if count == 1 else 'members'} or more, found {context['actual_length']}"
    if kind == "literal_error" and isinstance(value, str):
        similar = nearest(value, _choices(detail))
        hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
        return f"expected {_expected(detail)}, found {shown(value)}{hint}"
    if kind == "value_error":
        return str(context.get("error", detail["msg"]))
    expected = _expected(detail)
    if expected:
        return f"expected {expected}, found {shown(value)}"
    return f"{detail['msg']}, found {shown(value)}"


def _expected(detail: Detail) -> str:
    """Return what a value was expected to be; empty if that is not all there is to say."""
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind in _LISTS:
        return f"a list such as [{shown(value)}]" if _is_scalar(value) else "a list"
    if kind in _MAPPINGS:
        return "a mapping of keys to values"
    if kind == "literal_error":
        choices = _choices(detail)
        return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text of the form {context['pattern']}")
    if kind == "string_too_short":
        return "text that is not empty"
    return _EXPECTED.get(kind, "")


def _choices(detail: Detail) -> list[str]:
    """Return the values that a literal may have; pydantic gives them as 'a', 'b' or 'c'."""
    text = str(detail["ctx"]["expected"]).replace(" or ", ", ")
    return [choice.strip("'") for choice in text.split(", ")]


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _fields(cls: type[BaseModel], loc: tuple[str | int, ...]) -> Iterable[str]:
    """Return the keys of the part of a model that a path leads to."""
    hint: Any = cls
    for step in _keys(cls, loc):
        hint = _inner(hint, step)
    for option in _alternatives(hint):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option.model_fields
    return ()
