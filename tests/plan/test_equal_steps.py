"""Equal steps: chains share them, mixtures have them, keys of other studies stay; what is refused, what runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import study as config
from adaptstilts.errors import ConfigError
from adaptstilts.plan.cost import estimate
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.workspace import Workspace

BOTH = ["sample_nli", "sample_choice"]
CHAIN = {"task": "nli-choice", "chain": {"tasks": BOTH}}
MIXED = {"task": "mixed", "mixture": {"tasks": BOTH}}
STUDY: dict[str, Any] = {
    "name": "s",
    "model": "builtin:nano",
    "intermediates": ["none", "sample_nli", CHAIN, MIXED],
    "targets": [{"task": "sample_tagging", "train": {"epochs": 1, "examples": 16}}],
    "methods": [{"kind": "lora", "train": {"lr": 2e-3}}],
    "languages": ["en"],
    "steps": "equal",
    "train": {"steps": 6, "batch_size": 8, "examples": 16, "dev_examples": 8},
    "evaluate": {"examples": 8},
}


def planned(folder: Path, **changed: Any) -> tuple[Plan, Workspace]:
    workspace = Workspace(folder / "store", offline=True)
    return expand(config.parse(json.dumps({**STUDY, **changed})), workspace), workspace


def test_every_intermediate_has_the_same_steps(tmp_path: Path) -> None:
    """A chain has as many as a single task, half for each of its own; targets have theirs."""
    plan, workspace = planned(tmp_path)
    costs = estimate(plan, workspace)
    seen = []
    for phase in plan.order():
        if isinstance(phase, TrainPhase) and phase.task != "sample_tagging":
            seen.append((phase.task, phase.settings.steps, costs[phase.key].examples))
    assert seen == [
        ("sample_nli", 6, 48),
        ("sample_nli", 3, 24),
        ("sample_choice", 3, 24),
        ("mixed", 6, 48),
    ]
    targets = [phase for phase in plan.order() if isinstance(phase, TrainPhase) and phase.task == "sample_tagging"]
    assert [(phase.settings.steps, phase.settings.epochs) for phase in targets] == [(None, 1)] * 4


def test_a_single_task_has_the_key_of_a_study_without_equal_steps(tmp_path: Path) -> None:
    single = {"intermediates": ["none", "sample_nli"]}
    assert set(planned(tmp_path, **single)[0].phases) == set(planned(tmp_path, **single, steps="own")[0].phases)
    chains = {"intermediates": [CHAIN]}
    assert set(planned(tmp_path, **chains)[0].phases) != set(planned(tmp_path, **chains, steps="own")[0].phases)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"train": {}}, "steps: equal: sample_nli has no exact number of steps; give train.steps, such as 500"),
        ({"train": {"steps": 7}}, "steps: equal: 7 steps cannot be divided evenly among the 2 tasks of nli-choice"),
        (
            {"intermediates": [{"task": "sample_nli", "train": {"steps": 8}}, CHAIN]},
            "steps: equal: expected one number of steps for all intermediates, found sample_nli: 8, nli-choice: 6",
        ),
        ({"intermediates": ["none"]}, "steps: no intermediate of this study is trained"),
        ({"steps": "same"}, "steps: expected one of own, equal, found 'same'"),
    ],
)
def test_mistakes_are_one_line(changed: dict[str, Any], line: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, **changed)
    assert str(caught.value) == f"study:1: {line}"


def test_merges_do_not_count(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, intermediates=["sample_nli", {"task": "m", "merge": {"of": ["sample_nli"]}}])
    assert any(phase.kind == "merge" for phase in plan.phases.values())
