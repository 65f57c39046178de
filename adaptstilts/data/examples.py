"""From a split's files to checked examples: plain dicts with the fields of the task's kind."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.tasks.base import Task

Example = dict[str, Any]
Check = Callable[[Example, Task], "str | None"]


@dataclass(frozen=True)
class Examples:
    """Examples of one split.

    Attributes:
        rows: the examples.
        ids: their row numbers in the split.
        total: rows of the split that have a gold label.
        dropped: reason -> rows left out because of it.
    """

    rows: list[Example]
    ids: list[int]
    total: int
    dropped: Mapping[str, int] = field(default_factory=dict)


def read(split: Split, task: Task, check: Check, limit: int | None = None, seed: object = "subset") -> Examples:
    """Read, check and (when ``limit`` is given) subsample a split.

    The subset is drawn once without replacement and kept in file order; equal seeds and lengths give equal subsets,
    so that parallel test sets stay parallel.

    Raises:
        DataError: names file, row, field and what was expected; all offenders are counted.
    """
    table, labels = _load(split)
    _check_columns(split, task, table.column_names)
    for name, column in task.columns.items():
        if task.labels and column in labels and set(labels[column]) != set(task.labels):
            raise DataError(
                f"{split.files[0]}: {name} has the labels {', '.join(labels[column])}; {task.name} declares"
                f" {', '.join(task.labels)}"
            )
    rows: list[Example] = []
    ids: list[int] = []
    dropped: Counter[str] = Counter()
    problems: list[str] = []
    for i, row in enumerate(table.to_pylist()):
        example, problem = _example(row, task, labels)
        if example is None and problem == "":
            dropped["no gold label"] += 1
            continue
        if example is not None:
            problem = check(example, task) or ""
        if example is None or problem:
            problems.append(f"row {i}: {problem}")
        else:
            rows.append(example)
            ids.append(i)
    if problems:
        more = f" ({len(problems)} such rows)" if len(problems) > 3 else ""
        raise DataError(f"{split.files[0]}: {'; '.join(problems[:3])}{more}")
    if not rows:
        raise DataError(f"{split.files[0]}: no usable rows for {task.name}")
    total = len(rows)
    if limit is not None and limit < total:
        kept = sorted(random.Random(f"{seed}-{total}").sample(range(total), limit))
        rows, ids = [rows[i] for i in kept], [ids[i] for i in kept]
    return Examples(rows, ids, total, dict(dropped))


def text_problem(example: Example, *names: str) -> str | None:
    """What is wrong with fields that must be text."""
    for name in names:
        if not isinstance(example.get(name), str):
            return f"{name}: expected text, found {example.get(name)!r}"
    return None


def withheld(labels: Sequence[object]) -> bool:
    """Whether the labels of a test split look withheld: many rows, all with the same one."""
    return len(labels) >= 50 and len(set(labels)) == 1


def _load(split: Split) -> tuple[Any, dict[str, list[str]]]:
    """The rows as an arrow table, and the label names of the columns that have some."""
    import datasets
    import pyarrow.compute as pc

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(
            "parquet", data_files={"rows": [str(path) for path in split.files]}, split="rows"
        )
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise DataError(f"{split.files[0]}: cannot be read ({reason}); copy or fetch it again") from None
    labels = {}
    for name, feature in loaded.features.items():
        names = getattr(feature, "names", getattr(getattr(feature, "feature", None), "names", None))
        if names:
            labels[name] = list(names)
    table = loaded.with_format("arrow")[:]
    if split.source.where:
        column, value = split.source.where
        if column not in table.column_names:
            raise DataError(f"{split.files[0]}: no column {column!r}; found {', '.join(table.column_names)}")
        table = table.filter(pc.equal(table[column], value))
    return table, labels


def _check_columns(split: Split, task: Task, names: Sequence[str]) -> None:
    if task.adapt is not None:
        return
    missing = [column for column in task.columns.values() if column not in names]
    if missing:
        raise DataError(f"{split.files[0]}: no column {missing[0]!r}; found {', '.join(names)}")


def _example(row: dict[str, Any], task: Task, names: Mapping[str, Sequence[str]]) -> tuple[Example | None, str]:
    """One example, or None with what is wrong; an empty reason means that it has no gold label."""
    try:
        given = task.adapt(row) if task.adapt else row
        example = {name: given[column] for name, column in task.columns.items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return None, f"not a row of {task.name}: {type(error).__name__} {error}"
    for name in ("label", "tags"):
        if name in example:
            value = example[name]
            if name == "label" and value in task.no_gold:
                return None, ""
            try:
                column = names.get(task.columns[name])
                example[name] = (
                    [_label(tag, task, column) for tag in value]
                    if isinstance(value, list)
                    else _label(value, task, column)
                )
            except ValueError as error:
                return None, f"{name}: {error}"
    return example, ""


def _label(value: Any, task: Task, names: Sequence[str] | None) -> Any:
    """A label as an index into the task's labels; without labels (choices) the number itself."""
    if not task.labels:
        return value
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        value = names[value]
    if value in task.labels:
        return task.labels.index(value)
    if names is None and isinstance(value, int) and 0 <= value < len(task.labels):
        return value
    raise ValueError(f"expected one of {', '.join(task.labels)}, found {value!r}")
