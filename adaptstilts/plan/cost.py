"""Rough costs of phases, before anything runs: tokens, operations, bytes, and time at some speed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adaptstilts.io.wording import counted
from adaptstilts.plan.graph import Plan
from adaptstilts.plan.machine import usable_threads
from adaptstilts.plan.passes import Pass
from adaptstilts.plan.phases import Phase, TrainPhase
from adaptstilts.store import entries
from adaptstilts.store.store import Store
from adaptstilts.study import Train
from adaptstilts.tasks import Source
from adaptstilts.workspace import Workspace

UNKNOWN_ROWS = 2000  # rows of a split that cannot be counted and has no published number
TOKENS = 2048  # tokens of a batch that is evaluated
_BYTES_PER_TOKEN = 4  # of text, in UTF-8
_MARKS = 4  # special tokens of a row


@dataclass(frozen=True)
class PhaseCost:
    """The rough cost of one phase.

    Attributes:
        trainable: trained parameters of the encoder part.
        bytes: size of the weights that it stores.
        examples: number of examples that it reads, over all epochs.
        tokens: number of tokens in these examples.
        flops: floating-point operations.
        batches: number of batches that it computes.
        is_guess: whether the number of rows is published or assumed instead of counted.
    """

    trainable: int = 0
    bytes: int = 0
    examples: int = 0
    tokens: int = 0
    flops: float = 0.0
    batches: int = 0
    is_guess: bool = False


@dataclass(frozen=True)
class Speed:
    """How fast phases run.

    Attributes:
        flops: operations per second.
        source: where that number is from, in words.
        batch_seconds: what a batch takes beside its operations, which is most of the time of a small encoder.
        phase_seconds: what a phase takes beside its batches, such as loading the model.
    """

    flops: float
    source: str
    batch_seconds: float = 0.0
    phase_seconds: float = 0.0

    def seconds(self, cost: PhaseCost, phases: int = 1) -> float:
        """Return the time of some phases.

        Args:
            cost: cost of all of them.
            phases: how many they are.
        """
        return cost.flops / self.flops + cost.batches * self.batch_seconds + phases * self.phase_seconds


# What full fine-tuning of XLM-R base reaches in benchmarks/results/training.json, and what the steps of the quickstart
# take in benchmarks/results/quickstart.json, on two cores; a third of an A100's peak.
CORE_FLOPS, MOST_CORES = 0.8e11, 16  # more cores hardly help with batches of usual size
GPU = Speed(1e14, "assumed for one A100 GPU", 0.02, 1.0)


def estimate(plan: Plan, workspace: Workspace) -> dict[str, PhaseCost]:
    """Return the rough cost of every phase of a plan, by key.

    Args:
        plan: the plan to estimate.
        workspace: the data, whose rows are counted; published or assumed numbers stand in for missing data.
    """
    estimator = _Estimator(plan, workspace)
    return {phase.key: estimator.cost(phase) for phase in plan.phases.values()}


def measured_speed(plan: Plan, costs: Mapping[str, PhaseCost], store: Store) -> Speed | None:
    """Return the speed of the plan's finished training phases; None if there are none.

    Args:
        plan: plan with the phases.
        costs: cost of each phase.
        store: store with the entries of finished phases.
    """
    flops = seconds = 0.0
    for key, phase in plan.phases.items():
        if phase.trains and store.has(key):
            flops += costs[key].flops
            seconds += entries.COST.read(store.peek(key))["seconds"]
    return Speed(flops / seconds, "measured in this store") if seconds and flops else None


def assumed_speed() -> Speed:
    """Return the speed that is assumed for this machine."""
    return GPU if Path("/proc/driver/nvidia/version").exists() else cpu_speed()


def cpu_speed() -> Speed:
    """Return the speed that is assumed for the processors of this machine."""
    cores = min(usable_threads(), MOST_CORES)
    return Speed(cores * CORE_FLOPS, f"assumed for {counted(cores, 'CPU core')}", 0.025, 2.0)


def total(costs: Iterable[PhaseCost]) -> PhaseCost:
    """Return the sum of costs."""
    listed = list(costs)
    return PhaseCost(
        trainable=sum(cost.trainable for cost in listed),
        bytes=sum(cost.bytes for cost in listed),
        examples=sum(cost.examples for cost in listed),
        tokens=sum(cost.tokens for cost in listed),
        flops=sum(cost.flops for cost in listed),
        batches=sum(cost.batches for cost in listed),
        is_guess=any(cost.is_guess for cost in listed),
    )


class _Estimator:
    """Estimates the phases of one plan; rows are counted once."""

    def __init__(self, plan: Plan, workspace: Workspace) -> None:
        self.plan, self.shape, self.workspace = plan, plan.model.shape, workspace
        self.core = self.shape["parameters"] - self.shape["vocabulary"] * self.shape["hidden"]
        self._readings: dict[tuple[Pass, int], PhaseCost] = {}

    def cost(self, phase: Phase) -> PhaseCost:
        """Return the cost of one phase."""
        examples = tokens = 0
        flops, is_guess = 0.0, False
        for one in phase.passes():
            max_length = one.max_length or self._max_length_of_parents(phase)
            reading = self._read(one, max_length)
            examples += reading.examples
            tokens += reading.tokens
            flops += one.flops_per_weight * self.core * reading.tokens
            is_guess = is_guess or reading.is_guess
        trainable = phase.trainable(self.shape) if isinstance(phase, TrainPhase) else 0
        batches = math.ceil(tokens / TOKENS)
        if isinstance(phase, TrainPhase):
            batches = math.ceil(examples / phase.settings.batch_size)
        return PhaseCost(trainable, phase.weight_bytes(self.shape), examples, tokens, flops, batches, is_guess)

    def _read(self, one: Pass, max_length: int) -> PhaseCost:
        """Return how many rows and tokens a pass reads."""
        key = one, max_length
        if key not in self._readings:
            readings = [self._read_source(source, one, max_length) for source in one.sources]
            self._readings[key] = total(readings)
        return self._readings[key]

    def _read_source(self, source: Source, one: Pass, max_length: int) -> PhaseCost:
        size = self.workspace.size(source)
        if size is None:
            rows, mean = one.published_rows or UNKNOWN_ROWS, float(max_length)
        else:
            rows, mean = size[0], min(max_length, size[1] / max(size[0], 1) / _BYTES_PER_TOKEN + _MARKS)
        seen = min(rows, one.limit or rows) * one.epochs
        seen = min(seen, one.most or seen)
        return PhaseCost(examples=seen, tokens=int(seen * mean), is_guess=size is None)

    def _max_length_of_parents(self, phase: Phase) -> int:
        """Return the largest length with which the phases under a phase read their rows."""
        lengths = [Train().max_length]
        for key in phase.parents:
            parent = self.plan.phases.get(key)
            lengths += [one.max_length or 0 for one in parent.passes()] if parent else []
        return max(lengths)
