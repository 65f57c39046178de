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
from adaptstilts.plan.phases import EvaluatePhase, TrainPhase
from adaptstilts.questions.base import Arm, Curriculum, How, Moment, Outcome
from adaptstilts.questions.bills import OPERATIONS, ROUND, STEPS
from adaptstilts.reports.comparisons import Scored, read
from adaptstilts.reports.costs import mean_costs
from adaptstilts.reports.page.parts.chance import chance_level
from adaptstilts.reports.records import model_name
from adaptstilts.store.entries import COST, MEASURED, TRAIN_RESULT
from adaptstilts.store.store import Store
from adaptstilts.study import Part, Study
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


def arm_of(cell: Cell, study: Study) -> Arm:
    """Return how the target of a cell was trained.

    Args:
        cell: of a plan.
        study: of the plan.
    """
    shots = cell.shots
    return Arm(cell.method, cell.trained_on, shots.k if shots else None, cell.after, _curriculum(cell, study))


def curriculum(part: Part, composition: str = "stack") -> Curriculum | None:
    """Return what an intermediate is made of; None for no task, masked text and adapters of somebody else.

    Args:
        part: the intermediate.
        composition: how targets use it.
    """
    if part.task == "none" or part.masked or part.adapter:
        return None
    how: How = "placebo" if part.placebo else "task"
    names: tuple[str, ...] = (part.task,)
    if part.chain:
        how, names = "stacked chain" if part.chain.composition == "stack" else "chain", part.chain.tasks
    elif part.mixture:
        how, names = "mixture", part.mixture.tasks
    elif part.merge:
        how, names = "merge", part.merge.of
    groups = tuple(group_of(name) if name in tasks.known() else "" for name in names)
    return Curriculum(how, names, groups, composition)


def _curriculum(cell: Cell, study: Study) -> Curriculum | None:
    """Return what the intermediate of a cell is made of; None if it is not one intermediate of the study."""
    label = cell.trained_on
    if cell.composition not in ("stack", "none"):
        label = label.removesuffix(f" ({cell.composition})")
    part = next((part for part in study.intermediates if part.label == label), None)
    return curriculum(part, cell.composition) if part else None


def _of_cell(
    cell: Cell, plan: Plan, store: Store, estimated: Mapping[str, PhaseCost], uses: Mapping[str, int]
) -> Iterator[Outcome]:
    scored = read(store.peek(cell.phase), tasks.get(cell.task))
    shots = cell.shots
    arm = arm_of(cell, plan.study)
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
    before = [key for key in trained if key not in cell.training]
    costs["intermediate_flops"] = sum(estimated[key].flops for key in before)
    for key in before:
        for task, steps in _steps(plan, store, key).items():
            costs[f"{STEPS}{task}"] = costs.get(f"{STEPS}{task}", 0.0) + steps
    return costs


def _steps(plan: Plan, store: Store, key: str) -> dict[str, int]:
    """Return the optimizer steps that a training phase gave each of its tasks."""
    result = TRAIN_RESULT.read(store.peek(key))
    streams = result.get("streams")
    if streams:
        return {name: stream["steps"] for name, stream in streams.items()}
    phase = plan.phases[key]
    assert isinstance(phase, TrainPhase)  # noqa: S101
    return {phase.task: result["steps"]}


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
    """Return the keys of all phases that trained something for a cell, in the order of the plan."""
    ancestry = plan.ancestry(cell.phase)
    return [key for key, phase in plan.phases.items() if phase.trains and key in ancestry]
