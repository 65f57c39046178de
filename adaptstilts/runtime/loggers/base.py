"""The interface of loggers: classes that receive the curves of training phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

Ending = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True)
class LoggedPhase:
    """A phase that trains, as loggers see it.

    Attributes:
        key: content key of the phase. An interrupted phase continues under the same key, so it serves as a run id.
        kind: ``train`` or ``pretrain``.
        title: what people call the phase.
        settings: everything that the key depends on, as JSON values.
        steps: planned number of optimizer steps.
        first_step: number of the next step: 0, or where an interrupted phase continues.
        earlier: lines of ``log.jsonl`` before that step, for loggers that keep nothing between two runs.
        folder: where the files of the phase's entry are collected; it is removed if the phase does not finish.
    """

    key: str
    kind: str
    title: str
    settings: Mapping[str, Any]
    steps: int
    first_step: int
    earlier: Sequence[Mapping[str, Any]]
    folder: Path


class Logger:
    """Receives what a training phase logs. This one ignores everything: override what you need.

    One logger serves all phases of a run, one phase after the other. A phase that was killed repeats the steps since
    its last checkpoint, so the same step may arrive again in a later run, with the same values.

    Attributes:
        name: what the command line calls it.
    """

    name: ClassVar[str] = ""

    def start(self, phase: LoggedPhase) -> None:
        """Begin the curve of a phase, or continue it if ``phase.first_step`` is above 0."""

    def step(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Log one optimizer step.

        Args:
            step: its number, counted from 0.
            scalars: loss, gradient norm and so on; a few values, such as the name of a mixture's task, are text.
        """

    def dev(self, step: int, scores: Mapping[str, float]) -> None:
        """Log the scores on the dev sets.

        Args:
            step: number of the last step before the evaluation.
            scores: value of every metric.
        """

    def end(self, ending: Ending) -> None:
        """Close the curve of the phase; not called if the process is killed."""
