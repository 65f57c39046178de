"""Measure phases, and which of them a plan has: every round one for each target, so that targets take turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from adaptstilts import tasks
from adaptstilts.methods.base import MergesIntoEncoder
from adaptstilts.plan.evaluation import RowFinder
from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.plan.machine import machine
from adaptstilts.plan.passes import Pass, evaluation_pass
from adaptstilts.plan.phases import EvaluatePhase, TaskPhase
from adaptstilts.plan.specs import SpecField
from adaptstilts.study import Measure, StudyError
from adaptstilts.tasks import kind_specs


@dataclass(frozen=True, kw_only=True)
class MeasurePhase(TaskPhase):
    """Measure what running a trained target takes, in a process of its own.

    Its entry has times, so a second run gives other numbers; the key says on which machine they were taken.

    Attributes:
        target: key of the target's training phase.
        language: code of the rows.
        settings: how many rows, how long.
        below: language -> key of the language adapter under everything else.
        merged: whether adapters are merged into the weights of the encoder first.
        round: number of the repetition, from 1.
        machine: device, processor, threads and versions.
        max_length: tokens per sequence; None takes what the target was trained with.
    """

    kind: ClassVar[str] = "measure"
    performer: ClassVar[str] = "adaptstilts.phases.measure:measure"
    turn: ClassVar[int] = 60
    is_portable: ClassVar[bool] = False
    target: str
    language: str
    settings: Annotated[Measure, SpecField("measure")]
    below: Mapping[str, str] = field(default_factory=dict)
    merged: bool = False
    round: int = 1
    machine: Mapping[str, str] = field(default_factory=dict)
    max_length: int | None = None

    def passes(self) -> list[Pass]:
        """Return one pass over the rows."""
        return [evaluation_pass(self.task, "test", (self.language,), self.settings.rows, self.max_length)]


def add_measures(plan: Plan, rows: RowFinder) -> None:
    """Add the measure phases of a study; nothing if it does not ask for them.

    The targets of the first seed are measured, as others have the same shapes. Those whose languages are scored
    together, and swaps, are not.

    Args:
        plan: that grows.
        rows: finds the rows of targets.

    Raises:
        StudyError: a target is not tested in the language.
    """
    settings = plan.study.measure
    if settings is None:
        return
    facts = machine(settings.device, settings.threads)
    cells = [cell for cell in plan.cells if cell.training and not cell.swapped and cell.seed == plan.study.seeds[0]]
    cells = [cell for cell in cells if not kind_specs.get(tasks.get(cell.task).kind).shares_pool]
    for number in range(1, settings.rounds + 1):
        for cell in cells:
            for phase in _measures(plan, cell, rows, settings, facts, number):
                plan.add(phase)


def measures_of(plan: Plan, cell: Cell) -> list[MeasurePhase]:
    """Return the phases of a plan that measure the target of a cell as it is evaluated.

    Args:
        plan: with the phases.
        cell: of a target.
    """
    evaluated = plan.phases[cell.phase]
    if not isinstance(evaluated, EvaluatePhase):
        return []
    phases = [phase for phase in plan.phases.values() if isinstance(phase, MeasurePhase)]
    return [phase for phase in phases if (phase.target, phase.stack) == (evaluated.target, evaluated.stack)]


def _measures(
    plan: Plan, cell: Cell, rows: RowFinder, settings: Measure, facts: dict[str, str], number: int
) -> Iterator[MeasurePhase]:
    evaluated = plan.phases[cell.phase]
    assert isinstance(evaluated, EvaluatePhase)  # noqa: S101
    code = settings.language or evaluated.languages[0]
    if code not in evaluated.languages:
        place = settings.place.at("language")
        codes = ", ".join(evaluated.languages)
        raise StudyError(place, f"{cell.task} is not tested in {code}; expected one of {codes}")
    method = evaluated.method
    assert method is not None  # noqa: S101
    for merged in (False, True) if isinstance(method, MergesIntoEncoder) and not evaluated.below else (False,):
        how = ", merged" if merged else ""
        yield MeasurePhase(
            task=cell.task,
            data={code: evaluated.data[code]},
            model=evaluated.model,
            method=method,
            stack=evaluated.stack,
            target=evaluated.target,
            language=code,
            settings=settings,
            below={code: evaluated.below[code]} if evaluated.below else {},
            merged=merged,
            round=number,
            machine=facts,
            max_length=evaluated.settings.max_length,
            title=f"measure {cell.task} ({cell.method}{how}) over {cell.over}, round {number}",
        )
