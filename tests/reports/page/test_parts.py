"""Parts of a page that need no store: verdicts, names of results, and tables that only some studies have."""

from __future__ import annotations

from typing import Any, cast

import pytest

from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports.page.parts import other_tables
from adaptstilts.reports.page.parts.provenance import name_of
from adaptstilts.reports.page.parts.results import Results, judge
from adaptstilts.reports.records import Record


def difference(value: float, reach: float, seeds: int = 3, holm: float | None = None) -> Difference:
    return Difference(value, value - reach, value + reach, seeds, reach / 2, 10.0, holm)


def record(trained_on: str = "none", **values: Any) -> Record:
    plain: dict[str, Any] = {"task": "xnli", "method": "full", "over": trained_on, "seeds": (1,), "phases": ("key",)}
    return Record(**{**plain, "trained_on": trained_on, "complete": True, "mean": 40.0, **values})


def results(*records: Record, **values: Any) -> Results:
    return Results(cast(Any, None), cast(Any, None), records, **values)


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        (difference(3.0, 1.0, holm=0.01), "effect"),
        (difference(-3.0, 1.0, holm=0.01), "effect"),
        (difference(3.0, 1.0, holm=0.2), "not resolved"),  # not after Holm's correction
        (difference(3.0, 1.0, seeds=1), "not resolved"),
        (difference(0.0, 0.5, seeds=1), "not resolved"),
        (difference(0.2, 0.5, holm=1.0), "no effect"),
        (difference(0.5, 0.4, holm=0.001), "no effect"),  # differs from zero, and does not matter
        (difference(0.5, 0.5, holm=0.06), "not resolved"),  # ends on the margin
        (difference(0.0, 2.0, holm=1.0), "not resolved"),
    ],
)
def test_verdicts(shown: Difference, verdict: str) -> None:
    assert judge(shown, 1.0) == verdict


def test_results_have_names() -> None:
    assert name_of(record("mnli")) == "xnli, full, on mnli"
    assert name_of(record("mnli", over="none")) == "xnli, full, on mnli, over none"
    assert name_of(record(language="de", k=10, after="english")) == "xnli, full, on none, then 10 rows of de"
    assert name_of(record(language="de", k=10, after="none")) == "xnli, full, on none, 10 rows of de alone"


def test_rows_of_test_languages_have_a_table() -> None:
    few = record(language="de", k=10, after="english", draws=(1,), mean=45.0)
    (table,) = other_tables.rows_section(results(record(languages={"de": 39.0}), in_language=[few])).tables
    assert table.rows == (("de", "10", "english", "none", "full", "45.0", "-", "39.0"),)
    assert other_tables.rows_section(results(record())).is_empty


def test_compositions_are_compared() -> None:
    ours = record("mnli", vs_others={"mnli, continue": difference(1.0, 0.5, holm=0.02)})
    (table,) = other_tables.compositions_section(results(ours, record("none"))).tables
    assert table.title == "compositions under xnli (full)"
    assert other_tables.compositions_section(results(record())).is_empty


def test_hidden_states_have_a_table() -> None:
    searched = record(task="tatoeba", layers={1: 30.0, 2: 40.0}, layer=2)
    (table,) = other_tables.layers_section(results(searched)).tables
    assert table.rows == (("none", "full", "30.0", "40.0"),)
    assert other_tables.layers_section(results(record())).is_empty
