"""A plan: a graph of phases, each with a content key, and the cells that results are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

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
        trained_on: intermediates that the target was trained on, ``none`` for none; with the composition unless that
            is ``stack``.
        over: intermediate that it is evaluated over; after a swap another one than ``trained_on``.
        seed: of the phases.
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


class Plan:
    """A graph of phases by key, with the cells that a study's results are made of.

    Attributes:
        cells: of targets trained on English rows.
        row_cells: of targets trained on a few rows of a test language, which are evaluated in that language.
    """

    def __init__(self, study: Study, model: Model) -> None:
        self.study, self.model = study, model
        self.phases: dict[str, Phase] = {}
        self.cells: list[Cell] = []
        self.row_cells: list[Cell] = []

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
        for cell in (*self.cells, *self.row_cells):
            counts.update(self.ancestry(cell.phase))
        return dict(counts)

    def ancestry(self, key: str) -> set[str]:
        """Return the key of a phase and those of everything that it depends on."""
        reached, waiting = {key}, [key]
        while waiting:
            phase = self.phases.get(waiting.pop())
            parents = set(phase.parents) - reached if phase else set()
            reached |= parents
            waiting += parents
        return reached
