"""Import an adapter that somebody else trained into a store, and export one of a study as a folder with a card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from adaptstilts import run
from adaptstilts.errors import ConfigError
from adaptstilts.interop import export
from adaptstilts.interop.cards import LanguageScore
from adaptstilts.interop.push import push
from adaptstilts.models.locate import Model
from adaptstilts.plan.expand import Cell, Plan
from adaptstilts.plan.imported import import_phase
from adaptstilts.plan.phases import EvaluatePhase, Phase, TrainPhase, WeightsPhase
from adaptstilts.store import entries
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

__all__ = ["AdapterFilter", "export_adapter", "import_adapter", "push"]

_LISTED = 6  # adapters that a message lists


@dataclass(frozen=True)
class _SinglePhasePlan:
    """A plan of one phase."""

    model: Model
    phase: Phase

    def order(self) -> list[Phase]:
        """Return the phase."""
        return [self.phase]


@dataclass(frozen=True)
class AdapterFilter:
    """Selects the adapter of a study to export; a field that is None does not restrict.

    Attributes:
        task: a target task.
        intermediate: an intermediate instead of a target.
        method: kind or label of the method.
        trained_on: the intermediate that the target was trained on.
        seed: seed of the training phase.
    """

    task: str | None = None
    intermediate: str | None = None
    method: str | None = None
    trained_on: str | None = None
    seed: int | None = None

    def accepts_cell(self, cell: Cell) -> bool:
        """Return whether a cell of the results is of this target, intermediate and seed."""
        return (
            self.task in (None, cell.task)
            and self.trained_on in (None, cell.trained_on)
            and self.seed in (None, cell.seed)
        )

    def accepts_method(self, phase: WeightsPhase, label: str) -> bool:
        """Return whether a phase has this method.

        Args:
            phase: phase of the adapter.
            label: what tables call its method.
        """
        return self.method in (None, label, phase.method.kind)


def import_adapter(
    place: str, model: str, workspace: Workspace, task: str | None = None, listener: run.Listener | None = None
) -> Entry:
    """Check an adapter against a base model and copy it into the store.

    Args:
        place: a folder, or ``owner/name[:folder][@revision]`` on the hub.
        model: the base model, as in a study.
        workspace: the store to copy it into.
        task: what tables call the adapter; None for its own name.
        listener: is notified of progress.

    Raises:
        ArtifactError: it is not exactly an adapter of a known method on this model.
    """
    base = workspace.locate(model)
    phase = import_phase(place, task, base, workspace)
    run.run_plan(_SinglePhasePlan(base, phase), workspace, listener)
    return workspace.store.entry(phase.key)


def export_adapter(plan: Plan, workspace: Workspace, wanted: AdapterFilter, format_name: str, out: Path) -> list[Path]:
    """Write one adapter of a finished study to a new folder.

    Args:
        plan: plan of the study.
        workspace: the store that has the adapter.
        wanted: which adapter.
        format_name: ``adapterhub``, ``peft`` or ``own``.
        out: the folder.

    Returns:
        The files.

    Raises:
        ConfigError: no or several adapters fit, it is not trained yet, or the format does not support it.
    """
    cell: Cell | None = None
    phase: WeightsPhase
    if wanted.intermediate:
        phase = _find_intermediate(plan, wanted)
    else:
        phase, cell = _find_target(plan, wanted)
    if not workspace.store.has(phase.key):
        raise ConfigError(f"{phase.title}: not in the store; run the study first: adaptstilts run")
    entry = workspace.store.entry(phase.key)
    if cell is None:
        return export.write(entry, workspace.store, plan.model, format_name, out)
    scores = _scores(workspace.store, cell)
    return export.write(entry, workspace.store, plan.model, format_name, out, scores, cell.over)


def _find_target(plan: Plan, wanted: AdapterFilter) -> tuple[WeightsPhase, Cell]:
    """Return the one target phase that fits, and its first cell that is not swapped."""
    targets: dict[str, tuple[WeightsPhase, Cell]] = {}
    for cell in plan.cells:
        phase = _target_phase(plan, cell)
        if phase and wanted.accepts_cell(cell) and wanted.accepts_method(phase, cell.method):
            targets.setdefault(phase.key, (phase, cell))
    _check_one([f"{cell.task} {cell.method} on {cell.trained_on} seed {cell.seed}" for _, cell in targets.values()])
    return next(iter(targets.values()))


def _target_phase(plan: Plan, cell: Cell) -> WeightsPhase | None:
    """Return the phase that a cell evaluates over the intermediate that it was trained on; None for other cells."""
    evaluation = plan.phases[cell.phase]
    if cell.swapped or not isinstance(evaluation, EvaluatePhase):
        return None
    phase = plan.phases.get(evaluation.target)
    return phase if isinstance(phase, WeightsPhase) else None


def _find_intermediate(plan: Plan, wanted: AdapterFilter) -> WeightsPhase:
    """Return the one intermediate phase that fits."""
    phases = [phase for phase in _intermediate_phases(plan) if _fits_intermediate(phase, wanted)]
    _check_one([phase.title for phase in phases])
    return phases[0]


def _intermediate_phases(plan: Plan) -> Iterator[WeightsPhase]:
    """Yield the phases that others depend on and that were not trained over an adapter."""
    used = set(chain.from_iterable(phase.parents for phase in plan.phases.values()))
    for phase in plan.phases.values():
        if not isinstance(phase, WeightsPhase) or phase.key not in used:
            continue
        if not isinstance(phase, TrainPhase) or not phase.stack:
            yield phase


def _fits_intermediate(phase: WeightsPhase, wanted: AdapterFilter) -> bool:
    """Return whether an intermediate phase fits; an imported or merged one has no seed and fits every seed."""
    if isinstance(phase, TrainPhase) and wanted.seed not in (None, phase.seed):
        return False
    return phase.task == wanted.intermediate and wanted.accepts_method(phase, phase.method.label)


def _check_one(adapters: Sequence[str]) -> None:
    """Raise unless exactly one adapter fits."""
    if not adapters:
        raise ConfigError(
            "no adapter of this study fits; see --task, --intermediate, --method, --trained-on and --seed"
        )
    if len(adapters) > 1:
        raise ConfigError(f"{len(adapters)} adapters of this study fit; say which: {'; '.join(adapters[:_LISTED])}")


def _scores(store: Store, cell: Cell) -> list[LanguageScore]:
    """Return what a target scored over the intermediate it was trained on; empty if it was not evaluated."""
    if not store.has(cell.phase):
        return []
    scores = entries.SCORES.read(store.entry(cell.phase))
    return [LanguageScore(code, score["values"], score["n"]) for code, score in scores.items()]
