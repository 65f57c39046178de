"""Rows of parquet files, read straight from the bytes whose digest is known, without a copy in anybody's cache."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptstilts.errors import DataError

Table = Any  # of pyarrow, which has no types
LabelNames = Mapping[str, list[str]]

LIMIT = 4 * 2**30  # bytes of decoded rows that one split may have
BATCH = 8192  # rows that are decoded at a time where a group of rows may be too large
PEEK = 64  # rows that are looked at for the dictionary of a column
WIDTH = 16  # at most so many bytes has a number, or the place of a text


def read_tables(
    files: Sequence[Path], sha256: Sequence[str] = (), columns: Collection[str] = ()
) -> tuple[Table, LabelNames]:
    """Read parquet files one after the other.

    Columns that some files lack are null there, and a column that is null throughout takes the type that it has in
    other files. Numbers of classes mean the same in all rows of the result, also where files number them differently.

    Args:
        files: paths of the shards, in order.
        sha256: the digest that each file must have; empty to read whatever is there.
        columns: only these, where a file has any of them; empty for all.

    Returns:
        The rows, and the class names of the columns that have some.

    Raises:
        DataError: a file cannot be read, is not what its digest says, unpacks to more than 4 GiB, or has a column of
            a type that does not go together with that of another file.
    """
    import pyarrow as pa

    tables: list[Table] = []
    names: list[LabelNames] = []
    left = LIMIT
    for number, path in enumerate(files):
        table = _read(path, sha256[number] if sha256 else None, left, columns)
        left -= table.nbytes
        tables.append(table.replace_schema_metadata(None))
        names.append(_class_names(table.schema))
    merged = _merged(names)
    for number, path in enumerate(files):
        tables[number] = _renumbered(tables[number], names[number], merged, path)
    try:
        return pa.concat_tables(tables, promote_options="permissive"), merged
    except pa.ArrowException as error:
        listing = ", ".join(path.name for path in files)
        raise DataError(f"{files[0].parent}: the columns of {listing} do not match ({_first(error)})") from None


def _read(path: Path, expected: str | None, limit: int, columns: Collection[str]) -> Table:
    """Read one file; no more than ``limit`` bytes of rows are ever decoded."""
    import pyarrow as pa

    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LIMIT else b""
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy or fetch it again") from None
    if size > LIMIT:
        raise _too_large(path)
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise changed(path)
    try:
        table = _decoded(pa.BufferReader(content), path, limit, columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable parquet file ({_first(error)}); copy or fetch it again") from None
    return table


def changed(path: Path) -> DataError:
    """Return the error for a file that is not what it was when the command began."""
    return DataError(f"{path}: the file changed while it was in use; run the same command again")


def _too_large(path: Path) -> DataError:
    return DataError(
        f"{path}: its rows unpack to more than {LIMIT // 2**30} GiB; drop columns, or take some of the rows"
    )


def _decoded(content: Any, path: Path, limit: int, columns: Collection[str]) -> Table:
    """Decode a file, one group of rows after the other; what may be too large is counted before it is unpacked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(content)
    names = [name for name in file.schema_arrow.names if name in columns] or file.schema_arrow.names
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: the column {twice[0]!r} is there twice; rename one of them")
    tables = [file.schema_arrow.empty_table().select(names)]
    for group in range(file.num_row_groups):
        risky, most = _bound(content, file.metadata.row_group(group), group)
        if most <= limit:
            table = file.read_row_group(group, columns=names)
        else:
            table = _counted(content, group, risky, path, limit, tables[0].schema)
        limit -= table.nbytes
        tables.append(table)
    return pa.concat_tables(tables)


def _bound(content: Any, group: Any, number: int) -> tuple[list[str], int]:
    """Return the columns of texts that are stored once and used often, and how many bytes all columns have at most.

    Args:
        content: the file.
        group: what its footer says of one group of rows.
        number: the group's number.
    """
    risky, most = [], 0
    for index in range(group.num_columns):
        column = group.column(index)
        most += column.num_values * WIDTH
        if column.physical_type not in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"):
            continue
        most += column.total_uncompressed_size
        shares_beginnings = "DELTA_BYTE_ARRAY" in column.encodings
        if shares_beginnings or column.physical_type == "FIXED_LEN_BYTE_ARRAY":
            most += column.num_values * column.total_uncompressed_size
        elif column.has_dictionary_page:
            risky.append(column.path_in_schema)
            most += column.num_values * _longest(content, number, column.path_in_schema)
    return risky, most


def _longest(content: Any, group: int, column: str) -> int:
    """Return the length of the longest text in the dictionary of a column, which its first value brings along."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(content, read_dictionary=[column])
    for batch in file.iter_batches(PEEK, row_groups=[group], columns=[column]):
        for dictionary in _dictionaries(batch.column(0)):
            if len(dictionary):
                return int(pc.max(pc.binary_length(dictionary)).as_py())
    return 0


def _dictionaries(array: Any) -> list[Any]:
    """Return the dictionaries of an array and of what it is nested in."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        return [array.dictionary]
    dictionaries = []
    if pa.types.is_nested(array.type):
        for inner in [array.values] if hasattr(array, "values") else array.flatten():
            dictionaries += _dictionaries(inner)
    return dictionaries


def _counted(content: Any, group: int, texts: Sequence[str], path: Path, limit: int, schema: Any) -> Table:
    """Decode a group of rows batch by batch; texts stay in their dictionaries until their size is known.

    Args:
        content: the file.
        group: number of the group.
        texts: columns whose texts are in a dictionary.
        path: the file, for messages.
        limit: bytes that it may unpack to.
        schema: its columns that are read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file, batches = pq.ParquetFile(content, read_dictionary=texts), []
    for batch in file.iter_batches(BATCH, row_groups=[group], columns=schema.names):
        limit -= sum(_size(column) for column in batch.columns)
        if limit < 0:
            raise _too_large(path)
        batches.append(batch.cast(schema))
    return pa.Table.from_batches(batches, schema)


def _size(array: Any) -> int:
    """Return how many bytes the texts and numbers of an array have once they are decoded."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(lengths).as_py() or 0)
    if pa.types.is_struct(array.type):
        return sum(_size(field) for field in array.flatten())
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _size(array.flatten())
    return int(array.nbytes)


def _class_names(schema: Any) -> LabelNames:
    """Return the class names of the columns whose numbers stand for classes."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    try:
        features = datasets.Features.from_arrow_schema(schema)
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}  # a type that the library does not know: none of its classes, then
    names = {}
    for column, feature in features.items():
        of_items = getattr(feature, "feature", None)
        classes = getattr(feature, "names", None) or getattr(of_items, "names", None)
        if classes:
            names[column] = list(classes)
    return names


def _merged(names: Iterable[LabelNames]) -> dict[str, list[str]]:
    """Return the class names of all files by column, each name once, in the order in which they first come."""
    merged: dict[str, list[str]] = {}
    for of_file in names:
        for column, classes in of_file.items():
            earlier = merged.setdefault(column, [])
            earlier += [name for name in classes if name not in earlier]
    return merged


def _renumbered(table: Table, names: LabelNames, merged: LabelNames, path: Path) -> Table:
    """Return a table whose classes are numbered as those of all files together.

    Args:
        table: rows of one file.
        names: its class names by column.
        merged: those of all files.
        path: the file, for messages.

    Raises:
        DataError: a number has no name in this file, but would get one from another.
    """
    import pyarrow as pa

    for column in merged:
        if column not in table.column_names or names.get(column) == merged[column]:
            continue
        classes = names.get(column, [])
        number_of = {number: merged[column].index(name) for number, name in enumerate(classes)}
        try:
            values = [_mapped(value, number_of) for value in table[column].to_pylist()]
        except KeyError as error:
            raise DataError(
                f"{path}: {column}: the number {error} has no class name here, but other files of the split have names;"
                " write all files with the same names"
            ) from None
        place = table.column_names.index(column)
        table = table.set_column(place, column, pa.array(values, table.schema.field(column).type))
    return table


def _mapped(value: Any, number_of: Mapping[int, int]) -> Any:
    """Return a number, or each of a list, as ``number_of`` has it; what is below 0 or no number stays."""
    if isinstance(value, list):
        return [_mapped(item, number_of) for item in value]
    if not isinstance(value, int) or value < 0:
        return value
    return number_of[value]


def _first(error: Exception) -> str:
    """Return the first line of what a library says."""
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
