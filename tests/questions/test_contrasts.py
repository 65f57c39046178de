"""Differences of outcomes: equal to those of records, joined items, what cannot be compared, what was not learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.inputs import STUDY
from support.outcomes import AFTER, ALONE, outcome

from adaptstilts import study as config
from adaptstilts.plan import expand
from adaptstilts.questions.base import Arm
from adaptstilts.questions.contrasts import difference, not_learned, of_arm, seed_differences
from adaptstilts.questions.outcomes import collect, encoder_size
from adaptstilts.reports.records import records
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace


@pytest.mark.slow
def test_differences_are_those_of_records(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    changed = {"model": str(tiny), "intermediates": ["none", "mnli"], "targets": ["udpos", "tatoeba"], "seeds": [1, 2]}
    train = {"max_steps": 6, "batch_size": 8, "max_length": 48, "lr": 0.01, "precision": "fp32"}
    study = config.parse(json.dumps({**STUDY, **changed, "methods": ["full"], "swap": "off", "train": train}))
    workspace = Workspace(tmp_path / "store", data_root)
    plan = expand.expand(study, workspace)
    run_plan(plan, workspace, device="cpu")
    outcomes = collect([plan], workspace)
    compared = [record for record in records(plan, workspace.store) if record.vs_none]
    assert len(compared) == 2
    for record in compared:
        chosen = [each for each in outcomes if each.task == record.task]
        ours = [each for each in chosen if each.arm.intermediate == "mnli"]
        theirs = [each for each in chosen if each.arm.intermediate == "none"]
        found = difference([(1.0, ours), (-1.0, theirs)])
        assert found is not None
        assert record.vs_none is not None
        for name in ("value", "low", "high", "error", "df", "seeds"):
            assert getattr(found, name) == pytest.approx(getattr(record.vs_none, name))
        scores = [each.score for each in ours if each.language == "de"]
        assert sum(scores) / len(scores) == pytest.approx(record.languages["de"])
    assert {each.size for each in outcomes} == {encoder_size(plan.model)}
    trained = [each for each in outcomes if each.task == "udpos"]
    assert all(each.costs["bytes"] > 0 for each in trained)
    assert all(not each.costs for each in outcomes if each.task == "tatoeba")


def test_every_task_counts_the_same() -> None:
    ours, theirs = [], []
    for seed, gain in ((1, 5.0), (2, 7.0)):
        for language in ("de", "sw"):
            ours.append(outcome(AFTER, [gain, gain + 2], seed, language))
            theirs.append(outcome(ALONE, [0, 0], seed, language))
        ours.append(outcome(AFTER, [100, 100, 100], seed, "de", "xnli"))
        theirs.append(outcome(ALONE, [0, 0, 0], seed, "de", "xnli"))
    found = difference([(1.0, ours), (-1.0, theirs)])
    assert found is not None
    assert found.value == pytest.approx((7 + 100) / 2)
    assert found.seeds == 2
    assert seed_differences([(1.0, ours), (-1.0, theirs)]) == pytest.approx([(6 + 100) / 2, (8 + 100) / 2])


def test_what_cannot_be_compared_is_not() -> None:
    one = outcome(AFTER, [1, 2])
    assert difference([(1.0, [one]), (-1.0, [outcome(ALONE, [1, 2], seed=2)])]) is None
    assert difference([(1.0, [one]), (-1.0, [outcome(ALONE, [1, 2, 3])])]) is None
    assert difference([(1.0, [one]), (-1.0, [outcome(ALONE, [1, 2], language="sw")])]) is None
    assert difference([(1.0, [one]), (-1.0, [])]) is None


def test_draws_of_one_seed_are_no_seeds() -> None:
    arm = Arm("full", "none", 10, "none")
    ours = [outcome(arm, [1, 2, 3], draw=draw) for draw in (1, 2, 3)]
    found = difference([(1.0, ours)])
    assert found is not None
    assert found.seeds == 1


def test_english_at_chance_is_not_learned() -> None:
    right = [100.0] * 40 + [0.0] * 60
    at_chance = [outcome(ALONE, right, seed, "en", chance=100 / 3) for seed in (1, 2, 3)]
    assert not_learned(at_chance) == ["panx"]
    clear = [outcome(ALONE, [100.0] * 70 + [0.0] * 30, seed, "en", chance=100 / 3) for seed in (1, 2, 3)]
    assert not_learned(clear) == []
    assert not_learned([outcome(ALONE, right, 1, "en")]) == [], "chance is unknown"
    assert of_arm([*at_chance, outcome(AFTER, right)], ALONE) == at_chance
