"""A plan: a graph of phases, each with a content key, and the cells that results are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from adaptstilts import tasks
from adaptstilts.data import sources
from adaptstilts.data.sources import Split
from adaptstilts.models.locate import Model
from adaptstilts.plan.phases import Phase, StreamSpec, TrainPhase
from adaptstilts.store.store import Store
from adaptstilts.study import Study, Train, masked_text
from adaptstilts.tasks import Task
from adaptstilts.workspace import Workspace


@dataclass(frozen=True)
class Cell:
    """One cell of the results: which phase answers for which combination.

    Attributes:
        task: target task.
        method: label of the method.
        trained_on: intermediates that the target was trained on, ``none`` for none; with the composition where that
            is not ``stack``.
        over: intermediate task it is evaluated over; another one than ``trained_on`` after a swap.
        seed: of the phases.
        phase: key of the evaluate or retrieve phase.
        training: keys of the target's own training phases.
        missing: languages of the task that the data does not have.
        composition: how the target uses the intermediate.
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

    @property
    def swapped(self) -> bool:
        """Whether this is a swap: evaluated over another intermediate than it was trained on."""
        return self.over != self.trained_on


@dataclass(frozen=True)
class Cost:
    """Rough cost of one training phase, known before anything is spent."""

    trainable: int
    bytes: int
    examples: int
    tokens: int
    flops: float


class Plan:
    """A graph of phases by key, with the cells that a study's results are made of."""

    def __init__(self, study: Study, model: Model) -> None:
        self.study, self.model = study, model
        self.phases: dict[str, Phase] = {}
        self.cells: list[Cell] = []

    def add(self, phase: Phase) -> str:
        """Add a phase, unless an equal one is there; returns its key."""
        self.phases.setdefault(phase.key, phase)
        return phase.key

    def order(self) -> list[Phase]:
        """Every phase, parents before children; otherwise in the order of the study."""
        done: dict[str, Phase] = {}

        def visit(key: str) -> None:
            if key in done or key not in self.phases:
                return
            for parent in self.phases[key].parents:
                visit(parent)
            done[key] = self.phases[key]

        for phase in sorted(self.phases.values(), key=lambda phase: phase.turn):
            visit(phase.key)
        return list(done.values())

    def missing(self, store: Store) -> list[Phase]:
        """Phases without an entry, in order."""
        return [phase for phase in self.order() if not store.has(phase.key)]

    def uses(self) -> dict[str, int]:
        """Key of a training phase -> results that stand on it."""
        found: Counter[str] = Counter()
        for cell in self.cells:
            below, todo = {cell.phase}, [cell.phase]
            while todo:
                phase = self.phases.get(todo.pop())
                new = set(phase.parents) - below if phase else set()
                below |= new
                todo += new
            found.update(below)
        return dict(found)

    def cost(self, workspace: Workspace) -> dict[str, Cost]:
        """Rough cost of every training phase."""
        return {
            phase.key: _cost(phase, self.model, workspace) for phase in self.order() if isinstance(phase, TrainPhase)
        }


def _cost(phase: TrainPhase, model: Model, workspace: Workspace) -> Cost:
    examples = tokens = 0
    for stream in phase.streams or (StreamSpec(phase.task, phase.rows, phase.settings),):
        own = masked_text.of(stream.text) if stream.text else tasks.get(stream.rows)
        assert own.train is not None  # noqa: S101
        seen, mean = _reading(own, workspace.sources.get(own.fill(own.train)), stream.settings, phase)
        examples += seen
        tokens += int(seen * mean)
    trainable = phase.trainable(model.shape)
    core = model.shape["parameters"] - model.shape["vocabulary"] * model.shape["hidden"]
    return Cost(trainable, 4 * trainable, examples, tokens, float(phase.method.flops_per_weight * core * tokens))


def _reading(task: Task, split: Split, settings: Train, phase: TrainPhase) -> tuple[int, float]:
    """How many rows of a split a phase reads, about, and how many tokens one has; of unseen data as much as fits."""
    rows, size = _size(split) if split.files else (task.train_rows, task.train_rows * 4 * settings.max_length)
    cap = phase.mixture.cap if phase.mixture else None
    seen = min(rows, settings.examples or rows, cap or rows) * phase.settings.epochs
    if phase.settings.max_steps:
        seen = min(seen, phase.settings.max_steps * settings.batch_size // max(len(phase.streams), 1))
    return seen, min(settings.max_length, size / max(rows, 1) / 4 + 4)


def _size(split: Split) -> tuple[int, int]:
    """Rows of a split and bytes of its text, about."""
    return sources.row_count(split), sources.byte_size(split)
