"""Retention on simulated chains: planted losses, heads that drift, gains of nothing; what it needs of a study."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.outcomes import SIZES, outcome

from adaptstilts import questions, run_plan
from adaptstilts import study as config
from adaptstilts.metrics.intervals import Difference
from adaptstilts.plan import expand
from adaptstilts.questions.answers import answer
from adaptstilts.questions.base import Arm, Design, Findings, Noise, Scenario
from adaptstilts.questions.contrasts import pooled
from adaptstilts.questions.retained import ratio
from adaptstilts.questions.retention import RETENTION
from adaptstilts.study import StudyError
from adaptstilts.workspace import Workspace

QUIET = Noise(seed=0.2, model=0.05)
FULL, LORA = Arm("full", "tagging"), Arm("lora", "tagging")


def design(*arms: Arm, tasks: tuple[str, ...] = ("nli",), seeds: int = 5) -> Design:
    return Design(SIZES, tasks, [Arm("full", "none"), *(arms or (FULL,))], ["en", "de", "ru"], seeds, items=400)


def findings(
    effect: float, arms: tuple[Arm, ...] = (FULL,), tasks: tuple[str, ...] = ("nli",), **settings: float
) -> Findings:
    outcomes = RETENTION.simulate(design(*arms, tasks=tasks), QUIET, Scenario("planted", effect, settings), seed=5)
    return RETENTION.analyse(outcomes, 2.0)


def cells(answered: Findings, title: str) -> list[dict[str, str]]:
    (table,) = [table for table in answered.tables if table.title == title]
    return [dict(zip(table.header, map(str, row), strict=True)) for row in table.rows]


@pytest.mark.parametrize(("effect", "verdict"), [(-8.0, "effect"), (0.0, "no effect")])
def test_a_planted_change(effect: float, verdict: str) -> None:
    answered = findings(effect, probe=effect, tasks=("nli", "choice"))
    assert answered.main is not None
    assert answered.main.value == pytest.approx(effect, abs=0.8)
    assert answered.main.low <= effect <= answered.main.high
    assert (answered.verdict, answered.main.seeds) == (verdict, 5)
    assert answered.sentence.startswith("Training nli and choice next changes tagging (full) by ")
    assert "no change with size is seen" in answered.sentence
    assert [figure.name for figure in answered.figures] == ["change", "stages", "learned-and-forgotten"]


def test_what_english_hides() -> None:
    answered = findings(-8.0, probe=-8.0, english=0.0)
    assert answered.main is not None
    assert answered.main.value == pytest.approx(-8, abs=0.8)
    first = cells(answered, "intermediate task before and after the target")[0]
    assert abs(float(first["change in English"].split()[0])) < 1.5


def test_a_head_that_drifts_leaves_the_share() -> None:
    share = cells(findings(-8.0, probe=0.0), "what probes find of the intermediate task")[0]
    assert share["encoder"] == "all encoders"
    assert float(share["left"].split()[0]) == pytest.approx(100, abs=5)
    assert float(share["hidden"].split()[0]) == pytest.approx(8, abs=1)


def test_the_share_of_a_gain() -> None:
    share = cells(findings(-9.0, probe=-9.0), "what probes find of the intermediate task")[0]
    low, high = (float(end) for end in share["left"].split("[")[1].rstrip("]").split(", "))
    assert low <= 70 <= high
    assert high - low < 15


def test_a_gain_of_nothing_has_no_share() -> None:
    answered = findings(0.0, probe=0.0, gain=0.0)
    assert answered.main is not None
    shares = [row["left"] for row in cells(answered, "what probes find of the intermediate task")]
    assert shares.count("refused") >= 4  # 1 in 40 gains of nothing is above zero by chance
    assert any(fact.label == "Shares that are refused" for fact in answered.facts)


def test_what_nobody_learned_is_refused() -> None:
    answered = findings(0.0, chance=33.0)
    assert answered.main is None
    assert answered.refusals == ["no encoder has learned tagging with full: English is not above chance"]
    assert answered.tables == []


def test_methods_are_compared_as_one_family() -> None:
    rows = cells(findings(-3.0, (FULL, LORA), probe=-3.0), "what else is compared")
    assert [(row["what"], row["intermediate"]) for row in rows] == [
        ("change a doubling", "tagging, full"),
        ("hidden from the old head", "tagging, full"),
        ("change a doubling", "tagging, lora"),
        ("hidden from the old head", "tagging, lora"),
        ("more is kept than by tagging, full", "tagging, lora"),
    ]


def test_adapters_that_can_be_taken_off_are_named() -> None:
    outcomes = RETENTION.simulate(design(LORA), QUIET, Scenario("", 0.0), seed=5)
    stacked = []
    for each in outcomes:
        assert each.moment is not None
        stacked.append(replace(each, moment=replace(each.moment, is_detachable=each.moment.stage == "target")))
    assert "Taken off" not in " ".join(RETENTION.analyse(outcomes, 1.0).limits)
    assert "Taken off" in " ".join(RETENTION.analyse(stacked, 1.0).limits)


def test_nothing_at_all_and_half_of_a_study() -> None:
    assert (RETENTION.analyse([], 1.0).main, RETENTION.analyse([], 1.0).figures) == (None, [])
    outcomes = RETENTION.simulate(design(), QUIET, Scenario("", 0.0), seed=5)
    half = [each for each in outcomes if each.moment and each.moment.stage != "target"]
    assert RETENTION.analyse(half, 1.0).main is None


def test_more_seeds_see_more() -> None:
    few, many = (RETENTION.detectable(design(seeds=seeds), Noise()) for seeds in (2, 10))
    assert many < few < RETENTION.detectable(design(seeds=1), Noise())


def test_ratios_have_fiellers_interval() -> None:
    def difference(value: float, error: float) -> Difference:
        return Difference(value, 0.0, 0.0, 5, error, 4.0)

    share = ratio(difference(21, 1), difference(30, 1), difference(-9, 2**0.5))  # independent
    assert share is not None
    reach = 2.7764451**2
    for end in (share.low, share.high):  # the ends are where the test of top - end * bottom turns
        assert (21 - 30 * end) ** 2 == pytest.approx(reach * (1 + end**2))
    assert share.value == 0.7
    assert ratio(difference(0.7, 1), difference(1, 1), difference(-0.3, 2**0.5)) is None


def test_means_over_models_need_the_same_runs_and_items() -> None:
    values = [outcome(FULL, [0, 100], model=model) for model in ("a", "b")]
    more = outcome(FULL, [100, 100], model="a", seed=2)
    (mean,) = pooled([values[0], replace(values[1], values=np.array([100.0, 100.0])), more])
    assert list(mean.values) == [50, 100]
    assert pooled([values[0], replace(values[1], items=np.array([4, 5]))]) == []


STUDY = {
    "name": "s",
    "question": "retention",
    "models": ["builtin:nano"],
    "intermediates": [{"task": "sample_choice"}],
    "targets": ["sample_nli"],
    "methods": [{"kind": "full", "train": {"lr": 5e-4}}],
    "languages": ["en", "de"],
    "retention": {"probe": {"epochs": 1}},
    "seeds": [1, 2],
    "train": {"epochs": 1, "max_steps": 4, "examples": 32, "dev_examples": 8},
    "evaluate": {"examples": 12},
}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"retention": None}, "needs `retention:`, such as `retention: {probe: {epochs: 3}}`"),
        ({"intermediates": ["none"]}, "needs an intermediate task, found none"),
    ],
)
def test_a_study_that_cannot(change: dict[str, object], line: str) -> None:
    with pytest.raises(StudyError, match="question: ") as caught:
        questions.of_study(config.parse(json.dumps({**STUDY, **change})))
    assert line in str(caught.value)


@pytest.mark.slow
def test_a_real_study(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "store")
    study = config.parse(json.dumps(STUDY))
    assert questions.of_study(study) is RETENTION
    plans = expand.expand_each(study, workspace)
    for plan in plans:
        run_plan(plan, workspace)
    answered, outcomes = answer(RETENTION, plans, workspace)
    scored = [each for each in outcomes if each.moment]
    assert len(scored) == 5 * 2 * 2  # stages and scorers, languages, seeds
    assert {each.task for each in scored} == {"sample_choice"}
    assert not any(each.moment and each.moment.is_detachable for each in scored)
    assert answered.main is not None or answered.refusals
