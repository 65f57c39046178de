"""Tradeoff on simulated studies: planted fronts and ties, nothing learned, groups, partial studies, what it needs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_line import call
from support.outcomes import SIZES, design, outcome

from adaptstilts import questions
from adaptstilts import study as config
from adaptstilts.metrics import fronts
from adaptstilts.questions import simulation
from adaptstilts.questions.base import Arm, Noise, Outcome, Scenario
from adaptstilts.questions.configurations import COSTS, ENCODER, Group, configurations, covariance
from adaptstilts.questions.front_tables import shares
from adaptstilts.questions.tradeoff import TRADEOFF, front_gain
from adaptstilts.reports.page import drawing
from adaptstilts.study import StudyError

QUIET = Noise(seed=0.2, model=0.0)
LORA = [Arm("lora", "none"), Arm("lora", "squad")]


def simulated(gain: float = 0.0, noise: Noise = QUIET, seed: int = 1, seeds: int = 5) -> list[Outcome]:
    scenario = Scenario("planted", gain, {"gain": gain})
    return TRADEOFF.simulate(design(*LORA, seeds=seeds, items=600), noise, scenario, seed)


@pytest.mark.parametrize(
    ("gain", "truth", "verdict"), [(4.0, 4.0, "effect"), (0.0, 0.0, "no effect"), (-4.0, -4.0, "effect")]
)
def test_a_planted_gain_of_the_front(gain: float, truth: float, verdict: str) -> None:
    findings = TRADEOFF.analyse(simulated(gain), margin=2.0)
    assert findings.main is not None
    assert findings.main.value == pytest.approx(truth, abs=1.0)
    assert findings.verdict == verdict


def test_the_front_is_that_which_was_planted() -> None:
    """LoRA is a point below full fine-tuning and trains a tenth: it is on the front of what is trained only."""
    (group,) = [Group("all", configurations(simulated(-5.0, seed=2)))]
    cost = {cost.name: cost for cost in COSTS}
    encoder = dict(zip((member.name for member in group.members), shares(group, ENCODER), strict=True))
    stored = dict(zip((member.name for member in group.members), shares(group, cost["stored"]), strict=True))
    assert fronts.place(encoder["small, full"]) == "on"
    assert fronts.place(encoder["small, full, squad first"]) == "off"
    assert encoder["small, lora"] < 0.1
    assert fronts.place(stored["small, lora"]) == "on"


def test_ties_are_open() -> None:
    """Of two methods that are alike neither is surely on the front, and neither is surely off it."""
    grid = design(*LORA, items=600)
    made = simulation.simulate(grid, QUIET, lambda size, arm, task: 60.0, np.random.default_rng(3))
    costs = {"trainable": 1.0}
    group = Group("all", configurations([replace(each, costs=costs) for each in made if each.model == "nano"]))
    places = [fronts.place(share) for share in shares(group, ENCODER)]
    assert places.count("open") >= 2
    assert "on" not in places


def test_the_best_of_many_is_not_taken_at_its_word() -> None:
    """Eight methods that are alike: the best score with the task is well above that of a method chosen before."""
    more = [Arm(f"m{number}", first) for number in range(8) for first in ("none", "squad")]
    gains, naive = [], []
    for seed in range(6):
        grid = design(*more, seeds=3)
        made = simulation.simulate(grid, Noise(1.5, 0.0), lambda size, arm, task: 60.0, np.random.default_rng(seed))
        made = [replace(each, costs={"trainable": 1.0}) for each in made if each.model == "nano"]
        members = configurations(made)
        gain = front_gain(members, "squad")
        assert gain is not None
        gains.append(gain.value)
        after = [member.score for member in members if member.arm.intermediate == "squad"]
        naive.append(max(after) - np.mean([member.score for member in members if member.arm.intermediate == "none"]))
    assert np.mean(naive) > 0.9
    assert abs(np.mean(gains)) < 0.8


def test_what_nobody_learned_is_refused() -> None:
    scenario = Scenario("nothing", 0.0, {"chance": 33.0}, is_refused=True)
    findings = TRADEOFF.analyse(TRADEOFF.simulate(design(), Noise(), scenario, seed=1), 1.0)
    assert (findings.main, findings.verdict, findings.figures) == (None, "not resolved", [])
    assert list(findings.refusals) == ["no configuration has learned panx: English is not above chance"]


def grouped(seeds: int = 3) -> list[Outcome]:
    grid = replace(design(*LORA, seeds=seeds, items=60), tasks=["xnli", "udpos"])
    made = TRADEOFF.simulate(grid, QUIET, Scenario("", 0.0), 1)
    return [replace(each, group="classification" if each.task == "xnli" else "tagging") for each in made]


def test_groups_have_fronts_of_their_own() -> None:
    findings = TRADEOFF.analyse(grouped(), 1.0)
    titles = [table.title for table in findings.tables]
    assert titles == [
        "what intermediate tasks change at the front",
        "place on the front of each cost: all tasks",
        "place on the front of each cost: classification",
        "place on the front of each cost: tagging",
        "cheapest within 1 point of the best",
        "what a doubling of the encoder buys",
        "what configurations cost",
    ]
    assert [row[:3] for row in findings.tables[0].rows] == [
        ("all tasks", "squad", "main"),
        ("classification", "squad", "other"),
        ("tagging", "squad", "other"),
    ]
    assert len(findings.tables[4].rows) == 3 * len(COSTS)
    assert len(findings.tables[6].rows) == 4 * len(SIZES)
    assert [figure.name for figure in findings.figures] == [f"front-{cost.name}" for cost in COSTS]
    assert "small, full is the smallest within 1 point of the best of 16 configurations" in findings.sentence


def test_the_figure_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    figure = TRADEOFF.analyse(grouped(), 1.0).figures[0]
    rows = figure.chart.rows()
    assert len(rows) == 3 * 16 + 3 * len(SIZES)
    assert {row[5] for row in rows} <= {"on", "open", "off", ""}
    assert "small, lora: " in drawing.svg(figure)


def test_a_cost_that_is_not_known_of_all_has_no_front() -> None:
    made = [replace(each, costs={"trainable": 1.0}) for each in grouped()]
    findings = TRADEOFF.analyse(made, 1.0)
    assert [figure.name for figure in findings.figures] == ["front-encoder", "front-total", "front-trained"]


def test_one_seed_has_no_interval() -> None:
    findings = TRADEOFF.analyse(grouped(seeds=1), 1.0)
    assert findings.main is not None
    assert findings.verdict == "not resolved"
    assert "no place on a front is sure" in findings.limits[-1]
    assert not [table for table in findings.tables if "place on the front" in table.title]
    assert {row[5] for row in findings.figures[0].chart.rows()} == {"open", ""}


def test_a_configuration_that_is_not_finished_is_left_out() -> None:
    made = [each for each in simulated() if (each.model, each.arm, each.seed) != ("small", LORA[1], 5)]
    names = [member.name for member in configurations(made)]
    assert "small, lora, squad first" not in names
    assert len(names) == 4 * len(SIZES) - 1


def test_nothing_at_all() -> None:
    findings = TRADEOFF.analyse([], 1.0)
    assert (findings.main, findings.tables, findings.figures) == (None, [], [])


def test_the_covariance_is_that_of_the_crossed_design() -> None:
    """Configurations that are right on the same items vary together; the variance of each is that of its interval."""

    def config_of(arm: Arm, values: Sequence[Sequence[float]]) -> list[Outcome]:
        return [outcome(arm, row, seed, costs={"trainable": 1.0}) for seed, row in enumerate(values, 1)]

    right = [0.0, 100.0, 100.0, 0.0, 100.0, 100.0]
    members = configurations([*config_of(Arm("a", "none"), [right] * 3), *config_of(Arm("b", "none"), [right] * 3)])
    matrix = covariance(members)
    assert matrix[0, 1] == pytest.approx(matrix[0, 0])
    assert matrix[0, 0] == pytest.approx(np.var(right, ddof=1) / len(right))


def test_more_seeds_see_more() -> None:
    few, many = (TRADEOFF.detectable(design(seeds=seeds), Noise()) for seeds in (2, 10))
    assert many < few < math.inf
    assert TRADEOFF.detectable(design(seeds=1), Noise()) == math.inf


STUDY = {
    "name": "s",
    "question": "tradeoff",
    "models": ["builtin:nano", "builtin:micro"],
    "intermediates": ["none", "sample_nli"],
    "targets": ["sample_choice"],
    "methods": ["full"],
}


def test_a_study_that_can_answer() -> None:
    assert questions.of_study(config.parse(json.dumps(STUDY))) is TRADEOFF


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"models": ["builtin:nano"]}, "needs `models:` with at least 2, found 1 model"),
        ({"intermediates": ["none"]}, "expected none and 1 other at least, found none"),
    ],
)
def test_a_study_that_cannot(change: dict[str, object], line: str) -> None:
    with pytest.raises(StudyError, match="question: ") as caught:
        questions.of_study(config.parse(json.dumps({**STUDY, **change})))
    assert line in str(caught.value)


@pytest.mark.slow
def test_a_real_study_from_plan_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "study.yaml"
    small = {"languages": ["en", "de"], "seeds": [1, 2], "train": {"epochs": 1, "examples": 48, "dev_examples": 16}}
    study = {**STUDY, **small, "targets": ["sample_tagging"], "evaluate": {"examples": 24}}
    path.write_text(json.dumps(study), encoding="utf-8")
    store = ("--store", tmp_path / "store")
    assert call("run", path, *store) == 0
    capsys.readouterr()
    assert call("results", path, *store, "--format", "json") == 0
    answered = json.loads(capsys.readouterr().out)["answer"]
    assert answered["question"] == "tradeoff"
    assert answered["main"]["seeds"] == 2
    assert call("report", path, *store, "-o", tmp_path / "r.html") == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "what configurations cost" in page
    assert "training FLOPs" in page
    assert len(page.encode()) < 300 * 1024
