"""Results that only some studies have, as tables: rows of test languages, compositions, hidden states."""

from __future__ import annotations

from collections.abc import Sequence

from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.model import Section
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record
from adaptstilts.reports.tables import compositions, layers, target_rows


def rows_section(results: Results) -> Section:
    """Return the tables of targets trained on rows of a test language."""
    tables = []
    for task in results.tasks:
        records = [record for record in results.in_language if record.task == task]
        if records:
            tables.append(target_rows.table(task, records, results.plain))
    return _section("Rows of the test languages", tables)


def compositions_section(results: Results) -> Section:
    """Return the tables that compare the ways in which targets use their intermediates."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in results.plain:
        if record.vs_others:
            groups.setdefault((record.task, record.method), []).append(record)
    tables = [compositions.table(task, method, group) for (task, method), group in groups.items()]
    return _section("Compositions", tables)


def layers_section(results: Results) -> Section:
    """Return the tables of retrieval by hidden state."""
    tables = []
    for task in results.tasks:
        records = [record for record in results.done if record.task == task and record.layers]
        rows = [((record.trained_on, record.method), record.layers, record.layer) for record in records]
        if rows:
            title = f"{task}: means over languages by hidden state"
            tables.append(layers.table(title, ("intermediate", "method"), rows))
    return _section("Hidden states", tables)


def _section(title: str, tables: Sequence[Table]) -> Section:
    return Section(title=title, tables=tables) if tables else Section()
