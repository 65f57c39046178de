"""What is in a file of rows: parquet, TSV, lines of text or JSON; or in two files of translations, line by line.

Everything else knows splits, and no file formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adaptstilts.data import json_rows
from adaptstilts.errors import DataError

SUFFIXES = {
    "parquet": ".parquet",
    "tsv": ".tsv",
    "text": ".txt",
    "jsonl": ".jsonl",
    "squad": ".json",
    "parallel": ".*",
}
NESTED = {
    "jsonl": (json_rows.objects, "line"),
    "squad": (json_rows.paragraphs, "paragraph"),
}  # how to read them, what a row is
BOM = b"\xef\xbb\xbf"

Table = Any  # of pyarrow, which has no types
Names = Mapping[str, list[str]]


def rows(path: Path) -> int:
    """Number of rows of a parquet file, from its footer.

    Raises:
        DataError: the file is truncated or not parquet.
    """
    return int(_footer(path).num_rows)


def count(path: Path, form: str) -> int:
    """Number of rows of a file of any format; TSV and text are read to the end, and checked by it.

    Raises:
        DataError: the file is not what its format says.
    """
    return rows(path) if form == "parquet" else _count(path, form, *_stamp(path))


def place(row: int, form: str) -> str:
    """What people call a row of a file: rows are counted from 0, lines and paragraphs from 1."""
    return f"row {row}" if form == "parquet" else f"{NESTED[form][1] if form in NESTED else 'line'} {row + 1}"


def tally(path: Path, form: str, column: str) -> Mapping[str, int]:
    """How many rows have each value of a column, as text.

    Raises:
        DataError: there is no such column, it holds no plain values, or the file cannot be read.
    """
    return _tally(path, form, column, *_stamp(path))


def size(path: Path, form: str) -> int:
    """Bytes of a file's rows, uncompressed.

    Raises:
        DataError: the file is truncated or not parquet.
    """
    if form != "parquet":
        return path.stat().st_size
    footer = _footer(path)
    return sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))


def read(files: Sequence[Path], form: str) -> tuple[Table, Names]:
    """The rows of files, one after the other, and the label names of the columns that have some.

    Raises:
        DataError: a file cannot be read, or has other columns than the first.
    """
    if form == "parquet":
        return _parquet(files)
    if form == "parallel":
        return _parallel(files), {}
    import pyarrow

    tables = [_text_table(path, form) for path in files]
    if form in NESTED:
        return json_rows.joined(tables), {}
    held = [(path, table) for path, table in zip(files, tables, strict=True) if table.num_rows]
    for path, table in held[1:]:
        if table.column_names != held[0][1].column_names:
            raise DataError(
                f"{path}: expected {held[0][1].num_columns} fields, as {held[0][0].name} has, found {table.num_columns}"
            )
    return pyarrow.concat_tables([table for _, table in held] or tables[:1]), {}


def select(table: Table, where: tuple[str, str], path: Path) -> tuple[Table, list[int]]:
    """The rows with a value, or with values that begin as ``value*`` does, and their numbers in the whole table.

    Args:
        table: all rows.
        where: column and value.
        path: what to name in errors.

    Raises:
        DataError: there is no such column, or it holds no plain values.
    """
    import pyarrow.compute as pc

    column, value = where
    texts = _texts(table, column, path)
    mask = pc.starts_with(texts, value[:-1]) if value.endswith("*") else pc.equal(texts, value)
    return table.filter(mask), pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()


def matches(value: str, wanted: str) -> bool:
    """Whether a value is the wanted one, or begins as ``wanted*`` does: what :func:`select` keeps."""
    return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted


def lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 file without their ends (``\n`` or ``\r\n``, nothing else) and without a byte order mark.

    Raises:
        DataError: the file cannot be read, or is not UTF-8; names the byte.
    """
    at = 0
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
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


def _fields(path: Path) -> Iterator[list[str]]:
    """The rows of a TSV file: fields apart by tabs, no header, no quoting."""
    width = 0
    for number, line in enumerate(lines(path), 1):
        fields = line.split("\t")
        width = width or len(fields)
        if len(fields) != width:
            raise DataError(
                f"{path}:{number}: expected {width} fields, as in line 1, found {len(fields)}; one tab between fields,"
                f" one row a line"
            )
        yield fields


def _parallel(files: Sequence[Path]) -> Table:
    """Two files of as many lines as one table; a column is called what its file's name ends in."""
    import pyarrow

    if len(files) != 2:
        found = ", ".join(path.name for path in files)
        raise DataError(f"{files[0].parent}: expected two files of translations, line by line, found {found}")
    sides = {path.suffix[1:]: list(lines(path)) for path in files}
    first, second = (len(texts) for texts in sides.values())
    if first != second:
        raise DataError(f"{files[1]}: expected {first} lines, as {files[0].name} has, found {second}")
    return pyarrow.table({name: pyarrow.array(texts, pyarrow.string()) for name, texts in sides.items()})


def _text_table(path: Path, form: str) -> Table:
    import pyarrow

    if form == "text":
        return pyarrow.table({"text": pyarrow.array(list(lines(path)), pyarrow.string())})
    if form in NESTED:
        rows_of, what = NESTED[form]
        return json_rows.table(rows_of(lines(path), path), path, what)
    held = list(_fields(path))
    columns = {str(i): pyarrow.array([row[i] for row in held], pyarrow.string()) for i in range(len((held or [[]])[0]))}
    return pyarrow.table(columns)


def _parquet(files: Sequence[Path]) -> tuple[Table, Names]:
    import datasets

    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # reading a local file is nobody's business
    try:
        loaded = datasets.load_dataset("parquet", data_files={"rows": [str(path) for path in files]}, split="rows")
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DataError(f"{files[0]}: cannot be read ({reason}); copy or fetch it again") from None
    names = {}
    for name, feature in loaded.features.items():
        held = getattr(feature, "names", getattr(getattr(feature, "feature", None), "names", None))
        if held:
            names[name] = list(held)
    return loaded.with_format("arrow")[:], names


def _texts(table: Table, column: str, path: Path) -> Any:
    """A column as text."""
    import pyarrow

    try:
        held = json_rows.column(table, column)
    except KeyError:
        raise DataError(f"{path}: no column {column!r}; found {', '.join(table.column_names)}") from None
    try:
        return held.cast(pyarrow.large_string())
    except pyarrow.ArrowException:
        raise DataError(f"{path}: column {column!r}: expected text, found {held.type}") from None


def _footer(path: Path) -> Any:
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_metadata(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: not a readable parquet file ({reason}); copy or fetch it again") from None


def _stamp(path: Path) -> tuple[int, int]:
    """Size and modification time: while they stay, so does what was counted."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1024)
def _count(path: Path, form: str, size: int, changed: int) -> int:
    if form in NESTED:
        return sum(1 for _ in NESTED[form][0](lines(path), path))
    return sum(1 for _ in (_fields(path) if form == "tsv" else lines(path)))


@lru_cache(maxsize=64)
def _tally(path: Path, form: str, column: str, size: int, changed: int) -> Mapping[str, int]:
    import pyarrow.compute as pc

    table = _column(path, column) if form == "parquet" else _text_table(path, form)
    pairs = pc.value_counts(_texts(table, column, path)).to_pylist()
    return MappingProxyType({pair["values"]: pair["counts"] for pair in pairs if pair["values"] is not None})


def _column(path: Path, column: str) -> Table:
    """A table of one column of a parquet file; of no rows, and with all its columns, where it has not that one."""
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(path)
        held = column in schema.names
        return pyarrow.parquet.read_table(path, columns=[column]) if held else schema.empty_table()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: the column {column!r} cannot be read ({reason}); copy or fetch it again") from None
