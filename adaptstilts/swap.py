"""Swapping intermediate adapters under trained target adapters: only evaluate phases, nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from adaptstilts import methods
from adaptstilts.config import Study
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.models.source import check_same
from adaptstilts.plan import Cell, Plan, expand
from adaptstilts.spec import EvaluatePhase
from adaptstilts.store import MANIFEST, Entry
from adaptstilts.workspace import Workspace


def swaps(
    study: Study,
    workspace: Workspace,
    target: str | None = None,
    method: str | None = None,
    trained_on: str | None = None,
    over: Sequence[str] = (),
) -> Plan:
    """The plan of evaluating trained targets over other intermediate adapters.

    Args:
        study: whose targets; its training phases must be in the store.
        workspace: store and data.
        target: only this target task.
        method: only this method, by kind or label.
        trained_on: only targets trained on this intermediate task (or ``none``).
        over: intermediate tasks of the study, ``none``, or folders of entries from any store; all of the study's
            when empty.

    Raises:
        ConfigError: nothing fits, or a training phase is not in the store.
        ArtifactError: an entry given as a folder is damaged or belongs to another base model.
    """
    full = expand(study.model_copy(update={"swap": "all"}), workspace)
    folders = [Path(name) for name in over if (Path(name) / MANIFEST).is_file()]
    names = [name for name in over if Path(name) not in folders]
    known = {part.label for part in study.intermediates}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"--over {unknown[0]!r}: neither an intermediate task of this study ({', '.join(sorted(known))})"
            f" nor the folder of an entry"
        )
    plan = Plan(study, full.model)
    kinds = {arm.method.label: arm.method.kind for arm in study.methods if arm.method.below.stackable}
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
                    _add_entry(plan, full, cell, workspace.store.adopt(folder))
    if not plan.cells:
        raise ConfigError("no target of this study fits; see --target, --method and --trained-on")
    _check_trained(plan, full, workspace)
    return plan


def _add(plan: Plan, full: Plan, cell: Cell) -> None:
    plan.add(full.phases[cell.phase])
    plan.cells.append(cell)


def _add_entry(plan: Plan, full: Plan, cell: Cell, entry: Entry) -> None:
    what = f"adapter {entry.key[:12]}"
    method = methods.parse(entry.spec["method"]) if entry.spec.get("kind") == "train" else None
    if method is None or not method.stackable or method.refusal:
        raise ArtifactError(f"{what}: not the entry of an adapter that can be stacked")
    check_same(full.model.fingerprint.identity(), entry.spec["model"], what)
    phase = full.phases[cell.phase]
    assert isinstance(phase, EvaluatePhase) and phase.method is not None  # noqa: S101, PT018
    if method.kind != phase.method.below.kind:
        return
    name = f"{entry.spec['task']}@{entry.key[:8]}"
    title = f"evaluate {cell.task} ({cell.method}) over {name}, swapped from {cell.trained_on}, seed {cell.seed}"
    other = replace(phase, stack=(entry.key,), title=title)
    plan.add(other)
    plan.cells.append(replace(cell, over=name, phase=other.key))


def _check_trained(plan: Plan, full: Plan, workspace: Workspace) -> None:
    needed = {key for phase in plan.phases.values() for key in phase.parents}
    absent = [full.phases[key].title for key in sorted(needed) if not workspace.store.has(key)]
    if absent:
        raise ConfigError(
            f"{absent[0]}: not in the store ({len(absent)} phases are missing); swapping trains nothing, so run the"
            f" study first: adaptstilts run"
        )
