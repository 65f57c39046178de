"""A kind from outside the package: one file, and studies plan, train, evaluate and report it like any other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY
from support.multilabel import LABELS, SPEC, TASK, make_topics

from adaptstilts import kinds, study, tasks
from adaptstilts.errors import ConfigError
from adaptstilts.plan import expand
from adaptstilts.reports import choose, tables
from adaptstilts.reports.records import records
from adaptstilts.run import run_plan
from adaptstilts.tasks import kind_specs
from adaptstilts.workspace import Workspace


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, data_root: Path, tmp_path: Path) -> Workspace:
    """A store, data that has the task's rows, and the kind and the task known for one test."""
    monkeypatch.setattr(kind_specs.REGISTRY, "_added", {})
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    kinds.add(SPEC)
    tasks.add(TASK)
    make_topics(data_root)
    return Workspace(tmp_path / "store", data_root)


@pytest.mark.slow
def test_a_study_with_a_kind_from_outside(workspace: Workspace, tiny: Path) -> None:
    methods: list[Any] = ["full", {"kind": "bottleneck", "reduction": 4}]
    changed = {"intermediates": ["none", "topics"], "targets": ["topics", "xnli"], "methods": methods}
    plan = expand.expand(study.parse(json.dumps({**STUDY, "model": str(tiny), **changed})), workspace)
    trained = [phase for phase in plan.phases.values() if phase.kind == "train" and phase.task == "topics"]
    assert {phase.settings.warmup for phase in trained} == {0.25}, "the kind's default"
    run_plan(plan, workspace)
    found = records(plan, workspace.store)
    assert all(record.complete for record in found)
    topics = [record for record in found if record.task == "topics"]
    assert {(record.method.partition(" ")[0], record.trained_on) for record in topics} >= {
        ("full", "none"),
        ("full", "topics"),
        ("bottleneck", "none"),
    }
    for record in topics:
        assert set(record.metrics) == {"f1", "exact"}
        assert record.mean == record.metrics["f1"]
    cell = next(cell for cell in plan.cells if cell.task == "topics")
    entry = workspace.store.entry(cell.phase)
    assert set(entry.json("scores.json")) == {"en", "de"}
    predictions = entry.json("predictions/de.json")["predictions"]
    assert {label for answer in predictions for label in answer} <= set(LABELS)
    card = json.loads((workspace.store.entry(cell.training[-1]).folder / "head" / "head.json").read_text())
    assert (card["kind"], card["labels"]) == ("multilabel", list(LABELS))
    assert "topics" in tables.render(found, "md")
    choice = choose.prepare(
        study.parse(json.dumps({**STUDY, "model": str(tiny), **changed})), workspace, "topics", rows=24
    )
    run_plan(choice, workspace)
    ranked = {ranking.predictor for ranking in choose.rankings(choice, workspace.store)}
    assert ranked == set(choose.PREDICTORS)


def test_its_declarations_are_checked_against_the_spec() -> None:
    wrong = dataclasses.replace(TASK, labels=(), metrics=("bleu",), columns={"text": "text"}, sets={"a": "b"})
    assert SPEC.problems(TASK) == []
    assert [problem.partition(":")[0] for problem in SPEC.problems(wrong)] == ["columns", "metrics", "labels", "sets"]


@pytest.mark.parametrize(
    ("implementation", "reason"),
    [
        ("support.multilabel:Absent", "cannot be imported"),
        ("support.absent:Multilabel", "cannot be imported"),
        ("support.multilabel:LABELS", "lacks calibrate, calibrates, check, decode, features, gold, head"),
    ],
)
def test_an_object_that_is_no_kind(workspace: Workspace, implementation: str, reason: str) -> None:
    kinds.add(dataclasses.replace(SPEC, implementation=implementation))
    with pytest.raises(ConfigError, match=reason):
        kinds.get("multilabel")


def test_protocols_are_kept_apart(workspace: Workspace) -> None:
    for name, spec in kinds.known().items():
        if spec.searches:
            assert kinds.searchable(name) is kinds.get(name)
        else:
            assert kinds.trainable(name) is kinds.get(name)
            with pytest.raises(ConfigError, match="are trained"):
                kinds.searchable(name)
        if not spec.shares_pool:
            with pytest.raises(ConfigError, match="not ranked against a pool"):
                kinds.pool_ranker(name)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("implementation", None),
        ("implementation", "support.multilabel"),
        ("headline", "f1"),
        ("headline", ()),
        ("headline", ("accuracy",)),
        ("label_field", "absent"),
        ("metrics", None),
        ("fields", "text"),
        ("fields", (1,)),
        ("optional", "text"),
        ("lists", None),
        ("row_sets", None),
        ("row_sets", {"a": 1}),
        ("defaults", [1]),
        ("label_field", 3),
        ("metrics_of", "x"),
        ("check", "x"),
        ("searches", "x"),
    ],
)
def test_a_wrong_field_of_a_spec_is_refused(workspace: Workspace, field: str, value: Any) -> None:
    before = dict(kinds.known())
    changed: dict[str, Any] = {"name": "other", field: value}
    with pytest.raises(ConfigError, match=f"^task kind 'other': {field}: expected "):
        kinds.add(dataclasses.replace(SPEC, **changed))
    assert dict(kinds.known()) == before
