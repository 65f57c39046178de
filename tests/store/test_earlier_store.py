"""A store that the first version wrote is read, verified and continued."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adaptstilts import study
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.reports.records import records
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace

EARLIER = Path(__file__).with_name("earlier")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A copy of the store."""
    shutil.copytree(EARLIER / "store", tmp_path / "store")
    return Workspace(tmp_path / "store", offline=True)


@pytest.fixture
def plan(workspace: Workspace) -> Plan:
    """The study that wrote it."""
    return expand(study.load(EARLIER / "study.yaml"), workspace)


def test_every_entry_verifies(workspace: Workspace) -> None:
    problems = [problem for _, problem in workspace.store.verify()]
    assert problems == [None] * 29


def test_nothing_is_left_to_do(workspace: Workspace, plan: Plan) -> None:
    assert plan.missing(workspace.store) == []
    assert {phase.key for phase in plan.order()} == set(workspace.store.keys())


def test_its_scores_are_read(workspace: Workspace, plan: Plan) -> None:
    means = {
        (r.task, r.method, r.trained_on, r.over): round(r.mean, 1)
        for r in records(plan, workspace.store)
        if r.mean is not None
    }
    assert len(means) == 20
    assert means["sample_tagging", "lora rank=1", "none", "sample_nli"] == 4.4
    assert means["sample_choice", "bottleneck reduction=32", "sample_nli", "sample_nli"] == 54.2


def test_it_is_continued(workspace: Workspace, plan: Plan) -> None:
    """Evaluations that are taken away are computed again from the earlier weights, with the same scores."""
    before = records(plan, workspace.store)
    removed = [phase.key for phase in plan.order() if phase.kind != "train"][::4]
    for key in removed:
        shutil.rmtree(workspace.store.entry_folder(key))
    outcome = run_plan(plan, Workspace(workspace.store.folder, offline=True), device="cpu")
    assert sorted(outcome.done) == sorted(removed)
    after = records(plan, Workspace(workspace.store.folder, offline=True).store)
    assert [record.mean for record in after] == pytest.approx([record.mean for record in before], abs=1e-6)
