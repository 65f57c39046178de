"""What a chart is, and how panels and legends are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from adaptstilts.io.wording import short_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Value = str | float | None
WIDTH = 9.0  # inches, of every figure
_LEGEND, _SIGN = 130, 8  # characters that fit beside each other in a legend, and those that a sign takes
TIP = "tip."  # begins the ids of marks that show a text


def tip(text: str) -> str:
    """Return the id of a mark that shows a text when the pointer is over it; the id has letters and digits only."""
    return TIP + quote(text, safe="")


class Chart(Protocol):
    """The data of one figure, and how they are drawn."""

    @property
    def columns(self) -> Sequence[str]:
        """Return the names of the values in :meth:`rows`."""

    def rows(self) -> Sequence[Sequence[Value]]:
        """Return everything that is drawn, unrounded, one row for each mark."""

    def plot(self) -> Figure:
        """Return the drawing. It is called with the style of reports switched on; see ``palette``."""


def panels(count: int, height: float, across: int = 1, **options: Any) -> tuple[Figure, list[Any]]:
    """Return a drawing with a grid of axes, of which the first ``count`` are used.

    Args:
        count: number of panels, at least one.
        height: height of one row of panels, in inches.
        across: panels beside each other.
        options: as ``Figure.subplots`` takes them.
    """
    from matplotlib.figure import Figure

    down = -(-count // across)
    drawing = Figure(figsize=(WIDTH, height * down), layout="constrained")
    axes = list(drawing.subplots(down, across, squeeze=False, **options).flat)
    for unused in axes[count:]:
        unused.set_visible(False)
    return drawing, axes[:count]


def set_logarithmic(axes: Any) -> None:
    """Make a horizontal axis logarithmic, with labels such as ``0.5``, ``20`` and ``1M``.

    Call it when everything is drawn: an axis that spans less than a factor of 30 is labelled at 1, 2 and 5.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high < 30 * low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    return f"{value:g}" if value < 1 else short_count(value).replace(".0", "")


def legend(drawing: Figure, handles: Sequence[Any], labels: Sequence[str] | None = None) -> None:
    """Put one legend above all panels.

    Args:
        drawing: drawing with the panels.
        handles: signs, each an artist or a tuple of artists that are drawn on top of each other.
        labels: labels of the handles; None if they have labels of their own.
    """
    if handles:
        names = [handle.get_label() for handle in handles] if labels is None else list(labels)
        across = _LEGEND // (_SIGN + max(len(name) for name in names))
        drawing.legend(list(handles), names, loc="outside upper left", ncols=min(4, max(1, across)), handlelength=2.2)
