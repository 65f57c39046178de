"""What a plan would cost and how far it is, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adaptstilts.cli.columns import aligned
from adaptstilts.io.wording import counted, short_count, size
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.graph import Cost
from adaptstilts.plan.phases import Phase
from adaptstilts.store.entries import COST
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

ASSUMED_SPEED = 5e10  # FLOP/s
HEADER = ("state", "parameters", "stored", "tokens", "minutes", "results", "key", "phase")
NUMERIC = ("parameters", "stored", "tokens", "minutes", "results")


@dataclass(frozen=True)
class _Speed:
    """A training speed in FLOP/s, and where the number is from."""

    flops: float
    origin: str

    def minutes(self, cost: Cost) -> float:
        return cost.flops / self.flops / 60


def plan_lines(plan: Plan, workspace: Workspace, every: bool, flops: float | None = None) -> Iterator[str]:
    """Yield the phases of a plan with their states, sizes and estimated times, then the totals.

    Args:
        plan: what to describe.
        workspace: the store that may have some of the phases already, and the data.
        every: list every phase, not only those that train.
        flops: training speed in FLOP/s; None for the speed of finished phases, or an assumed one.
    """
    store = workspace.store
    costs = plan.cost(workspace)
    speed = _Speed(flops, "as given") if flops else _measured_speed(store, costs)
    uses = plan.uses()
    rows = []
    for phase in plan.order():
        if phase.key in costs:
            rows.append(_row(phase, store, _numbers(costs[phase.key], speed, uses.get(phase.key, 0))))
        elif every:
            rows.append(_row(phase, store, ("",) * len(NUMERIC)))
    yield from aligned(HEADER, rows, NUMERIC)
    yield ""
    yield _counts(plan, store)
    yield from _sharing(plan, costs, uses)
    yield _to_train({key: cost for key, cost in costs.items() if not store.has(key)}, speed)


def _row(phase: Phase, store: Store, numbers: tuple[str, ...]) -> tuple[str, ...]:
    state = "done" if store.has(phase.key) else "missing"
    return (state, *numbers, phase.key[:12], phase.title)


def _numbers(cost: Cost, speed: _Speed, uses: int) -> tuple[str, ...]:
    minutes = f"{speed.minutes(cost):,.1f}"
    return (short_count(cost.trainable), size(cost.bytes), short_count(cost.tokens), minutes, str(uses))


def _counts(plan: Plan, store: Store) -> str:
    total = Counter(phase.kind for phase in plan.phases.values())
    done = Counter(phase.kind for phase in plan.phases.values() if store.has(phase.key))
    return ", ".join(f"{total[kind]} {kind} ({done[kind]} done)" for kind in total)


def _sharing(plan: Plan, costs: Mapping[str, Cost], uses: Mapping[str, int]) -> Iterator[str]:
    """Say how much training is saved because results share phases."""
    shared = sum(cost.flops for cost in costs.values())
    if not shared:
        return
    alone = sum(cost.flops * uses.get(key, 1) for key, cost in costs.items())
    if len(plan.cells) > 1:
        results = f"{len(plan.cells):,} results share these training phases"
        yield f"{results}; training for each alone would take {alone / shared:.1f} times as long"


def _to_train(costs: Mapping[str, Cost], speed: _Speed) -> str:
    if not costs:
        return "to train: nothing"
    minutes = sum(speed.minutes(cost) for cost in costs.values())
    stored = size(sum(cost.bytes for cost in costs.values()))
    rate = f"{speed.flops / 1e9:,.0f} GFLOP/s ({speed.origin})"
    return f"to train: {counted(len(costs), 'phase')}, {_duration(minutes)} at {rate}, {stored} to store"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 180:
        return f"about {counted(round(minutes), 'minute')}"
    return f"about {counted(round(minutes / 60), 'hour')}"


def _measured_speed(store: Store, costs: Mapping[str, Cost]) -> _Speed:
    """Return the speed of this plan's finished training phases, or an assumed one if there are none."""
    done = [key for key in costs if store.has(key)]
    seconds = sum(COST.read(store.peek(key))["seconds"] for key in done)
    flops = sum(costs[key].flops for key in done)
    if not seconds or not flops:
        return _Speed(ASSUMED_SPEED, "assumed; no phase is measured yet")
    return _Speed(flops / seconds, "measured in this store")


def status_lines(plan: Plan, store: Store) -> Iterator[str]:
    """Yield how many phases of each kind are in which state, then the phases that run or were interrupted."""
    running, interrupted = [], []
    counts: dict[str, Counter[str]] = {}
    for phase in plan.order():
        state = "missing"
        if store.has(phase.key):
            state = "done"
        elif holder := store.holder(phase.key):
            state = "running"
            running.append(f"running on {holder}: {phase.title}")
        elif (step := _last_step(phase, store)) is not None:
            state = "interrupted"
            interrupted.append(f"interrupted after step {step}: {phase.title}")
        counts.setdefault(phase.kind, Counter())[state] += 1
    for kind, states in counts.items():
        parts = [f"{states[state]} {state}" for state in ("done", "running", "interrupted", "missing") if states[state]]
        yield f"{kind}: {', '.join(parts)}"
    yield from running + interrupted


def _last_step(phase: Phase, store: Store) -> int | None:
    """Return the step of the last checkpoint of an unfinished phase; None if there is none."""
    steps = [int(path.name.removeprefix("step-")) for path in store.work(phase.key).glob("step-[0-9]*")]
    return max(steps, default=None)
