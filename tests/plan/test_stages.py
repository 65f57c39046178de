"""Intermediate tasks scored again after a target: what is planned, which head answers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import expand, kinds, load_study, run_plan, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.kinds import heads
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.graph import StageCell
from adaptstilts.plan.phases import EvaluatePhase, TrainPhase, parse
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.inference import predict
from adaptstilts.store.entries import SCORES
from adaptstilts.workspace import Workspace

SMALL: dict[str, Any] = {
    "question": "retention",
    "intermediates": ["none", "mnli"],
    "targets": ["udpos", "xnli"],
    "methods": ["full", {"kind": "bottleneck", "reduction": 4, "compositions": ["stack", "continue"]}],
    "retention": {"probe": {"epochs": 1, "max_steps": 3}, "scored_as": {"mnli": "xnli"}},
    "languages": ["en", "de"],
    "swap": "off",
    "train": {"epochs": 1, "examples": 8, "batch_size": 4, "max_length": 48, "dev_examples": 6, "lr": 0.01},
}


@pytest.fixture
def plan(study_file: Callable[..., Path], data_root: Path, tmp_path: Path) -> Plan:
    return expand(load_study(study_file(**SMALL)), Workspace(tmp_path / "s", data_root))


def cells(plan: Plan, intermediate: str, **wanted: str) -> list[StageCell]:
    chosen = [cell for cell in plan.stage_cells if cell.intermediate == intermediate]
    return [cell for cell in chosen if all(getattr(cell, key).startswith(value) for key, value in wanted.items())]


def evaluation(plan: Plan, cell: StageCell) -> EvaluatePhase:
    phase = plan.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase)
    return phase


def test_what_is_planned(plan: Plan) -> None:
    stages = [(cell.stage, cell.scorer) for cell in cells(plan, "mnli", method="full")]
    assert stages == [
        ("base", "probe"),
        ("intermediate", "head"),
        ("intermediate", "probe"),
        ("target", "head"),
        ("target", "probe"),
    ]
    assert {cell.target for cell in plan.stage_cells} == {"udpos"}  # xnli trains mnli again
    assert {cell.task for cell in plan.stage_cells} == {"xnli"}
    assert len(plan.stage_cells) == 3 * 5
    assert len({cell.phase for cell in plan.stage_cells if cell.stage == "base"}) == 1  # one for every method
    assert all(parse(phase.spec).key == phase.key for phase in plan.phases.values())
    assert plan.uses()[cells(plan, "mnli", method="full", stage="target", scorer="head")[0].phase] == 1


@pytest.mark.parametrize(
    ("method", "intermediate", "below"),
    [("full", "mnli", 0), ("bottleneck", "mnli", 1), ("bottleneck", "mnli (continue)", 0)],
)
def test_an_earlier_head_on_a_later_encoder(plan: Plan, method: str, intermediate: str, below: int) -> None:
    (learned,) = cells(plan, intermediate, method=method, stage="intermediate", scorer="head")
    (after,) = cells(plan, intermediate, method=method, stage="target", scorer="head")
    first, last = evaluation(plan, learned), evaluation(plan, after)
    assert first.head is None
    assert "head" not in first.spec
    assert last.head == first.target
    assert last.head in last.parents
    target = plan.phases[last.target]
    assert isinstance(target, TrainPhase)
    assert target.task == "udpos"
    assert last.stack == ((first.target,) if below else ())


@pytest.mark.parametrize("method", ["full", "bottleneck"])
def test_probes_have_their_own_budget(plan: Plan, method: str) -> None:
    probes = cells(plan, "mnli", method=method, scorer="probe")
    assert len(probes) == 3
    for cell in probes:
        probe = plan.phases[evaluation(plan, cell).target]
        assert isinstance(probe, TrainPhase)
        assert (probe.method.kind, probe.task, probe.settings.max_steps) == ("head", "mnli", 3)
        bare = not probe.base and not probe.stack
        assert bare == (cell.stage == "base")


@pytest.mark.slow
def test_what_is_scored(study_file: Callable[..., Path], data_root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "s", data_root)
    longer = {**SMALL["train"], "examples": 24, "epochs": 6, "lr": 0.05}
    plan = expand(load_study(study_file(**{**SMALL, "methods": ["full"], "train": longer})), workspace)
    run_plan(plan, workspace)
    for cell in plan.stage_cells:
        assert set(SCORES.read(workspace.store.entry(cell.phase))) == {"en", "de"}
    (after,) = cells(plan, "mnli", stage="target", scorer="head")
    phase, store = evaluation(plan, after), workspace.store
    runtime = Runtime(workspace, plan.model, device="cpu")
    task, kind = tasks.get("xnli"), kinds.trainable("classification")
    assert phase.head is not None
    assert task.test is not None
    examples, features = runtime.rows(task, task.fill(task.test, "de"), phase.data["de"], 48)
    encoder = Encoder(store.entry(phase.target).folder / "encoder", "plain", runtime.device, plan.model.name)
    head = heads.load(encoder, task, store.entry(phase.head).folder / "head")
    outputs = predict(encoder, head, kind, features, runtime.tokenizer.pad, bf16=False)
    decoded = kind.decode(outputs, features, examples.rows, task)
    assert store.entry(phase.key).json("predictions/de.json")["predictions"] == decoded


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"question": "scaling"}, "retention: is used by question: retention alone; add that"),
        ({"retention": {"probe": {"epoch": 1}}}, "retention.probe.epoch: "),
        ({"retention": {"scored_as": {"mnli": "xnlo"}}}, "unknown task 'xnlo'; did you mean xnli or"),
        ({"compositions": ["merge"], "methods": ["lora"]}, "cannot be combined with the composition merge"),
        (
            {"intermediates": ["none", {"task": "both", "mixture": {"tasks": ["mnli", "social_i_qa"]}}]},
            "the intermediate both is not one task that is learned, whose head could be scored again",
        ),
        ({"methods": [{"kind": "head", "over": "full"}]}, "it changes nothing of the encoder, so nothing is forgotten"),
    ],
)
def test_what_is_refused(
    study_file: Callable[..., Path], data_root: Path, tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(load_study(study_file(**{**SMALL, **change})), Workspace(tmp_path / "s", data_root))
    assert line in str(caught.value)
