"""The step loop on a toy: schedule, checkpoints, resuming, stopping, finite checks, and what loggers receive."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from adaptstilts.errors import DivergedError, Interrupted
from adaptstilts.plan.phases import Phase
from adaptstilts.runtime.checkpoints import Checkpoints
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.loop import Loop, StepLoss
from adaptstilts.runtime.meter import Meter, Work
from adaptstilts.runtime.schedule import Schedule
from adaptstilts.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ToyPhase(Phase):
    kind: ClassVar[str] = "toy"


class Toy:
    """Fits two numbers; a step's target depends on its number alone."""

    advice = "be gentle"

    def __init__(self, runtime: Runtime, steps: int = 10, patience: int = 100, share: float | None = None) -> None:
        self.phase, self.runtime = ToyPhase(title="toy"), runtime
        self.schedule = Schedule(steps, 2, 0.5, 1.0, lead=1)
        self.weight = nn.Parameter(torch.zeros(2))
        self.parameters = {"weight": self.weight}
        group: dict[str, Any] = {"params": [self.weight]} | ({} if share is None else {"share": share})
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW([group], lr=9.0)
        self.meter = Meter(runtime.device)
        self.patience, self.evaluations, self.started = patience, 0, 0
        self.bad: int | None = None

    def start(self) -> None:
        self.started += 1
        with torch.no_grad():
            self.weight.fill_(1.0)

    def backward(self, step: int) -> StepLoss:
        loss = ((self.weight - step) ** 2).sum()
        if step == self.bad:
            loss = loss * float("nan")
        loss.backward()
        return StepLoss(float(loss.detach()), "toy", f"rows [{step}]", {"task": "x"})

    def work(self, step: int) -> Work:
        return Work("toy")

    def tensors(self) -> list[Tensor]:
        return [self.weight]

    def scalars(self, loss: StepLoss, rate: float, norm: float) -> dict[str, Any]:
        return {"loss": loss.value, "lr": rate, "norm": norm, **loss.labels}

    def evaluate(self, steps: int) -> dict[str, float] | None:
        if steps % 4:
            return None
        self.evaluations += 1
        return {"score": float(steps)}

    def is_exhausted(self) -> bool:
        return self.evaluations >= self.patience

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"mine": torch.tensor([float(self.evaluations)])}, {"evaluations": self.evaluations}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        self.evaluations = state["evaluations"]
        assert float(tensors["mine"]) == self.evaluations

    def write(self, staging: Path, steps: int) -> None:
        (staging / "weight.json").write_text(json.dumps([steps, *self.weight.tolist()]))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Toy]:
    """Makes toys; all of one test have the same store."""

    def toy(options: dict[str, Any] | None = None, **changed: Any) -> Toy:
        return Toy(Runtime(Workspace(tmp_path / "store"), None, device="cpu", **(options or {})), **changed)

    return toy


@pytest.fixture
def staging(tmp_path: Path) -> Callable[[], Path]:
    """Makes empty folders."""
    numbers = iter(range(100))

    def folder() -> Path:
        path = tmp_path / f"staging{next(numbers)}"
        path.mkdir()
        return path

    return folder


def stop_after(n: int) -> Callable[[], bool]:
    """True from the n-th time it is asked."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= n


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def whole(make: Callable[..., Toy], folder: Path) -> dict[str, bytes]:
    """The files of a run that was never interrupted."""
    toy = make()
    Loop(toy).run(folder)
    Checkpoints(toy.runtime.workspace.store.work(toy.phase.key)).clear()
    return files(folder)


@pytest.mark.slow
def test_the_log_has_the_schedule_and_the_scores(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    folder = staging()
    whole(make, folder)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["lr"] for line in lines if "lr" in line] == [make().schedule.rate(step) for step in range(10)]
    assert [line for line in lines if "dev" in line] == [
        {"step": 3, "dev": {"score": 4.0}},
        {"step": 7, "dev": {"score": 8.0}},
    ]
    assert list(lines[0]) == ["step", "loss", "lr", "norm", "task"]


def test_a_group_has_its_share_of_the_learning_rate(make: Callable[..., Toy]) -> None:
    toy = make(share=0.5)
    loop = Loop(toy)
    loop.step()
    loop.step()
    assert toy.optimizer.param_groups[0]["lr"] == 0.5 * toy.schedule.rate(1) == 0.25


@pytest.mark.slow
@pytest.mark.parametrize("stops", [[1], [4], [2, 3, 4]], ids=str)
def test_continuing_gives_the_same_files(
    make: Callable[..., Toy], staging: Callable[[], Path], stops: list[int]
) -> None:
    expected = whole(make, staging())
    for n in stops:
        toy = make({"stop": stop_after(n)})
        with pytest.raises(Interrupted, match=r"toy: stopped at step \d+ of 10, checkpoint written"):
            Loop(toy).run(staging())
    reports: list[tuple[str, int, int]] = []
    toy = make({"report": lambda *line: reports.append(line)})
    folder = staging()
    Loop(toy).run(folder)
    assert files(folder) == expected
    assert reports[0] == (f"toy: continued from step {sum(stops)}", sum(stops), 10)
    assert toy.started == 0


def test_a_stop_at_the_last_step_finishes(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    folder = staging()
    Loop(make({"stop": stop_after(10)})).run(folder)
    assert files(folder) == whole(make, staging())


def test_checkpoints_by_steps(
    make: Callable[..., Toy], staging: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, step, *rest: saved.append(step))
    Loop(make({"checkpoint_every": 4})).run(staging())
    assert saved == [4, 8]


def test_checkpoints_by_time(
    make: Callable[..., Toy], staging: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 25))
    monkeypatch.setattr("adaptstilts.runtime.loop.time.monotonic", lambda: float(next(clock)))
    saved: list[int] = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, step, *rest: saved.append(step))
    Loop(make({"checkpoint_seconds": 60.0})).run(staging())
    by_the_runtime = list(saved)
    saved.clear()
    Loop(make({"checkpoint_seconds": 60.0}), 1000.0).run(staging())
    assert by_the_runtime == [3, 6, 9]
    assert saved == []


def test_what_was_trained_is_freed_at_once(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    """No cycle of references keeps weights in memory until the garbage collector comes."""
    gc.disable()
    try:
        toy = make()
        loop = Loop(toy)
        loop.run(staging())
        alive = weakref.ref(toy)
        del toy, loop
        assert alive() is None
    finally:
        gc.enable()


def test_training_stops_early(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    folder = staging()
    Loop(make(patience=1)).run(folder)
    assert json.loads((folder / "weight.json").read_text())[0] == 4


def test_a_loss_that_is_not_finite_leaves_the_weights(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    toy = make()
    toy.bad = 3
    loop = Loop(toy)
    for _ in range(3):
        loop.step()
    before = toy.weight.detach().clone()
    with pytest.raises(DivergedError) as caught:
        loop.step()
    assert str(caught.value) == (
        f"toy: toy loss nan, gradient norm nan at step 3, learning rate {toy.schedule.rate(3):g}, rows [3]; be gentle"
    )
    assert torch.equal(toy.weight, before)
    assert loop.done == 3


def test_a_checkpoint_of_other_weights_is_discarded(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    toy = make({"stop": stop_after(3)})
    with pytest.raises(Interrupted):
        Loop(toy).run(staging())
    lines: list[str] = []
    other = make({"report": lambda line, done, total: lines.append(line)})
    other.weight = nn.Parameter(torch.zeros(3))
    other.parameters = {"weight": other.weight}
    other.optimizer = torch.optim.AdamW([other.weight], lr=1.0)
    folder = staging()
    Loop(other).run(folder)
    assert lines[0] == "toy: the checkpoint was written by another version; starting over"
    assert other.started == 1
    assert len((folder / "log.jsonl").read_text().splitlines()) == 12


def test_a_checkpoint_with_other_fields_is_discarded(make: Callable[..., Toy], staging: Callable[[], Path]) -> None:
    expected = whole(make, staging())
    toy = make()
    work = Checkpoints(toy.runtime.workspace.store.work(toy.phase.key))
    work.save(4, {"now/weight": torch.zeros(2)}, {"step": 4, "log": [], "seconds": 1.0, "peak": 1})
    lines: list[str] = []
    toy = make({"report": lambda line, done, total: lines.append(line), "stop": stop_after(4)})
    with pytest.raises(Interrupted):
        Loop(toy).run(staging())
    assert "another version" in lines[0]
    folder = staging()
    Loop(make({"report": lambda line, done, total: lines.append(line)})).run(folder)
    assert "toy: continued from step 4" in lines
    assert files(folder) == expected


def test_an_interrupted_evaluation_is_done_again(
    make: Callable[..., Toy], staging: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(make, staging())
    toy = make()
    score = toy.evaluate

    def interrupted(steps: int) -> dict[str, float] | None:
        if steps == 8:
            raise Interrupted("stopped while predicting")
        return score(steps)

    monkeypatch.setattr(toy, "evaluate", interrupted)
    with pytest.raises(Interrupted, match="toy: stopped at step 8 of 10, checkpoint written"):
        Loop(toy).run(staging())
    again, folder = make(), staging()
    Loop(again).run(folder)
    assert again.evaluations == 2
    assert files(folder) == expected
