"""Bars by category, such as scores by language; one panel below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import Value, legend, panels, tip
from adaptstilts.reports.page.palette import colour, hatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 1.55  # inches, of a panel


@dataclass(frozen=True)
class BarPanel:
    """One panel.

    Attributes:
        title: above the panel.
        values: series -> category -> value.
    """

    title: str
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Bars:
    """Panels with the same categories and series.

    Attributes:
        panels: at least one.
        axis: what the vertical axis shows.
        categories: from left to right.
        series: every series, in the order of their colours.
    """

    panels: Sequence[BarPanel]
    axis: str
    categories: Sequence[str]
    series: Sequence[str]

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of the values."""
        return ("panel", "series", *self.categories)

    def rows(self) -> list[list[Value]]:
        """Return one row for each series of each panel."""
        rows: list[list[Value]] = []
        for panel in self.panels:
            for series, values in panel.values.items():
                rows.append([panel.title, series, *(values.get(category) for category in self.categories)])
        return rows

    def plot(self) -> Figure:
        """Return the drawing."""
        drawing, axes = panels(len(self.panels), _HEIGHT, sharex=True, sharey=True)
        used = [name for name in self.series if any(name in panel.values for panel in self.panels)]
        for panel, one in zip(self.panels, axes, strict=True):
            self._draw(one, panel, used)
        axes[-1].set_xticks(range(len(self.categories)), self.categories)
        legend(drawing, [self._patch(name) for name in used], used)
        return drawing

    def _draw(self, axes: Any, panel: BarPanel, used: Sequence[str]) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        width = 0.82 / len(used)
        for series, values in panel.values.items():
            left = -0.41 + width * used.index(series)
            boxes = []
            for place, category in enumerate(self.categories):
                if category in values:
                    boxes.append(_box(place + left, width, values[category]))
            if boxes:
                path, number = Path.make_compound_path(*boxes), list(self.series).index(series)
                axes.add_patch(PathPatch(path, **_fill(number)))
                axes.add_patch(PathPatch(path, **_lines(number), gid=tip(f"{panel.title}: {series}")))
        axes.autoscale_view()
        axes.set_xlim(-0.6, len(self.categories) - 0.4)
        axes.set_title(panel.title)
        axes.set_ylabel(self.axis)
        axes.tick_params(axis="x", length=0)
        axes.grid(visible=False, axis="x")

    def _patch(self, series: str) -> Any:
        """Return the sign of a series in the legend; a tuple is drawn on top of each other."""
        from matplotlib.patches import Patch

        number = list(self.series).index(series)
        return Patch(**_fill(number)), Patch(**_lines(number))


def _fill(number: int) -> dict[str, Any]:
    return {"facecolor": colour(number), "alpha": 0.4, "linewidth": 0}


def _lines(number: int) -> dict[str, Any]:
    return {"facecolor": "none", "edgecolor": colour(number), "hatch": hatch(number), "linewidth": 0.8}


def _box(left: float, width: float, height: float) -> Any:
    """Return the outline of one bar."""
    from matplotlib.path import Path

    right = left + width
    corners = [(left, 0.0), (left, height), (right, height), (right, 0.0), (left, 0.0)]
    return Path(corners, closed=True)
