"""The table of a retrieval task's scores by hidden state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.tables.cells import points

# The names of a row, its score by layer, and the layer that is reported elsewhere.
LayerRow = tuple[tuple[str, ...], Mapping[int, float], int | None]


def table(title: str, names: tuple[str, ...], rows: Sequence[LayerRow]) -> Table:
    """Return scores by hidden state, one column per layer; the reported layer is in bold.

    Args:
        title: title of the table.
        names: headings of the columns in which a row is named.
        rows: one per combination.
    """
    layers = sorted(set().union(*(scores for _, scores, _ in rows)))
    body = tuple((*row_names, *_cells(layers, scores, reported)) for row_names, scores, reported in rows)
    return Table(title, (*names, *map(str, layers)), body, ("in bold: the reported layer",))


def _cells(layers: Sequence[int], scores: Mapping[int, float], reported: int | None) -> list[str]:
    cells = []
    for layer in layers:
        text = points(scores.get(layer))
        cells.append(Bold(text) if layer == reported else text)
    return cells
