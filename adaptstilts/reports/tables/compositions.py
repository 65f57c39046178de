"""The table that compares the compositions of a study pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import difference

NOTES = ("the row's score minus the column's; 95 % intervals of a paired bootstrap over examples",)


def table(task: str, method: str, records: Sequence[Record]) -> Table:
    """Return the difference between every two results of a task and a method.

    Args:
        task: the target task.
        method: label of the method.
        records: the results, one per composition and intermediate.
    """
    names = [record.trained_on for record in records]
    rows = tuple((record.trained_on, *_differences(record, names)) for record in records)
    return Table(f"compositions under {task} ({method})", ("", *names), rows, NOTES)


def _differences(record: Record, names: Sequence[str]) -> list[str]:
    return [difference(record.vs_others.get(name)) for name in names]
