"""Tradeoff: which configurations does no other beat at lower cost, and does an intermediate task move that front?

A configuration is an encoder, a method and what came first. Its score is the mean outside English. The main number is
what the first intermediate task changes at the front: for every size of an encoder as the budget, the encoder and
method are taken whose scores with and without that task are the highest on average, and the difference of the two is
averaged over the budgets. The average of two scores says nothing about the error of their difference, so this choice
does not flatter the task, as the choice of the best score would. Beside it: the front for every cost, with the share of
draws in which a configuration is on it, the cheapest configuration near the best, and what a doubling of the encoder
buys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adaptstilts.io.wording import counted
from adaptstilts.metrics import fronts
from adaptstilts.metrics.intervals import LEVEL, Difference, corrected, detectable
from adaptstilts.questions import contrasts, front_figures, front_tables, needs, simulation
from adaptstilts.questions.base import ENGLISH, NONE, Arm, Design, Findings, Noise, Outcome, Scenario
from adaptstilts.questions.configurations import ENCODER, Configuration, Group, configurations
from adaptstilts.questions.contrasts import of_arm, tasks_of
from adaptstilts.questions.front_tables import ALL, cheapest_member, shares
from adaptstilts.questions.wording import as_number, points, reason, with_interval
from adaptstilts.reports.page.model import Number
from adaptstilts.reports.page.parts.results import judge
from adaptstilts.study import Study

_LEVEL = 60.0  # simulated score of the smallest model
_RISE = 2.0  # simulated rise of all scores a doubling


class Tradeoff:
    """The question of size against transfer."""

    name = "tradeoff"
    text = "Which configurations does no other beat at lower cost, and do intermediate tasks move that front?"
    unit = "points"

    def check(self, study: Study) -> None:
        """Raise unless a study has several models, and targets with and without an intermediate task."""
        needs.models(study, self.name, 2)
        needs.intermediates(study, self.name)

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question; see :class:`adaptstilts.questions.base.Question`."""
        outcomes = [outcome for outcome in outcomes if outcome.moment is None]
        groups, refused = learned_groups(outcomes)
        gains = _gains(groups)
        main = next(iter(gains.values()), None)
        first = next((name for _, name in gains), NONE)
        verdict = judge(main, margin) if main else "not resolved"
        return Findings(
            sentence=_sentence(groups, first, main, margin),
            main=main,
            margin=margin,
            verdict=verdict,
            reason=reason(main, verdict, margin, self.unit),
            numbers=_numbers(groups, first, main, margin),
            refusals=[f"no configuration has learned {task}: English is not above chance" for task in refused],
            limits=_limits(groups),
            tables=front_tables.tables(groups, gains, margin),
            figures=front_figures.figures(groups),
        )

    def detectable(self, design: Design, noise: Noise) -> float:
        """Return the front gain that a study is expected to find in 80 of 100 repetitions."""
        budgets, runs = len(design.sizes), design.seeds * len(design.tasks)
        if design.seeds < 2 or not budgets:
            return math.inf
        variance = (2 * noise.seed**2 / runs + needs.item_variance(design)) / budgets
        return detectable(math.sqrt(variance), design.seeds - 1)

    def scenarios(self, design: Design, noise: Noise) -> list[Scenario]:
        """Return intermediates that change nothing, help or harm everywhere, and targets that nothing learns."""
        step = 1.2 * self.detectable(design, noise)
        return [
            Scenario("the front stays", 0.0),
            Scenario("the front rises", step, {"gain": step}),
            Scenario("the front falls", -step, {"gain": -step}),
            Scenario("nothing is learned", 0.0, {"chance": 33.0}, is_refused=True),
        ]

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        """Return one simulated study; see :class:`adaptstilts.questions.base.Question`.

        Methods differ by a point each, and in what they train. What intermediates change is the same for all models, as
        the question is about these models.
        """
        chance = scenario.settings.get("chance", 0.0)
        gain = scenario.settings.get("gain", 0.0)
        methods = list(dict.fromkeys(arm.method for arm in design.arms))
        smallest = min(design.sizes.values())

        def truth(size: int, arm: Arm, task: str) -> float:
            if chance:
                return chance - simulation.ENGLISH_LEAD
            helped = gain if arm.intermediate != NONE else 0.0
            return _LEVEL + _RISE * math.log2(size / smallest) - methods.index(arm.method) + helped

        plain = replace(design, chance=chance, arms=[arm for arm in design.arms if arm.k is None])
        still = replace(noise, model=0.0)
        outcomes = simulation.simulate(plain, still, truth, np.random.default_rng(seed))
        return [replace(each, costs=_simulated_costs(each, methods)) for each in outcomes]


TRADEOFF = Tradeoff()


def learned_groups(outcomes: Sequence[Outcome]) -> tuple[list[Group], list[str]]:
    """Return the groups of tasks that some configuration has learned, all tasks first, and the other tasks."""
    refused = [task for task in tasks_of(outcomes) if not _is_learned(outcomes, task)]
    return _groups([outcome for outcome in outcomes if outcome.task not in refused]), refused


def front_gain(members: Sequence[Configuration], intermediate: str) -> Difference | None:
    """Return what an intermediate task changes at the front, averaged over budgets that are the sizes of the encoders.

    Args:
        members: configurations with the same seeds, tasks and languages.
        intermediate: the task.

    Returns:
        None if no encoder and method has been trained both with and without it.
    """
    pairs = _pairs(members, intermediate)
    if not pairs:
        return None
    budgets = sorted({after.size for after, _ in pairs})
    parts = []
    for budget in budgets:
        affordable = [pair for pair in pairs if pair[0].size <= budget]
        after, before = max(affordable, key=lambda pair: pair[0].score + pair[1].score)
        parts += [(1 / len(budgets), after.outcomes), (-1 / len(budgets), before.outcomes)]
    return contrasts.difference(parts)


def _pairs(members: Sequence[Configuration], intermediate: str) -> list[tuple[Configuration, Configuration]]:
    """Return the configurations with an intermediate task, each with the same without one."""
    plain = {(member.model, member.arm.method): member for member in members if member.arm.intermediate == NONE}
    pairs = []
    for member in members:
        before = plain.get((member.model, member.arm.method))
        if member.arm.intermediate == intermediate and before is not None:
            pairs.append((member, before))
    return pairs


def _gains(groups: Sequence[Group]) -> dict[tuple[str, str], Difference]:
    """Return (group, intermediate task) -> what the task changes at the front of the group; the main one first."""
    gains = {}
    for group in groups:
        for name in dict.fromkeys(member.arm.intermediate for member in group.members):
            gain = front_gain(group.members, name) if name != NONE else None
            if gain is not None:
                gains[group.name, name] = gain
    first = next(iter(gains), None)
    others = corrected({key: replace(gain, holm=None) for key, gain in gains.items() if key != first})
    return {**gains, **others}


def _groups(outcomes: Sequence[Outcome]) -> list[Group]:
    """Return all tasks together and, where there are several groups of them, each group."""
    groups = [Group(ALL, configurations(outcomes))]
    trained = [outcome for outcome in outcomes if outcome.costs and outcome.arm.method]
    names = sorted({outcome.group or outcome.task for outcome in trained})
    if len(names) > 1:
        for name in names:
            of_group = [outcome for outcome in outcomes if (outcome.group or outcome.task) == name]
            groups.append(Group(name, configurations(of_group)))
    return [group for group in groups if group.members]


def _is_learned(outcomes: Sequence[Outcome], task: str) -> bool:
    """Tell whether some configuration is above chance in English, corrected for how many there are."""
    english = [each for each in outcomes if each.task == task and each.language == ENGLISH and each.arm.k is None]
    if not english or not english[0].chance:
        return True
    p_values = []
    for of_model in contrasts.by_model(english).values():
        for arm in contrasts.arms_of(of_model):
            score = contrasts.difference([(1.0, of_arm(of_model, arm))])
            if score is not None and score.low > english[0].chance:
                above = replace(score, value=score.value - english[0].chance)
                p_values.append(above.p if above.seeds > 1 else 0.0)
    count = len({(each.model, each.arm) for each in english})
    return count * min(p_values, default=1.0) <= 1 - LEVEL


def _sentence(groups: Sequence[Group], first: str, main: Difference | None, margin: float) -> str:
    if not groups:
        return "The results do not give a configuration that is computed with every seed, task and language."
    group = groups[0]
    near = cheapest_member(group, ENCODER, margin)
    text = f"{near.name} is the smallest within {points(margin)} of the best of {len(group.members)} configurations"
    if main is None:
        return f"{text}; what an intermediate task changes at the front is not known."
    places = [fronts.place(share) for share in shares(group, ENCODER)]
    moved = [place for member, place in zip(group.members, places, strict=True) if member.arm.intermediate != NONE]
    text = f"{text}; {first} first changes the front of encoder size by {with_interval(main)} points"
    count, unsure = moved.count("on"), moved.count("open")
    sure = f"{counted(count, 'configuration')} with an intermediate task {'is' if count == 1 else 'are'} surely on it"
    return f"{text}, and {sure} ({unsure} open)."


def _numbers(groups: Sequence[Group], first: str, main: Difference | None, margin: float) -> list[Number]:
    if not groups:
        return []
    group = groups[0]
    near = cheapest_member(group, ENCODER, margin)
    numbers = [as_number(f"{first} first: change at the front", main)]
    numbers.append(Number(f"smallest within {points(margin)} of the best", near.name, f"{near.score:.1f} points"))
    if group.has_intervals:
        places = [fronts.place(share) for share in shares(group, ENCODER)]
        text = f"{places.count('open')} open, {places.count('off')} off"
        numbers.append(Number("surely on the front of encoder size", str(places.count("on")), text))
    return numbers


def _limits(groups: Sequence[Group]) -> list[str]:
    limits = [
        "It is about these encoders and settings; one learning rate may suit some of them better.",
        "Every encoder is one pretrained model, so what sets it apart may be its pretraining and not its size.",
        "Parameters that are frozen are still run: trained parameters are no cost of using a configuration.",
        "Retrieval is left out, as nothing is trained for it.",
    ]
    if groups and not groups[0].has_intervals:
        limits.append("With one seed training noise is unknown, so no place on a front is sure.")
    return limits


def _simulated_costs(outcome: Outcome, methods: Sequence[str]) -> dict[str, float]:
    """Return what a simulated configuration costs: each further method trains a tenth of the one before."""
    trained = outcome.size / 10 ** methods.index(outcome.arm.method)
    rounds = 1.0 if outcome.arm.intermediate == NONE else 2.0
    return {
        "trainable": trained,
        "bytes": 4 * trained,
        "flops": 6e6 * outcome.size,
        "intermediate_flops": 6e6 * outcome.size * (rounds - 1),
        "cpu_seconds": outcome.size / 1e5,
        "intermediate_cpu_seconds": outcome.size / 1e5 * (rounds - 1),
        "peak_bytes": 12 * trained + 8 * outcome.size,
    }
