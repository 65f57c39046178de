"""The table of what each target cost."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts.reports.formats import Table
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import NOTHING, count, points, size

HEADER = ("target", "intermediate", "method", "trained", "head", "stored", "seconds", "CPU s", "peak", "examples/s")
NOTES = (
    "trained: parameters of the encoder part; stored: one target's adapter or encoder, and head",
    "seconds: the target's own training by the clock, CPU s: of the processor, whatever else it did; peak: weights,"
    " optimizer state, gradients and activations",
)
EARLIER = "without CPU s: trained by an earlier version, whose peak also depended on what ran before"


def table(records: Sequence[Record]) -> Table:
    """Return sizes, times and memory of trained targets, one row per result."""
    is_earlier = any(record.seconds is not None and record.cpu_seconds is None for record in records)
    notes = (*NOTES, EARLIER) if is_earlier else NOTES
    return Table("cost of each target", HEADER, tuple(map(_row, records)), notes)


def _row(record: Record) -> tuple[str, ...]:
    rate = record.examples_per_second
    return (
        record.task,
        record.trained_on,
        record.method,
        count(record.trainable),
        count(record.head),
        size(record.bytes),
        points(record.seconds),
        points(record.cpu_seconds),
        size(record.peak_bytes),
        NOTHING if rate is None else f"{rate:.0f}",
    )
