"""The files of a split as tables, and their cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.data import file_formats
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError


def tables_of(split: Split) -> Iterator[tuple[Path, Any]]:
    """Yield every file of a split and of those that follow it, with all its rows as a table."""
    for part in split.parts:
        for path, digest in zip(part.files, part.sha256, strict=True):
            yield path, file_formats.read([path], part.source.format, [digest])[0]


def cells(path: Path, table: Any, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Return the values of some columns, row by row.

    Args:
        path: path of the file, for messages.
        table: its rows.
        columns: names.

    Raises:
        DataError: the table lacks a column.
    """
    for column in columns:
        if column not in table.column_names:
            raise DataError(f"{path}: no column {column!r}; found {', '.join(table.column_names)}")
    return zip(*(table[column].to_pylist() for column in columns), strict=True)
