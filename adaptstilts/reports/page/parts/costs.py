"""The cost of training, storing and running the results."""

from __future__ import annotations

from adaptstilts.reports.page.charts.scatter import Point, Scatter
from adaptstilts.reports.page.model import Figure, Section
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.tables import costs, inference


def section(results: Results) -> Section:
    """Return scores against trained parameters, and the table of costs; empty if nothing was trained."""
    records = [record for record in results.done if record.trainable is not None]
    if not records:
        return Section()
    points = []
    for record in records:
        value = record.others if record.others is not None else record.mean
        if record.trainable and value is not None:
            points.append(Point(record.task, record.trained_on, record.method, record.trainable, value))
    figures = []
    if len({point.x for point in points}) > 1:
        text = "Mean score outside English against the number of trained parameters in the encoder."
        chart = Scatter(points, "trained parameters", "points", results.intermediates, results.methods)
        figures.append(Figure("sizes", "Scores and sizes", text, chart))
    tables = [costs.table(records)]
    if any(record.inference for record in records):
        tables.append(inference.table(records))
    return Section(figures=figures, tables=tables)
