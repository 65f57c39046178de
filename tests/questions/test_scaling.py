"""Scaling on simulated studies: planted slopes, nothing learned, models that are missing; what it needs of a study."""

from __future__ import annotations

import json
import math

import pytest
from support.outcomes import SIZES, design

from adaptstilts import questions
from adaptstilts import study as config
from adaptstilts.questions.base import Arm, Noise, Scenario
from adaptstilts.questions.scaling import SCALING
from adaptstilts.study import StudyError

QUIET = Noise(seed=0.2, model=0.05)
ROWS = [Arm("full", "none", k, "none") for k in (10, 100, 1000)]


@pytest.mark.parametrize(("effect", "verdict"), [(2.0, "effect"), (-2.0, "effect"), (0.0, "no effect")])
def test_a_planted_slope(effect: float, verdict: str) -> None:
    outcomes = SCALING.simulate(design(items=800), QUIET, Scenario("planted", effect), seed=5)
    findings = SCALING.analyse(outcomes, margin=4.0)
    assert findings.main is not None
    assert findings.main.value == pytest.approx(effect, abs=0.5)
    assert findings.verdict == verdict
    assert findings.main.seeds == len(SIZES)
    assert "From 100.0k to 7.4M parameters without embeddings, the gain of squad first changes by" in findings.sentence


def test_what_nobody_learned_is_refused() -> None:
    scenario = Scenario("nothing", 0.0, {"chance": 33.0}, is_refused=True)
    findings = SCALING.analyse(SCALING.simulate(design(), Noise(), scenario, seed=1), 1.0)
    assert findings.main is None
    assert findings.verdict == "not resolved"
    assert len(findings.refusals) == len(SIZES)
    assert findings.refusals[0] == "nano has not learned panx: English is not above chance"


def test_rows_worth_and_the_law_are_in_the_tables() -> None:
    outcomes = SCALING.simulate(design(*ROWS), QUIET, Scenario("planted", 0.0), seed=2)
    findings = SCALING.analyse(outcomes, 1.0)
    titles = [table.title for table in findings.tables]
    assert titles[:3] == [
        "gain of an intermediate task by size",
        "change of the gain with size",
        "rows of a test language that English rows are worth",
    ]
    assert "law of the error" in titles
    worth = findings.tables[2]
    assert len(worth.rows) == 2 * len(SIZES) * 2
    assert "English rows are worth > 1,000 rows of de at the smallest size" in findings.sentence
    assert [figure.name for figure in findings.figures] == ["gain-by-size", "error-by-size", "rows-of-the-language"]


def test_other_arms_are_one_family() -> None:
    more = [Arm("lora", "none"), Arm("lora", "squad"), Arm("full", "mnli")]
    findings = SCALING.analyse(SCALING.simulate(design(*more), Noise(), Scenario("", 0.0), 3), 1.0)
    (table,) = [table for table in findings.tables if table.title == "change of the gain with size"]
    assert [row[:3] for row in table.rows] == [
        ("full", "squad", "main"),
        ("lora", "squad", "other"),
        ("full", "mnli", "other"),
    ]


def test_two_models_give_no_slope() -> None:
    outcomes = SCALING.simulate(design(), Noise(), Scenario("", 0.0), 3)
    findings = SCALING.analyse([each for each in outcomes if each.model in ("nano", "small")], 1.0)
    assert findings.main is None
    assert "3 sizes" in findings.sentence
    assert len(findings.tables[0].rows) == 2


def test_nothing_at_all() -> None:
    findings = SCALING.analyse([], 1.0)
    assert (findings.main, findings.tables, findings.figures) == (None, [], [])


def test_more_seeds_see_more() -> None:
    few, many = (SCALING.detectable(design(seeds=seeds), Noise()) for seeds in (2, 10))
    assert many < few < math.inf


STUDY = {
    "name": "s",
    "question": "scaling",
    "models": ["builtin:nano", "builtin:micro", "builtin:mini"],
    "intermediates": ["none", "sample_nli"],
    "targets": ["sample_choice"],
    "methods": ["full"],
}


def test_a_study_that_can_answer() -> None:
    assert questions.of_study(config.parse(json.dumps(STUDY))) is SCALING


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"models": ["builtin:nano", "builtin:mini"]}, "needs `models:` with at least 3, found 2 models"),
        ({"intermediates": ["sample_nli"]}, "expected none and 1 other at least, found sample_nli"),
        ({"question": "scalling"}, "unknown question 'scalling'; did you mean scaling?"),
    ],
)
def test_a_study_that_cannot(change: dict[str, object], line: str) -> None:
    with pytest.raises(StudyError, match="question: ") as caught:
        questions.of_study(config.parse(json.dumps({**STUDY, **change})))
    assert line in str(caught.value)
