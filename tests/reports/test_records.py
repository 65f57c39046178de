"""Aggregation and tables."""

from __future__ import annotations

import json

import pytest

from adaptstilts.reports import tables
from adaptstilts.reports.records import Record


def record(**changed: object) -> Record:
    held = {"task": "xnli", "method": "full", "trained_on": "none", "over": "none", "seeds": (1,), "phases": ("k",)}
    return Record(**{**held, "complete": True, **changed})  # type: ignore[arg-type]


def test_incomplete_study_shows_gaps_not_averages() -> None:
    text = tables.render([record(complete=False)], "md")
    assert "1 of 1 rows are not computed yet" in text
    assert "nan" not in text


def test_json_holds_no_nan_and_round_trips() -> None:
    text = tables.render([record(mean=1.5, languages={"en": 1.5})], "json", "s")
    assert json.loads(text)["records"][0]["mean"] == 1.5


@pytest.mark.parametrize("form", ["md", "csv", "latex", "json"])
def test_no_results_render(form: str) -> None:
    assert isinstance(tables.render([], form), str)  # type: ignore[arg-type]


def test_csv_does_not_run_formulas() -> None:
    assert "'=1+1" in tables.render([record(method="=1+1")], "csv")


def test_latex_escapes() -> None:
    assert r"a\_b\&c" in tables.render([record(method="a_b&c")], "latex")
