"""Read files of rows: parquet, TSV, lines of text or JSON, or two aligned text files.

All other modules work with splits and know no file formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adaptstilts.data import json_rows, parquet_tables
from adaptstilts.data.parquet_tables import LabelNames
from adaptstilts.errors import DataError
from adaptstilts.io.hashing import Stamp, stamp

SUFFIXES = {
    "parquet": ".parquet",
    "tsv": ".tsv",
    "text": ".txt",
    "jsonl": ".jsonl",
    "squad": ".json",
    "parallel": ".*",
}
NESTED = {  # format -> its reader, and what a row is called
    "jsonl": (json_rows.objects, "line"),
    "squad": (json_rows.paragraphs, "paragraph"),
}
BOM = b"\xef\xbb\xbf"
LONGEST_LINE = 2**24  # bytes, where a row is one line

ArrowTable = Any  # pyarrow has no types


def rows(path: Path) -> int:
    """Return the number of rows of a parquet file, from its footer.

    Raises:
        DataError: the file is truncated or not parquet.
    """
    return int(_footer(path).num_rows)


def count(path: Path, form: str) -> int:
    """Return the number of rows of a file; files other than parquet are read to the end, which also checks them.

    Args:
        path: the file.
        form: its format, a key of :data:`SUFFIXES`.

    Raises:
        DataError: the file is not what its format says.
    """
    if form == "parquet":
        return rows(path)
    return _count(path, form, stamp(path))


def place(row: int, form: str) -> str:
    """Return what messages call a row of a file: rows are counted from 0, lines and paragraphs from 1.

    Args:
        row: number of the row, from 0.
        form: format of the file.
    """
    if form == "parquet":
        return f"row {row}"
    unit = NESTED[form][1] if form in NESTED else "line"
    return f"{unit} {row + 1}"


def tally(path: Path, form: str, column: str) -> Mapping[str, int]:
    """Count the rows that have each value of a column, as text.

    Args:
        path: the file.
        form: its format.
        column: name of the column; see :func:`adaptstilts.data.json_rows.column`.

    Raises:
        DataError: the column is missing or has no plain values, or the file cannot be read.
    """
    return _tally(path, form, column, stamp(path))


def size(path: Path, form: str) -> int:
    """Return the uncompressed size of a file's rows, in bytes.

    Args:
        path: the file.
        form: its format.

    Raises:
        DataError: the file is truncated or not parquet.
    """
    if form != "parquet":
        return path.stat().st_size
    footer = _footer(path)
    return sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))


def read(
    files: Sequence[Path], form: str, sha256: Sequence[str] = (), columns: Collection[str] = ()
) -> tuple[ArrowTable, LabelNames]:
    """Read files one after the other.

    Args:
        files: the files, in order.
        form: their format.
        sha256: the digest that each file must have, taken from the same bytes as its rows; empty to read whatever is
            there.
        columns: the only ones that are read of parquet files that have any of them; empty for all.

    Returns:
        All rows as one table, and the label names of the columns that have some.

    Raises:
        DataError: a file cannot be read, is not what its digest says, or has columns that do not fit the others.
    """
    if form == "parquet":
        return parquet_tables.read_tables(files, sha256, columns)
    digests = dict(zip(files, sha256, strict=True)) if sha256 else {}
    if form == "parallel":
        return _parallel(files, digests), {}
    tables = [_text_table(path, form, digests.get(path)) for path in files]
    if form in NESTED:
        return json_rows.joined(tables), {}
    return _same_columns(files, tables), {}


def _same_columns(files: Sequence[Path], tables: Sequence[ArrowTable]) -> ArrowTable:
    """Return tables one after the other; those without rows may have any columns."""
    import pyarrow

    filled = [(path, table) for path, table in zip(files, tables, strict=True) if table.num_rows]
    if not filled:
        return tables[0]
    first_path, first = filled[0]
    for path, table in filled[1:]:
        if table.column_names != first.column_names:
            expected = f"{first.num_columns} fields, as {first_path.name} has"
            raise DataError(f"{path}: expected {expected}, found {table.num_columns}")
    return pyarrow.concat_tables([table for _, table in filled])


def select(table: ArrowTable, where: tuple[str, str], path: Path) -> tuple[ArrowTable, list[int]]:
    """Return the rows that have a value, or a value with the beginning that ``value*`` gives.

    Args:
        table: all rows.
        where: column and value.
        path: the file, for messages.

    Returns:
        The rows, and their numbers in the whole table.

    Raises:
        DataError: the column is missing or has no plain values.
    """
    import pyarrow.compute as pc

    column, value = where
    texts = _texts(table, column, path)
    mask = pc.starts_with(texts, value[:-1]) if value.endswith("*") else pc.equal(texts, value)
    return table.filter(mask), pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()


def matches(value: str, wanted: str) -> bool:
    """Return whether :func:`select` keeps a value.

    Args:
        value: a value of the column.
        wanted: the value of ``where``, which may end in ``*``.
    """
    if wanted.endswith("*"):
        return value.startswith(wanted[:-1])
    return value == wanted


def lines(path: Path, sha256: str | None = None, longest: int | None = None) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 file, without line ends (``\n`` or ``\r\n``, nothing else) and byte order mark.

    Args:
        path: the file.
        sha256: the digest that these very bytes must have; compared after the last line.
        longest: bytes that a line may have, its end included; None for 16 MiB.

    Raises:
        DataError: the file cannot be read, is not UTF-8 (the message has the number of the byte), has other bytes or a
            line that is too long.
    """
    at = 0
    hasher = hashlib.sha256()
    longest = longest or LONGEST_LINE
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(iter(partial(file.readline, longest + 1), b""), 1):
                if len(line) > longest:
                    raise DataError(f"{path}:{number}: a line of more than {longest:,} bytes; expected one row a line")
                if sha256 is not None:
                    hasher.update(line)
                body = line.removeprefix(BOM) if number == 1 else line
                if body:
                    yield body.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
                at += len(line)
    except UnicodeDecodeError as error:
        skipped = len(line) - len(body)
        raise DataError(
            f"{path}:{number}: byte {at + skipped + error.start} of the file is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy or fetch it again") from None
    if sha256 is not None and hasher.hexdigest() != sha256:
        raise parquet_tables.changed(path)


def _nested_lines(path: Path, form: str, sha256: str | None = None) -> Iterator[str]:
    """Yield the lines of a JSON file; one of SQuAD may have everything in one line."""
    return lines(path, sha256, parquet_tables.LIMIT if form == "squad" else None)


def without_blank_end(texts: Iterable[str]) -> Iterator[str]:
    """Yield lines without the blank ones after the last that is not blank; a blank line in between stays."""
    blank: list[str] = []
    for line in texts:
        if line and not line.isspace():
            yield from blank
            blank.clear()
            yield line
        else:
            blank.append(line)


def _fields(path: Path, sha256: str | None = None) -> Iterator[list[str]]:
    """Yield the rows of a TSV file: fields with tabs between them, no header, no quoting; blank last lines are none."""
    width = 0
    for number, line in enumerate(without_blank_end(lines(path, sha256)), 1):
        fields = line.split("\t")
        width = width or len(fields)
        if len(fields) != width:
            raise DataError(
                f"{path}:{number}: expected {width} fields, as in line 1, found {len(fields)}; put one tab between"
                f" fields and one row on each line"
            )
        yield fields


def _parallel(files: Sequence[Path], digests: Mapping[Path, str]) -> ArrowTable:
    """Return two aligned files as one table; its columns are named after the files' suffixes."""
    import pyarrow

    if len(files) != 2:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{files[0].parent}: expected two files of translations, line by line, found {names}")
    sides = {path.suffix[1:]: list(lines(path, digests.get(path))) for path in files}
    rows = max(_length(without_blank_end(texts)) for texts in sides.values())
    sides = {name: texts[:rows] for name, texts in sides.items()}  # no row has both texts blank at the end
    first, second = (len(texts) for texts in sides.values())
    if first != second:
        raise DataError(f"{files[1]}: expected {first} lines, as {files[0].name} has, found {second}")
    return pyarrow.table({name: pyarrow.array(texts, pyarrow.string()) for name, texts in sides.items()})


def _text_table(path: Path, form: str, sha256: str | None = None) -> ArrowTable:
    """Return the rows of one file that is not parquet."""
    import pyarrow

    if form == "text":
        return pyarrow.table({"text": pyarrow.array(list(lines(path, sha256)), pyarrow.string())})
    if form in NESTED:
        rows_of, unit = NESTED[form]
        return json_rows.table(rows_of(without_blank_end(_nested_lines(path, form, sha256)), path), path, unit)
    columns = zip(*_fields(path, sha256), strict=True)
    return pyarrow.table({str(i): pyarrow.array(column, pyarrow.string()) for i, column in enumerate(columns)})


def _texts(table: ArrowTable, column: str, path: Path) -> Any:
    """Return a column as text."""
    import pyarrow

    try:
        values = json_rows.column(table, column)
    except KeyError:
        raise DataError(f"{path}: no column {column!r}; found {', '.join(table.column_names)}") from None
    try:
        return values.cast(pyarrow.large_string())
    except pyarrow.ArrowException:
        raise DataError(f"{path}: column {column!r}: expected text, found {values.type}") from None


def _footer(path: Path) -> Any:
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_metadata(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: not a readable parquet file ({reason}); copy or fetch it again") from None


@lru_cache(maxsize=1024)
def _count(path: Path, form: str, as_it_is: Stamp) -> int:
    if form in NESTED:
        return _length(NESTED[form][0](without_blank_end(_nested_lines(path, form)), path))
    if form == "parallel":
        return _length(without_blank_end(lines(path)))
    return _length(_fields(path) if form == "tsv" else lines(path))


def _length(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


@lru_cache(maxsize=64)
def _tally(path: Path, form: str, column: str, as_it_is: Stamp) -> Mapping[str, int]:
    import pyarrow.compute as pc

    table = _column(path, column) if form == "parquet" else _text_table(path, form)
    pairs = pc.value_counts(_texts(table, column, path)).to_pylist()
    return MappingProxyType({pair["values"]: pair["counts"] for pair in pairs if pair["values"] is not None})


def _column(path: Path, column: str) -> ArrowTable:
    """Return one column of a parquet file; if it is missing, an empty table with the file's schema."""
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        if column not in schema.names:
            return schema.empty_table()
        return pyarrow.parquet.read_table(path, columns=[column])
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: the column {column!r} cannot be read ({reason}); copy or fetch it again") from None
