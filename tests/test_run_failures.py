"""A failure is that of one phase: what depends on it does not run, and says which phase is the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from adaptstilts.cli.progress import Progress
from adaptstilts.errors import AdaptstiltsError, ArtifactError, DataError, DivergedError, PhasesFailed
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import Phase
from adaptstilts.run import Listener, Outcome, run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class StepPhase(Phase):
    """Write a file, or fail as ``error`` says."""

    kind: ClassVar[str] = "step"
    performer: ClassVar[str] = f"{__name__}:step"
    name: str
    of: tuple[str, ...] = ()
    error: str = ""


def step(phase: StepPhase, runtime: Runtime, staging: Path) -> None:
    """Do the work of a :class:`StepPhase`."""
    if phase.error == "data":
        raise DataError("row 7 is wrong")
    if phase.error == "diverged":
        raise DivergedError(f"{phase.title}: the loss is nan")
    if phase.error == "foreign":
        raise KeyError("a line\nand another")
    if phase.error == "memory":
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
    if phase.error == "python memory":
        raise MemoryError
    if phase.error == "artifact":
        raise ArtifactError("an entry is damaged")
    (staging / "file").write_text(phase.name, encoding="utf-8")


class Steps:
    """Phases in a row, each of which depends on the ones that are named."""

    model: Model | None = None

    def __init__(self, **steps: tuple[str, str]) -> None:
        self.phases: dict[str, StepPhase] = {}
        for name, (parents, error) in steps.items():
            of = tuple(self.phases[parent].key for parent in parents.split())
            self.phases[name] = StepPhase(name=name, of=of, error=error, title=f"step {name}")

    def order(self) -> list[Phase]:
        return list(self.phases.values())


class Heard(Listener):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}

    def failed(self, phase: Phase, error: Exception) -> None:
        self.failures[phase.title] = str(error)


def run(steps: Steps, folder: Path) -> tuple[Outcome | Exception, dict[str, str]]:
    """Run phases and return what came of it, and the failures that a listener heard of."""
    heard = Heard()
    try:
        return run_plan(steps, Workspace(folder), heard, device="cpu"), heard.failures
    except (PhasesFailed, DataError, ArtifactError, DivergedError) as error:
        return error, heard.failures


def test_the_reason_is_the_phase_that_failed_however_far_away(tmp_path: Path) -> None:
    steps = Steps(a=("", "data"), b=("a", ""), c=("b", ""), d=("", ""), e=("d c", ""))
    error, failures = run(steps, tmp_path)
    assert isinstance(error, PhasesFailed)
    message = "1 phase failed, 3 phases not run because of that, 1 finished; the first failure: row 7 is wrong"
    assert str(error) == message
    assert failures == {
        "step a": "row 7 is wrong",
        **dict.fromkeys(("step b", "step c", "step e"), "not run, because this failed: step a"),
    }
    assert Workspace(tmp_path).store.keys() == [steps.phases["d"].key]


def test_failures_without_anything_that_depends_on_them(tmp_path: Path) -> None:
    error, _ = run(Steps(a=("", "data"), b=("", ""), c=("", "diverged")), tmp_path)
    assert str(error) == "2 phases failed, 1 finished; the first failure: row 7 is wrong"


def test_a_single_failure_is_raised_as_it_is(tmp_path: Path) -> None:
    error, _ = run(Steps(a=("", "diverged"), b=("a", "")), tmp_path)
    assert isinstance(error, DivergedError)
    assert str(error) == "step a: the loss is nan"


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        ("foreign", r"step a: internal error: KeyError: 'a line\nand another'", 1),
        ("memory", "step a: out of memory; lower train.micro_tokens, train.batch_size or max_length", 5),
        ("python memory", "step a: out of memory; lower train.micro_tokens, train.batch_size or max_length", 5),
    ],
)
def test_an_error_of_a_library_is_that_of_its_phase(tmp_path: Path, error: str, reason: str, code: int) -> None:
    steps = Steps(a=("", error), b=("a", ""), c=("", ""))
    raised, failures = run(steps, tmp_path)
    assert isinstance(raised, PhasesFailed)
    message = "1 phase failed, 1 phase not run because of that, 1 finished; the first failure: "
    assert str(raised) == message + reason
    assert failures == {"step a": reason, "step b": "not run, because this failed: step a"}
    first = raised.__cause__
    assert isinstance(first, AdaptstiltsError)
    assert first.exit_code == code
    assert "in step\n" in first.__notes__[0]  # the traceback, for --debug
    assert Workspace(tmp_path).store.keys() == [steps.phases["c"].key]


def test_a_damaged_entry_stops_everything(tmp_path: Path) -> None:
    error, failures = run(Steps(a=("", "artifact"), b=("", "")), tmp_path)
    assert isinstance(error, ArtifactError)
    assert failures == {}
    assert Workspace(tmp_path).store.keys() == []


@pytest.mark.parametrize("kind", ["data", "diverged"])
def test_the_title_is_printed_once(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress, pytest.raises(PhasesFailed):
        run_plan(Steps(a=("", kind), b=("a", ""), c=("", "")), Workspace(tmp_path), progress, device="cpu")
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 2
    assert [line.count("step a") for line in failed] == [1, 1]
    assert failed[1] == "failed: step b: not run, because this failed: step a"


def test_an_entry_with_a_damaged_manifest_is_computed_again(tmp_path: Path) -> None:
    """It is not only the next to read it that says so: `run` mends it."""
    steps = Steps(a=("", ""), b=("a", ""))
    run(steps, tmp_path)
    store = Workspace(tmp_path).store
    key = steps.phases["b"].key
    (store.entry_folder(key) / "manifest.json").write_text("{", encoding="utf-8")
    outcome, _ = run(steps, tmp_path)
    assert isinstance(outcome, Outcome)
    assert (outcome.done, outcome.skipped) == ([key], [steps.phases["a"].key])
    assert [problem for _, problem in store.verify()] == [None, None]
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
