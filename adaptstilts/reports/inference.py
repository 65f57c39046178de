"""What running trained targets takes: medians over the rounds in which it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from adaptstilts.plan.graph import Cell, Plan
from adaptstilts.plan.measures import measures_of
from adaptstilts.store.contents import Measured
from adaptstilts.store.entries import MEASURED
from adaptstilts.store.store import Store


class Inference(TypedDict):
    """Medians over rounds; see :class:`adaptstilts.store.contents.Measured`.

    Attributes:
        merged: whether adapters were merged into the encoder's weights.
        rounds: how many there are.
        single_ms: 50, 90 and 99 % of single rows take at most so many milliseconds by the clock.
        single_cpu_ms: mean CPU milliseconds of a single row.
        range_ms: the smallest and the largest median of a round, in milliseconds by the clock.
        cpu_seconds_per_1000: of 1,000 rows in batches.
        rows_per_second: in batches.
        load_seconds: from files to a model that is ready.
        peak_bytes: the most memory that loading and running added to the process.
        flops_per_row: of a row alone.
        joules_per_1000: of 1,000 rows in batches; None where there is no counter.
        load_average: the largest, of the machine when a round began.
    """

    merged: bool
    rounds: int
    single_ms: tuple[float, float, float]
    single_cpu_ms: float
    range_ms: tuple[float, float]
    cpu_seconds_per_1000: float
    rows_per_second: float
    load_seconds: float
    peak_bytes: int
    flops_per_row: float
    joules_per_1000: float | None
    load_average: float


def inference_of(plan: Plan, cells: Sequence[Cell], store: Store) -> list[Inference]:
    """Return what running a target takes, with its adapters attached and, where they can be, merged; empty if unknown.

    Args:
        plan: with the measure phases.
        cells: of one combination.
        store: with the entries.
    """
    rounds: dict[bool, list[Measured]] = {}
    for cell in cells:
        for phase in measures_of(plan, cell):
            if store.has(phase.key):
                rounds.setdefault(phase.merged, []).append(MEASURED.read(store.peek(phase.key)))
    return [_medians(merged, rounds[merged]) for merged in sorted(rounds)]


def _medians(merged: bool, rounds: Sequence[Measured]) -> Inference:
    singles = [each["single"] for each in rounds]
    p50s = [single["p50"] for single in singles]
    joules = [each["joules_per_1000"] for each in rounds]
    known = [value for value in joules if value is not None]
    return {
        "merged": merged,
        "rounds": len(rounds),
        "single_ms": (
            _median(p50s),
            _median([single["p90"] for single in singles]),
            _median([single["p99"] for single in singles]),
        ),
        "single_cpu_ms": _median([single["cpu"] for single in singles]),
        "range_ms": (min(p50s), max(p50s)),
        "cpu_seconds_per_1000": _median([each["cpu_seconds_per_1000"] for each in rounds]),
        "rows_per_second": _median([each["rows_per_second"] for each in rounds]),
        "load_seconds": _median([each["load_seconds"] for each in rounds]),
        "peak_bytes": int(_median([each["peak_bytes"] for each in rounds])),
        "flops_per_row": _median([each["flops_per_row"] for each in rounds]),
        "joules_per_1000": _median(known) if len(known) == len(rounds) else None,
        "load_average": max(each["load_average"] for each in rounds),
    }


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
