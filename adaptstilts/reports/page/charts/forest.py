"""Differences with their intervals, one a line, around zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adaptstilts.reports.page.charts.base import WIDTH, Value, legend, tip
from adaptstilts.reports.page.palette import GRID, INK, MUTED, PAPER, colour, mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 0.25  # inches


@dataclass(frozen=True)
class Contrast:
    """One difference.

    Attributes:
        group: heading that it stands under.
        label: its line.
        series: what its colour and mark stand for.
        value: the difference.
        low: lower end of its interval.
        high: upper end.
        seeds: the difference of every seed.
        is_firm: whether the interval counts the seeds; otherwise it is drawn with dashes and an open mark.
        remark: what is to be said of it, such as its verdict.
    """

    group: str
    label: str
    series: str
    value: float
    low: float
    high: float
    seeds: Sequence[float] = ()
    is_firm: bool = True
    remark: str = ""


@dataclass(frozen=True)
class Forest:
    """Differences in the order in which they are listed.

    Attributes:
        contrasts: at least one; those of a group follow each other.
        axis: what the horizontal axis shows.
        series: every series, in the order of their colours.
        margin: differences up to this size do not matter; drawn as a band. None for no band.
    """

    contrasts: Sequence[Contrast]
    axis: str
    series: Sequence[str]
    margin: float | None = None

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of the values."""
        numbers = [f"seed difference {number + 1}" for number in range(self._seeds())]
        return ("group", "line", "series", "difference", "low", "high", "remark", *numbers)

    def rows(self) -> list[list[Value]]:
        """Return one row for each difference."""
        rows = []
        for contrast in self.contrasts:
            seeds = [*contrast.seeds, *[None] * (self._seeds() - len(contrast.seeds))]
            numbers = (contrast.value, contrast.low, contrast.high)
            rows.append([contrast.group, contrast.label, contrast.series, *numbers, contrast.remark, *seeds])
        return rows

    def plot(self) -> Figure:
        """Return the drawing."""
        from matplotlib.figure import Figure

        places, ticks = self._places()
        lines = max(places) + 1
        drawing = Figure(figsize=(WIDTH, _ROW * lines + 1.2), layout="constrained")
        axes = drawing.subplots()
        self._draw_background(axes)
        for contrast, place in zip(self.contrasts, places, strict=True):
            self._draw(axes, contrast, place)
        axes.set_yticks([*ticks], [*ticks.values()])
        for label, place in zip(axes.get_yticklabels(), ticks, strict=True):
            label.set_fontweight("normal" if place in places else "bold")
        axes.set_ylim(lines - 0.4, -0.6)
        axes.set_xlabel(self.axis)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        legend(drawing, self._handles())
        return drawing

    def _seeds(self) -> int:
        return max(len(contrast.seeds) for contrast in self.contrasts)

    def _places(self) -> tuple[list[int], dict[int, str]]:
        """Return the line of every difference, and the labels of all lines, headings included."""
        places: list[int] = []
        ticks: dict[int, str] = {}
        group, line = None, 0
        for contrast in self.contrasts:
            if contrast.group != group:
                group = contrast.group
                ticks[line] = group
                line += 1
            places.append(line)
            ticks[line] = contrast.label
            line += 1
        return places, ticks

    def _draw_background(self, axes: Any) -> None:
        if self.margin is not None:
            axes.axvspan(-self.margin, self.margin, color=GRID, alpha=0.6, linewidth=0, zorder=0)
        axes.axvline(0, color=MUTED, linewidth=1, zorder=1)

    def _draw(self, axes: Any, contrast: Contrast, place: int) -> None:
        number = list(self.series).index(contrast.series)
        shade = colour(number)
        dashes = "-" if contrast.is_firm else (0, (2, 1.5))
        axes.plot([contrast.low, contrast.high], [place, place], color=shade, linestyle=dashes, linewidth=1.8, zorder=3)
        if len(contrast.seeds) > 1:
            heights = [place + 0.28] * len(contrast.seeds)
            axes.plot(contrast.seeds, heights, ".", color=shade, markersize=3.5, alpha=0.7, zorder=2)
        face = shade if contrast.is_firm else PAPER
        (point,) = axes.plot(
            [contrast.value], [place], mark(number), color=shade, markerfacecolor=face, markersize=6.5, zorder=4
        )
        point.set_gid(tip(_described(contrast)))

    def _handles(self) -> list[Any]:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        used = {contrast.series for contrast in self.contrasts}
        handles: list[Any] = []
        for number, name in enumerate(self.series):
            if name in used:
                handles.append(Line2D([], [], color=colour(number), marker=mark(number), label=name))
        if any(not contrast.is_firm for contrast in self.contrasts):
            label = "one seed: examples only"
            handles.append(Line2D([], [], color=INK, marker="o", markerfacecolor=PAPER, linestyle=":", label=label))
        if self.margin is not None:
            handles.append(Patch(color=GRID, alpha=0.6, label=f"within {self.margin:g} of zero"))
        return handles


def _described(contrast: Contrast) -> str:
    parts = [f"{contrast.group}, {contrast.label}:"]
    parts.append(f"{contrast.value:+.2f} [{contrast.low:+.2f}, {contrast.high:+.2f}]")
    if len(contrast.seeds) > 1:
        parts.append(f"seeds {' '.join(f'{seed:+.2f}' for seed in contrast.seeds)}")
    return " ".join([*parts, contrast.remark]).strip()
