"""Check the rows of a split without keeping them, before anything is computed from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adaptstilts.data.examples import Collected, Example, LoadedPart, check_columns, load_part, no_usable_rows
from adaptstilts.data.labels import index_of, named
from adaptstilts.data.sources import Split
from adaptstilts.tasks import kind_specs
from adaptstilts.tasks.base import Task
from adaptstilts.tasks.row_checks import RowCheck


@dataclass(frozen=True)
class Scan:
    """What a split has.

    Attributes:
        count: number of examples.
        labels: label -> how often the examples have it; a label in a list counts by itself.
        left_out: number of rows that give no example, for lack of a gold label for instance.
    """

    count: int
    labels: Mapping[Any, int]
    left_out: int = 0


def scan(split: Split, task: Task, check: RowCheck) -> Scan:
    """Check a split as :func:`read` does, without keeping its rows; whole columns at once where that is possible.

    Args:
        split: the files.
        task: as of :func:`read`.
        check: as of :func:`read`.

    Raises:
        DataError: as of :func:`read`.
    """
    count = left_out = 0
    labels: Counter[Any] = Counter()
    collected = Collected()
    field_name = kind_specs.get(task.kind).label_field
    for part in split.parts:
        loaded = load_part(part, task)
        sure = _scan_columns(loaded, task)
        if sure is None:
            collected.add_rows(loaded, task, check)
            count += len(collected.rows)
            labels.update(_labels_of(collected.rows, field_name))
            collected.forget()
        else:
            count += sure.count
            left_out += sure.left_out
            labels.update(sure.labels)
    collected.raise_problems()
    if not count:
        raise no_usable_rows(split, task)
    return Scan(count, labels, left_out + collected.dropped.total())


def _scan_columns(part: LoadedPart, task: Task) -> Scan | None:
    """Return what a part has if all its rows are surely right; None if they must be checked one by one."""
    spec, table = kind_specs.get(task.kind), part.table
    check_columns(part, task)
    if task.adapt is not None or not table.num_rows or not spec.check_columns or not spec.check_columns(table, task):
        return None
    if spec.label_field is None:
        return Scan(table.num_rows, {})
    column = task.columns[spec.label_field]
    return _scan_labels(table[column], task, part.labels.get(column))


def _scan_labels(column: Any, task: Task, names: Sequence[str] | None) -> Scan | None:
    """Return how many rows have a label of the task, and each label's number; None if one has another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if is_list and kind_specs.get(task.kind).one_label:
        return None
    try:
        counts = pc.value_counts(pc.list_flatten(column) if is_list else column).to_pylist()
    except pa.ArrowException:
        return None  # objects, for instance
    labels: Counter[Any] = Counter()
    left_out = 0
    for value, count in ((pair["values"], pair["counts"]) for pair in counts):
        if not is_list and (value in task.no_gold or named(value, names) in task.no_gold):
            left_out += count
            continue
        try:
            labels[index_of(value, task, names)] += count
        except (ValueError, TypeError):
            return None
    return Scan(len(column) - left_out, labels, left_out)


def _labels_of(rows: Sequence[Example], field_name: str | None) -> Iterator[Any]:
    """Yield the labels of examples, those of lists one by one."""
    if field_name is None:
        return
    for row in rows:
        label = row[field_name]
        yield from label if isinstance(label, list) else [label]
