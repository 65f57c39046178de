"""Charts: their data as rows, and what the drawing of each shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from adaptstilts.reports.page import drawing
from adaptstilts.reports.page.charts import Chart
from adaptstilts.reports.page.charts.bars import BarPanel, Bars
from adaptstilts.reports.page.charts.curves import Curve, Curves
from adaptstilts.reports.page.charts.dots import Dot, Dots
from adaptstilts.reports.page.charts.forest import Contrast, Forest
from adaptstilts.reports.page.charts.fronts import FrontPoint, Fronts, FrontStep
from adaptstilts.reports.page.charts.heat_maps import HeatCell, HeatMaps, Matrix
from adaptstilts.reports.page.charts.scatter import Point, Scatter
from adaptstilts.reports.page.charts.trends import TrendPoint, Trends
from adaptstilts.reports.page.model import Figure
from adaptstilts.reports.page.palette import colour, mark

SERIES = ("none", "mnli")
CONTRASTS = [
    Contrast("xnli", "mnli, full", "mnli", 1.5, 0.5, 2.5, (1.0, 2.0), remark="effect"),
    Contrast("copa", "mnli, full", "mnli", -1.0, -2.0, 0.0, (), is_firm=False),
]
BARS = [BarPanel("xnli, full", {"none": {"en": 50.0}, "mnli": {"en": 51.0, "de": 40.0}})]
CELLS = {("none", "none"): HeatCell(40.0), ("none", "mnli"): HeatCell(39.96, -0.04)}
POINTS = [Point("xnli", "none", "full", 1e6, 40.0), Point("xnli", "mnli", "lora", 1e4, 41.0)]
FRONT = [FrontPoint("all", "none", "full", cost, 40.0 + cost, "on") for cost in (0.2, 3.0)]
STEPS = [FrontStep("all", cost, 40.0 + cost, 40.0, 45.0) for cost in (0.2, 3.0)]
CHARTS: dict[str, Chart] = {
    "forest": Forest(CONTRASTS, "points", SERIES, margin=1.0),
    "dots": Dots([Dot("xnli", "full", "none", 40.0), Dot("xnli", "lora", "mnli", 42.0)], "points", SERIES),
    "bars": Bars(BARS, "points", ("en", "de"), SERIES),
    "heat": HeatMaps([Matrix("xnli", ("none",), SERIES, CELLS)], "trained on", "over"),
    "curves": Curves([Curve("xnli", "none", "full", "mean", (1, 2), (0.7, 0.6))], "loss", SERIES, ("full",)),
    "scatter": Scatter(POINTS, "size", "points", SERIES, ("full", "lora")),
    "stages": Scatter(
        [Point("xnli", "none", "none", 1, 40.0)], "stage", "points", SERIES, SERIES, False, ("base", "target")
    ),
    "fronts": Fronts(FRONT, STEPS, "seconds", "points", SERIES, ("full",)),
    "trends": Trends([TrendPoint("all", "none", size, 40.0) for size in (1e5, 5e5)], "size", "points", SERIES),
}


def draw(chart: Chart, name: str = "a") -> str:
    return drawing.svg(Figure(name, "title", "description", chart))


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("name", CHARTS)
def test_rows_fit_their_columns_and_every_chart_is_drawn(name: str) -> None:
    chart = CHARTS[name]
    rows: Sequence[Sequence[object]] = chart.rows()
    assert rows
    assert {len(row) for row in rows} == {len(chart.columns)}
    assert len(texts(draw(chart))) > 2


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_chart_gives_the_same_bytes(name: str) -> None:
    assert draw(CHARTS[name]) == draw(CHARTS[name])


def test_a_difference_of_one_seed_is_drawn_open_and_dashed() -> None:
    firm, open_ = (draw(Forest([contrast], "points", SERIES)) for contrast in CONTRASTS)
    assert "one seed: examples only" in texts(open_)
    assert "one seed: examples only" not in texts(firm)
    assert "stroke-dasharray: 3.6" in open_
    assert "stroke-dasharray: 3.6" not in firm


def test_groups_are_headings_and_the_margin_is_named() -> None:
    labels = texts(draw(CHARTS["forest"]))
    assert [label for label in labels if label in ("xnli", "copa")] == ["xnli", "copa"]
    assert "within 1 of zero" in labels


def test_a_mark_says_what_it_is() -> None:
    assert "<title>xnli, mnli, full: +1.50 [+0.50, +2.50] seeds +1.00 +2.00 effect</title>" in draw(CHARTS["forest"])


def test_seeds_have_columns_of_their_own() -> None:
    chart = CHARTS["forest"]
    assert chart.columns[-2:] == ("seed difference 1", "seed difference 2")
    assert [row[-2:] for row in chart.rows()] == [[1.0, 2.0], [None, None]]


def test_a_change_that_rounds_to_zero_is_not_negative() -> None:
    labels = texts(draw(CHARTS["heat"]))
    assert "+0.0" in labels
    assert "-0.0" not in labels


def test_a_logarithmic_axis_has_plain_numbers() -> None:
    assert {"10k", "1M"} <= set(texts(draw(CHARTS["scatter"])))
    assert {"0.2", "0.5", "1", "2"} <= set(texts(draw(CHARTS["fronts"])))
    assert {"100k", "200k", "500k"} <= set(texts(draw(CHARTS["trends"])))


def test_long_names_stay_within_the_drawing() -> None:
    series = [f"target only, then {number} rows of each language, full" for number in range(12)]
    chart = Trends([TrendPoint("all", name, 1e5, 40.0) for name in series], "size", "points", series)
    with drawing.style("a"):
        figure = chart.plot()
        figure.canvas.draw()
        box = figure.legends[0].get_window_extent()
    assert box.x1 <= figure.bbox.x1


def test_series_that_share_a_colour_differ_in_their_marks() -> None:
    looks = {(colour(number), mark(number)) for number in range(24)}
    assert len(looks) == 24


@pytest.mark.parametrize("name", CHARTS)
def test_no_label_is_markup(name: str) -> None:
    assert "$" not in draw(CHARTS[name])


def test_categories_and_a_style_for_each_series_are_named_once() -> None:
    labels = texts(draw(CHARTS["stages"]))
    assert [label for label in labels if label in ("base", "target", *SERIES)] == ["base", "target", *SERIES]


def test_series_differ_by_more_than_colour() -> None:
    bars = draw(CHARTS["bars"])
    assert bars.count("<pattern") == 1  # the first series is plain, the second hatched
    dots = draw(CHARTS["dots"])
    assert len({path for path in re.findall(r'<path id="[^"]*" d="([^"]*)"', dots) if "C" in path or "z" in path}) >= 2
