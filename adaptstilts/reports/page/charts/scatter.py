"""Points in the plane, such as scores against sizes, one panel for each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import Value, legend, panels, set_logarithmic, tip
from adaptstilts.reports.page.palette import INK, colour, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 2.4  # inches, of a panel


@dataclass(frozen=True)
class Point:
    """One point.

    Attributes:
        panel: its panel.
        series: what its colour stands for.
        style: what its mark stands for.
        x: horizontal place, above zero if the axis is logarithmic.
        y: vertical place.
    """

    panel: str
    series: str
    style: str
    x: float
    y: float


@dataclass(frozen=True)
class Scatter:
    """Points in panels.

    Attributes:
        points: at least one.
        across: what the horizontal axis shows.
        up: what the vertical axis shows.
        series: every series, in the order of their colours.
        styles: every style, in the order of their marks.
        is_logarithmic: whether the horizontal axis is.
        categories: what the places 0, 1, 2, ... of the horizontal axis are; empty if places are numbers.
    """

    points: Sequence[Point]
    across: str
    up: str
    series: Sequence[str]
    styles: Sequence[str]
    is_logarithmic: bool = True
    categories: Sequence[str] = ()

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of the values."""
        return ("panel", "series", "style", self.across, self.up)

    def rows(self) -> list[list[Value]]:
        """Return one row for each point."""
        return [[point.panel, point.series, point.style, point.x, point.y] for point in self.points]

    def plot(self) -> Figure:
        """Return the drawing."""
        titles = list(dict.fromkeys(point.panel for point in self.points))
        drawing, axes = panels(len(titles), _HEIGHT, min(3, len(titles)), sharex=True)
        for title, one in zip(titles, axes, strict=True):
            one.set_title(title)
            one.set_xlabel(self.across)
            one.set_ylabel(self.up)
            for point in self.points:
                if point.panel == title:
                    self._draw(one, point)
            one.margins(0.15)
            if self.categories:
                one.set_xticks(range(len(self.categories)), self.categories)
            elif self.is_logarithmic:
                set_logarithmic(one)
        legend(drawing, self._handles())
        return drawing

    def _draw(self, axes: Any, point: Point) -> None:
        look = self._look(point.series, point.style)
        (drawn,) = axes.plot([point.x], [point.y], linestyle="none", markersize=7, alpha=0.85, **look)
        drawn.set_gid(tip(f"{point.panel}, {point.style}, {point.series}: {point.y:.1f} at {point.x:,.0f}"))

    def _look(self, series: str, style: str) -> dict[str, Any]:
        return {"color": colour(self.series.index(series)), "marker": mark(self.styles.index(style))}

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        if self.series == self.styles:
            return [Line2D([], [], **self._look(name, name), linestyle="none", label=name) for name in self.series]
        handles = []
        for number, name in enumerate(self.series):
            if any(point.series == name for point in self.points):
                handles.append(Line2D([], [], color=colour(number), linewidth=4, label=name))
        for number, name in enumerate(self.styles):
            if any(point.style == name for point in self.points):
                handles.append(Line2D([], [], color=INK, marker=mark(number), linestyle="none", label=name))
        return handles
