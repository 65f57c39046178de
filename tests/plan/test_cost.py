"""Rough costs: what every kind of phase puts through the encoder, with and without data at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import study
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.plan.cost import UNKNOWN_ROWS, PhaseCost, estimate, measured_speed
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.plan.outline import Outline
from adaptstilts.plan.phases import EvaluatePhase, RetrievePhase, TrainPhase
from adaptstilts.workspace import Workspace

EARLIER = Path(__file__).resolve().parents[1] / "store" / "earlier"
BASE: dict[str, Any] = {
    "name": "toy",
    "model": "builtin:nano",
    "intermediates": ["none", "sample_nli"],
    "targets": ["sample_tagging", "sample_retrieval"],
    "methods": ["lora"],
    "languages": ["en", "de", "fr"],
}


def planned(workspace: Workspace, **changed: Any) -> tuple[Plan, dict[str, PhaseCost]]:
    plan = expand(study.parse(json.dumps({**BASE, **changed})), workspace)
    return plan, estimate(plan, workspace)


def by_title(plan: Plan, costs: dict[str, PhaseCost]) -> dict[str, PhaseCost]:
    return {phase.title: costs[key] for key, phase in plan.phases.items()}


def test_an_outline_counts_rows_that_ship_with_the_package(tmp_path: Path) -> None:
    """To the token what a plan counts that reads them."""
    outlined = by_title(*planned(Outline(tmp_path / "store")))
    real = by_title(*planned(Workspace(tmp_path / "store", offline=True)))
    assert outlined == real
    assert all(cost.tokens > 0 and not cost.is_guess for cost in real.values())


def test_every_phase_that_reads_rows_has_a_cost(tmp_path: Path) -> None:
    plan, costs = planned(Workspace(tmp_path / "store", offline=True))
    shape = plan.model.shape
    core = shape["parameters"] - shape["vocabulary"] * shape["hidden"]
    kinds = set()
    for key, phase in plan.phases.items():
        cost = costs[key]
        kinds.add(phase.kind)
        per_weight = phase.method.flops_per_weight if isinstance(phase, TrainPhase) else 2
        assert cost.flops == per_weight * core * cost.tokens > 0
        assert (cost.trainable > 0) == (cost.bytes > 0) == isinstance(phase, TrainPhase)
    assert kinds == {"train", "evaluate", "retrieve"}
    evaluated = next(costs[key] for key, phase in plan.phases.items() if isinstance(phase, EvaluatePhase))
    assert evaluated.examples == 3 * 180


def test_limits_are_counted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "store", offline=True)
    plan, costs = planned(
        workspace, train={"examples": 40, "epochs": 2}, evaluate={"examples": 10}, targets=["sample_tagging"]
    )
    for key, phase in plan.phases.items():
        assert costs[key].examples == {"train": 80, "evaluate": 3 * 10}[phase.kind]
    plan, costs = planned(workspace, train={"max_steps": 3, "batch_size": 8}, targets=["sample_tagging"])
    assert {costs[key].examples for key, phase in plan.phases.items() if phase.kind == "train"} == {24}


def test_rows_that_cannot_be_counted_are_published_or_assumed(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model": "FacebookAI/xlm-roberta-base", "intermediates": ["none"], "retrieve": {}}
    plan, costs = planned(Outline(tmp_path), targets=["xnli", "tatoeba"], **changes)
    for key, phase in plan.phases.items():
        cost = costs[key]
        assert cost.is_guess
        if isinstance(phase, TrainPhase):
            assert cost.examples == 3 * 392_702
        elif isinstance(phase, EvaluatePhase):
            assert (cost.examples, cost.tokens) == (3 * UNKNOWN_ROWS, 3 * UNKNOWN_ROWS * 128)
        elif isinstance(phase, RetrievePhase):
            assert cost.tokens == 2 * UNKNOWN_ROWS * 256


def test_evaluation_reads_as_long_rows_as_training_did(tmp_path: Path) -> None:
    plan, costs = planned(
        Outline(tmp_path), model="FacebookAI/xlm-roberta-base", targets=["xnli"], train={"max_length": 200}
    )
    (cost,) = {costs[key].tokens for key, phase in plan.phases.items() if phase.kind == "evaluate"}
    assert cost == 3 * UNKNOWN_ROWS * 200


def test_the_speed_of_finished_phases(tmp_path: Path) -> None:
    shutil.copytree(EARLIER / "store", tmp_path / "store")
    workspace = Workspace(tmp_path / "store", offline=True)
    plan = expand(study.load(EARLIER / "study.yaml"), workspace)
    costs = estimate(plan, workspace)
    speed = measured_speed(plan, costs, workspace.store)
    assert speed is not None
    assert speed.source == "measured in this store"
    done = [key for key, phase in plan.phases.items() if phase.kind == "train"]
    seconds = sum(workspace.store.entry(key).json("cost.json")["seconds"] for key in done)
    assert speed.flops == pytest.approx(sum(costs[key].flops for key in done) / seconds)
    assert measured_speed(plan, costs, Workspace(tmp_path / "other").store) is None


@pytest.mark.parametrize("name", ["facebook/xlm-v-base", "some/model"])
def test_an_outline_refuses_models_of_unknown_shape(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="an outline fetches nothing"):
        planned(Outline(tmp_path), model=name)


def test_an_outline_refuses_an_architecture_like_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "xl"
    folder.mkdir()
    config = {"model_type": "gpt2", "hidden_size": 2560, "num_hidden_layers": 36}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    messages = []
    for workspace in (Outline(tmp_path / "s"), Workspace(tmp_path / "s", offline=True)):
        with pytest.raises(ArtifactError, match="gpt2") as caught:
            planned(workspace, model=str(folder))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
