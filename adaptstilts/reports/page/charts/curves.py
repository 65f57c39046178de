"""Curves over training steps, one panel for each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import Value, legend, panels, tip
from adaptstilts.reports.page.palette import DASHES, INK, colour, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 2.2  # inches, of a panel
_FEW = 12  # points, up to which each is marked


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        panel: its panel.
        series: what its colour stands for.
        style: what its dashes stand for.
        name: what tells it from others of the same look.
        steps: horizontal places.
        values: vertical places.
    """

    panel: str
    series: str
    style: str
    name: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Curves:
    """Curves in panels.

    Attributes:
        curves: at least one.
        axis: what the vertical axes show; every panel has its own scale.
        series: every series, in the order of their colours.
        styles: every style, in the order of their dashes.
    """

    curves: Sequence[Curve]
    axis: str
    series: Sequence[str]
    styles: Sequence[str]

    columns: Sequence[str] = ("panel", "series", "style", "curve", "steps", "values")

    def rows(self) -> list[list[Value]]:
        """Return one row for each curve, with its points in two cells."""
        rows: list[list[Value]] = []
        for curve in self.curves:
            places = [" ".join(f"{number:g}" for number in numbers) for numbers in (curve.steps, curve.values)]
            rows.append([curve.panel, curve.series, curve.style, curve.name, *places])
        return rows

    def plot(self) -> Figure:
        """Return the drawing."""
        titles = list(dict.fromkeys(curve.panel for curve in self.curves))
        drawing, axes = panels(len(titles), _HEIGHT, min(2, len(titles)))
        for title, one in zip(titles, axes, strict=True):
            one.set_title(title)
            one.set_xlabel("step")
            one.set_ylabel(self.axis)
            for curve in self.curves:
                if curve.panel == title:
                    self._draw(one, curve)
            one.set_xlim(left=0)
        legend(drawing, self._handles())
        return drawing

    def _draw(self, axes: Any, curve: Curve) -> None:
        number = list(self.series).index(curve.series)
        marks = mark(number) if len(curve.steps) <= _FEW else ""
        look = {"color": colour(number), "linestyle": self._dashes(curve.style), "marker": marks, "markersize": 3.5}
        (line,) = axes.plot(curve.steps, curve.values, linewidth=1.2, alpha=0.85, **look)
        line.set_gid(tip(curve.name))

    def _dashes(self, style: str) -> Any:
        return DASHES[list(self.styles).index(style) % len(DASHES)]

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D

        handles = []
        for number, name in enumerate(self.series):
            if any(curve.series == name for curve in self.curves):
                handles.append(Line2D([], [], color=colour(number), marker=mark(number), markersize=3.5, label=name))
        styles = [name for name in self.styles if any(curve.style == name for curve in self.curves)]
        if len(styles) > 1:
            handles += [Line2D([], [], color=INK, linestyle=self._dashes(name), label=name) for name in styles]
        return handles
