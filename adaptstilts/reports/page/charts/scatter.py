"""Points in the plane, such as scores against sizes, one panel for each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.io.wording import short_count
from adaptstilts.reports.page.charts.base import Value, legend, panels, tip
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
    """

    points: Sequence[Point]
    across: str
    up: str
    series: Sequence[str]
    styles: Sequence[str]
    is_logarithmic: bool = True

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
            if self.is_logarithmic:
                _set_logarithmic(one)
            for point in self.points:
                if point.panel == title:
                    self._draw(one, point)
            one.margins(0.15)
        legend(drawing, self._handles())
        return drawing

    def _draw(self, axes: Any, point: Point) -> None:
        look = {"color": colour(self.series.index(point.series)), "marker": mark(self.styles.index(point.style))}
        (drawn,) = axes.plot([point.x], [point.y], linestyle="none", markersize=7, alpha=0.85, **look)
        drawn.set_gid(tip(f"{point.panel}, {point.style}, {point.series}: {point.y:.1f} at {point.x:,.0f}"))

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        handles = []
        for number, name in enumerate(self.series):
            if any(point.series == name for point in self.points):
                handles.append(Line2D([], [], color=colour(number), linewidth=4, label=name))
        for number, name in enumerate(self.styles):
            if any(point.style == name for point in self.points):
                handles.append(Line2D([], [], color=INK, marker=mark(number), linestyle="none", label=name))
        return handles


def _set_logarithmic(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
