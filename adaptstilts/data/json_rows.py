"""Read rows that are JSON objects: one per line, or the paragraphs of a SQuAD file."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from adaptstilts.errors import DataError

CHUNK = 4096  # rows that are Python objects at the same time

ArrowTable = Any  # pyarrow has no types


def objects(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file that has one per line.

    Args:
        lines: the lines of the file.
        path: the file, for messages.

    Raises:
        DataError: a line is something else; the message has its number.
    """
    for number, line in enumerate(lines, 1):
        row = _parse(line, path, number)
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, found {_type_name(row)}")
        yield row


def paragraphs(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    """Yield the paragraphs of a SQuAD file, ``data -> paragraphs``, numbered from 1 in ``paragraph``.

    Args:
        lines: the lines of the file.
        path: the file, for messages.

    Raises:
        DataError: the file is not JSON, or not such a file; the message has the line, or the place in it.
    """
    document = _parse("\n".join(lines), path, 1)
    number = 0
    for i, article in enumerate(_list_under(document, "data", path, "")):
        for paragraph in _list_under(article, "paragraphs", path, f"data[{i}]."):
            number += 1
            if not isinstance(paragraph, dict):
                raise DataError(f"{path}: paragraph {number}: expected an object, found {_type_name(paragraph)}")
            yield {**paragraph, "paragraph": number}


def table(rows: Iterable[dict[str, Any]], path: Path, unit: str) -> ArrowTable:
    """Return rows as one table; a key that a row lacks is null there, also within nested objects.

    Args:
        rows: objects with any keys.
        path: the file, for messages.
        unit: what a row is called in messages, such as ``line``.

    Raises:
        DataError: the values of a key have types that do not go together; the message has the first such row.
    """
    import pyarrow

    remaining, done = iter(rows), 0
    tables: list[ArrowTable] = []
    schema = pyarrow.schema([])
    while chunk := list(islice(remaining, CHUNK)):
        array = _array(chunk)
        if isinstance(array, Exception):
            count = bisect_left(range(len(chunk)), True, key=lambda n: isinstance(_array(chunk[:n]), Exception))
            _raise_unlike(f"{path}: {unit} {done + count}", array)
        tables.append(pyarrow.Table.from_struct_array(array))
        try:
            schema = pyarrow.unify_schemas([schema, tables[-1].schema], promote_options="permissive")
        except pyarrow.ArrowException as error:
            _raise_unlike(f"{path}: {unit} {done + 1} or a later one", error)
        done += len(chunk)
    return joined(tables)


def joined(tables: Sequence[ArrowTable]) -> ArrowTable:
    """Return tables one after the other, with every column that one of them has."""
    import pyarrow

    if not tables:
        return pyarrow.table({})
    return pyarrow.concat_tables(tables, promote_options="permissive")


def column(table: ArrowTable, name: str) -> Any:
    """Return a column of a table.

    Args:
        table: the table.
        name: name of the column; ``a.b`` is the field ``b`` of the objects in ``a``, unless a column has that name.

    Raises:
        KeyError: there is no such column.
    """
    import pyarrow
    import pyarrow.compute as pc

    first, *inner = [name] if name in table.column_names else name.split(".")
    if first not in table.column_names:
        raise KeyError(name)
    values = table[first]
    for step in inner:
        if not pyarrow.types.is_struct(values.type) or values.type.get_field_index(step) < 0:
            raise KeyError(name)
        values = pc.struct_field(values, [step])
    return values


def _array(rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows as an array of structs, or the error that this raises."""
    import pyarrow

    try:
        return pyarrow.array(rows)
    except (pyarrow.ArrowException, OverflowError, UnicodeError) as error:
        return error


def _raise_unlike(place: str, error: Exception) -> NoReturn:
    reason = str(error).splitlines()[0].rstrip(".")
    raise DataError(f"{place}: a value has another type than in the rows before ({reason})") from None


def _parse(text: str, path: Path, first: int) -> Any:
    """Parse JSON that begins in line ``first`` of a file."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        line = first + getattr(error, "lineno", 1) - 1
        raise DataError(f"{path}:{line}: not JSON ({getattr(error, 'msg', str(error))})") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _list_under(part: Any, key: str, path: Path, place: str) -> list[Any]:
    value = part.get(key) if isinstance(part, dict) else None
    if not isinstance(value, list):
        raise DataError(f"{path}: {place}{key}: expected a list, as in SQuAD, found {_type_name(value)}")
    return value


def _type_name(value: object) -> str:
    """Return a value's type in the words of JSON."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
