"""Values of a row for functions that adapt rows: a null or another type is an error that names the column.

Without this, a missing text would become the word ``None`` inside another text, and ``true`` the number 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class UnfitRow(ValueError):
    """A row from which no example can be made; the message has the column, what was expected and what was found."""


def text(row: Mapping[str, Any], column: str) -> str:
    """Return the text of a column.

    Args:
        row: the row.
        column: its name; ``a.b`` is the field ``b`` of the column ``a``.

    Raises:
        UnfitRow: the column has no text.
    """
    value = _value(row, column)
    if not isinstance(value, str):
        raise UnfitRow(f"{column}: expected text, found {value!r}")
    return value


def texts(row: Mapping[str, Any], column: str) -> list[str]:
    """Return the list of texts of a column; arguments as of :func:`text`.

    Raises:
        UnfitRow: the column has no list of texts.
    """
    value = _value(row, column)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UnfitRow(f"{column}: expected a list of texts, found {value!r}")
    return value


def whole(row: Mapping[str, Any], column: str) -> int:
    """Return the whole number of a column, which may be written as text; arguments as of :func:`text`.

    Raises:
        UnfitRow: the column has no whole number.
    """
    value = _value(row, column)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit()
    if not is_number and not is_digits:
        raise UnfitRow(f"{column}: expected a whole number, found {value!r}")
    return int(value)


def wholes(row: Mapping[str, Any], column: str) -> list[int]:
    """Return the list of whole numbers of a column; arguments as of :func:`text`.

    Raises:
        UnfitRow: the column has no list of whole numbers.
    """
    value = _value(row, column)
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise UnfitRow(f"{column}: expected a list of whole numbers, found {value!r}")
    return value


def pairs(row: Mapping[str, Any], column: str) -> list[tuple[int, int]]:
    """Return the list of pairs of whole numbers of a column; arguments as of :func:`text`.

    Raises:
        UnfitRow: the column has no such list.
    """
    value = _value(row, column)
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise UnfitRow(f"{column}: expected a list of pairs, found {value!r}")
    for pair in value:
        if not all(type(number) is int for number in pair):
            raise UnfitRow(f"{column}: expected pairs of whole numbers, found {pair!r}")
    return [(first, second) for first, second in value]


def objects(row: Mapping[str, Any], column: str) -> list[Mapping[str, Any]]:
    """Return the list of objects of a column, each with fields; arguments as of :func:`text`.

    Raises:
        UnfitRow: the column has no list of objects.
    """
    value = _value(row, column)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UnfitRow(f"{column}: expected a list of objects, found {value!r}")
    return value


def fields(row: Mapping[str, Any], column: str) -> Mapping[str, Any]:
    """Return the object of a column, which has fields; arguments as of :func:`text`.

    Raises:
        UnfitRow: the column has no object.
    """
    value = _value(row, column)
    if not isinstance(value, Mapping):
        raise UnfitRow(f"{column}: expected fields, found {value!r}")
    return value


def one_of(row: Mapping[str, Any], column: str, expected: Sequence[str]) -> str:
    """Return the text of a column that has only a few.

    Args:
        row: the row.
        column: as of :func:`text`.
        expected: the texts.

    Raises:
        UnfitRow: the column has something else.
    """
    value = _value(row, column)
    if value not in expected:
        raise UnfitRow(f"{column}: expected {' or '.join(expected)}, found {value!r}")
    return str(value)


def _value(row: Mapping[str, Any], column: str) -> Any:
    value: Any = row
    for name in column.split("."):
        if not isinstance(value, Mapping):
            raise UnfitRow(f"{column}: expected fields, found {value!r}")
        if name not in value:
            raise UnfitRow(f"{column}: no such column; found {', '.join(value)}")
        value = value[name]
    return value
