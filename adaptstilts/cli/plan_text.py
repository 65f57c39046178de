"""What a plan would cost and how far it is, as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from adaptstilts.cli.columns import aligned, terminal_width
from adaptstilts.io.wording import counted, short_count, size
from adaptstilts.plan.cost import (
    GPU,
    UNKNOWN_ROWS,
    PhaseCost,
    Speed,
    assumed_speed,
    estimate,
    measured_speed,
    total,
)
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import Phase
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

HEADER = ("state", "parameters", "stored", "tokens", "minutes", "results", "key", "phase")
_LONG = 24 * 3600  # seconds of work from which the time on a GPU is shown as well
_ACCURACY = 3
NUMERIC = ("parameters", "stored", "tokens", "minutes", "results")


def plan_lines(plan: Plan, workspace: Workspace, every: bool, flops: float | None = None) -> Iterator[str]:
    """Yield the phases of a plan with their states, sizes and estimated times, then the totals.

    Args:
        plan: what to describe.
        workspace: the store that may have some of the phases already, and the data.
        every: list every phase, not only those that train.
        flops: speed in FLOP/s; None for the speed of finished phases, or an assumed one.
    """
    store = workspace.store
    costs = estimate(plan, workspace)
    speed = Speed(flops, "as given") if flops else measured_speed(plan, costs, store) or assumed_speed()
    uses = plan.uses()
    rows = []
    for phase in plan.order():
        if every or phase.trains:
            rows.append(_row(phase, store, _numbers(costs[phase.key], speed, uses.get(phase.key, 0))))
    yield from aligned(HEADER, rows, NUMERIC, terminal_width())
    yield ""
    yield _counts(plan, store)
    yield from _sharing(plan, costs, uses)
    yield from _to_do(plan.missing(store), costs, speed)


def question_lines(plans: Sequence[Plan]) -> Iterator[str]:
    """Yield the smallest effect that the question of a study could detect; nothing without a question."""
    from adaptstilts import questions
    from adaptstilts.questions.rehearse import ITEMS, design_of

    name = plans[0].study.question
    if name is None:
        return
    question, noise = questions.get(name), questions.Noise()
    smallest = question.detectable(design_of(plans, ITEMS), noise)
    yield ""
    if math.isinf(smallest):
        yield f"question {name}: with one seed or too few models, no effect can be detected"
        return
    yield (
        f"question {name}: detects {smallest:.2f} {question.unit} or more in 80 of 100 such studies, if seeds vary by"
        f" {noise.seed:g} point (`adaptstilts rehearse` simulates it)"
    )


def _row(phase: Phase, store: Store, numbers: tuple[str, ...]) -> tuple[str, ...]:
    state = "done" if store.has(phase.key) else "missing"
    return (state, *numbers, phase.key[:12], phase.title)


def _numbers(cost: PhaseCost, speed: Speed, uses: int) -> tuple[str, ...]:
    """Return the columns of numbers; a cell is empty if the phase has no such number."""
    return (
        short_count(cost.trainable) if cost.trainable else "",
        size(cost.bytes) if cost.bytes else "",
        short_count(cost.tokens) if cost.tokens else "",
        f"{speed.seconds(cost) / 60:,.1f}" if cost.flops else "",
        str(uses),
    )


def _counts(plan: Plan, store: Store) -> str:
    total_of = Counter(phase.kind for phase in plan.phases.values())
    done = Counter(phase.kind for phase in plan.phases.values() if store.has(phase.key))
    return ", ".join(f"{total_of[kind]} {kind} ({done[kind]} done)" for kind in total_of)


def _sharing(plan: Plan, costs: Mapping[str, PhaseCost], uses: Mapping[str, int]) -> Iterator[str]:
    """Say how much work is saved because results share phases."""
    shared = sum(cost.flops for cost in costs.values())
    alone = sum(cost.flops * uses.get(key, 1) for key, cost in costs.items())
    if shared and len(plan.cells) > 1:
        results = f"{len(plan.cells):,} results share these phases"
        yield f"{results}; computing each one alone would take {alone / shared:.1f} times as long"


def _to_do(missing: Sequence[Phase], costs: Mapping[str, PhaseCost], speed: Speed) -> Iterator[str]:
    """Yield how long the missing phases take, what they store, and what was assumed."""
    if not missing:
        yield "to do: nothing"
        return
    trained = [phase for phase in missing if phase.trains]
    training = total(costs[phase.key] for phase in trained)
    others = total(costs[phase.key] for phase in missing if not phase.trains)
    other_count = len(missing) - len(trained)
    is_long = speed.seconds(training, len(trained)) + speed.seconds(others, other_count) > _LONG
    is_assumed = speed.source.startswith("assumed")
    for one in (speed, GPU) if is_assumed and is_long and speed != GPU else (speed,):
        times = f"{_duration(one.seconds(training, len(trained)) / 60)} of training"
        times += f" and {_duration(one.seconds(others, other_count) / 60)} of evaluation and retrieval"
        yield f"to do: {counted(len(missing), 'phase')}, {times} at {_rate(one)} ({one.source})"
    if is_assumed:
        accuracy = f"nothing was measured yet, so these times can be wrong by a factor of {_ACCURACY}"
        yield f"{accuracy}; --gflops sets another speed"
    if training.is_guess or others.is_guess:
        yield f"rows that cannot be counted here are taken as published, or else as {UNKNOWN_ROWS:,} per language"
    yield f"to store: {size(training.bytes)}"


def _rate(speed: Speed) -> str:
    if speed.flops >= 1e12:
        return f"{speed.flops / 1e12:.3g} TFLOP/s"
    return f"{speed.flops / 1e9:.3g} GFLOP/s"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < 180:
        return f"about {counted(round(minutes), 'minute')}"
    hours = minutes / 60
    if hours < 72:
        return f"about {counted(round(hours), 'hour')}"
    return f"about {counted(round(hours / 24), 'day')}"


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
