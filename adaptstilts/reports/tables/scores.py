"""The table of one target: every method over every intermediate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from adaptstilts import tasks
from adaptstilts.data import agreement, row_counts
from adaptstilts.io.wording import counted
from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import differences
from adaptstilts.reports.tables.cells import NOTHING, detectable, difference, metric, p_value, points

TRUNCATED = 0.01  # a larger share of shortened examples is mentioned below the table


def table(task: str, records: Sequence[Record]) -> Table:
    """Return the scores of one target, one row per method and intermediate.

    Args:
        task: the target task.
        records: its results, at least one.
    """
    headline = tasks.get(task).headline
    columns = _columns(records, _more_metrics(records, headline))
    title = f"{task}: {metric(' and '.join(headline))}"
    header = tuple(name for name, _ in columns)
    rows = tuple(zip(*(cells for _, cells in columns), strict=True))
    return Table(title, header, rows, _notes(records))


Column = tuple[str, list[str]]


def _columns(records: Sequence[Record], more: Sequence[str]) -> list[Column]:
    """Return the name and the cells of every column; optional columns are left out if all their cells are empty."""
    columns = [("intermediate", [r.trained_on for r in records]), ("method", [r.method for r in records])]
    optional = [
        ("English", [points(r.english) for r in records]),
        ("others", [points(r.others) if r.english is not None else NOTHING for r in records]),
        ("gap", [points(r.gap) for r in records]),
        ("all", [_mean(r) for r in records]),
        *_difference_columns(f"vs {_reference(records)}", [r.vs_reference for r in records]),
        *_difference_columns("vs none", [r.vs_none for r in records]),
    ]
    for name in more:
        optional.append((metric(name), [points(r.metrics.get(name)) for r in records]))
    computed = any(r.complete for r in records)
    return columns + [column for column in optional if not computed or set(column[1]) != {NOTHING}]


def _difference_columns(name: str, shown: Sequence[Difference | None]) -> list[Column]:
    """Return a column of differences, and beside it those of p-values and detectable differences, if there are any."""
    tests = [("p", [*map(p_value, shown)]), ("sees", [*map(detectable, shown)])]
    return [(name, [*map(difference, shown)]), *(test for test in tests if set(test[1]) != {NOTHING})]


def _reference(records: Sequence[Record]) -> str:
    """Return the method that others are compared with; ``reference`` if the records do not tell it."""
    compared = {record.method for record in records if record.vs_reference is not None}
    others = {record.method for record in records if record.method not in compared}
    return others.pop() if len(others) == 1 else "reference"


def _more_metrics(records: Sequence[Record], headline: Sequence[str]) -> list[str]:
    """Return the metrics that get columns: all but a single headline metric, whose mean is the column ``all``."""
    metrics = next((list(record.metrics) for record in records if record.metrics), [])
    return [name for name in metrics if [name] != list(headline)]


def _mean(record: Record) -> str:
    text = points(record.mean)
    return text if record.spread is None else f"{text} ± {record.spread:.1f}"


def _notes(records: Sequence[Record]) -> tuple[str, ...]:
    done = [record for record in records if record.complete]
    notes = [
        _columns_note(done),
        *differences.notes(done, [r.vs_reference for r in done] + [r.vs_none for r in done]),
        *_examples(done),
        *_thresholds(done),
        *_pool(done),
        *_rows(records[0]),
        *_losses(done),
        *_data_notes(done),
    ]
    if len(done) < len(records):
        notes.append(f"{len(records) - len(done)} of {len(records)} rows are not computed yet")
    return tuple(notes)


def _columns_note(done: Sequence[Record]) -> str:
    if all(record.english is None for record in done):
        return "points; all: mean over all languages"
    return "points; others: mean outside English; gap: English minus others; all: mean over all languages"


def _examples(done: Sequence[Record]) -> list[str]:
    if not done or not done[0].n:
        return []
    low, high = done[0].n
    each = counted(low, "example") if low == high else f"{low:,} to {counted(high, 'example')}"
    subset = " (a subset)" if done[0].subset else ""
    return [f"{counted(len(done[0].languages), 'language')}, {each} each{subset}"]


def _thresholds(done: Sequence[Record]) -> list[str]:
    notes = []
    chosen = [*chain.from_iterable(record.thresholds.values() for record in done)]
    if chosen:
        notes.append(f"score thresholds from dev, {_range(chosen)}")
    oracle = [*chain.from_iterable(record.oracle_thresholds.values() for record in done)]
    if oracle:
        notes.append(f"oracle: score thresholds chosen on the scored rows, {_range(oracle)}")
    return notes


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}"


def _pool(done: Sequence[Record]) -> list[str]:
    """Describe the candidates that queries were ranked against."""
    if not done or not done[0].pool:
        return []
    pool: Mapping[str, int] = done[0].pool
    text = f"ranked against {counted(pool['candidates'], 'candidate')}"
    if "of" in pool:
        text += f" in {pool['languages']} of {counted(pool['of'], 'language')}"
    if pool["truncated"]:
        text += f", {pool['truncated']} of them cut to the maximum length"
    return [text]


def _rows(first: Record) -> list[str]:
    notes = []
    if first.split != "test":
        notes.append(f"the {first.split} rows, not the test rows")
    if first.missing:
        notes.append(f"not in the data, not in the mean: {', '.join(first.missing)}")
    return notes


def _losses(done: Sequence[Record]) -> list[str]:
    notes = []
    truncated = max((record.truncated for record in done), default=0.0)
    if truncated > TRUNCATED:
        notes.append(f"{100 * truncated:.1f} % of the examples lost tokens to the maximum length")
    dropped = max((record.dropped for record in done), default=0)
    if dropped:
        notes.append(f"{counted(dropped, 'row')} left out, mostly for lack of a gold label")
    unknown = max((record.unknown_sentences for record in done), default=0)
    if unknown:
        notes.append(f"the model knows no word of {counted(unknown, 'sentence')}")
    return notes


def _data_notes(done: Sequence[Record]) -> list[str]:
    """Return notes about the data of one target: other numbers of rows than published, languages that disagree."""
    counts = chain.from_iterable(record.rows for record in done)
    return [*row_counts.sentences(counts), *(agreement.sentences(done[0].differs) if done else ())]
