"""Records as rows of unrounded values, for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, product

from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import unique

FIELDS = (
    "task",
    "method",
    "composition",
    "trained_on",
    "over",
    "model",
    "language",
    "k",
    "after",
    "complete",
    "english",
    "others",
    "gap",
    "mean",
    "spread",
    "trainable",
    "head",
    "bytes",
    "seconds",
    "cpu_seconds",
    "intermediate_seconds",
    "intermediate_cpu_seconds",
    "peak_bytes",
    "examples_per_second",
)
DIFFERENCES = ("vs_reference", "vs_none", "vs_trained")
PARTS = ("value", "low", "high", "p", "holm", "detectable", "error", "df", "seeds")


def columns(records: Sequence[Record]) -> list[str]:
    """Return the names of the values: facts and means, differences with their intervals, then each language."""
    differences = [f"{name}_{part}" for name, part in product(DIFFERENCES, PARTS)]
    return [*FIELDS, *differences, *_languages(records)]


def rows(records: Sequence[Record]) -> list[list[str | float | None]]:
    """Return one row per record."""
    codes = _languages(records)
    return [_row(record, codes) for record in records]


def _row(record: Record, codes: Sequence[str]) -> list[str | float | None]:
    row: list[str | float | None] = [getattr(record, name) for name in FIELDS]
    for name in DIFFERENCES:
        difference: Difference | None = getattr(record, name)
        values = difference.json() if difference else {}
        row += [values.get(part) for part in PARTS]
    return row + [record.languages.get(code) for code in codes]


def _languages(records: Sequence[Record]) -> list[str]:
    return unique(chain.from_iterable(record.languages for record in records))
