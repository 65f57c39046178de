"""Rows that are JSON objects: one a line, or the paragraphs of a SQuAD file."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from adaptstilts.errors import DataError

CHUNK = 4096  # rows that are held as Python objects at once

Table = Any  # of pyarrow, which has no types


def objects(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file that has one a line.

    Raises:
        DataError: a line is something else; names it.
    """
    for number, line in enumerate(lines, 1):
        row = _loaded(line, path, number)
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected a JSON object, found {_kind(row)}")
        yield row


def paragraphs(lines: Iterable[str], path: Path) -> Iterator[dict[str, Any]]:
    """The paragraphs of a SQuAD file, ``data -> paragraphs``, with their running number from 1 as ``paragraph``.

    Raises:
        DataError: the file is not JSON, or not such a file; names the line, or the place in it.
    """
    held, number = _loaded("\n".join(lines), path, 1), 0
    for i, article in enumerate(_members(held, "data", path, "")):
        for paragraph in _members(article, "paragraphs", path, f"data[{i}]."):
            number += 1
            if not isinstance(paragraph, dict):
                raise DataError(f"{path}: paragraph {number}: expected an object, found {_kind(paragraph)}")
            yield {**paragraph, "paragraph": number}


def table(rows: Iterable[dict[str, Any]], path: Path, what: str) -> Table:
    """Rows as one table; a key that a row does not have is null in it, also within its objects.

    Args:
        rows: objects with whatever keys.
        path: what to name in errors.
        what: a row is there.

    Raises:
        DataError: a key has values of types that do not go together; names the first row at which they do not.
    """
    import pyarrow

    source, done = iter(rows), 0
    tables: list[Table] = []
    schema = pyarrow.schema([])
    while chunk := list(islice(source, CHUNK)):
        made = _array(chunk)
        if isinstance(made, Exception):
            count = bisect_left(range(len(chunk)), True, key=lambda n: isinstance(_array(chunk[:n]), Exception))
            _unlike(f"{path}: {what} {done + count}", made)
        tables.append(pyarrow.Table.from_struct_array(made))
        try:
            schema = pyarrow.unify_schemas([schema, tables[-1].schema], promote_options="permissive")
        except pyarrow.ArrowException as error:
            _unlike(f"{path}: {what} {done + 1} or one of the next", error)
        done += len(chunk)
    return joined(tables)


def joined(tables: Sequence[Table]) -> Table:
    """Tables one after the other, with every column that one of them has."""
    import pyarrow

    return pyarrow.concat_tables(tables, promote_options="permissive") if tables else pyarrow.table({})


def column(table: Table, name: str) -> Any:
    """A column; ``a.b`` is the column ``b`` of the objects in ``a``, where no column has that name.

    Raises:
        KeyError: there is none.
    """
    import pyarrow
    import pyarrow.compute as pc

    first, *inner = [name] if name in table.column_names else name.split(".")
    if first not in table.column_names:
        raise KeyError(name)
    held = table[first]
    for step in inner:
        if not pyarrow.types.is_struct(held.type) or held.type.get_field_index(step) < 0:
            raise KeyError(name)
        held = pc.struct_field(held, [step])
    return held


def _array(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows as an array of structs, or what is wrong with them."""
    import pyarrow

    try:
        return pyarrow.array(rows)
    except (pyarrow.ArrowException, OverflowError, UnicodeError) as error:
        return error


def _unlike(place: str, error: Exception) -> NoReturn:
    told = str(error).splitlines()[0].rstrip(".")
    raise DataError(f"{place}: a value is not like those of the rows before ({told})") from None


def _loaded(text: str, path: Path, first: int) -> Any:
    """JSON that begins in line ``first``."""
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        line = first + getattr(error, "lineno", 1) - 1
        raise DataError(f"{path}:{line}: not JSON ({getattr(error, 'msg', str(error))})") from None


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _members(held: Any, key: str, path: Path, place: str) -> list[Any]:
    found = held.get(key) if isinstance(held, dict) else None
    if not isinstance(found, list):
        raise DataError(f"{path}: {place}{key}: expected a list, as SQuAD has it, found {_kind(found)}")
    return found


def _kind(value: object) -> str:
    """A value's type in the words of JSON."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
