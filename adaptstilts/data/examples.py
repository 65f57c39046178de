"""From a split's files to checked examples: plain dicts with the fields of the task's kind."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adaptstilts.data import file_formats
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.tasks import kind_specs
from adaptstilts.tasks.base import LeftOut, Task

Example = dict[str, Any]
Check = Callable[[Example, Task], "str | None"]
TOLD = 3  # offending rows that an error names
MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
)  # rows of another shape than ``adapt`` reads


class EmptySplit(DataError):
    """A split all of whose rows were left out."""


@dataclass(frozen=True)
class Examples:
    """Examples of one split.

    Attributes:
        rows: the examples.
        ids: their row numbers in the split; where a row gives several examples, those are numbered instead.
        total: examples before any were left out by a limit.
        dropped: reason, with the label that was found -> examples left out because of it.
        form: format of the files, by which :meth:`place` names a row.
    """

    rows: list[Example]
    ids: list[int]
    total: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    form: str = "parquet"

    def place(self, number: int) -> str:
        """Return what messages call a row number of ``ids``: ``row 0`` of a parquet file, ``line 1`` of a text file."""
        return file_formats.place(number, self.form)


def read(split: Split, task: Task, check: Check, limit: int | None = None, seed: object = "subset") -> Examples:
    """Read, check and (when ``limit`` is given) subsample a split; row numbers run on over its parts.

    Raises:
        DataError: names file, row, field and what was expected; all offenders are counted.
    """
    rows: list[Example] = []
    ids: list[int] = []
    dropped: Counter[str] = Counter()
    told: list[tuple[Path, str]] = []
    offenders = number = 0
    for part in map(_load, split.parts):
        _check_columns(part, task)
        for i, row in enumerate(_rows(part.table)):
            for example in _examples(row, task, check, part.labels):
                if not isinstance(example, _Unfit):
                    rows.append(example)
                    ids.append(number)
                elif example.wrong:
                    offenders += 1
                    told += [part.told(i, example.reason)] if offenders <= TOLD else []
                else:
                    dropped[example.reason] += 1
                number += 1
    if offenders:
        raise DataError(_told(told) + (f" ({offenders} such rows)" if offenders > TOLD else ""))
    if not rows:
        raise EmptySplit(f"{split.parts[0].files[0]}: no usable rows for {task.name}")
    form = split.parts[0].source.format
    return subset(Examples(rows, ids, len(rows), dict(dropped), form), limit, seed)


def subset(examples: Examples, limit: int | None, seed: object = "subset") -> Examples:
    """At most ``limit`` of the examples, drawn once without replacement and kept in order.

    Equal seeds and lengths give equal subsets, so that parallel test sets stay parallel.
    """
    count = len(examples.rows)
    if limit is None or limit >= count:
        return examples
    kept = sorted(random.Random(f"{seed}-{count}").sample(range(count), limit))
    return replace(examples, rows=[examples.rows[i] for i in kept], ids=[examples.ids[i] for i in kept])


def text_problem(example: Example, *names: str) -> str | None:
    """What is wrong with fields that must be text."""
    for name in names:
        if not isinstance(example.get(name), str):
            return f"{name}: expected text, found {example.get(name)!r}"
    return None


def withheld(labels: Sequence[object]) -> bool:
    """Whether the labels of a test split look withheld: many rows, all with the same one."""
    return len(labels) >= 50 and len(set(labels)) == 1


@dataclass(frozen=True)
class _Unfit:
    """Why a row is no example: something is ``wrong`` with it, or it has no gold label, or the task leaves it out."""

    reason: str
    wrong: bool = True


@dataclass(frozen=True)
class _Part:
    """Rows of one part of a split, label names by column, and the rows' numbers in its files if only some are kept."""

    split: Split
    table: file_formats.Table
    labels: file_formats.Names
    numbers: Sequence[int] | None

    def told(self, row: int, problem: str) -> tuple[Path, str]:
        """The file that has a row, and a problem with its place there."""
        form = self.split.source.format
        row = row if self.numbers is None else self.numbers[row]
        for path in self.split.files[:-1]:
            count = file_formats.count(path, form)
            if row < count:
                break
            row -= count
        else:
            path = self.split.files[-1]
        return path, f"{file_formats.place(row, form)}: {problem}"


def _load(part: Split) -> _Part:
    table, labels = file_formats.read(part.files, part.source.format)
    if part.source.where is None:
        return _Part(part, table, labels, None)
    kept, numbers = file_formats.select(table, part.source.where, part.files[0])
    return _Part(part, kept, labels, numbers)


def _rows(table: file_formats.Table) -> Iterator[dict[str, Any]]:
    """Rows as dicts, a few thousand at a time."""
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _told(problems: Sequence[tuple[Path, str]]) -> str:
    """Problems, each file named once."""
    files = dict.fromkeys(path for path, _ in problems)
    return "; ".join(f"{file}: {'; '.join(text for path, text in problems if path == file)}" for file in files)


def _check_columns(part: _Part, task: Task) -> None:
    """Whether the columns are there, and the label names of the file are the task's."""
    file, names = part.split.files[0], part.table.column_names
    if task.adapt is None and part.table.num_rows:
        missing = [column for column in task.columns.values() if column not in names]
        if missing:
            raise DataError(f"{file}: no column {missing[0]!r}; found {', '.join(names)}")
    if not task.labels or task.open_labels:
        return
    for name, column in task.columns.items():
        held = part.labels.get(column, ())
        if held and set(held) - set(task.no_gold) != set(task.labels):
            raise DataError(
                f"{file}: {name} has the labels {_listed(held)}; {task.name} declares {_listed(task.labels)}"
            )


def _examples(row: dict[str, Any], task: Task, check: Check, names: file_formats.Names) -> list[Example | _Unfit]:
    """What a row gives: one example, unless the task makes several of it."""
    assert not isinstance(task.adapt, Mapping)  # noqa: S101 (that of the row set was taken)
    try:
        given = task.adapt(row) if task.adapt else row
    except MALFORMED as error:
        return [_malformed(task, error)]
    return [_example(each, task, check, names) for each in (given if isinstance(given, list) else [given])]


def _example(given: dict[str, Any] | LeftOut, task: Task, check: Check, names: file_formats.Names) -> Example | _Unfit:
    if isinstance(given, LeftOut):
        return _Unfit(given.reason, wrong=False)
    try:
        example = {name: given[column] for name, column in task.columns.items()}
    except MALFORMED as error:
        return _malformed(task, error)
    name = kind_specs.get(task.kind).label_field
    if name is not None and name in example:
        value, held = example[name], names.get(task.columns[name])
        if value in task.no_gold or _named(value, held) in task.no_gold:
            return _Unfit(f"no gold label ({_named(value, held)!r})", wrong=False)
        try:
            listed = isinstance(value, list)
            example[name] = [_label(tag, task, held) for tag in value] if listed else _label(value, task, held)
        except ValueError as error:
            return _Unfit(f"{name}: {error}")
    problem = check(example, task)
    return _Unfit(problem) if problem else example


def _malformed(task: Task, error: Exception) -> _Unfit:
    return _Unfit(f"not a row of {task.name}: {type(error).__name__} {error}")


def _named(value: Any, names: Sequence[str] | None) -> Any:
    """A label by its name, where the file has names for the numbers that it holds."""
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else value


def _label(value: Any, task: Task, names: Sequence[str] | None) -> Any:
    """A label as an index into the task's labels; without labels (choices) the number itself."""
    if not task.labels:
        return _named(value, names) if task.open_labels else value
    named = _named(value, names)
    if named in task.labels:
        return task.labels.index(named)
    if not names and isinstance(value, int) and 0 <= value < len(task.labels):
        return value
    raise ValueError(f"expected one of {_listed(task.labels)}, found {named!r}")


def _listed(labels: Sequence[str]) -> str:
    """Label names, the first of them where there are many."""
    return ", ".join(labels[:20]) + (f", ... ({len(labels)} labels)" if len(labels) > 20 else "")
