"""Rows of parallel test sets that say something else in one language than in the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adaptstilts.data import file_formats
from adaptstilts.data.labels import named
from adaptstilts.data.sources import Split
from adaptstilts.io.wording import counted
from adaptstilts.tasks.base import Task

Disagreements = dict[str, dict[str, int]]


def disagreements(task: Task, splits: Mapping[str, Split]) -> Disagreements:
    """Count the rows whose value, in a column that should be equal in all languages, is not that of most of them.

    Rows are compared by their numbers; languages with another number of rows than most are left out. With two languages
    that differ, or where no value is that of more languages than any other, all of them count.

    Args:
        task: names the columns.
        splits: by language.

    Returns:
        Column -> language -> number of such rows; only those that have some.
    """
    found: Disagreements = {}
    values = {code: _values(split, task.equal_columns) for code, split in splits.items()} if task.equal_columns else {}
    for column in task.equal_columns:
        present = {code: columns[column] for code, columns in values.items() if column in columns}
        counts = _count(_of_one_length(present))
        if counts:
            found[column] = counts
    return found


def sentences(found: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yield one sentence for each column in which languages disagree."""
    for column, counts in found.items():
        rows = ", ".join(f"{counted(count, 'row')} of {code}" for code, count in counts.items())
        yield f"{column} is not what most languages have for the same item: {rows}"


def _values(split: Split, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of some columns of a split, as far as it has them."""
    values: dict[str, list[Any]] = {}
    for part in split.parts:
        wanted = {*columns, *(part.source.where or ())[:1]}
        table, names = file_formats.read(part.files, part.source.format, part.sha256, wanted)
        if part.source.where is not None:
            table, _ = file_formats.select(table, part.source.where, part.files[0])
        for column in columns:
            if column in table.column_names:
                read = table.column(column).to_pylist()
                values.setdefault(column, []).extend(named(value, names.get(column)) for value in read)
    return values


def _of_one_length(values: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the languages that have as many rows as most have."""
    lengths = Counter(map(len, values.values()))
    usual = max(lengths, key=lambda length: (lengths[length], length), default=0)
    return {code: column for code, column in values.items() if len(column) == usual}


def _count(values: Mapping[str, list[Any]]) -> dict[str, int]:
    """Return by language how many values are not those of most languages."""
    counts: Counter[str] = Counter()
    for row in zip(*values.values(), strict=True):
        texts = [*map(repr, row)]  # labels may be lists
        (usual, most), *others = Counter(texts).most_common(2)
        is_tie = bool(others) and others[0][1] == most
        for code, text in zip(values, texts, strict=True):
            counts[code] += is_tie or text != usual
    return {code: count for code, count in counts.items() if count}
