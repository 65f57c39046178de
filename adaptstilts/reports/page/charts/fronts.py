"""Scores over a cost, with the front that no configuration beats and how sure it is; one panel for each title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.metrics.fronts import Place
from adaptstilts.reports.page.charts.base import Value, legend, panels, set_logarithmic, tip
from adaptstilts.reports.page.palette import INK, MUTED, PAPER, colour, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 3.2  # inches, of a panel
_VISIBLE = {"on": 1.0, "open": 0.9, "off": 0.3}


@dataclass(frozen=True)
class FrontPoint:
    """One configuration.

    Attributes:
        panel: its panel.
        series: what its colour stands for.
        style: what its mark stands for.
        cost: above zero.
        score: its height.
        place: whether it is on the front; one that is off is drawn faintly, one that is open hollow.
        start: cost and score of the configuration that a line leads from; None for no line.
        name: what is shown when the pointer is over it.
    """

    panel: str
    series: str
    style: str
    cost: float
    score: float
    place: Place
    start: tuple[float, float] | None = None
    name: str = ""


@dataclass(frozen=True)
class FrontStep:
    """The best score that a budget buys.

    Attributes:
        panel: its panel.
        budget: above zero.
        score: measured.
        low: lower end of its interval.
        high: upper end.
    """

    panel: str
    budget: float
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Fronts:
    """Configurations, and the front as steps with a band.

    Attributes:
        points: at least one.
        steps: steps of every panel by rising budget.
        across: what the horizontal axis shows; it is logarithmic.
        axis: what the vertical axis shows.
        series: every series, in the order of their colours.
        styles: every style, in the order of their marks.
    """

    points: Sequence[FrontPoint]
    steps: Sequence[FrontStep]
    across: str
    axis: str
    series: Sequence[str]
    styles: Sequence[str]

    columns: Sequence[str] = ("panel", "series", "style", "cost", "score", "front", "low", "high")

    def rows(self) -> list[list[Value]]:
        """Return one row for each point, then one for each step of the front."""
        rows: list[list[Value]] = []
        for point in self.points:
            rows.append([point.panel, point.series, point.style, point.cost, point.score, point.place, None, None])
        for step in self.steps:
            rows.append([step.panel, "best within", "", step.budget, step.score, "", step.low, step.high])
        return rows

    def plot(self) -> Figure:
        """Return the drawing."""
        titles = list(dict.fromkeys(point.panel for point in self.points))
        drawing, axes = panels(len(titles), _HEIGHT, min(2, len(titles)))
        for title, one in zip(titles, axes, strict=True):
            one.set_title(title)
            one.set_xlabel(self.across)
            one.set_ylabel(self.axis)
            self._draw_front(one, [step for step in self.steps if step.panel == title])
            for point in self.points:
                if point.panel == title:
                    self._draw(one, point)
            one.margins(0.1)
            set_logarithmic(one)
        legend(drawing, self._handles())
        return drawing

    def _draw_front(self, axes: Any, steps: Sequence[FrontStep]) -> None:
        budgets = [step.budget for step in steps]
        low, high = [step.low for step in steps], [step.high for step in steps]
        axes.fill_between(budgets, low, high, step="post", color=MUTED, alpha=0.15, linewidth=0)
        axes.step(budgets, [step.score for step in steps], where="post", color=MUTED, linewidth=1.2)

    def _draw(self, axes: Any, point: FrontPoint) -> None:
        shade, faint = colour(self.series.index(point.series)), _VISIBLE[point.place]
        if point.start is not None:
            cost, score = point.start
            axes.plot([cost, point.cost], [score, point.score], color=shade, linewidth=0.8, alpha=0.5, zorder=1)
        look = {"color": shade, "marker": mark(self.styles.index(point.style)), "alpha": faint}
        inside = PAPER if point.place == "open" else shade
        (drawn,) = axes.plot(
            [point.cost], [point.score], linestyle="none", markersize=7, markerfacecolor=inside, zorder=3, **look
        )
        drawn.set_gid(tip(point.name or f"{point.style}, {point.series}: {point.score:.1f}"))

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        handles = []
        for number, name in enumerate(self.series):
            handles.append(Line2D([], [], color=colour(number), linewidth=4, label=name))
        for number, name in enumerate(self.styles):
            handles.append(Line2D([], [], color=INK, marker=mark(number), linestyle="none", label=name))
        handles.append(Line2D([], [], color=MUTED, linewidth=1.2, label="best within the budget"))
        return handles
