"""The matrix of a target that was evaluated over other intermediates than it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import differences
from adaptstilts.reports.tables.cells import NOTHING, difference_with_p, points, unique

NOTE = "rows: trained on; columns: evaluated over; in parentheses: difference to the row's bold cell"


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
    rows = []
    for row in trained:
        cells = [_cell(by_cell.get((row, column))) for column in over]
        rows.append((row, *cells))
    title = f"swap of intermediate adapters under {task} ({method})"
    remarks = differences.notes(records, [record.vs_trained for record in records])
    return Table(title, ("trained on", *over), tuple(rows), (NOTE, *remarks))


def _cell(record: Record | None) -> str:
    if record is None or record.mean is None:
        return NOTHING
    score = points(record.mean)
    if record.trained_on == record.over:
        return Bold(score)
    return score if record.vs_trained is None else f"{score} ({_inner(record.vs_trained)})"


def _inner(value: Difference) -> str:
    """Return a difference as it stands in parentheses."""
    return difference_with_p(value).replace(" (", ", ").removesuffix(")")
