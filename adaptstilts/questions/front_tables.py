"""The tables of fronts: places, costs, the cheapest near the best, and what a doubling buys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from adaptstilts.metrics import fronts
from adaptstilts.metrics.intervals import LEVEL, Difference
from adaptstilts.questions.configurations import COSTS, ENCODER, Configuration, Cost, Group
from adaptstilts.questions.wording import points, sees, with_interval
from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.tables.cells import p_value

ALL = "all tasks"
_UNKNOWN = "-"


def tables(groups: Sequence[Group], gains: Mapping[tuple[str, str], Difference], margin: float) -> list[Table]:
    """Return every table.

    Args:
        groups: all tasks first.
        gains: (group, intermediate task) -> what the task changes at the front of the group, the main one first.
        margin: points from the best that do not matter.
    """
    if not groups:
        return []
    places = [_places(group) for group in groups if group.has_intervals]
    return [*_gain_tables(gains), *places, _nearest(groups, margin), _doublings(groups), _costs(groups[0])]


def shares(group: Group, cost: Cost) -> list[float]:
    """Return the share of draws in which each member is on the front of a cost; empty if not all costs are known."""
    costs = group.costs(cost)
    return [] if costs is None else [float(share) for share in fronts.on_front(costs, group.drawn).mean(axis=0)]


def cheapest_member(group: Group, cost: Cost, margin: float) -> Configuration:
    """Return the cheapest member within a margin of the best; by encoder size if the cost is not known of all.

    Args:
        group: group with the members.
        cost: what counts.
        margin: points.
    """
    costs = group.costs(cost) or [float(member.size) for member in group.members]
    return group.members[fronts.cheapest(costs, group.scores, margin)]


def best_by_size(group: Group) -> tuple[list[int], list[float], list[tuple[float, float]], list[list[float]]]:
    """Return the sizes of the encoders, the best score within each, its interval, and its draws."""
    sizes = sorted({member.size for member in group.members})
    costs = [float(member.size) for member in group.members]
    measured = fronts.best_within(costs, np.array([group.scores]), sizes)[0]
    drawn = fronts.best_within(costs, group.drawn, sizes)
    ends = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return sizes, measured.tolist(), [(float(low), float(high)) for low, high in ends.T], drawn.T.tolist()


def _gain_tables(gains: Mapping[tuple[str, str], Difference]) -> list[Table]:
    rows = []
    for number, ((group, name), gain) in enumerate(gains.items()):
        role = "other" if number else "main"
        rows.append((group, name, role, with_interval(gain), p_value(gain), sees(gain)))
    header = ("tasks", "intermediate", "role", "change", "p (Holm)", "sees")
    notes = (
        "Points that a task changes at the front of encoder size, averaged over the sizes; outside English.",
        "The main one was fixed before; the others are one family. Sees: the change found in 80 of 100 studies.",
    )
    return [Table("what intermediate tasks change at the front", header, tuple(rows), notes)] if rows else []


def _places(group: Group) -> Table:
    columns = {cost.label: shares(group, cost) for cost in COSTS}
    known = {label: column for label, column in columns.items() if column}
    rows = []
    for number, member in enumerate(group.members):
        cells = [_place(column[number]) for column in known.values()]
        rows.append((member.model, member.arm.method, member.arm.intermediate, f"{member.score:.1f}", *cells))
    header = ("model", "method", "intermediate", "score", *known)
    notes = (
        "Share of draws in which no other configuration scores as much for less. On: 0.95 or more; off: 0.05 or less.",
        "Costs of training hold the intermediate task too.",
    )
    return Table(f"place on the front of each cost: {group.name}", header, tuple(rows), notes)


def _place(share: float) -> str:
    text = f"{share:.2f} {fronts.place(share)}"
    return Bold(text) if fronts.place(share) == "on" else text


def _nearest(groups: Sequence[Group], margin: float) -> Table:
    rows = []
    for group in groups:
        for cost in COSTS:
            costs = group.costs(cost)
            if costs is None:
                continue
            member = cheapest_member(group, cost, margin)
            value, best = member.cost(cost), max(group.scores)
            price = _UNKNOWN if value is None else cost.text(value)
            near = float((group.drawn[:, group.members.index(member)] >= group.drawn.max(axis=1) - margin).mean())
            sure = f"{near:.2f}" if group.has_intervals else _UNKNOWN
            rows.append((group.name, cost.label, price, member.name, f"{member.score:.1f}", f"{best:.1f}", sure))
    header = ("tasks", "cost", "least", "configuration", "score", "best", "sure")
    notes = ("Sure: share of draws in which it is that near the best.",)
    return Table(f"cheapest within {points(margin)} of the best", header, tuple(rows), notes)


def _doublings(groups: Sequence[Group]) -> Table:
    rows = []
    for group in groups:
        sizes, best, _, drawn = best_by_size(group)
        for number in range(1, len(sizes)):
            doublings = math.log2(sizes[number] / sizes[number - 1])
            steps = (np.array(drawn[number]) - np.array(drawn[number - 1])) / doublings
            low, high = np.quantile(steps, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            interval = f"[{low:.1f}, {high:.1f}]" if group.has_intervals else _UNKNOWN
            names = [ENCODER.text(sizes[number - 1]), ENCODER.text(sizes[number])]
            rows.append((group.name, *names, f"{(best[number] - best[number - 1]) / doublings:.1f}", interval))
    header = ("tasks", "from", "to", "points", "95 % of draws")
    notes = ("Points that the best score within a size gains a doubling; it never falls.",)
    return Table("what a doubling of the encoder buys", header, tuple(rows), notes)


def _costs(group: Group) -> Table:
    rows = []
    for member in group.members:
        values = [(cost, member.cost(cost)) for cost in COSTS]
        cells = [_UNKNOWN if value is None else cost.text(value) for cost, value in values]
        rows.append((member.model, member.arm.method, member.arm.intermediate, *cells))
    header = ("model", "method", "intermediate", *(cost.label for cost in COSTS))
    notes = ("Means over seeds and tasks. FLOPs are estimated; costs of training hold the intermediate task too.",)
    return Table("what configurations cost", header, tuple(rows), notes)
