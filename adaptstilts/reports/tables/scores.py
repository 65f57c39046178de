"""The table of one target: every method over every intermediate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptstilts import tasks
from adaptstilts.io.wording import counted
from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import difference, metric, points

TRUNCATED = 0.01  # a larger share of shortened examples is mentioned below the table


def table(task: str, records: Sequence[Record]) -> Table:
    """Return the scores of one target, one row per method and intermediate.

    Args:
        task: the target task.
        records: its results, at least one.
    """
    more = _more_metrics(records)
    header = ("intermediate", "method", "English", "others", "gap", "all", "vs reference", "vs none")
    rows = tuple(_row(record, more) for record in records)
    headline = " and ".join(tasks.get(task).headline)
    return Table(f"{task}: {metric(headline)}", (*header, *map(metric, more)), rows, _notes(records))


def _more_metrics(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the metrics that get columns: all of them, where there are several."""
    metrics = next((tuple(record.metrics) for record in records if record.metrics), ())
    return metrics if len(metrics) > 1 else ()


def _row(record: Record, more: Sequence[str]) -> tuple[str, ...]:
    mean = points(record.mean)
    if record.spread is not None:
        mean += f" ± {record.spread:.1f}"
    return (
        record.trained_on,
        record.method,
        points(record.english),
        points(record.others),
        points(record.gap),
        mean,
        difference(record.vs_reference),
        difference(record.vs_none),
        *(points(record.metrics.get(name)) for name in more),
    )


def _notes(records: Sequence[Record]) -> tuple[str, ...]:
    done = [record for record in records if record.complete]
    notes = [
        "points; differences with 95 % intervals of a paired bootstrap over examples",
        *_examples(done),
        *_thresholds(done),
        *_pool(done),
        *_rows(records[0]),
        *_losses(done),
    ]
    if len(done) < len(records):
        notes.append(f"{len(records) - len(done)} of {len(records)} rows are not computed yet")
    return tuple(notes)


def _examples(done: Sequence[Record]) -> list[str]:
    if not done or not done[0].n:
        return []
    low, high = done[0].n
    each = counted(low, "example") if low == high else f"{low:,} to {counted(high, 'example')}"
    subset = " (a subset)" if done[0].subset else ""
    return [f"{counted(len(done[0].languages), 'language')}, {each} each{subset}"]


def _thresholds(done: Sequence[Record]) -> list[str]:
    notes = []
    chosen = [value for record in done for value in record.thresholds.values()]
    if chosen:
        notes.append(f"score thresholds from dev, {_range(chosen)}")
    oracle = [value for record in done for value in record.oracle_thresholds.values()]
    if oracle:
        notes.append(f"oracle: score thresholds chosen on the scored rows, {_range(oracle)}")
    return notes


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}"


def _pool(done: Sequence[Record]) -> list[str]:
    """Say what queries were ranked against."""
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
    return notes
