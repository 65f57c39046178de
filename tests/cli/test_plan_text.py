"""What plans and their state look like as text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adaptstilts import study as studies
from adaptstilts.cli import plan_text
from adaptstilts.cli.columns import aligned, print_lines, wrapped
from adaptstilts.cli.plan_text import plan_lines, status_lines
from adaptstilts.plan.cost import PhaseCost, Speed, cpu_speed, estimate, measured_speed
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are those of a machine with two cores and without a GPU."""
    monkeypatch.setattr(plan_text, "assumed_speed", cpu_speed)
    monkeypatch.setattr("adaptstilts.plan.cost.usable_threads", lambda: 2)


@pytest.fixture
def workspace(tmp_path: Path, data_root: Path) -> Workspace:
    return Workspace(tmp_path / "store", data_root)


@pytest.fixture
def plan(study_file: Callable[..., Path], workspace: Workspace) -> Plan:
    train = {"max_steps": 1, "batch_size": 8, "max_length": 48}
    path = study_file(methods=["head"], targets=["xnli"], intermediates=["none"], swap="off", train=train)
    return expand(studies.load(path), workspace)


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    lines = [*aligned(("name", "n", "more"), [("a", "1000", ""), ("longer", "2", "text")], ("n",))]
    assert lines == ["name       n  more", "a       1000", "longer     2  text"]


def test_columns_fit_a_terminal() -> None:
    header, rows = ("name", "languages"), [("a", "1: en"), ("b" * 20, "9: de es fr ru ar hi sw tr zh")]
    assert [*aligned(header, rows, width=80)] == [*aligned(header, rows)]
    assert [*aligned(header, rows, width=60)] == [*aligned(header, rows)]
    assert [*aligned(header, rows, width=45)] == [
        "name",
        "    languages",
        "a",
        "    1: en",
        "b" * 20,
        "    9: de es fr ru ar hi sw tr zh",
    ]
    wide = [("task", "1: " + " ".join(["en"] * 40))]
    lines = [*aligned(header, wide, width=50)]
    assert lines[:2] == ["name  languages", "task  1: " + " ".join(["en"] * 14)]
    assert all(line.startswith("      en") and len(line) <= 50 for line in lines[2:])


def test_long_lines_are_wrapped() -> None:
    assert [*wrapped("a line of five words", None)] == ["a line of five words"]
    assert [*wrapped("a line of five words", 14)] == ["a line of five", "    words"]
    assert [*wrapped("  - a line of five words", 18)] == ["  - a line of five", "      words"]


def test_lines_are_wrapped_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "14")
    for is_terminal, printed in ((True, "a line of five\n    words\n"), (False, "a line of five words\n")):
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
        print_lines(["a line of five words"])
        assert capsys.readouterr().out == printed


def test_small_encoders_take_longer_than_their_operations() -> None:
    """By the batches and phases, which have costs of their own."""
    cost = PhaseCost(flops=2e9, batches=100)
    assert Speed(1e9, "as given").seconds(cost) == 2
    assert Speed(1e9, "assumed", 0.05, 2.0).seconds(cost, phases=3) == pytest.approx(2 + 5 + 6)


def test_a_plan_lists_what_trains_and_with_all_everything(plan: Plan, workspace: Workspace) -> None:
    lines = [*plan_lines(plan, workspace, every=False)]
    assert lines[0].split() == ["state", "parameters", "stored", "tokens", "minutes", "results", "key", "phase"]
    assert len(lines) == len([*plan_lines(plan, workspace, every=True)]) - 1 == 7
    assert lines[1].startswith("missing ")
    assert lines[1].endswith("train xnli (head), seed 1")
    assert lines[3] == "1 train (0 done), 1 evaluate (0 done)"
    short = "less than a minute of training and less than a minute of evaluation and retrieval"
    assert lines[4] == f"to do: 2 phases, {short} at 160 GFLOP/s (assumed for 2 CPU cores)"
    assert lines[5].endswith("wrong by a factor of 3; --gflops sets another speed")
    assert "at 2 GFLOP/s (as given)" in [*plan_lines(plan, workspace, every=False, flops=2e9)][-2]


def test_a_finished_plan_trains_nothing(plan: Plan, workspace: Workspace) -> None:
    run_plan(plan, workspace, device="cpu")
    lines = [*plan_lines(plan, workspace, every=True)]
    assert [line.split()[0] for line in lines[1:3]] == ["done", "done"]
    assert lines[-1] == "to do: nothing"
    assert [*status_lines(plan, workspace.store)] == ["train: 1 done", "evaluate: 1 done"]


def test_the_status_names_what_runs_and_what_was_interrupted(plan: Plan, workspace: Workspace) -> None:
    train, evaluate = plan.order()
    assert [*status_lines(plan, workspace.store)] == ["train: 1 missing", "evaluate: 1 missing"]
    (workspace.store.work(train.key) / "step-00000120").mkdir(parents=True)
    (workspace.store.work(train.key) / "step-00000080").mkdir()
    with workspace.store.lease(evaluate.key):
        lines = [*status_lines(plan, workspace.store)]
    assert lines[:2] == ["train: 1 interrupted", "evaluate: 1 running"]
    assert lines[2].startswith("running on ")
    assert lines[2].endswith(f": {evaluate.title}")
    assert lines[3:] == ["interrupted after step 120: train xnli (head), seed 1"]


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0.4, "less than a minute"),
        (1.2, "about 1 minute"),
        (90, "about 90 minutes"),
        (600, "about 10 hours"),
        (600_000, "about 417 days"),
    ],
)
def test_durations(minutes: float, text: str) -> None:
    assert plan_text._duration(minutes) == text


def test_phases_without_work_give_no_speed(plan: Plan, workspace: Workspace) -> None:
    run_plan(plan, workspace, device="cpu")
    costs = estimate(plan, workspace)
    speed = measured_speed(plan, costs, workspace.store)
    assert speed is not None
    assert speed.source == "measured in this store"
    idle = {key: replace(cost, flops=0.0) for key, cost in costs.items()}
    assert measured_speed(plan, idle, workspace.store) is None
