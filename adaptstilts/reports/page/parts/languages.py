"""Scores by language."""

from __future__ import annotations

import re

from adaptstilts.reports.means import ENGLISH
from adaptstilts.reports.page.charts.bars import BarPanel, Bars
from adaptstilts.reports.page.model import Figure, Section
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record


def section(results: Results) -> Section:
    """Return one figure for each target: languages side by side, one panel for each method."""
    figures: list[Figure] = []
    for task in results.tasks:
        records = [record for record in results.done if record.task == task and record.languages]
        if records:
            name = f"languages-{len(figures) + 1}-{re.sub('[^A-Za-z0-9]+', '-', task)}"
            figures.append(_figure(results, name, task, records))
    if not figures:
        return Section()
    return Section(
        text="English comes first, then the languages from the highest score to the lowest, by the first result of"
        " the target.",
        figures=figures,
    )


def _figure(results: Results, name: str, task: str, records: list[Record]) -> Figure:
    panels = []
    for method in results.methods:
        values = {record.trained_on: record.languages for record in records if record.method == method}
        if values:
            panels.append(BarPanel(f"{task}, {method}", values))
    return Figure(
        name,
        f"{task} by language",
        "Score in every language, one panel for each method, one bar for each intermediate task.",
        Bars(panels, "points", _order(records[0]), results.intermediates),
    )


def _order(record: Record) -> list[str]:
    codes = sorted(record.languages, key=lambda code: (code != ENGLISH, -record.languages[code]))
    return list(codes)
