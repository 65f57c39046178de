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
