"""The table that compares the compositions of a study pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import differences
from adaptstilts.reports.tables.cells import difference_with_p

NOTE = "the row's score minus the column's"


def table(task: str, method: str, records: Sequence[Record]) -> Table:
    """Return the difference between every two results of a task and a method.

    Args:
        task: the target task.
        method: label of the method.
        records: the results, one per composition and intermediate.
    """
    names = [record.trained_on for record in records]
    rows = tuple((record.trained_on, *_differences(record, names)) for record in records)
    remarks = differences.notes(records, chain.from_iterable(record.vs_others.values() for record in records))
    return Table(f"compositions under {task} ({method})", ("", *names), rows, (NOTE, *remarks))


def _differences(record: Record, names: Sequence[str]) -> list[str]:
    return [difference_with_p(record.vs_others.get(name)) for name in names]
