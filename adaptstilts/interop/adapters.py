"""Adapters from and to other people: import one into a store, export one of a study as a folder with a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adaptstilts import run
from adaptstilts.errors import ConfigError
from adaptstilts.interop import export
from adaptstilts.interop.cards import Score
from adaptstilts.interop.push import push
from adaptstilts.io import hashing
from adaptstilts.models import locate as models
from adaptstilts.models.locate import Model
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.plan.imported import import_phase
from adaptstilts.plan.phases import EvaluatePhase, ImportPhase, Phase, TaskPhase
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

__all__ = ["Choice", "export_adapter", "import_adapter", "push"]


@dataclass(frozen=True)
class _Alone:
    """A plan of one phase."""

    model: Model
    phase: Phase

    def order(self) -> list[Phase]:
        return [self.phase]


@dataclass(frozen=True)
class Choice:
    """Which adapter of a study; what is None fits any.

    Attributes:
        task: a target task.
        intermediate: an intermediate instead of a target.
        method: by kind or label.
        trained_on: the intermediate that the target was trained on.
        seed: of its phases.
    """

    task: str | None = None
    intermediate: str | None = None
    method: str | None = None
    trained_on: str | None = None
    seed: int | None = None


def import_adapter(
    place: str, model: str, workspace: Workspace, task: str | None = None, listener: run.Listener | None = None
) -> Entry:
    """Check somebody else's adapter on a base model and keep it in the store.

    Args:
        place: a folder, or ``owner/name[:folder][@revision]`` on the hub.
        model: the base model, as in a study.
        workspace: where.
        task: what tables call it; None for the adapter's own name.
        listener: told what happens.

    Raises:
        ArtifactError: it is not exactly an adapter of a known method on this model.
    """
    base = models.locate(model, offline=workspace.offline, memory=workspace.memory or hashing.Digests(None))
    phase = import_phase(place, task, base, workspace)
    run.run_plan(_Alone(base, phase), workspace, listener)
    return workspace.store.entry(phase.key)


def export_adapter(plan: Plan, workspace: Workspace, choice: Choice, form: str, out: Path) -> list[Path]:
    """Write one adapter of a finished study as ``adapterhub``, ``peft`` or ``own`` has it; returns the files.

    Raises:
        ConfigError: none or several fit, it is not trained yet, or the format cannot hold it.
    """
    phase, cell = _intermediate(plan, choice) if choice.intermediate else _target(plan, choice)
    if not workspace.store.has(phase.key):
        raise ConfigError(f"{phase.title}: not in the store; run the study first: adaptstilts run")
    entry = workspace.store.entry(phase.key)
    scores = _scores(workspace.store, cell) if cell else []
    over = cell.over if cell else "none"
    return export.write(entry, workspace.store, plan.model, form, out, scores, over)


def _target(plan: Plan, choice: Choice) -> tuple[TaskPhase, Cell]:
    found: dict[str, tuple[TaskPhase, Cell]] = {}
    for cell in plan.cells:
        wanted = (choice.task, choice.trained_on, choice.seed)
        have = (cell.task, cell.trained_on, cell.seed)
        if cell.swapped or not all(a in (None, b) for a, b in zip(wanted, have, strict=True)):
            continue
        answer = plan.phases[cell.phase]
        phase = plan.phases.get(answer.target) if isinstance(answer, EvaluatePhase) else None
        if isinstance(phase, TaskPhase) and _fits(phase, cell.method, choice.method):
            found.setdefault(phase.key, (phase, cell))
    told = [f"{cell.task} {cell.method} on {cell.trained_on} seed {cell.seed}" for _, cell in found.values()]
    _check_one(told)
    return next(iter(found.values()))


def _intermediate(plan: Plan, choice: Choice) -> tuple[TaskPhase, None]:
    used = {key for phase in plan.phases.values() for key in phase.parents}
    found = [
        phase
        for phase in plan.phases.values()
        if isinstance(phase, TaskPhase)
        and phase.key in used
        and phase.task == choice.intermediate
        and (isinstance(phase, ImportPhase) or choice.seed in (None, getattr(phase, "seed", choice.seed)))
        and (phase.kind != "train" or not phase.stack)
        and _fits(phase, phase.method.label if phase.method else "", choice.method)
    ]
    _check_one([phase.title for phase in found])
    return found[0], None


def _fits(phase: TaskPhase, label: str, wanted: str | None) -> bool:
    kind = phase.method.kind if phase.method else ""
    return wanted in (None, label, kind)


def _check_one(told: Sequence[str]) -> None:
    if not told:
        raise ConfigError(
            "no adapter of this study fits; see --task, --intermediate, --method, --trained-on and --seed"
        )
    if len(told) > 1:
        raise ConfigError(f"{len(told)} adapters of this study fit; say which: {'; '.join(told[:6])}")


def _scores(store: Store, cell: Cell) -> list[Score]:
    """What a target scored over the intermediate it was trained on, where that was evaluated."""
    if not store.has(cell.phase):
        return []
    scores = entries.SCORES.read(store.entry(cell.phase))
    return [Score(code, found["values"], found["n"]) for code, found in scores.items()]
