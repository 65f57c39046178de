"""Values over the size of models, or over numbers of rows, on a logarithmic axis; one panel for each title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import Value, legend, panels, set_logarithmic, tip
from adaptstilts.reports.page.palette import MUTED, colour, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 2.6  # inches, of a panel


@dataclass(frozen=True)
class TrendPoint:
    """One point.

    Attributes:
        panel: its panel.
        series: what its colour and mark stand for.
        place: on the horizontal axis, above zero.
        value: its height.
        low: lower end of its interval; None for none.
        high: upper end.
        name: what is shown when the pointer is over it.
        seeds: the value of every seed, drawn as dots.
    """

    panel: str
    series: str
    place: float
    value: float
    low: float | None = None
    high: float | None = None
    name: str = ""
    seeds: Sequence[float] = ()


@dataclass(frozen=True)
class Trends:
    """Points of a series joined by a line.

    Attributes:
        points: at least one.
        across: what the horizontal axis shows; it is logarithmic.
        axis: what the vertical axis shows.
        series: every series, in the order of their colours.
        zero: draw a line at zero.
        levels: panel -> series -> a height that is drawn as a dashed line.
    """

    points: Sequence[TrendPoint]
    across: str
    axis: str
    series: Sequence[str]
    zero: bool = False
    levels: Sequence[tuple[str, str, float]] = ()

    columns: Sequence[str] = ("panel", "series", "place", "value", "low", "high", "name")

    def rows(self) -> list[list[Value]]:
        """Return one row for each point, then one for each level."""
        rows: list[list[Value]] = []
        for point in self.points:
            numbers = (point.place, point.value, point.low, point.high)
            rows.append([point.panel, point.series, *numbers, point.name])
        for panel, series, height in self.levels:
            rows.append([panel, series, None, height, None, None, "level"])
        return rows

    def plot(self) -> Figure:
        """Return the drawing."""
        titles = list(dict.fromkeys(point.panel for point in self.points))
        drawing, axes = panels(len(titles), _HEIGHT, min(2, len(titles)))
        for title, one in zip(titles, axes, strict=True):
            one.set_title(title)
            one.set_xlabel(self.across)
            one.set_ylabel(self.axis)
            if self.zero:
                one.axhline(0, color=MUTED, linewidth=1, zorder=1)
            for number, name in enumerate(self.series):
                chosen = [point for point in self.points if (point.panel, point.series) == (title, name)]
                self._draw(one, number, sorted(chosen, key=lambda point: point.place))
            for panel, series, height in self.levels:
                if panel == title:
                    shade = colour(list(self.series).index(series))
                    one.axhline(height, color=shade, linestyle=(0, (4, 1.5)), linewidth=1.2)
            one.margins(0.1)
            set_logarithmic(one)
        legend(drawing, self._handles())
        return drawing

    def _draw(self, axes: Any, number: int, points: Sequence[TrendPoint]) -> None:
        shade = colour(number)
        axes.plot([point.place for point in points], [point.value for point in points], color=shade, linewidth=1.2)
        for point in points:
            if point.low is not None and point.high is not None:
                axes.plot([point.place] * 2, [point.low, point.high], color=shade, linewidth=1.8)
            if len(point.seeds) > 1:
                places = [point.place * 1.06] * len(point.seeds)
                axes.plot(places, point.seeds, ".", color=shade, markersize=3.5, alpha=0.7)
            (drawn,) = axes.plot([point.place], [point.value], mark(number), color=shade, markersize=6)
            drawn.set_gid(tip(point.name or f"{point.series} {point.value:.1f}"))

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        used = {point.series for point in self.points} | {series for _, series, _ in self.levels}
        handles = []
        for number, name in enumerate(self.series):
            if name in used:
                handles.append(Line2D([], [], color=colour(number), marker=mark(number), label=name))
        return handles
