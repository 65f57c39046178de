"""Swapping intermediate adapters under trained target adapters: only evaluate phases, nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adaptstilts import methods
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.formats.locate import is_place
from adaptstilts.io.folders import MANIFEST
from adaptstilts.models.locate import check_same
from adaptstilts.plan.expand import Cell, Plan, expand
from adaptstilts.plan.imported import import_phase
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.study import Study
from adaptstilts.workspace import Workspace


def swap(
    study: Study,
    workspace: Workspace,
    target: str | None = None,
    method: str | None = None,
    trained_on: str | None = None,
    over: Sequence[str] = (),
) -> Plan:
    """Return the plan of evaluating trained targets over other intermediate adapters.

    Args:
        study: whose targets; its training phases must be in the store.
        workspace: store and data.
        target: only this target task.
        method: only this method, by kind or label.
        trained_on: only targets trained on this intermediate task (or ``none``).
        over: intermediate tasks of the study, ``none``, folders of entries from any store, or adapters that somebody
            else trained (a folder in a library's format, or a hub id); all of the study's when empty.

    Raises:
        ConfigError: nothing fits, or a training phase is not in the store.
        ArtifactError: an entry or an adapter given is damaged or belongs to another base model.
    """
    own = "all" if len(study.intermediates) > 1 else "off"  # one alone can still be swapped for what is given
    full = expand(study.model_copy(update={"swap": own}), workspace)
    folders = [Path(name) for name in over if (Path(name) / MANIFEST).is_file()]
    known = {part.label for part in study.intermediates}
    names = [name for name in over if name in known]
    rest = [name for name in over if name not in known and Path(name) not in folders]
    unknown = [name for name in rest if not is_place(name)]
    if unknown:
        raise ConfigError(
            f"--over {unknown[0]!r}: neither an intermediate task of this study ({', '.join(sorted(known))})"
            f" nor the folder of an entry, nor a folder or hub id of an adapter"
        )
    imports = [import_phase(place, None, full.model, workspace) for place in rest]
    plan = Plan(study, full.model)
    kinds = {arm.method.label: arm.method.kind for arm in study.methods if not arm.method.below.trains_encoder}
    for cell in full.cells:
        if (
            cell.training
            and cell.method in kinds
            and target in (None, cell.task)
            and method in (None, cell.method, kinds[cell.method])
            and trained_on in (None, cell.trained_on)
        ):
            if not over or cell.over in names or not cell.swapped:
                _add(plan, full, cell)
            if not cell.swapped:
                for folder in folders:
                    entry = workspace.store.adopt(folder)
                    _add_other(plan, full, cell, entry.key, entry.spec)
                for phase in imports:
                    if _add_other(plan, full, cell, phase.key, phase.spec):
                        plan.add(phase)
    if not plan.cells:
        raise ConfigError("no target of this study fits; see --target, --method and --trained-on")
    for phase in imports:
        if phase.key not in plan.phases:
            raise ConfigError(f"--over {phase.place}: {phase.method.label} fits no target; none is of that kind")
    _check_trained(plan, full, workspace)
    return plan


def _add(plan: Plan, full: Plan, cell: Cell) -> None:
    plan.add(full.phases[cell.phase])
    plan.cells.append(cell)


def _add_other(plan: Plan, full: Plan, cell: Cell, key: str, spec: Mapping[str, Any]) -> bool:
    """Add the evaluation of a target over an adapter from elsewhere; False where they are of different kinds."""
    what = f"adapter {key[:12]}"
    method = methods.parse(spec["method"]) if spec.get("kind") in ("train", "import") else None
    if method is None or not method.attaches or method.why_not_stackable():
        raise ArtifactError(f"{what}: not the entry of an adapter that can be stacked")
    check_same(full.model.fingerprint.identity(), spec["model"], what)
    phase = full.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase) and phase.method is not None  # noqa: S101, PT018
    if method.kind != phase.method.below.kind:
        return False
    name = f"{spec['task']}@{key[:8]}"
    title = f"evaluate {cell.task} ({cell.method}) over {name}, swapped from {cell.trained_on}, seed {cell.seed}"
    other = replace(phase, stack=(key,), title=title)
    plan.add(other)
    plan.cells.append(replace(cell, over=name, phase=other.key))
    return True


def _check_trained(plan: Plan, full: Plan, workspace: Workspace) -> None:
    needed = {key for phase in plan.phases.values() for key in phase.parents}
    made = {key for key, phase in plan.phases.items() if phase.kind == "import"}
    absent = [full.phases[key].title for key in sorted(needed - made) if not workspace.store.has(key)]
    if absent:
        raise ConfigError(
            f"{absent[0]}: not in the store ({len(absent)} phases are missing); swapping trains nothing, so run the"
            f" study first: adaptstilts run"
        )
