"""Differences by target, as a figure and as a table with the entries behind every row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal

from adaptstilts.data import agreement, row_counts
from adaptstilts.io.wording import counted
from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.charts.dots import Dot, Dots
from adaptstilts.reports.page.charts.forest import Contrast, Forest
from adaptstilts.reports.page.model import Figure, KeyText, Section
from adaptstilts.reports.page.parts.averages import average
from adaptstilts.reports.page.parts.provenance import short
from adaptstilts.reports.page.parts.results import Results, judge
from adaptstilts.reports.records import NO_INTERMEDIATE, Record
from adaptstilts.reports.tables import cells

Field = Literal["vs_none", "vs_reference"]
MOST_LINES = 60  # of a figure; more are averaged over targets


def main_figure(results: Results) -> Section:
    """Return the figure that shows the answer: what an intermediate task changes, or else the scores."""
    figure = changes_figure(results)
    figures = [figure] if figure else []
    scores = scores_figure(results)
    if scores and not figures:
        figures.append(scores)
    return Section(figures=figures)


def changes_figure(results: Results) -> Figure | None:
    """Return a figure of the differences to the same method without an intermediate task; None without any."""
    records = [record for record in results.done if record.vs_none is not None]
    chart = _forest(results, records, "vs_none", "difference in points")
    if chart is None:
        return None
    text = "Difference in score to the same method without an intermediate task, mean over all languages"
    return Figure("changes", "What an intermediate task changes", f"{text}{_reading(records, chart)}", chart)


def reference_figure(results: Results) -> Figure | None:
    """Return a figure of the differences to the reference method; None without any."""
    records = [record for record in results.done if record.vs_reference is not None and record.trainable is not None]
    chart = _forest(results, records, "vs_reference", f"difference to {results.reference} in points")
    if chart is None:
        return None
    text = f"Difference in score to {results.reference} on the same intermediate task, mean over all languages"
    return Figure("methods", f"Every method against {results.reference}", f"{text}{_reading(records, chart)}", chart)


def _reading(records: Sequence[Record], chart: Forest) -> str:
    """Say how to read a figure of differences.

    Args:
        records: records that have these differences.
        chart: chart of the figure.
    """
    targets = " and targets" if len(records) > MOST_LINES else ""
    if not any(line.is_firm for line in chart.contrasts):
        return (
            f"{targets}. Lines show only how much other examples would change, not training noise: nothing is claimed."
        )
    return f"{targets}, with its 95\u00a0% interval. Small dots are single seeds; right of zero is better."


def _forest(results: Results, records: Sequence[Record], field: Field, axis: str) -> Forest | None:
    """Return a chart of differences, or of their averages over targets if they are very many; None if there are none.

    Args:
        results: results of the study.
        records: records that have the difference.
        field: which of their differences.
        axis: what the chart shows.
    """
    if len(records) <= MOST_LINES:
        lines = [_contrast(results, record, field) for record in records]
    else:
        lines = _averages(results, records, field)
    return Forest(lines, axis, results.intermediates, results.margin) if lines else None


def _averages(results: Results, records: Sequence[Record], field: Field) -> list[Contrast]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.method, record.trained_on), []).append(record)
    lines = []
    for (method, trained_on), group in groups.items():
        pairs = [(record, other) for record in group if (other := _other(results, record, field)) is not None]
        difference = average(results, pairs)
        if difference is not None:
            label = f"{trained_on}, {counted(len(pairs), 'target')}"
            lines.append(_line(results, (method, label, trained_on), difference))
    return lines


def scores_figure(results: Results) -> Figure | None:
    """Return the scores outside English of every target; None if nothing is computed."""
    dots = []
    for record in results.done:
        value = record.others if record.others is not None else record.mean
        if value is not None:
            dots.append(Dot(record.task, record.method, record.trained_on, value))
    if not dots:
        return None
    return Figure(
        "scores",
        "Scores outside English",
        "Mean score over the languages other than English, by target, method and intermediate task.",
        Dots(dots, "points", results.intermediates),
    )


def section(results: Results) -> Section:
    """Return the table of all results that were not swapped."""
    shown = scores_figure(results)
    has_changes = any(record.vs_none is not None for record in results.done)
    return Section(
        text="One row for every target, method and intermediate task, complete or not.",
        figures=[shown] if shown and has_changes else [],
        tables=[_table(results)] if results.plain else [],
    )


def _table(results: Results) -> Table:
    columns: list[tuple[str, Callable[[Record], str]]] = [
        ("target", lambda record: record.task),
        ("intermediate", lambda record: record.trained_on),
        ("method", lambda record: record.method),
        ("English", lambda record: cells.points(record.english)),
        ("others", lambda record: cells.points(record.others)),
        ("all", _mean),
        ("vs none", lambda record: cells.difference(record.vs_none)),
        ("p", lambda record: cells.p_value(record.vs_none)),
        ("sees", lambda record: cells.detectable(record.vs_none)),
        ("verdict", lambda record: _verdict(results, record)),
        ("entry", lambda record: KeyText(short(record.phases[0]))),
    ]
    rows = [tuple(cell(record) for _, cell in columns) for record in results.plain]
    return Table("all results", tuple(name for name, _ in columns), tuple(rows), _notes(results))


def _notes(results: Results) -> tuple[str, ...]:
    notes = ["points; others: mean outside English; all: mean over all languages, ± standard deviation over seeds"]
    families = {record.vs_none.family for record in results.done if record.vs_none and record.vs_none.holm is not None}
    if families:
        notes.append(
            f"vs none: difference to the same method without an intermediate task; p: corrected for"
            f" {counted(max(families), 'comparison')} (Holm); sees: the true difference that such a comparison, alone,"
            " finds in 80 of 100 studies"
        )
    notes.append(f"verdict: no effect if the whole interval is within ±{results.margin:g}")
    return (*notes, *data_notes(results.done))


def data_notes(records: Sequence[Record]) -> list[str]:
    """Return notes about the data of complete records: other numbers of rows than published, languages that disagree.

    Each begins with the name of its task.
    """
    notes = [*row_counts.sentences(chain.from_iterable(record.rows for record in records))]
    differs = {record.task: record.differs for record in records}
    for task, columns in differs.items():
        notes += [f"{task}: {sentence}" for sentence in agreement.sentences(columns)]
    return notes


def _mean(record: Record) -> str:
    text = cells.points(record.mean)
    return text if record.spread is None else f"{text} ± {record.spread:.1f}"


def _verdict(results: Results, record: Record) -> str:
    if not record.complete:
        return "not computed"
    if record.vs_none is None:
        return cells.NOTHING
    return judge(record.vs_none, results.margin)


def _contrast(results: Results, record: Record, field: Field) -> Contrast:
    seeds = results.seed_differences(record, _other(results, record, field))
    place = (record.task, f"{record.trained_on}, {record.method}", record.trained_on)
    return _line(results, place, getattr(record, field), seeds)


def _line(
    results: Results, place: tuple[str, str, str], difference: Difference, seeds: Sequence[float] = ()
) -> Contrast:
    """Return one line of a chart of differences.

    Args:
        results: results of the study.
        place: group, label and series of the line.
        difference: what it shows.
        seeds: the difference of every seed.
    """
    return Contrast(
        *place,
        value=difference.value,
        low=difference.low,
        high=difference.high,
        seeds=seeds,
        is_firm=difference.seeds > 1,
        remark=judge(difference, results.margin),
    )


def _other(results: Results, record: Record, field: Field) -> Record | None:
    """Return the record that a difference subtracts."""
    if field == "vs_none":
        return results.find(record.task, record.method, NO_INTERMEDIATE)
    return results.find(record.task, results.reference, record.trained_on, record.over)
