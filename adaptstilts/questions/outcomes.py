"""Outcomes of a real study, read from its store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstilts import tasks
from adaptstilts.models.locate import Model
from adaptstilts.plan.cost import PhaseCost, estimate
from adaptstilts.plan.graph import Cell, Plan, StageCell
from adaptstilts.plan.measures import measures_of
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.questions.base import Arm, Moment, Outcome
from adaptstilts.questions.bills import OPERATIONS, ROUND
from adaptstilts.reports.comparisons import Scored, read
from adaptstilts.reports.costs import mean_costs
from adaptstilts.reports.page.parts.chance import chance_level
from adaptstilts.reports.records import model_name
from adaptstilts.store.entries import COST, MEASURED
from adaptstilts.store.store import Store
from adaptstilts.tasks import kind_specs
from adaptstilts.workspace import Workspace


def collect(plans: Sequence[Plan], workspace: Workspace) -> list[Outcome]:
    """Return the outcome of every computed result of a study, swaps aside.

    Args:
        plans: plans of the study, one for each model.
        workspace: the store with their entries, and the data, from whose rows operations are estimated.
    """
    outcomes: list[Outcome] = []
    for plan in plans:
        estimated, uses = estimate(plan, workspace), plan.uses()
        for cell in (*plan.cells, *plan.row_cells):
            if not cell.swapped and workspace.store.has(cell.phase):
                outcomes += _of_cell(cell, plan, workspace.store, estimated, uses)
        for stage in plan.stage_cells:
            if workspace.store.has(stage.phase):
                outcomes += _of_stage(stage, plan, workspace.store)
    return outcomes


def encoder_size(model: Model) -> int:
    """Return the parameters of an encoder's layers, which is all but its embeddings."""
    architecture, shape = model.architecture, model.shape
    return architecture.parameters(shape) - architecture.parameters({**shape, "layers": 0})


def group_of(task: str) -> str:
    """Return what kind of task one is; a kind without a group is one of its own."""
    spec = kind_specs.get(tasks.get(task).kind)
    return spec.group or spec.name


def _of_cell(
    cell: Cell, plan: Plan, store: Store, estimated: Mapping[str, PhaseCost], uses: Mapping[str, int]
) -> Iterator[Outcome]:
    scored = read(store.peek(cell.phase), tasks.get(cell.task))
    shots = cell.shots
    arm = Arm(cell.method, cell.trained_on, shots.k if shots else None, cell.after)
    costs = _costs(cell, plan, store, estimated)
    if costs:
        costs |= _shared_costs(cell, plan, store, uses) | _running_costs(cell, plan, store)
    every = _Common(plan, cell.task, arm, cell.seed, shots.draw if shots else 0)
    for outcome in every.outcomes(scored):
        yield replace(outcome, costs=costs)


def _of_stage(cell: StageCell, plan: Plan, store: Store) -> Iterator[Outcome]:
    scored = read(store.peek(cell.phase), tasks.get(cell.task))
    phase = plan.phases[cell.phase]
    is_detachable = cell.stage == "target" and isinstance(phase, EvaluatePhase) and len(phase.stack) > 0
    moment = Moment(cell.stage, cell.scorer, cell.target, is_detachable)
    for outcome in _Common(plan, cell.task, Arm(cell.method, cell.intermediate), cell.seed, 0).outcomes(scored):
        yield replace(outcome, moment=moment)


@dataclass(frozen=True)
class _Common:
    """What the outcomes of a phase in every language have in common."""

    plan: Plan
    task: str
    arm: Arm
    seed: int
    draw: int

    def outcomes(self, scored: Scored) -> Iterator[Outcome]:
        """Yield the outcome in every language that has test items."""
        for language, values in scored.values.items():
            if len(values):
                yield Outcome(
                    model=model_name(self.plan.study),
                    size=encoder_size(self.plan.model),
                    parameters=self.plan.model.shape["parameters"],
                    task=self.task,
                    language=language,
                    arm=self.arm,
                    seed=self.seed,
                    draw=self.draw,
                    values=np.asarray(values, float),
                    items=scored.items[language],
                    chance=chance_level(self.task) or 0.0,
                    group=group_of(self.task),
                )


def _costs(cell: Cell, plan: Plan, store: Store, estimated: Mapping[str, PhaseCost]) -> dict[str, float]:
    """Return the numbers that are known of what a target cost; empty if nothing was trained for it.

    Beside those of a record they are the estimated operations of its own training (``flops``) and of all other training
    that it rests on (``intermediate_flops``).
    """
    if not cell.training:
        return {}
    known = mean_costs([cell], store)
    costs = {name: float(value) for name, value in known.items() if value is not None}
    trained = _trained(cell, plan)
    costs["flops"] = sum(estimated[key].flops for key in trained if key in cell.training)
    costs["intermediate_flops"] = sum(estimated[key].flops for key in trained if key not in cell.training)
    return costs


def _shared_costs(cell: Cell, plan: Plan, store: Store, uses: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of a target's last training, and its share of what it rests on; empty if not measured.

    Every result that rests on a phase takes an equal share of it.
    """
    keys = [cell.training[-1], *(key for key in _trained(cell, plan) if key not in cell.training)]
    costs = {key: COST.read(store.peek(key)) for key in keys}
    if not all("cpu_seconds" in cost for cost in costs.values()):
        return {}
    last, *others = keys
    shares = [costs[key]["cpu_seconds"] / uses[key] for key in others]
    return {"last_cpu_seconds": costs[last]["cpu_seconds"], "amortised_cpu_seconds": sum(shares)}


def _running_costs(cell: Cell, plan: Plan, store: Store) -> dict[str, float]:
    """Return what running a target takes, with adapters as they were trained; empty if not measured."""
    costs = {}
    for phase in measures_of(plan, cell):
        if not phase.merged and store.has(phase.key):
            measured = MEASURED.read(store.peek(phase.key))
            costs[f"{ROUND}{phase.round}"] = measured["single"]["cpu"]
            costs[OPERATIONS] = measured["flops_per_row"]
    return costs


def _trained(cell: Cell, plan: Plan) -> list[str]:
    """Return the keys of all phases that trained something for a cell."""
    return [key for key in plan.ancestry(cell.phase) if key in plan.phases and plan.phases[key].trains]
