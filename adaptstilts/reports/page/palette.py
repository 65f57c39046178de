"""Colours, marks, dashes and hatches of figures, the same in all of them.

Figures are drawn in the light colours. In the page each of them becomes a CSS variable, which has another value in the
dark. The colours are those of Okabe and Ito (2008, "Color Universal Design"), darkened for white paper; whatever they
distinguish is distinguished by marks, dashes or hatches too.
"""

from __future__ import annotations

INK = "#1b1d22"
MUTED = "#5f646d"
GRID = "#d8dbe0"
PAPER = "#fffffe"
SERIES = ("#6a6f78", "#0072b2", "#cc5500", "#00835f", "#a8508b", "#8a6d00", "#7a4b26", "#3d4f9f")
POSITIVE, NEGATIVE = SERIES[1], SERIES[2]
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
HATCHES = ("", "////", "\\\\\\\\", "----", "xxxx", "||||", "++++", "//--")  # no dots or circles: they are large in SVG

VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES)},
}

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
}


def colour(number: int) -> str:
    """Return the colour of a series."""
    return SERIES[number % len(SERIES)]


def mark(number: int) -> str:
    """Return the mark of a series; when the colours begin again, every colour has the mark of its neighbour."""
    return MARKS[(number + number // len(SERIES)) % len(MARKS)]


def hatch(number: int) -> str:
    """Return the hatch of the bars of a series."""
    return HATCHES[number % len(HATCHES)]
