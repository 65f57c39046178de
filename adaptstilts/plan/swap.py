"""Swap intermediate adapters under trained target adapters: only evaluate phases, nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.formats.locate import is_place
from adaptstilts.io.folders import MANIFEST
from adaptstilts.io.wording import counted
from adaptstilts.models.locate import check_same
from adaptstilts.plan.expand import Cell, Plan, expand
from adaptstilts.plan.imported import import_phase
from adaptstilts.plan.phases import EvaluatePhase, ImportPhase, MergePhase, WeightsPhase, phase_of
from adaptstilts.store.store import Store
from adaptstilts.study import Study
from adaptstilts.workspace import Workspace


@dataclass(frozen=True)
class _Targets:
    """Which targets are swapped; None for any.

    Attributes:
        task: the target task.
        method: kind or label of the method.
        trained_on: what the target was trained on.
    """

    task: str | None
    method: str | None
    trained_on: str | None

    def include(self, cell: Cell, kind: str) -> bool:
        """Return whether these are the targets of a cell, whose method has a kind."""
        return (
            bool(cell.training)
            and self.task in (None, cell.task)
            and self.method in (None, cell.method, kind)
            and self.trained_on in (None, cell.trained_on)
        )


def swap(
    study: Study,
    workspace: Workspace,
    target: str | None = None,
    method: str | None = None,
    trained_on: str | None = None,
    over: Sequence[str] = (),
) -> Plan:
    """Plan the evaluation of trained targets over other intermediate adapters.

    Args:
        study: study with the targets; its training phases must be in the store.
        workspace: store and data.
        target: only this target task.
        method: only this method, by kind or label.
        trained_on: only targets trained on this intermediate task (or ``none``).
        over: intermediate tasks of the study, ``none``, folders of entries from any store, or adapters that somebody
            else trained (a folder in a library's format, or a hub id); all of the study's if empty.

    Raises:
        ConfigError: no target fits, or a training phase is not in the store.
        ArtifactError: an entry or adapter is damaged, or belongs to another base model.
    """
    has_several = len(study.intermediates) > 1  # a single one can still be swapped for an adapter from elsewhere
    full = expand(study.model_copy(update={"swap": "all" if has_several else "off"}), workspace)
    swapping = _Swapping(full, workspace, over)
    kinds = {arm.method.label: arm.method.kind for arm in study.methods if not arm.method.below.trains_encoder}
    targets = _Targets(target, method, trained_on)
    for cell in full.cells:
        if cell.method in kinds and targets.include(cell, kinds[cell.method]):
            swapping.add(cell)
    swapping.check()
    return swapping.plan


class _Swapping:
    """Builds the plan of swaps from the plan of the whole study.

    Args:
        full: every swap among the study's own intermediates, and what was trained.
        workspace: store and data.
        over: what is swapped in; see :func:`swap`.
    """

    def __init__(self, full: Plan, workspace: Workspace, over: Sequence[str]) -> None:
        self.full, self.store = full, workspace.store
        self.plan = Plan(full.study, full.model)
        self.takes_all = not over
        self.names, folders, addresses = _sorted_out(full.study, over)
        self.entries = [_entry_phase(folder, self.store, full) for folder in folders]
        self.imports = [import_phase(address, None, full.model, workspace) for address in addresses]

    def add(self, cell: Cell) -> None:
        """Add the evaluations of one target: over its own intermediate, and over what is swapped in."""
        if self.takes_all or cell.over in self.names or not cell.swapped:
            self.plan.add(self.full.phases[cell.phase])
            self.plan.cells.append(cell)
        if cell.swapped:
            return
        for phase in self.entries:
            self._add_over(cell, phase)
        for imported in self.imports:
            if self._add_over(cell, imported):
                self.plan.add(imported)

    def check(self) -> None:
        """Raise if there is nothing to evaluate, or if something that is needed is missing."""
        if not self.plan.cells:
            raise ConfigError("no target of this study fits; see --target, --method and --trained-on")
        for phase in self.imports:
            if phase.key not in self.plan.phases:
                raise ConfigError(
                    f"--over {phase.place}: {phase.method.label} fits no target, because none is of that kind"
                )
        self._check_trained()

    def _add_over(self, cell: Cell, adapter: WeightsPhase) -> bool:
        """Add the evaluation of a target over an adapter from elsewhere; return False if their kinds differ."""
        phase = self.full.phases[cell.phase]
        assert isinstance(phase, EvaluatePhase)  # noqa: S101
        assert phase.method is not None  # noqa: S101
        if adapter.method.kind != phase.method.below.kind:
            return False
        name = f"{adapter.task}@{adapter.key[:8]}"
        title = f"evaluate {cell.task} ({cell.method}) over {name}, swapped from {cell.trained_on}, seed {cell.seed}"
        key = self.plan.add(replace(phase, stack=(adapter.key,), title=title))
        self.plan.cells.append(replace(cell, over=name, phase=key))
        return True

    def _check_trained(self) -> None:
        needed = set(chain.from_iterable(phase.parents for phase in self.plan.phases.values()))
        imported = {phase.key for phase in self.imports}
        absent = [self.full.phases[key].title for key in sorted(needed - imported) if not self.store.has(key)]
        if absent:
            missing = counted(len(absent), "training phase")
            raise ConfigError(
                f"{absent[0]}: not in the store ({missing} missing); swapping trains nothing, so run the study first:"
                f" adaptstilts run"
            )


def _sorted_out(study: Study, over: Sequence[str]) -> tuple[set[str], list[Path], list[str]]:
    """Sort names into intermediates of the study, folders of entries, and addresses of somebody else's adapters."""
    known = {part.label for part in study.intermediates}
    folders = [Path(name) for name in over if (Path(name) / MANIFEST).is_file()]
    addresses = [name for name in over if name not in known and Path(name) not in folders]
    for name in addresses:
        if not is_place(name):
            raise ConfigError(
                f"--over {name!r}: expected an intermediate task of this study ({', '.join(sorted(known))}), the"
                f" folder of an entry, or the folder or hub id of an adapter"
            )
    return {name for name in over if name in known}, folders, addresses


def _entry_phase(folder: Path, store: Store, full: Plan) -> WeightsPhase | ImportPhase:
    """Return the phase of an entry of any store, which is copied into this one."""
    entry = store.adopt(folder)
    what = f"adapter {entry.key[:12]}"
    phase = phase_of(entry, WeightsPhase)
    if isinstance(phase, MergePhase) or not phase.method.attaches or phase.method.why_not_stackable():
        raise ArtifactError(f"{what}: not the entry of an adapter that can be stacked")
    check_same(full.model.fingerprint.identity(), phase.model.identity(), what)
    return phase
