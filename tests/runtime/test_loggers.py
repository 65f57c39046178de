"""Loggers: what they receive, that they come from anywhere, and that a broken one loses no training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY

from adaptstilts import study as config
from adaptstilts.errors import ConfigError, Interrupted
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.run import perform, run_plan
from adaptstilts.runtime import loggers
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.loggers import LoggedPhase, Logger
from adaptstilts.runtime.phase_log import PhaseLog
from adaptstilts.workspace import Workspace


class Noting(Logger):
    """Notes every event."""

    name = "noting"

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.phases: list[LoggedPhase] = []

    def start(self, phase: LoggedPhase) -> None:
        self.phases.append(phase)
        self.events.append(("start", phase.first_step))

    def step(self, step: int, scalars: Mapping[str, Any]) -> None:
        self.events.append(("step", step))

    def dev(self, step: int, scores: Mapping[str, float]) -> None:
        self.events.append(("dev", step))

    def end(self, ending: str) -> None:
        self.events.append(("end", ending))


@pytest.fixture
def planned(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[[str], tuple[Plan, Workspace]]:
    """Plans one small training phase and its evaluation in a store of that name."""

    def plan(store: str) -> tuple[Plan, Workspace]:
        train = {**STUDY["train"], "max_steps": 6, "eval_every": 3, "precision": "fp32"}
        text = {"name": "t", "model": str(tiny), "targets": ["udpos"], "methods": ["bitfit"], "missing": "skip"}
        workspace = Workspace(tmp_path / store, data_root)
        return expand(config.parse(json.dumps({**text, "train": train})), workspace), workspace

    return plan


def test_a_logger_receives_the_curve_of_a_phase(planned: Callable[[str], tuple[Plan, Workspace]]) -> None:
    plan, workspace = planned("store")
    noting = Noting()
    run_plan(plan, workspace, device="cpu", loggers=[noting])
    steps = [("step", 0), ("step", 1), ("step", 2), ("dev", 2), ("step", 3), ("step", 4), ("step", 5), ("dev", 5)]
    assert noting.events == [("start", 0), *steps, ("end", "finished")]
    (phase,) = noting.phases
    (spec,) = [each.spec for each in plan.order() if each.kind == "train"]
    assert (phase.kind, phase.settings, phase.steps, phase.earlier) == ("train", spec, 6, ())
    assert "udpos" in phase.title


def test_an_interrupted_phase_continues_its_curve(planned: Callable[[str], tuple[Plan, Workspace]]) -> None:
    plan, workspace = planned("store")
    (phase,) = [each for each in plan.order() if each.kind == "train"]
    noting, asked = Noting(), iter(range(1, 100))
    stopped = Runtime(workspace, plan.model, device="cpu", stop=lambda: next(asked) >= 5, loggers=[noting])
    with pytest.raises(Interrupted):
        perform(phase, stopped)
    perform(phase, Runtime(workspace, plan.model, device="cpu", loggers=[noting]))
    before, after = noting.phases
    assert before.key == after.key == phase.key
    assert (before.first_step, after.first_step) == (0, 4)
    middle = noting.events.index(("end", "interrupted"))
    assert noting.events[middle + 1 : middle + 3] == [("start", 4), ("step", 4)]
    assert [step for name, step in noting.events if name == "step"] == list(range(6))
    log = workspace.store.entry(phase.key).folder / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [dict(line) for line in after.earlier] == lines[: len(after.earlier)]
    assert len(after.earlier) == 5
    other, elsewhere = planned("other")
    run_plan(other, elsewhere, device="cpu")
    assert (elsewhere.store.entry(phase.key).folder / "log.jsonl").read_bytes() == log.read_bytes()


def test_a_logger_that_fails_is_switched_off(planned: Callable[[str], tuple[Plan, Workspace]]) -> None:
    class Broken(Noting):
        name = "broken"

        def step(self, step: int, scalars: Mapping[str, Any]) -> None:
            if step == 1:
                raise ConnectionError("no route\nto host")
            super().step(step, scalars)

    plan, workspace = planned("store")
    broken, noting = Broken(), Noting()
    lines: list[str] = []
    runtime = Runtime(
        workspace,
        plan.model,
        device="cpu",
        report=lambda line, done, total: lines.append(line),
        loggers=[broken, noting],
    )
    (phase,) = [each for each in plan.order() if each.kind == "train"]
    perform(phase, runtime)
    assert broken.events == [("start", 0), ("step", 0)]
    assert noting.events[-1] == ("end", "finished")
    assert [line for line in lines if "logger" in line] == [
        "logger broken failed (ConnectionError: no route); it is off for the rest of this phase"
    ]


@pytest.fixture
def described(tmp_path: Path) -> LoggedPhase:
    return LoggedPhase("k" * 64, "train", "toy", {}, 3, 0, (), tmp_path)


def test_a_phase_that_fails_says_so(described: LoggedPhase) -> None:
    noting = Noting()
    log = PhaseLog([noting], print)
    with pytest.raises(ZeroDivisionError), log.open(described):
        log.step(0, {"loss": 1 / 0})
    assert noting.events == [("start", 0), ("end", "failed")]


def test_a_log_file_that_cannot_be_written_fails_the_phase(described: LoggedPhase) -> None:
    log = PhaseLog([], print)
    missing = replace(described, folder=described.folder / "missing")
    with pytest.raises(FileNotFoundError), log.open(missing):
        raise AssertionError("not reached")


def test_the_log_file_is_there_while_the_phase_runs(described: LoggedPhase) -> None:
    log = PhaseLog([loggers.get("jsonl")()], print)
    with log.open(replace(described, earlier=({"step": 0, "loss": 2.0},))):
        log.step(1, {"loss": 0.5})
        text = (described.folder / "log.jsonl").read_text(encoding="utf-8")
        assert text == '{"step": 0, "loss": 2.0}\n{"step": 1, "loss": 0.5}\n'
        log.dev(1, {"accuracy": 50.0})
    assert (described.folder / "log.jsonl").read_text(encoding="utf-8") == text + (
        '{"step": 1, "dev": {"accuracy": 50.0}}\n'
    )


OUTSIDE = '''
"""A logger that writes one table for each phase; nothing of the package knows it."""

from pathlib import Path

from adaptstilts.runtime.loggers import Logger


class Table(Logger):
    name = "toy-table"

    def start(self, phase):
        self.path = Path("curves") / f"{phase.key[:12]}.csv"
        self.path.parent.mkdir(exist_ok=True)
        if not phase.first_step:
            self.path.write_text("step,loss\\\\n")

    def step(self, step, scalars):
        with self.path.open("a") as file:
            file.write(f"{step},{scalars['loss']}\\\\n")
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with a logger, importable as ``toy_logger``; the current folder is the one of the file."""
    import sys

    (tmp_path / "toy_logger.py").write_text(OUTSIDE.replace("\\\\n", "\\n"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("toy_logger", None)


def test_a_logger_from_one_file_outside(planned: Callable[[str], tuple[Plan, Workspace]], outside: Path) -> None:
    from toy_logger import Table  # type: ignore[import-not-found]

    loggers.add(Table)
    try:
        plan, workspace = planned("store")
        run_plan(plan, workspace, device="cpu", loggers=["toy-table", "jsonl"])
    finally:
        loggers.REGISTRY.remove("toy-table")
    (path,) = (outside / "curves").iterdir()
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    assert (header, len(rows)) == ("step,loss", 6)


def test_unknown_names_are_refused_before_anything_runs(planned: Callable[[str], tuple[Plan, Workspace]]) -> None:
    plan, workspace = planned("store")
    with pytest.raises(ConfigError, match=r"^unknown logger 'jsnl'; did you mean jsonl\?$"):
        run_plan(plan, workspace, device="cpu", loggers=["jsnl"])
    assert workspace.store.keys() == []


class Uncreatable(Logger):
    """Needs an account."""

    name = "uncreatable"

    def __init__(self) -> None:
        raise KeyError("ACCOUNT")


def test_a_logger_that_cannot_be_created_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers.REGISTRY, "_added", {})
    loggers.add(Uncreatable)
    with pytest.raises(ConfigError, match=r"^logger uncreatable: cannot be created \(KeyError: 'ACCOUNT'\)$"):
        loggers.select(["uncreatable"])


@pytest.mark.parametrize("value", [None, Noting, 3])
def test_what_is_no_logger_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^expected the name of a logger, or an object of a class"):
        loggers.select([value])
