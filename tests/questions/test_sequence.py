"""Sequences on simulated studies: planted orders and kinds, luck of the best, unequal steps, chance, a real study."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.outcomes import outcome

from adaptstilts import questions, run_plan
from adaptstilts import study as config
from adaptstilts.plan import expand
from adaptstilts.questions import curricula
from adaptstilts.questions.answers import answer
from adaptstilts.questions.base import Arm, Curriculum, Design, Findings, How, Noise, Outcome, Scenario
from adaptstilts.questions.curricula import KIND, MIX, ORDER, PLACEBO, SINGLE
from adaptstilts.questions.rehearse import design_of
from adaptstilts.questions.sequence import SEQUENCE, learned
from adaptstilts.reports.page import drawing
from adaptstilts.study import StudyError
from adaptstilts.workspace import Workspace

QUIET = Noise(seed=0.2, model=0.0)
KINDS = {"nli": "classification", "qa": "question answering"}


def arm(name: str, how: How, *tasks: str, method: str = "full", composition: str = "stack") -> Arm:
    groups = tuple(KINDS.get(task, "") for task in tasks)
    return Arm(method, name, curriculum=Curriculum(how, tasks, groups, composition))


NONE = Arm("full", "none")
NLI, QA = arm("nli", "task", "nli"), arm("qa", "task", "qa")
FIRST, SECOND = arm("nli-qa", "chain", "nli", "qa"), arm("qa-nli", "chain", "qa", "nli")
MIXED, PERMUTED = arm("mix", "mixture", "nli", "qa"), arm("nli+placebo", "placebo", "nli")
ALL_ARMS = [NONE, NLI, QA, FIRST, SECOND, MIXED, PERMUTED]


def design(*arms: Arm, tasks: Sequence[str] = ("xnli", "xquad"), seeds: int = 5, models: int = 1) -> Design:
    sizes = {f"size {number}": 10**6 * (number + 1) for number in range(models)}
    return Design(sizes, tasks, arms or ALL_ARMS, ["en", "de", "sw"], seeds, items=200)


def simulated(grid: Design | None = None, noise: Noise = QUIET, seed: int = 1, **planted: float) -> list[Outcome]:
    return SEQUENCE.simulate(grid or design(), noise, Scenario("planted", 0.0, planted), seed)


def cells(findings: Findings, title: str) -> list[dict[str, str]]:
    (table,) = [table for table in findings.tables if table.title == title]
    return [dict(zip(table.header, map(str, row), strict=True)) for row in table.rows]


def contrast(findings: Findings, name: str, targets: str = "all targets") -> float:
    rows = cells(findings, "sequences, mixtures and single tasks")
    (row,) = [row for row in rows if (row["contrast"], row["targets"]) == (name, targets)]
    return float(row["difference"].split()[0])


@pytest.mark.parametrize(("effect", "verdict"), [(8.0, "effect"), (0.0, "no effect"), (-8.0, "effect")])
def test_a_planted_order(effect: float, verdict: str) -> None:
    findings = SEQUENCE.analyse(simulated(order=effect), margin=4.0)
    assert findings.main is not None
    assert findings.main.value == pytest.approx(effect, abs=2.0)
    assert (findings.verdict, findings.refusals) == (verdict, [])
    assert findings.sentence.startswith(
        "nli then qa instead of qa then nli changes the mean score of the 2 targets by "
    )
    assert contrast(findings, MIX) == pytest.approx(0, abs=2.5)
    assert contrast(findings, SINGLE) == pytest.approx(0, abs=2.5)
    assert contrast(findings, PLACEBO) == pytest.approx(0, abs=2.5)


def test_the_kind_of_the_last_task_alone_matters() -> None:
    """The mean over targets hides it, because one target of each kind gains from another order."""
    findings = SEQUENCE.analyse(simulated(kind=10.0), margin=4.0)
    assert findings.main is not None
    assert findings.verdict == "no effect"
    assert contrast(findings, KIND) == pytest.approx(10, abs=2.5)
    assert contrast(findings, ORDER, "classification") == pytest.approx(-10, abs=3.5)
    assert contrast(findings, ORDER, "question answering") == pytest.approx(10, abs=3.5)
    assert [row["same kind as"] for row in cells(findings, "order by target")] == ["nli", "qa"]
    assert "training a target's own kind last changes it by +" in findings.sentence


def test_the_main_number_is_in_no_family() -> None:
    rows = cells(SEQUENCE.analyse(simulated(order=8.0), 1.0), "sequences, mixtures and single tasks")
    assert [row["role"] for row in rows].count("main") == 1
    assert rows[0]["role"] == "main"
    assert [row["p (Holm)"] for row in rows].count("-") == 1


def test_the_better_single_task_is_not_flattered_by_luck() -> None:
    """Two arms that are alike: the better of two measured scores is too high; chosen by other seeds it is not."""
    naive, fair = [], []
    for seed in range(12):
        made = simulated(design(NLI, QA, tasks=["xnli"]), Noise(3.0, 0.0), seed)
        arms = [[each for each in made if each.arm == one] for one in (NLI, QA)]
        scores = [np.mean([each.score for each in one if each.language != "en"]) for one in arms]
        chosen = np.mean([each.score for each in curricula.better(arms) if each.language != "en"])
        naive.append(max(scores) - np.mean(scores))
        fair.append(chosen - np.mean(scores))
    assert np.mean(naive) > 0.5
    assert abs(np.mean(fair)) < 0.5


def test_the_better_single_task_is_chosen() -> None:
    good = [outcome(NLI, [100, 100], seed, code) for seed in (1, 2, 3) for code in ("en", "de")]
    poor = [outcome(QA, [0, 100], seed, code) for seed in (1, 2, 3) for code in ("en", "de")]
    assert {each.arm for each in curricula.better([poor, good])} == {NLI}


def with_steps(outcomes: Sequence[Outcome], **steps: float) -> list[Outcome]:
    changed = []
    for each in outcomes:
        total = steps.get(each.arm.intermediate.replace("-", "_"), 0.0)
        changed.append(replace(each, costs={**each.costs, "steps of nli": total / 2, "steps of qa": total / 2}))
    return changed


def test_arms_with_other_steps_are_not_compared() -> None:
    """A chain that was trained for as long as both of its tasks together is no better recipe than one of them."""
    made = simulated()
    findings = SEQUENCE.analyse(with_steps(made, nli=300, qa=300, nli_qa=600, qa_nli=600, mix=600), 4.0)
    assert findings.main is not None
    assert len(findings.refusals) == 1
    assert "steps are not equal (full: nli-qa 600, qa-nli 600, nli 300, qa 300)" in findings.refusals[0]
    names = {row["contrast"] for row in cells(findings, "sequences, mixtures and single tasks")}
    assert names == {ORDER, KIND, MIX, PLACEBO}
    equal = SEQUENCE.analyse(with_steps(made, nli=600, qa=600, nli_qa=600, qa_nli=600, mix=600), 4.0)
    assert equal.refusals == []
    row = next(row for row in cells(equal, "cost and score of every arm") if row["intermediate"] == "mix")
    assert (row["steps"], row["of each task"]) == ("600", "nli 300, qa 300")


def test_what_nobody_learned_is_refused() -> None:
    findings = SEQUENCE.analyse(simulated(design(tasks=["xnli"]), Noise(), chance=33.0), 1.0)
    assert (findings.main, findings.verdict, findings.tables, findings.figures) == (None, "not resolved", [], [])
    assert findings.refusals == ["no chain has learned xnli with full: English is not above chance"]


def test_another_pair_does_not_take_the_place_of_the_first() -> None:
    first, second = (arm(each.intermediate, "chain", *each.curriculum.tasks, method="lora") for each in CHAINS)
    made = simulated(design(first, second, FIRST, SECOND, tasks=["xnli"]), order=8.0)
    spoilt = [replace(each, chance=99.0) if each.arm.method == "lora" else each for each in made]
    findings = SEQUENCE.analyse(spoilt, 1.0)
    assert findings.main is None
    assert {row["role"] for row in cells(findings, "sequences, mixtures and single tasks")} == {"other"}


CHAINS: list[Any] = [FIRST, SECOND]


def test_encoders_are_pooled() -> None:
    findings = SEQUENCE.analyse(simulated(design(*CHAINS, models=3), order=8.0), 1.0)
    assert findings.main is not None
    assert findings.main.value == pytest.approx(8, abs=1.5)
    assert findings.main.seeds == 5


def test_retrieval_is_in_no_mean() -> None:
    made = simulated(design(*CHAINS), order=8.0)
    searched = [replace(each, task="tatoeba", costs={}) for each in made if each.task == "xnli"]
    searched = [replace(each, values=0 * each.values) for each in searched]
    findings = SEQUENCE.analyse([*made, *searched], 1.0)
    assert findings.main is not None
    assert findings.main.value == pytest.approx(8, abs=2)
    assert contrast(findings, ORDER, "retrieval") == 0


def test_compositions_and_stacked_chains_are_pairs_of_their_own() -> None:
    arms = [FIRST, SECOND]
    arms += [
        arm(f"{each.intermediate} (continue)", "chain", *each.curriculum.tasks, composition="continue")
        for each in CHAINS
    ]
    arms += [arm(f"{each.intermediate}-s", "stacked chain", *each.curriculum.tasks) for each in CHAINS]
    assert [pair.method for pair in curricula.pairs(arms)] == ["full", "full, continue", "full, stacked chain"]
    assert curricula.pairs([FIRST, arm("x", "chain", "nli", "ccg"), NLI, QA]) == []


def test_signs_that_are_flipped() -> None:
    """By hand: of 64 ways to give six effects signs, two have a sum as large as theirs."""
    assert curricula.sign_flip([1, 2, 1, 3, 2, 1]) == 2 / 64
    assert curricula.sign_flip([1, -1, 1, -1, 1, -1]) == 1
    assert curricula.sign_flip([1.0] * 5) is None


def test_the_figures_are_drawn() -> None:
    pytest.importorskip("matplotlib")
    figures = SEQUENCE.analyse(simulated(), 1.0).figures
    assert [figure.name for figure in figures] == ["contrasts", "scores"]
    assert "nli then qa" in drawing.svg(figures[1])
    assert MIX in drawing.svg(figures[0])


def test_nothing_at_all_and_one_seed() -> None:
    assert (SEQUENCE.analyse([], 1.0).main, SEQUENCE.analyse([], 1.0).figures) == (None, [])
    findings = SEQUENCE.analyse(simulated(design(seeds=1)), 1.0)
    assert findings.main is not None
    assert findings.verdict == "not resolved"


def test_more_seeds_and_targets_see_more() -> None:
    few, many = (SEQUENCE.detectable(design(seeds=seeds), Noise()) for seeds in (2, 10))
    assert many < few < math.inf
    assert SEQUENCE.detectable(design(tasks=["xnli"]), Noise()) > SEQUENCE.detectable(design(), Noise())
    assert SEQUENCE.detectable(design(seeds=1), Noise()) == math.inf


BOTH = ["sample_nli", "sample_tagging"]
STUDY: dict[str, Any] = {
    "name": "s",
    "question": "sequence",
    "model": "builtin:nano",
    "steps": "equal",
    "intermediates": [
        "none",
        *BOTH,
        {"task": "ab", "chain": {"tasks": BOTH}},
        {"task": "ba", "chain": {"tasks": BOTH[::-1]}},
        {"task": "mix", "mixture": {"tasks": BOTH}},
        {"task": "sample_nli", "placebo": True},
        {"task": "sum", "merge": {"of": BOTH}},
    ],
    "targets": [{"task": "sample_choice", "train": {"max_steps": 2}}],
    "methods": [{"kind": "lora", "train": {"lr": 2e-3}}],
    "languages": ["en", "de"],
    "seeds": [1, 2],
    "train": {"steps": 4, "batch_size": 4, "examples": 16, "dev_examples": 8, "keep": "last"},
    "evaluate": {"examples": 12},
}


def test_a_study_without_both_orders(tmp_path: Path) -> None:
    half = {**STUDY, "intermediates": STUDY["intermediates"][:4]}
    with pytest.raises(StudyError, match="needs two chains of the same tasks in opposite orders, found none"):
        questions.of_study(config.parse(json.dumps(half)))


def test_the_arms_of_a_study_are_recognized(tmp_path: Path) -> None:
    without_merge = STUDY["intermediates"][:-1]
    study = config.parse(json.dumps({**STUDY, "intermediates": without_merge, "compositions": ["continue"]}))
    assert questions.of_study(study) is SEQUENCE
    grid = design_of([expand.expand(study, Workspace(tmp_path / "store", offline=True))], items=20)
    (pair,) = curricula.pairs(grid.arms)
    assert [each.intermediate for each in pair.arms if each.intermediate != "none"] == [
        "ab (continue)",
        "ba (continue)",
        "sample_nli (continue)",
        "sample_tagging (continue)",
        "mix (continue)",
        "sample_nli+placebo (continue)",
    ]
    assert pair.curriculum.groups == ("classification", "structured prediction")


@pytest.mark.slow
def test_a_real_study_has_equal_steps(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "store", offline=True)
    study = config.parse(json.dumps({**STUDY, "seeds": [1]}))
    plan = expand.expand(study, workspace)
    run_plan(plan, workspace)
    findings, outcomes = answer(SEQUENCE, [plan], workspace)
    steps = {each.arm.intermediate: curricula.steps_of([each]) for each in outcomes}
    assert steps["none"] == {}
    assert steps["ab"] == steps["ba"] == {"sample_nli": 2, "sample_tagging": 2}
    assert (
        sum(steps["mix"].values())
        == sum(steps["sample_nli+placebo"].values())
        == steps["sample_nli"]["sample_nli"]
        == 4
    )
    assert sum(steps["sum"].values()) == 8
    assert findings.main is not None or findings.refusals
    pairs, _, _ = learned(outcomes)
    assert [pair.method for pair in pairs] == ["lora"]
