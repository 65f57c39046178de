"""The figures of fronts: scores over every cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adaptstilts.metrics import fronts
from adaptstilts.metrics.intervals import LEVEL
from adaptstilts.questions.base import NONE
from adaptstilts.questions.configurations import COSTS, Configuration, Cost, Group
from adaptstilts.questions.front_tables import shares
from adaptstilts.reports.page.charts.fronts import FrontPoint, Fronts, FrontStep
from adaptstilts.reports.page.model import Figure


def figures(groups: Sequence[Group]) -> list[Figure]:
    """Return one figure for each cost that is known of all configurations.

    Args:
        groups: all tasks first.
    """
    known = [group for group in groups if len(group.members) > 1]
    return [_figure(known, cost) for cost in COSTS if known and all(group.costs(cost) for group in known)]


def _figure(groups: Sequence[Group], cost: Cost) -> Figure:
    points: list[FrontPoint] = []
    steps: list[FrontStep] = []
    for group in groups:
        points += _points(group, cost)
        steps += _steps(group, cost)
    members = groups[0].members
    series = list(dict.fromkeys(member.arm.intermediate for member in members))
    styles = list(dict.fromkeys(member.arm.method for member in members))
    chart = Fronts(points, steps, cost.label, "score outside English", series, styles)
    text = (
        "Every mark is a configuration; colours are intermediate tasks, with a line from the same without one. Full"
        " marks are surely on the front, hollow ones may be, faint ones are not. The steps are the best score within"
        " a budget, with the middle 95 % of draws."
    )
    return Figure(f"front-{cost.name}", f"Scores against {cost.label}", text, chart)


def _points(group: Group, cost: Cost) -> list[FrontPoint]:
    points = []
    starts = {(member.model, member.arm.method): member for member in group.members if member.arm.intermediate == NONE}
    for member, share in zip(group.members, shares(group, cost), strict=True):
        place = fronts.place(share) if group.has_intervals else "open"
        start = starts.get((member.model, member.arm.method))
        point = FrontPoint(
            panel=group.name,
            series=member.arm.intermediate,
            style=member.arm.method,
            cost=_known(member, cost),
            score=member.score,
            place=place,
            start=(_known(start, cost), start.score) if start and start is not member else None,
            name=f"{member.name}: {member.score:.1f}, on the front in {share:.0%} of draws",
        )
        points.append(point)
    return points


def _steps(group: Group, cost: Cost) -> list[FrontStep]:
    costs = group.costs(cost) or []
    budgets = sorted(set(costs))
    measured = fronts.best_within(costs, np.array([group.scores]), budgets)[0]
    drawn = fronts.best_within(costs, group.drawn, budgets)
    lows, highs = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    ends = zip(budgets, measured, lows, highs, strict=True)
    return [FrontStep(group.name, budget, float(score), float(low), float(high)) for budget, score, low, high in ends]


def _known(member: Configuration, cost: Cost) -> float:
    return member.cost(cost) or 0.0
