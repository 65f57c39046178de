"""Matrices whose cells are coloured by what changed, with the numbers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import Value, panels
from adaptstilts.reports.page.palette import INK, MUTED, NEGATIVE, POSITIVE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STRONGEST = 0.6  # opacity of the largest change; text must be readable on it
_ROW = 0.42  # inches
_MANY = 6  # columns, above which panels are not put beside each other
_TOO_MANY = 12  # columns, above which cells have no second line


@dataclass(frozen=True)
class HeatCell:
    """One cell.

    Attributes:
        value: the score that is written in it.
        change: what colours it; None for the cell that others are compared with.
    """

    value: float
    change: float | None = None


@dataclass(frozen=True)
class Matrix:
    """One matrix.

    Attributes:
        title: above it.
        down: names of the rows.
        across: names of the columns.
        cells: (row, column) -> cell; one that is not there stays empty.
    """

    title: str
    down: Sequence[str]
    across: Sequence[str]
    cells: Mapping[tuple[str, str], HeatCell]


@dataclass(frozen=True)
class HeatMaps:
    """Matrices on one scale of colours.

    Attributes:
        matrices: at least one.
        down: what the rows are.
        across: what the columns are.
    """

    matrices: Sequence[Matrix]
    down: str
    across: str

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of the values."""
        return ("matrix", self.down, self.across, "score", "change")

    def rows(self) -> list[list[Value]]:
        """Return one row for each cell."""
        rows: list[list[Value]] = []
        for matrix in self.matrices:
            for (row, column), cell in matrix.cells.items():
                rows.append([matrix.title, row, column, cell.value, cell.change])
        return rows

    def plot(self) -> Figure:
        """Return the drawing."""
        widest = max(len(matrix.across) for matrix in self.matrices)
        tallest = max(len(matrix.down) for matrix in self.matrices)
        beside = 1 if widest > _MANY or len(self.matrices) == 1 else 2
        drawing, axes = panels(len(self.matrices), _ROW * tallest + 0.95, beside)
        for matrix, one in zip(self.matrices, axes, strict=True):
            self._draw(one, matrix)
        return drawing

    def _draw(self, axes: Any, matrix: Matrix) -> None:
        for (row, column), cell in matrix.cells.items():
            self._fill(axes, matrix.across.index(column), matrix.down.index(row), cell, len(matrix.across))
        axes.set_xticks(range(len(matrix.across)), matrix.across)
        axes.set_yticks(range(len(matrix.down)), matrix.down)
        axes.set_xlim(-0.5, len(matrix.across) - 0.5)
        axes.set_ylim(len(matrix.down) - 0.5, -0.5)
        if len(matrix.across) > 4:
            axes.tick_params(axis="x", labelrotation=30)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_title(matrix.title)
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.down)

    def _fill(self, axes: Any, x: int, y: int, cell: HeatCell, columns: int) -> None:
        from matplotlib.colors import to_rgba
        from matplotlib.patches import Rectangle

        change = cell.change or 0.0
        shade = POSITIVE if change > 0 else NEGATIVE
        face = to_rgba(shade, _STRONGEST * min(1.0, abs(change) / self._largest()))
        is_base = cell.change is None
        edge, width = (INK, 1.6) if is_base else (MUTED, 0.4)
        reach = 0.46
        box = Rectangle((x - reach, y - reach), 2 * reach, 2 * reach, facecolor=face, edgecolor=edge, linewidth=width)
        axes.add_patch(box)
        text = f"{cell.value:.1f}"
        if not is_base and columns <= _TOO_MANY:
            text += f"\n{round(change, 1) + 0.0:+.1f}"  # and not -0.0
        weight = "bold" if is_base else "normal"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, fontweight=weight, color=INK, linespacing=1.15)

    def _largest(self) -> float:
        """Return the size of the largest change; one if nothing changed."""
        cells = chain.from_iterable(matrix.cells.values() for matrix in self.matrices)
        changes = [abs(cell.change or 0.0) for cell in cells]
        return max(changes, default=0.0) or 1.0
