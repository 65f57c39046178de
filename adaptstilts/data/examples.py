"""Read the files of a split as checked examples: plain dicts with the fields of the task's kind."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adaptstilts.data import file_formats
from adaptstilts.data.file_formats import ArrowTable
from adaptstilts.data.labels import index_of, listed, mapped, named
from adaptstilts.data.parquet_tables import LabelNames
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.tasks import kind_specs
from adaptstilts.tasks.base import LeftOut, Task
from adaptstilts.tasks.row_checks import RowCheck, length_problem, text_problem
from adaptstilts.tasks.row_values import UnfitRow

__all__ = ["EmptySplit", "Example", "Examples", "read", "subset", "text_problem", "withheld"]

Example = dict[str, Any]
SHOWN = 3  # offending rows that an error describes
LONGEST = 300  # characters of what is said about a row
REMEDY = "correct these rows or take them out"
MALFORMED = (  # what ``adapt`` and the check of a kind raise on an unexpected row
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError),
    re.error,
)


class EmptySplit(DataError):
    """A split all of whose rows were left out."""


@dataclass(frozen=True)
class Examples:
    """Examples of one split.

    Attributes:
        rows: the examples.
        ids: their row numbers in the split; if a row gives several examples, the examples are numbered instead.
        total: number of examples before a limit was applied.
        dropped: reason, with the label if there is one -> examples left out for it.
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


def read(split: Split, task: Task, check: RowCheck, limit: int | None = None, seed: object = "subset") -> Examples:
    """Read and check a split, and draw a subset of it if there is a limit.

    Args:
        split: the files; row numbers continue over its parts.
        task: the declaration, restricted to one row set if it has several.
        check: returns what is wrong with an example, or None.
        limit: maximum number of examples; None for all.
        seed: see :func:`subset`.

    Raises:
        DataError: rows are unusable; the message has file, row, field and what was expected, and the number of rows.
        EmptySplit: no row is left.
    """
    collected = Collected()
    for part in split.parts:
        collected.add_rows(load_part(part, task), task, check)
    collected.raise_problems()
    if not collected.rows:
        raise no_usable_rows(split, task)
    form = split.parts[0].source.format
    examples = Examples(collected.rows, collected.ids, len(collected.rows), dict(collected.dropped), form)
    return subset(examples, limit, seed)


def subset(examples: Examples, limit: int | None, seed: object = "subset") -> Examples:
    """Return at most ``limit`` examples, drawn without replacement and kept in order.

    Args:
        examples: the examples to draw from.
        limit: maximum number; None for all.
        seed: equal seeds and lengths give equal subsets, so parallel test sets stay parallel.
    """
    count = len(examples.rows)
    if limit is None or limit >= count:
        return examples
    drawn = sorted(random.Random(f"{seed}-{count}").sample(range(count), limit))
    return replace(examples, rows=[examples.rows[i] for i in drawn], ids=[examples.ids[i] for i in drawn])


def withheld(labels: Sequence[object]) -> bool:
    """Return whether the labels of a test split look withheld: many rows, all with the same label."""
    return looks_withheld(len(labels), len(set(labels)))


def looks_withheld(count: int, distinct: int) -> bool:
    """Return whether labels look withheld; see :func:`withheld`.

    Args:
        count: number of labels.
        distinct: number of different ones.
    """
    return count >= 50 and distinct == 1


@dataclass(frozen=True)
class _Unusable:
    """Why a row gives no example.

    Attributes:
        reason: the reason.
        is_error: whether the row is wrong; otherwise it has no gold label, or the task leaves it out.
    """

    reason: str
    is_error: bool = True


@dataclass(frozen=True)
class LoadedPart:
    """Rows of one part of a split.

    Attributes:
        split: the part.
        table: its rows.
        labels: label names by column.
        numbers: the rows' numbers in the files, if ``where`` selects some of them; else None.
    """

    split: Split
    table: ArrowTable
    labels: LabelNames
    numbers: Sequence[int] | None

    def locate(self, row: int, problem: str) -> tuple[Path, str]:
        """Return the file that has a row, and a problem with the row's place in it.

        Args:
            row: number of the row in the table.
            problem: what is wrong with it.
        """
        form = self.split.source.format
        name = self._id(row)
        row = row if self.numbers is None else self.numbers[row]
        for path in self.split.files[:-1]:
            count = file_formats.count(path, form)
            if row < count:
                break
            row -= count
        else:
            path = self.split.files[-1]
        return path, f"{file_formats.place(row, form)}{name}: {_shortened(problem)}"

    def _id(self, row: int) -> str:
        """Return the id that a row has beside its number, in brackets; empty if it has none."""
        if "id" not in self.table.column_names:
            return ""
        name = self.table.column("id")[row].as_py()
        return f" (id {name})" if isinstance(name, str | int) else ""


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Collected:
    """Examples of a split as they are read, with what was left out and what is wrong."""

    def __init__(self) -> None:
        self.rows: list[Example] = []
        self.ids: list[int] = []
        self.dropped: Counter[str] = Counter()
        self._number = 0
        self._errors: Counter[str] = Counter()  # by what was expected
        self._shown: list[tuple[Path, str]] = []

    def add(self, example: Example | _Unusable, part: LoadedPart, row: int) -> None:
        """Add an example, or count why there is none.

        Args:
            example: the example, or the reason.
            part: the part that it comes from.
            row: number of its row in that part.
        """
        if not isinstance(example, _Unusable):
            self.rows.append(example)
            self.ids.append(self._number)
        elif not example.is_error:
            self.dropped[example.reason] += 1
        else:
            expected = example.reason.partition(", found")[0]
            is_new = not self._errors[expected] and len(self._shown) < 2 * SHOWN
            self._errors[expected] += 1
            if is_new or len(self._shown) < SHOWN:
                self._shown.append(part.locate(row, example.reason))
        self._number += 1

    def add_rows(self, part: LoadedPart, task: Task, check: RowCheck) -> None:
        """Add the examples of all rows of a part.

        Args:
            part: the part.
            task: whose rows they are.
            check: as of :func:`read`.

        Raises:
            DataError: a column is missing, or has other label names than the task.
        """
        check_columns(part, task)
        for i, row in enumerate(_rows(part.table)):
            for example in _examples(row, task, check, part.labels):
                self.add(example, part, i)

    def forget(self) -> None:
        """Forget the examples, but not what is wrong."""
        self.rows.clear()
        self.ids.clear()

    def raise_problems(self) -> None:
        """Raise if any row was wrong."""
        if not self._errors:
            return
        by_file: dict[Path, list[str]] = {}
        for path, problem in self._shown:
            by_file.setdefault(path, []).append(problem)
        message = "; ".join(f"{path}: {'; '.join(problems)}" for path, problems in by_file.items())
        count = self._errors.total()
        if count > len(self._shown):
            message += f" ({count} such rows)"
        message += f"; {REMEDY}"
        raise DataError(message)


def no_usable_rows(split: Split, task: Task) -> EmptySplit:
    return EmptySplit(f"{split.parts[0].files[0]}: no usable rows for {task.name}")


def load_part(part: Split, task: Task) -> LoadedPart:
    """Read the rows of a part; of a task that does not adapt them, no other columns than it needs."""
    columns: set[str] = set()
    if task.adapt is None:
        columns = {*task.columns.values(), "id", *(part.source.where or ())[:1]}
    table, labels = file_formats.read(part.files, part.source.format, part.sha256, columns)
    if part.source.where is None:
        return LoadedPart(part, table, labels, None)
    selected, numbers = file_formats.select(table, part.source.where, part.files[0])
    return LoadedPart(part, selected, labels, numbers)


def _rows(table: ArrowTable) -> Iterator[dict[str, Any]]:
    """Yield rows as dicts; only a few thousand exist at a time."""
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def check_columns(part: LoadedPart, task: Task) -> None:
    """Raise unless the columns are there, and the label names of the file are the task's."""
    file, names = part.split.files[0], part.table.column_names
    if task.adapt is None and part.table.num_rows:
        missing = [column for column in task.columns.values() if column not in names]
        if missing:
            every = file_formats.read(part.split.files, part.split.source.format)[0].column_names
            raise DataError(f"{file}: no column {missing[0]!r}; found {', '.join(every)}")
    if not task.labels or task.open_labels:
        return
    for name, column in task.columns.items():
        labels = part.labels.get(column, ())
        if labels and set(labels) - set(task.no_gold) != set(task.labels):
            raise DataError(
                f"{file}: {name} has the labels {listed(labels)}; {task.name} declares {listed(task.labels)}"
            )


def _examples(row: dict[str, Any], task: Task, check: RowCheck, names: LabelNames) -> list[Example | _Unusable]:
    """Return the examples that a row gives: one, unless the task makes several from it."""
    assert not isinstance(task.adapt, Mapping)  # noqa: S101 (the task is restricted to one row set)
    try:
        adapted = task.adapt(row) if task.adapt else row
    except MALFORMED as error:
        return [_malformed(task, error, row)]
    several = adapted if isinstance(adapted, list) else [adapted]
    return [_example(each, task, check, names) for each in several]


def _example(
    adapted: dict[str, Any] | LeftOut, task: Task, check: RowCheck, label_names: LabelNames
) -> Example | _Unusable:
    if isinstance(adapted, LeftOut):
        return _Unusable(adapted.reason, is_error=False)
    try:
        example = {name: adapted[column] for name, column in task.columns.items()}
    except MALFORMED as error:
        return _malformed(task, error, adapted)
    spec = kind_specs.get(task.kind)
    field_name = spec.label_field
    if field_name is not None and field_name in example:
        names = label_names.get(task.columns[field_name])
        value = example[field_name]
        if value in task.no_gold or named(value, names) in task.no_gold:
            return _Unusable(f"no gold label ({named(value, names)!r})", is_error=False)
        try:
            example[field_name] = index_of(value, task, names) if spec.one_label else mapped(value, task, names)
        except ValueError as error:
            return _Unusable(_in_columns(f"{field_name}: {error}", task))
    problem = next((problem for name in spec.lists if (problem := _list_problem(example, name))), None)
    if problem is None:
        try:
            problem = length_problem(example) or check(example, task)
        except MALFORMED as error:
            return _malformed(task, error, example)
    return _Unusable(_in_columns(problem, task)) if problem else example


def _in_columns(problem: str, task: Task) -> str:
    """Return what is wrong with a field under the name that its column has in the files.

    Args:
        problem: beginning with a field or a part of one.
        task: says which column the field is; one that adapts rows has fields of its own.
    """
    field_name, colon, rest = problem.partition(":")
    first, dot, inner = field_name.partition(".")
    if task.adapt is not None or first not in task.columns:
        return problem
    return f"{task.columns[first]}{dot}{inner}{colon}{rest}"


def _list_problem(example: Example, name: str) -> str | None:
    """Return what is wrong with a field, or a part of a field, that must be a list; None if nothing is.

    Args:
        example: the example.
        name: the field, or ``field.part``.
    """
    first, *inner = name.split(".")
    value = example[first]
    for step in inner:
        if not isinstance(value, dict) or step not in value:
            return None  # the check of the kind says what such a field should be
        value = value[step]
    if isinstance(value, list):
        return None
    return f"{name}: expected a list, an empty one where there is nothing, found {value!r}"


def _malformed(task: Task, error: Exception, row: Any) -> _Unusable:
    """Return why a row is unusable.

    Args:
        task: whose row it should be.
        error: what reading it raised.
        row: the row.
    """
    if isinstance(error, UnfitRow):
        return _Unusable(str(error))
    if isinstance(error, KeyError) and isinstance(row, Mapping) and error.args[0] not in row:
        return _Unusable(f"{error.args[0]}: no such column; found {', '.join(map(str, row))}")
    return _Unusable(f"not a row of {task.name}: {type(error).__name__} {error}")
