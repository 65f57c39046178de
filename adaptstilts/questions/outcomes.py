"""Outcomes of a real study, read from its store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adaptstilts import tasks
from adaptstilts.models.locate import Model
from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.questions.base import Arm, Outcome
from adaptstilts.reports.comparisons import read
from adaptstilts.reports.costs import mean_costs
from adaptstilts.reports.page.parts.chance import chance_level
from adaptstilts.reports.records import model_name
from adaptstilts.store.store import Store


def collect(plans: Sequence[Plan], store: Store) -> list[Outcome]:
    """Return the outcome of every computed result of a study, swaps aside.

    Args:
        plans: of the study, one for each model.
        store: with their entries.
    """
    outcomes: list[Outcome] = []
    for plan in plans:
        for cell in (*plan.cells, *plan.row_cells):
            if not cell.swapped and store.has(cell.phase):
                outcomes += _of_cell(cell, plan, store)
    return outcomes


def encoder_size(model: Model) -> int:
    """Return the parameters of an encoder's layers, which is all but its embeddings."""
    architecture, shape = model.architecture, model.shape
    return architecture.parameters(shape) - architecture.parameters({**shape, "layers": 0})


def _of_cell(cell: Cell, plan: Plan, store: Store) -> Iterator[Outcome]:
    scored = read(store.peek(cell.phase), tasks.get(cell.task))
    shots = cell.shots
    arm = Arm(cell.method, cell.trained_on, shots.k if shots else None, cell.after)
    costs = _costs(cell, store)
    for language, values in scored.values.items():
        if len(values):
            yield Outcome(
                model=model_name(plan.study),
                size=encoder_size(plan.model),
                parameters=plan.model.shape["parameters"],
                task=cell.task,
                language=language,
                arm=arm,
                seed=cell.seed,
                draw=shots.draw if shots else 0,
                values=np.asarray(values, float),
                items=scored.items[language],
                chance=chance_level(cell.task) or 0.0,
                costs=costs,
            )


def _costs(cell: Cell, store: Store) -> dict[str, float]:
    """Return the numbers that are known of what a target cost; empty if nothing was trained for it."""
    if not cell.training:
        return {}
    known = mean_costs([cell], store)
    return {name: float(value) for name, value in known.items() if value is not None}
