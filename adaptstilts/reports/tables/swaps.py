"""The matrix of a target that was evaluated over other intermediates than it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import NOTHING, difference, points, unique

NOTES = ("rows: trained on; columns: evaluated over; in parentheses: difference to the row's bold cell, 95 % interval",)


def table(task: str, method: str, records: Sequence[Record]) -> Table:
    """Return the scores of every trained target over every intermediate.

    Args:
        task: the target task.
        method: label of the method.
        records: the results of both, swapped and not.
    """
    trained = unique(record.trained_on for record in records if record.over != record.trained_on)
    over = unique(record.over for record in records if record.trained_on in trained)
    by_cell = {(record.trained_on, record.over): record for record in records}
    rows = tuple((row, *(_cell(by_cell, row, column) for column in over)) for row in trained)
    return Table(f"swap of intermediate adapters under {task} ({method})", ("trained on", *over), rows, NOTES)


def _cell(by_cell: Mapping[tuple[str, str], Record], trained_on: str, over: str) -> str:
    record = by_cell.get((trained_on, over))
    if record is None or record.mean is None:
        return NOTHING
    score = points(record.mean)
    if trained_on == over:
        return Bold(score)
    return score if record.vs_trained is None else f"{score} ({difference(record.vs_trained)})"
