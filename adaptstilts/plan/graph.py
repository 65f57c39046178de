"""A plan: a graph of phases, each with a content key, and the cells that results are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from adaptstilts.data.shots import Shots
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import Phase
from adaptstilts.store.store import Store
from adaptstilts.study import Study


@dataclass(frozen=True)
class Cell:
    """One cell of the results, and the phase that fills it.

    Attributes:
        task: target task.
        method: label of the method.
        trained_on: intermediates that the target was trained on, or ``none``; with the composition unless that
            is ``stack``.
        over: intermediate that it is evaluated over; differs from ``trained_on`` after a swap.
        seed: seed of the phases.
        phase: key of the evaluate or retrieve phase.
        training: keys of the target's own training phases.
        missing: languages of the task for which there are no rows.
        composition: how the target uses the intermediate.
        shots: rows of a test language that the target was trained on; None for English rows alone.
        after: ``english`` if it was trained on English rows before these, else ``none``; empty without ``shots``.
    """

    task: str
    method: str
    trained_on: str
    over: str
    seed: int
    phase: str
    training: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    composition: str = "stack"
    shots: Shots | None = None
    after: str = ""

    @property
    def swapped(self) -> bool:
        """Whether this is a swap: evaluated over another intermediate than it was trained on."""
        return self.over != self.trained_on


Stage = Literal["base", "intermediate", "target"]
Scorer = Literal["head", "probe"]


@dataclass(frozen=True)
class StageCell:
    """The score of an intermediate task at one stage of its chain, and the phase that fills it.

    Attributes:
        task: the task that is scored.
        method: label of the method.
        intermediate: name of the intermediate, with the composition unless that is ``stack``.
        target: the target of the chain.
        stage: what the encoder was trained on last: nothing (``base``), the intermediate or the target.
        scorer: the ``head`` that the intermediate phase trained, or a ``probe``: a new head on the frozen encoder.
        seed: seed of the phases.
        phase: key of the evaluate phase.
    """

    task: str
    method: str
    intermediate: str
    target: str
    stage: Stage
    scorer: Scorer
    seed: int
    phase: str


class Plan:
    """A graph of phases by key, with the cells that a study's results are made of.

    Attributes:
        cells: cells of targets trained on English rows.
        row_cells: cells of targets trained on a few rows of a test language, which are evaluated in that language.
        stage_cells: stage cells of intermediate tasks, which are scored again after a target.
    """

    def __init__(self, study: Study, model: Model) -> None:
        self.study, self.model = study, model
        self.phases: dict[str, Phase] = {}
        self.cells: list[Cell] = []
        self.row_cells: list[Cell] = []
        self.stage_cells: list[StageCell] = []

    def add(self, phase: Phase) -> str:
        """Add a phase, unless the plan has an equal one, and return its key."""
        self.phases.setdefault(phase.key, phase)
        return phase.key

    def order(self) -> list[Phase]:
        """Return every phase: parents first, then by :attr:`Phase.turn`, then in the order of the study."""
        ordered: dict[str, Phase] = {}

        def visit(key: str) -> None:
            if key in ordered or key not in self.phases:
                return
            for parent in self.phases[key].parents:
                visit(parent)
            ordered[key] = self.phases[key]

        for phase in sorted(self.phases.values(), key=lambda phase: phase.turn):
            visit(phase.key)
        return list(ordered.values())

    def missing(self, store: Store) -> list[Phase]:
        """Return the phases without an entry, in order."""
        return [phase for phase in self.order() if not store.has(phase.key)]

    def uses(self) -> dict[str, int]:
        """Return how many results depend on each phase, by key."""
        counts: Counter[str] = Counter()
        for key in self._results():
            counts.update(self.ancestry(key))
        return dict(counts)

    def _results(self) -> Iterator[str]:
        """Yield the key of the phase of every cell; cells of several chains that share a phase are one result."""
        for cell in (*self.cells, *self.row_cells):
            yield cell.phase
        yield from dict.fromkeys(cell.phase for cell in self.stage_cells)

    def ancestry(self, key: str) -> set[str]:
        """Return the key of a phase and those of everything that it depends on."""
        reached, waiting = {key}, [key]
        while waiting:
            phase = self.phases.get(waiting.pop())
            parents = set(phase.parents) - reached if phase else set()
            reached |= parents
            waiting += parents
        return reached
