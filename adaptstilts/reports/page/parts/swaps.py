"""Targets that were evaluated over other intermediate adapters than they were trained on."""

from __future__ import annotations

from adaptstilts.reports.page.charts.heat_maps import HeatCell, HeatMaps, Matrix
from adaptstilts.reports.page.model import Figure, Section
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record, swapped
from adaptstilts.reports.tables import swaps
from adaptstilts.reports.tables.cells import unique


def section(results: Results) -> Section:
    """Return the swap matrices as heat maps and as tables; empty if nothing was swapped."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in swapped(results.records):
        groups.setdefault((record.task, record.method), []).append(record)
    matrices = [_matrix(f"{task}, {method}", group) for (task, method), group in groups.items()]
    matrices = [matrix for matrix in matrices if matrix.cells]
    if not matrices:
        return Section()
    figure = Figure(
        "swaps",
        "Swapped intermediate adapters",
        "Score of every trained target over every intermediate adapter, without any training. Framed: over the adapter"
        " that it was trained on. Below the score, and as colour, the difference to the framed cell of its row: blue"
        " above it, orange below it.",
        HeatMaps(matrices, "trained on", "evaluated over"),
    )
    tables = [swaps.table(task, method, group) for (task, method), group in groups.items()]
    return Section(title="Swapped adapters", figures=[figure], tables=tables)


def _matrix(title: str, records: list[Record]) -> Matrix:
    down = unique(record.trained_on for record in records if record.over != record.trained_on)
    across = unique(record.over for record in records if record.trained_on in down)
    bases = {record.trained_on: record.mean for record in records if record.over == record.trained_on}
    cells = {}
    for record in records:
        if record.trained_on in down and record.mean is not None:
            change = None
            base = bases.get(record.trained_on)
            if record.over != record.trained_on and base is not None:
                change = record.mean - base
            cells[record.trained_on, record.over] = HeatCell(record.mean, change)
    return Matrix(title, down, across, cells)
