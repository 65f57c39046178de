"""The table of one target that was trained on a few rows of its test languages."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts import tasks
from adaptstilts.io.wording import counted
from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import differences
from adaptstilts.reports.tables.cells import difference_with_p, metric, points, unique

HEADER = ("language", "rows", "after", "intermediate", "method", "score", "vs none", "English rows alone")


def table(task: str, records: Sequence[Record], english: Sequence[Record]) -> Table:
    """Return the scores in each language of its rows, by number of rows.

    Args:
        task: the target task.
        records: records of targets trained on rows of a test language.
        english: records of targets trained on English rows alone; their scores in the same language stand beside.
    """
    zero_shot = {}
    for one in english:
        for code, score in one.languages.items():
            zero_shot[one.task, one.method, one.trained_on, code] = score
    rows = []
    for one in records:
        beside = zero_shot.get((one.task, one.method, one.trained_on, one.language))
        rows.append((*_row(one), points(beside)))
    title = f"{task} on rows of the test language: {metric(' and '.join(tasks.get(task).headline))}"
    return Table(title, HEADER, tuple(rows), _notes(records))


def _row(record: Record) -> tuple[str, ...]:
    score = points(record.mean)
    if record.spread is not None:
        score += f" ± {record.spread:.1f}"
    vs_none = difference_with_p(record.vs_none)
    return (record.language, str(record.k), record.after, record.trained_on, record.method, score, vs_none)


def _notes(records: Sequence[Record]) -> tuple[str, ...]:
    draws, seeds = len(set(records[0].draws)), len(set(records[0].seeds))
    notes = [
        f"points, mean and standard deviation over {counted(draws, 'draw')} of the rows and {counted(seeds, 'seed')}",
        "after english: the English target trained further on these rows (few-shot); after none: trained on them alone"
        " (in-language)",
    ]
    for language in unique(record.language for record in records):
        shared = max(record.in_training for record in records if record.language == language)
        if shared:
            notes.append(f"{language}: up to {counted(shared, 'test row')} over all runs equal to a training row")
    notes += differences.notes(records, [record.vs_none for record in records])
    waiting = sum(not record.complete for record in records)
    if waiting:
        notes.append(f"{waiting} of {len(records)} rows are not computed yet")
    return tuple(notes)
