"""Scores, one line for each combination, one mark for each series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import WIDTH, Value, legend, tip
from adaptstilts.reports.page.palette import GRID, colour, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 0.3  # inches
_APART = 0.6  # of a line, over which marks are spread so that equal scores do not hide each other


@dataclass(frozen=True)
class Dot:
    """One score.

    Attributes:
        group: heading that its line stands under.
        label: its line.
        series: what its colour and mark stand for.
        value: the score.
    """

    group: str
    label: str
    series: str
    value: float


@dataclass(frozen=True)
class Dots:
    """Scores in the order in which their lines are listed.

    Attributes:
        dots: at least one.
        axis: what the horizontal axis shows.
        series: every series, in the order of their colours.
    """

    dots: Sequence[Dot]
    axis: str
    series: Sequence[str]

    columns: Sequence[str] = ("group", "line", "series", "score")

    def rows(self) -> list[list[Value]]:
        """Return one row for each score."""
        return [[dot.group, dot.label, dot.series, dot.value] for dot in self.dots]

    def plot(self) -> Figure:
        """Return the drawing."""
        from matplotlib.figure import Figure

        lines = self._lines()
        count = len(lines)
        drawing = Figure(figsize=(WIDTH, _ROW * count + 1.1), layout="constrained")
        axes = drawing.subplots()
        axes.hlines(
            [place for line, place in lines.items() if line[1]], 0, 1, GRID, transform=axes.get_yaxis_transform()
        )
        for dot in self.dots:
            self._draw(axes, dot, lines[dot.group, dot.label])
        axes.set_yticks([*lines.values()], [label or group for group, label in lines])
        for tick, (_, label) in zip(axes.get_yticklabels(), lines, strict=True):
            tick.set_fontweight("normal" if label else "bold")
        axes.set_ylim(count - 0.4, -0.6)
        axes.set_xlabel(self.axis)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        legend(drawing, self._handles())
        return drawing

    def _lines(self) -> dict[tuple[str, str], int]:
        """Return the place of every line; a line without a label is a heading."""
        lines: dict[tuple[str, str], int] = {}
        for dot in self.dots:
            lines.setdefault((dot.group, ""), len(lines))
            lines.setdefault((dot.group, dot.label), len(lines))
        return lines

    def _draw(self, axes: Any, dot: Dot, place: int) -> None:
        number = list(self.series).index(dot.series)
        height = place + _APART * (number - (len(self.series) - 1) / 2) / len(self.series)
        (point,) = axes.plot([dot.value], [height], mark(number), color=colour(number), markersize=6)
        point.set_gid(tip(f"{dot.group}, {dot.label}, {dot.series}: {dot.value:.2f}"))

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        used = {dot.series for dot in self.dots}
        handles = []
        for number, name in enumerate(self.series):
            if name in used:
                handles.append(Line2D([], [], color=colour(number), marker=mark(number), linestyle="none", label=name))
        return handles
