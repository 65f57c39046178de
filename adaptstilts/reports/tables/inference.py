"""The table of what running each target takes."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts.reports.formats import Table
from adaptstilts.reports.inference import Inference
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables.cells import NOTHING, count, size

HEADER = (
    "target",
    "intermediate",
    "method",
    "adapters",
    "rounds",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "range ms",
    "CPU ms",
    "rows/s",
    "CPU s/1,000",
    "load s",
    "peak",
    "FLOPs",
    "J/1,000",
)
NOTES = (
    "medians over rounds, each in a fresh process; p50 to p99 and CPU ms: rows one by one; range: of the rounds' p50",
    "rows/s, CPU s and joules: in batches after a warm-up; peak: what loading and running added to the process",
)
BUSY = "the machine was busy (load average up to {:.0f}): times by the clock say little, CPU times more"
_BUSY = 1.5  # load average


def table(records: Sequence[Record]) -> Table:
    """Return times and memory of running targets, one row per result and way; for records that have them."""
    rows = []
    loads = []
    for record in records:
        for measured in record.inference:
            rows.append((record.task, record.trained_on, record.method, *_cells(measured)))
            loads.append(measured["load_average"])
    notes = (*NOTES, BUSY.format(max(loads))) if max(loads, default=0.0) > _BUSY else NOTES
    return Table("cost of running each target", HEADER, tuple(rows), notes)


def _cells(measured: Inference) -> tuple[str, ...]:
    low, high = measured["range_ms"]
    joules = measured["joules_per_1000"]
    return (
        "merged" if measured["merged"] else "as trained",
        str(measured["rounds"]),
        *(f"{value:.1f}" for value in measured["single_ms"]),
        f"{low:.1f} to {high:.1f}",
        f"{measured['single_cpu_ms']:.1f}",
        f"{measured['rows_per_second']:.0f}",
        f"{measured['cpu_seconds_per_1000']:.1f}",
        f"{measured['load_seconds']:.1f}",
        size(measured["peak_bytes"]),
        count(int(measured["flops_per_row"])),
        NOTHING if joules is None else f"{joules:.0f}",
    )
