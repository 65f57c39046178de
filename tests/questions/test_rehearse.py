"""Rehearsals: shares of simulated studies, the verb, and a question from outside the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.command_line import call
from support.outcomes import AFTER, ALONE, design

from adaptstilts import Workspace, expand, questions
from adaptstilts import study as config
from adaptstilts.metrics.intervals import Difference
from adaptstilts.questions import contrasts, simulation
from adaptstilts.questions.base import Design, Findings, Noise, Outcome, Scenario
from adaptstilts.questions.rehearse import design_of, rehearse
from adaptstilts.questions.scaling import SCALING
from adaptstilts.reports.page.parts.results import judge
from adaptstilts.study import Study


class Average:
    """A question from outside: does an intermediate task help on average?"""

    name = "average"
    text = "Does an intermediate task help on average?"
    unit = "points"

    def check(self, study: Study) -> None:
        pass

    def analyse(self, outcomes: list[Outcome], margin: float) -> Findings:
        parts = [(1.0, contrasts.of_arm(outcomes, AFTER)), (-1.0, contrasts.of_arm(outcomes, ALONE))]
        parts = [(weight, [each for each in part if each.model == "nano"]) for weight, part in parts]
        main = contrasts.difference(parts)
        verdict = judge(main, margin) if main else "not resolved"
        return Findings("On average.", main, margin, verdict, "")

    def detectable(self, design: Design, noise: Noise) -> float:
        return 3.0

    def scenarios(self, design: Design, noise: Noise) -> list[Scenario]:
        return [Scenario("nothing", 0.0), Scenario("much", 8.0)]

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        def truth(size: int, arm: object, task: str) -> float:
            return 50.0 + (scenario.effect if arm == AFTER else 0.0)

        return simulation.simulate(design, noise, truth, np.random.default_rng(seed))


@pytest.fixture
def average() -> Iterator[Average]:
    question = Average()
    questions.add(question)
    yield question
    questions.remove("average")


def test_shares(average: Average) -> None:
    nothing, much = rehearse(average, design(), Noise(seed=1.0, model=0.0), runs=60)
    assert nothing.answered == much.answered == 60
    assert much.claims > 95
    assert nothing.claims < 15
    assert min(nothing.coverage, much.coverage) > 85
    assert much.bias == pytest.approx(0, abs=0.5)


def test_one_seed_is_refused(average: Average) -> None:
    (nothing, _) = rehearse(average, design(seeds=1), Noise(), runs=5)
    assert (nothing.refused, nothing.bias) == (5, None)


@pytest.mark.slow
def test_scaling_keeps_what_it_promises() -> None:
    stays, grows, shrinks, refused = rehearse(SCALING, design(items=100), Noise(), runs=60)
    assert stays.claims <= 12
    assert min(grows.claims, shrinks.claims) >= 70
    assert min(each.coverage for each in (stays, grows, shrinks)) >= 88
    assert refused.refused >= 57


STUDY = {
    "name": "toy",
    "question": "scaling",
    "models": ["builtin:nano", "builtin:micro", "builtin:mini"],
    "intermediates": ["none", "sample_nli"],
    "targets": ["sample_choice"],
    "methods": ["full"],
    "seeds": [1, 2, 3],
    "languages": ["en", "de"],
}


def write(folder: Path, **changed: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(json.dumps({**STUDY, **changed}), encoding="utf-8")
    return path


def test_the_grid_is_that_of_the_study(tmp_path: Path) -> None:
    study = config.parse(json.dumps(STUDY))
    workspace = Workspace(tmp_path / "store")
    grid = design_of([expand(each, workspace) for each in study.each()], items=50)
    assert grid.sizes == {"builtin:nano": 99_968, "builtin:micro": 594_816, "builtin:mini": 1_779_456}
    assert (grid.tasks, grid.languages, grid.seeds, grid.items) == (["sample_choice"], ["en", "de"], 3, 50)
    assert [(arm.method, arm.intermediate) for arm in grid.arms] == [("full", "none"), ("full", "sample_nli")]


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--runs", "10", "--items", "60", "--store", tmp_path / "store")
    assert call("rehearse", write(tmp_path), *options, "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    names = [scenario["scenario"] for scenario in told["scenarios"]]
    assert names == ["the gain stays", "the gain grows", "the gain shrinks", "nothing is learned"]
    assert told["scenarios"][3]["refused"] >= 90
    assert not (tmp_path / "store").exists(), "nothing is written"


def test_a_study_without_a_question(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("rehearse", write(tmp_path, question=None)) == 2
    assert "it asks no question; add question: with one of" in capsys.readouterr().err


def test_plan_says_what_can_be_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plan", write(tmp_path), "--store", tmp_path / "store") == 0
    assert "question scaling: detects " in capsys.readouterr().out


def test_a_difference_of_nothing_is_no_claim(average: Average) -> None:
    """The verdict of a number with no error is not an error."""
    assert judge(Difference(0.0, 0.0, 0.0, 3, 0.0, 2.0), 1.0) == "no effect"
