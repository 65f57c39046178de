"""The step loop that training and pretraining share: checkpoints, resuming, stopping, learning rate, finite checks.

Everything that happens in a step is a function of (spec, step). So a phase that continues from a checkpoint takes the
same path, to the bit on one machine, as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from adaptstilts.errors import DivergedError, Interrupted
from adaptstilts.plan.phases import Phase
from adaptstilts.runtime.checkpoints import Checkpoints, fits, restore, state_of
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.loggers import LoggedPhase
from adaptstilts.runtime.meter import Meter, Work
from adaptstilts.runtime.phase_log import PhaseLog
from adaptstilts.runtime.schedule import Schedule


@dataclass(frozen=True)
class StepLoss:
    """The loss of one step, whose gradients were computed.

    Attributes:
        value: mean over the batch.
        objective: which loss it is, if the phase has several.
        batch: the rows of the loss, for messages; may be empty.
        labels: text to log beside the numbers, for example the task of a mixture.
    """

    value: float
    objective: str = ""
    batch: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Trainee(Protocol):
    """The model that a loop trains.

    Attributes:
        runtime: devices, checkpoints, loggers, and whether to stop.
        schedule: number of steps, learning rate, gradient clipping.
        parameters: the trained parameters, by the names that checkpoints use.
        optimizer: optimizer of these; a group's rate is that of the schedule times its ``share`` (1 if not set).
        meter: measures seconds and memory of the phase.
        advice: what the user can change if the loss diverges.
    """

    runtime: Runtime
    schedule: Schedule
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    meter: Meter
    advice: str

    @property
    def phase(self) -> Phase:
        """The phase that is performed."""

    def start(self) -> None:
        """Set the initial weights; not called if a checkpoint is continued."""

    def backward(self, step: int) -> StepLoss:
        """Compute the gradients of a step, the first one being 0."""

    def work(self, step: int) -> Work:
        """Return what the memory of a step depends on."""

    def tensors(self) -> Iterable[Tensor]:
        """Return what stays in memory between steps, such as weights and optimizer state."""

    def scalars(self, loss: StepLoss, rate: float, norm: float) -> dict[str, Any]:
        """Return the values to log for a step.

        Args:
            loss: loss of the step.
            rate: learning rate.
            norm: norm of the gradient before clipping.
        """

    def evaluate(self, steps: int) -> Mapping[str, float] | None:
        """Score the dev sets if an evaluation is due after this many steps; else return None.

        Raises:
            Interrupted: the runtime asked to stop; nothing changed, and it can be called again.
        """

    def is_exhausted(self) -> bool:
        """Return True if further steps would be a waste."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON values that a checkpoint needs beside weights, optimizer and log."""

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""

    def write(self, staging: Path, steps: int) -> None:
        """Write the entry's files, except the log.

        Args:
            staging: folder of the files.
            steps: number of steps that were taken.
        """


class Loop:
    """Takes the steps of a phase.

    Args:
        trainee: the model that is trained.
        checkpoint_seconds: time between two checkpoints unless the runtime counts steps; None for the runtime's.

    Attributes:
        done: number of steps that were taken.
        log: the lines that were logged so far.
    """

    def __init__(self, trainee: Trainee, checkpoint_seconds: float | None = None) -> None:
        self.trainee, self.phase, self.runtime = trainee, trainee.phase, trainee.runtime
        self.total = trainee.schedule.steps
        self.checkpoints = Checkpoints(self.runtime.workspace.store.work(self.phase.key))
        self.done = 0
        report = self.runtime.report
        self.log = PhaseLog(self.runtime.loggers, lambda line: report(line, 0, 0))
        self._seconds = checkpoint_seconds or self.runtime.checkpoint_seconds

    def run(self, staging: Path) -> None:
        """Train from the beginning or from a checkpoint, and write the entry's files into ``staging``.

        Raises:
            DivergedError: a loss, gradient or weight is not finite.
            Interrupted: the runtime asked to stop; a checkpoint was written.
        """
        self.trainee.meter.start()
        if not self._resume():
            self.trainee.start()
        with self.log.open(self._described(staging)):
            self._take_steps()
            self.trainee.write(staging, self.done)

    def step(self) -> None:
        """Take one optimizer step.

        Raises:
            DivergedError: the loss or the gradient is not finite; the weights are those before the step.
        """
        with self.trainee.meter.watch(self.trainee.work(self.done), self.trainee.tensors):
            self._step(self.done)
        self.runtime.report(self.phase.title, self.done, self.total)

    def _step(self, step: int) -> None:
        trainee = self.trainee
        rate = trainee.schedule.rate(step)
        for group in trainee.optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        loss = trainee.backward(step)
        norm = float(nn.utils.clip_grad_norm_(trainee.parameters.values(), trainee.schedule.clip))
        if not (math.isfinite(loss.value) and math.isfinite(norm)):
            raise self._diverged(loss, rate, norm)
        trainee.optimizer.step()
        trainee.optimizer.zero_grad(set_to_none=True)
        self.done = step + 1
        self.log.step(step, trainee.scalars(loss, rate, norm))

    def _take_steps(self) -> None:
        saved = time.monotonic()
        self.runtime.report(self.phase.title, self.done, self.total)
        if self.done and not self._is_evaluated():  # the evaluation after the last step was interrupted
            self._evaluate()
        while self.done < self.total and not self.trainee.is_exhausted():
            self.step()
            self._evaluate()
            stopping = self.runtime.stop()
            if self.done == self.total:
                break
            if stopping or self._is_due(saved):
                self._save()
                saved = time.monotonic()
            if stopping:
                raise self._interrupted()

    def _evaluate(self) -> None:
        """Score the dev sets if that is due; if it is interrupted, write a checkpoint from which it is done again."""
        try:
            scores = self.trainee.evaluate(self.done)
        except Interrupted:
            self._save()
            raise self._interrupted() from None
        if scores is not None:
            self.log.dev(self.done - 1, scores)

    def _is_evaluated(self) -> bool:
        """Return whether the log has dev scores of the last step."""
        return any("dev" in line and line["step"] == self.done - 1 for line in self.log.lines[-1:])

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"{self.phase.title}: stopped at step {self.done} of {self.total}, checkpoint written")

    def _is_due(self, saved: float) -> bool:
        """Return True if a checkpoint is due; the last one was written at the time ``saved``."""
        every = self.runtime.checkpoint_every
        if every:
            return self.done % every == 0
        return time.monotonic() - saved > self._seconds

    def _save(self) -> None:
        trainee = self.trainee
        tensors, state = trainee.state()
        weights = state_of(trainee.parameters, trainee.optimizer)
        self.checkpoints.save(self.done, weights | tensors, self._state() | state)

    def _state(self) -> dict[str, Any]:
        meter = self.trainee.meter
        measured = {"seconds": meter.seconds, "cpu_seconds": meter.cpu_seconds, "peak": meter.peak}
        return {"step": self.done, "log": self.log.lines, **measured}

    def _resume(self) -> bool:
        """Continue from the newest checkpoint; return False if there is none."""
        checkpoint = self.checkpoints.load()
        for warning in self.checkpoints.warnings:
            self._remark(warning)
        if checkpoint is None:
            return False
        tensors, state = checkpoint
        trainee = self.trainee
        expected = self._state() | trainee.state()[1]
        if state.keys() != expected.keys() or not fits(tensors, trainee.parameters):
            self._remark(f"{self.phase.title}: the checkpoint was written by another version; starting over")
            self.checkpoints.clear()
            return False
        self.done, self.log.lines = state["step"], state["log"]
        trainee.meter.carry(state["seconds"], state["cpu_seconds"], state["peak"])
        restore(tensors, trainee.parameters, trainee.optimizer)
        trainee.restore(tensors, state)
        self.runtime.report(f"{self.phase.title}: continued from step {self.done}", self.done, self.total)
        return True

    def _described(self, staging: Path) -> LoggedPhase:
        """Return the phase as loggers see it."""
        return LoggedPhase(
            key=self.phase.key,
            kind=self.phase.kind,
            title=self.phase.title,
            settings=self.phase.spec,
            steps=self.total,
            first_step=self.done,
            earlier=tuple(self.log.lines),
            folder=staging,
        )

    def _diverged(self, loss: StepLoss, rate: float, norm: float) -> DivergedError:
        name = f"{loss.objective} loss".lstrip()
        message = f"{self.phase.title}: {name} {loss.value}, gradient norm {norm} at step {self.done}"
        message += f", learning rate {rate:g}"
        if loss.batch:
            message += f", {loss.batch}"
        return DivergedError(f"{message}; {self.trainee.advice}")

    def _remark(self, line: str) -> None:
        self.runtime.report(line, 0, 0)
