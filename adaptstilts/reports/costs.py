"""The cost of training and storing the targets of one combination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adaptstilts.plan.expand import Cell
from adaptstilts.plan.phases import EvaluatePhase, phase_of
from adaptstilts.store.contents import MeasuredCost
from adaptstilts.store.entries import COST, HEAD, TRAIN_RESULT, WEIGHT_FOLDERS, Entry, parents
from adaptstilts.store.store import Store

_AVERAGED = ("seconds", "cpu_seconds", "intermediate_seconds", "intermediate_cpu_seconds", "examples_per_second")
_STORED = tuple(f"{folder}/" for folder in (*WEIGHT_FOLDERS, HEAD))


def mean_costs(cells: Sequence[Cell], store: Store) -> dict[str, Any]:
    """Return the fields of a record that costs give: times and speeds averaged over seeds, the largest sizes.

    Args:
        cells: trained targets of one combination, at least one.
        store: where their phases are.
    """
    costs = [_cost(cell, store) for cell in cells]
    means: dict[str, Any] = {}
    for name in costs[0]:
        values = [cost[name] for cost in costs]
        if None in values:
            means[name] = None
        else:
            means[name] = float(np.mean(values)) if name in _AVERAGED else max(values)
    return means


def _cost(cell: Cell, store: Store) -> dict[str, Any]:
    entries = [store.peek(key) for key in cell.training]
    costs = [COST.read(entry) for entry in entries]
    last = entries[-1]
    result = TRAIN_RESULT.read(last)
    evaluated = phase_of(store.peek(cell.phase), EvaluatePhase)
    target = store.peek(evaluated.target)  # after a merge this is not the entry trained last
    below = [COST.read(entry) for entry in ancestors(target, {*cell.training}, store)]
    return {
        "trainable": result["trainable"],
        "head": result["head"],
        "bytes": _stored_bytes(last),
        "seconds": sum(cost["seconds"] for cost in costs),
        "cpu_seconds": _cpu_seconds(costs),
        "intermediate_seconds": sum(cost["seconds"] for cost in below),
        "intermediate_cpu_seconds": _cpu_seconds(below),
        "peak_bytes": max(cost["peak_bytes"] for cost in costs),
        "examples_per_second": costs[-1]["examples_per_second"],
    }


def _cpu_seconds(costs: Sequence[MeasuredCost]) -> float | None:
    """Return the sum of CPU seconds; None if an earlier version, which did not measure them, wrote one of the costs."""
    seconds = [cost["cpu_seconds"] for cost in costs if "cpu_seconds" in cost]
    return sum(seconds) if len(seconds) == len(costs) else None


def _stored_bytes(entry: Entry) -> int:
    files = entry.manifest["files"]
    return sum(size for name, (size, _) in files.items() if name.startswith(_STORED))


def ancestors(entry: Entry, seen: set[str], store: Store) -> list[Entry]:
    """Return every entry that one was computed from, each once.

    Args:
        entry: where to start.
        seen: keys that are left out; every key that is visited is added.
        store: where the entries are.
    """
    every: list[Entry] = []
    for key in parents(entry.spec):
        if key not in seen:
            seen.add(key)
            parent = store.peek(key)
            every += [parent, *ancestors(parent, seen, store)]
    return every
