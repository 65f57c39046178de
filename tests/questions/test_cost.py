"""Cost on simulated studies: planted changes, arms at the margin, chance, bursts, rows of languages, real costs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_line import call
from support.outcomes import AFTER, ALONE, design, outcome

from adaptstilts import questions, tasks
from adaptstilts import study as config
from adaptstilts.questions import simulation
from adaptstilts.questions.base import Arm, Noise, Outcome, Scenario
from adaptstilts.questions.bills import bill, running_ratio, training_ratio
from adaptstilts.questions.contrasts import of_arm
from adaptstilts.questions.cost import COST
from adaptstilts.reports.page import drawing
from adaptstilts.reports.page.parts.chance import chance_level
from adaptstilts.study import StudyError

QUIET = Noise(seed=0.2, model=0.0)
LORA = [Arm("lora", "none"), Arm("lora", "squad")]
FEW = Arm("full", "none", 32, "english")


def simulated(effect: float = 0.0, *more: Arm, noise: Noise = QUIET, seed: int = 1, items: int = 600) -> list[Outcome]:
    return COST.simulate(design(*more, items=items), noise, Scenario("planted", effect), seed)


@pytest.mark.parametrize(("effect", "verdict"), [(5.0, "effect"), (0.0, "no effect"), (-5.0, "effect")])
def test_a_planted_change(effect: float, verdict: str) -> None:
    findings = COST.analyse(simulated(effect), margin=1.0)
    assert findings.main is not None
    assert findings.main.value == pytest.approx(effect, abs=1.2)
    assert (findings.verdict, findings.margin) == (verdict, 2.0)
    assert "for 3.0 times the training of the target alone" in findings.sentence


def test_the_cheapest_arm_near_the_best_is_named() -> None:
    alike = COST.analyse(simulated(0.0), 1.0)
    assert alike.sentence.endswith("the cheapest arm surely within 2 points of the best is target only, full.")
    better = COST.analyse(simulated(8.0), 1.0)
    assert better.sentence.endswith("the cheapest arm surely within 2 points of the best is squad first, full.")
    table = better.tables[0]
    assert [row[3] for row in table.rows] == ["not sure", "yes"]


@pytest.mark.slow
def test_an_arm_at_the_margin_is_not_called_near() -> None:
    """An arm that is exactly the limit below the best is called as good in at most one of twenty studies."""
    wrong = 0
    for seed in range(60):
        findings = COST.analyse(simulated(2.0, noise=Noise(1.0, 0.0), seed=seed, items=200), 1.0)
        wrong += findings.tables[0].rows[0][3] == "yes"
    assert wrong <= 6


def test_what_nobody_learned_is_refused_and_costs_stay() -> None:
    scenario = Scenario("nothing", 0.0, {"chance": 50.0}, is_refused=True)
    findings = COST.analyse(COST.simulate(design(), Noise(), scenario, seed=1), 1.0)
    assert (findings.main, findings.verdict, findings.figures) == (None, "not resolved", [])
    assert list(findings.refusals) == ["no arm has learned panx: English is not above chance"]
    assert "similar accuracy is not claimed" in findings.sentence
    bills = findings.tables[0]
    assert [row[2:5] for row in bills.rows] == [("-", "-", "10.0"), ("-", "-", "10.0")]


def test_bursts_do_not_fool_the_control() -> None:
    """Other programs slow whole rounds by up to several times; the ratio of arms that take turns stays one."""
    made = simulated(0.0)
    direct, after = (bill(arm, of_arm(made, arm)) for arm in (ALONE, AFTER))
    assert direct is not None
    assert after is not None
    assert max(direct.rounds.values()) > 1.5 * min(direct.rounds.values())
    ratio = running_ratio(after, direct)
    assert ratio is not None
    assert ratio.value == pytest.approx(1.0, abs=0.05)
    assert ratio.low <= 1 <= ratio.high
    (control,) = [table for table in COST.analyse(made, 1.0).tables if table.title.startswith("control")]
    assert [row[2] for row in control.rows] == ["yes"]
    assert control.rows[0][4] == "passed"


def test_a_control_that_fails_and_one_of_another_graph() -> None:
    def slower(each: Outcome, name: str, factor: float) -> Outcome:
        changed = {key: value * factor if key.startswith(name) else value for key, value in each.costs.items()}
        return replace(each, costs=changed) if each.arm == AFTER else each

    for name, cells in (("run_ms_", ("yes", "failed")), ("run_flops", ("no", "adapters are added"))):
        made = [slower(each, name, 1.5) for each in simulated(0.0)]
        (control,) = [table for table in COST.analyse(made, 1.0).tables if table.title.startswith("control")]
        assert (control.rows[0][2], control.rows[0][4]) == cells


def test_one_round_has_no_range_that_could_hold_one() -> None:
    made = []
    for each in simulated(0.0):
        slower = 1.2 if each.arm == AFTER else 1.0
        kept = {name: value for name, value in each.costs.items() if not name.startswith("run_ms_")}
        made.append(replace(each, costs={**kept, "run_ms_1": slower * each.costs["run_ms_1"]}))
    (control,) = [table for table in COST.analyse(made, 1.0).tables if table.title.startswith("control")]
    assert control.rows[0][4] == "one round"


def costed(arm: Arm, seed: int, language: str, values: Sequence[float], draw: int = 0, **costs: float) -> Outcome:
    names = ("cpu_seconds", "last_cpu_seconds", "intermediate_cpu_seconds", "amortised_cpu_seconds")
    return outcome(arm, values, seed, language, draw=draw, costs={**dict.fromkeys(names, 0.0), **costs})


def test_rows_are_paid_for_each_language_and_english_once() -> None:
    made = []
    for language, seconds in (("de", 2.0), ("sw", 4.0)):
        for draw in (1, 2):
            paid = {"cpu_seconds": 10 + seconds, "last_cpu_seconds": seconds}
            made.append(costed(FEW, 1, language, [100, 0], draw, **paid))
    paid_bill = bill(FEW, made)
    assert paid_bill is not None
    assert (paid_bill.own, paid_bill.a_language, paid_bill.rows) == (16.0, 3.0, 64)


def test_where_intermediate_training_breaks_even() -> None:
    made = simulated(0.0, FEW)
    findings = COST.analyse(made, 1.0)
    (even,) = [table for table in findings.tables if "breaks even" in table.title]
    assert even.rows == (("squad first", "target only, then 32 rows of each language", "full", "10"),)
    assert len(findings.tables[0].rows) == 3


def test_ratios_are_paired_over_seeds() -> None:
    ours = [costed(AFTER, seed, "de", [1.0], cpu_seconds=30.0 * seed) for seed in (1, 2, 3)]
    theirs = [costed(ALONE, seed, "de", [1.0], cpu_seconds=10.0 * seed) for seed in (1, 2, 3)]
    ratio = training_ratio(ours, theirs)
    assert ratio is not None
    assert ratio.text == "3.00 [3.00, 3.00]"
    assert training_ratio(ours, []) is None


def test_the_figure_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    (figure,) = COST.analyse(simulated(0.0, *LORA), 1.0).figures
    assert len(figure.chart.rows()) == 4 + 1
    assert "squad first, lora" in drawing.svg(figure)


def test_nothing_at_all() -> None:
    findings = COST.analyse([], 1.0)
    assert (findings.main, findings.tables, findings.figures) == (None, [], [])


def test_results_without_costs_are_not_answered_from() -> None:
    made = simulation.simulate(design(), QUIET, lambda size, arm, task: 60.0, np.random.default_rng(1))
    assert COST.analyse(made, 1.0).main is None


def test_more_seeds_see_more() -> None:
    few, many = (COST.detectable(design(seeds=seeds), Noise()) for seeds in (2, 10))
    assert many < few < math.inf


def test_chance_of_kinds() -> None:
    levels = {name: chance_level(name) for name in ("xcopa", "social_i_qa", "sample_choice", "sample_nli", "squad")}
    assert levels == {
        "xcopa": 50,
        "social_i_qa": pytest.approx(100 / 3),
        "sample_choice": 50,
        "sample_nli": pytest.approx(100 / 3),
        "squad": None,
    }
    undeclared = [task.name for task in tasks.known().values() if task.kind == "choice" and not task.choices]
    assert undeclared == []


STUDY = {
    "name": "s",
    "question": "cost",
    "model": "builtin:nano",
    "intermediates": ["none", "sample_nli"],
    "targets": ["sample_choice"],
    "methods": ["full"],
}


def test_a_study_that_can_answer() -> None:
    assert questions.of_study(config.parse(json.dumps(STUDY))) is COST


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"models": ["builtin:nano", "builtin:micro"]}, "compares arms of one encoder, found 2 models"),
        ({"intermediates": ["none"]}, "expected none and 1 other at least, found none"),
    ],
)
def test_a_study_that_cannot(change: dict[str, object], line: str) -> None:
    study = {key: value for key, value in STUDY.items() if key != "model" or "models" not in change}
    with pytest.raises(StudyError, match="question: ") as caught:
        questions.of_study(config.parse(json.dumps({**study, **change})))
    assert line in str(caught.value)


@pytest.mark.slow
def test_a_real_study_has_shared_and_running_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.yaml"
    small = {"languages": ["en", "de"], "seeds": [1, 2], "train": {"epochs": 1, "examples": 48, "dev_examples": 16}}
    measure = {"rounds": 1, "rows": 6, "seconds": 0.05, "threads": 1}
    rows = {"languages": ["de"], "k": [4], "draws": 2, "train": {"epochs": 1}}
    targets = [{"task": "sample_choice", "rows": rows}]
    study = {**STUDY, **small, "targets": targets, "evaluate": {"examples": 24}, "measure": measure}
    path.write_text(json.dumps(study), encoding="utf-8")
    assert call("run", path, "--store", tmp_path / "store") == 0
    capsys.readouterr()
    assert call("results", path, "--store", tmp_path / "store") == 0
    shown = capsys.readouterr().out
    assert "what each way of training costs" in shown
    assert "control: running with and without intermediate training" in shown
    assert "target only, then 4 rows of each language" in shown
