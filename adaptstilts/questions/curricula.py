"""Arms of intermediate tasks that belong together: chains in opposite orders, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstilts.questions import contrasts
from adaptstilts.questions.base import ENGLISH, NONE, Arm, Curriculum, Outcome
from adaptstilts.questions.bills import STEPS
from adaptstilts.questions.contrasts import mean_score, of_arm, tasks_of

ORDER = "order"
SINGLE = "chains minus better single"
MIX = "both at once minus chains"
MERGE = "merged minus chains"
PLACEBO = "permuted labels minus none"
KIND = "own kind last minus first"
_SAME_STEPS = 0.01  # relative difference of steps that does not matter
_FEWEST_FLIPS, _MOST_FLIPS = 5, 16  # targets of an exact sign-flip test

Parts = list[tuple[float, list[Outcome]]]


@dataclass(frozen=True)
class Pair:
    """Two chains of the same tasks in opposite orders, and the arms that they are compared with.

    Attributes:
        first: the chain that comes first in the study.
        second: the other one.
        singles: one of the tasks alone, in the order of the first chain.
        mixture: all tasks at once.
        merged: the weighted sum of the adapters or encoders of the single tasks.
        placebo: one of the tasks with permuted labels.
        direct: no intermediate task.
    """

    first: Arm
    second: Arm
    singles: tuple[Arm, ...] = ()
    mixture: Arm | None = None
    merged: Arm | None = None
    placebo: Arm | None = None
    direct: Arm | None = None

    @property
    def arms(self) -> list[Arm]:
        """Return every arm of the pair."""
        others = (self.mixture, self.merged, self.placebo, self.direct)
        return [self.first, self.second, *self.singles, *(arm for arm in others if arm is not None)]

    @property
    def curriculum(self) -> Curriculum:
        """Return what the first chain is made of."""
        assert self.first.curriculum is not None  # noqa: S101
        return self.first.curriculum

    @property
    def name(self) -> str:
        """Return what tables call the first order."""
        return " then ".join(self.curriculum.tasks)

    @property
    def opposite(self) -> str:
        """Return what tables call the second order."""
        return " then ".join(reversed(self.curriculum.tasks))

    @property
    def method(self) -> str:
        """Return the method, with how targets and chains use adapters unless that is the usual way."""
        how = self.curriculum.composition
        words = [self.first.method, *([how] if how not in ("stack", "none") else [])]
        return ", ".join([*words, *(["stacked chain"] if self.curriculum.how == "stacked chain" else [])])


def pairs(arms: Iterable[Arm]) -> list[Pair]:
    """Return every two chains of one method that have the same tasks in opposite orders, with their other arms."""
    known = list(dict.fromkeys(arms))
    found: list[Pair] = []
    for number, arm in enumerate(known):
        content = arm.curriculum
        if content is None or not content.is_chain or len(content.tasks) < 2:
            continue
        wanted = replace(content, tasks=content.tasks[::-1], groups=content.groups[::-1])
        for other in known[number + 1 :]:
            if other.method == arm.method and other.curriculum == wanted:
                found.append(_with_others(arm, other, content, known))
    return found


def _with_others(first: Arm, second: Arm, content: Curriculum, arms: Sequence[Arm]) -> Pair:
    """Return a pair of chains with the other arms of the same method and composition."""
    singles = [_one_of(arms, first, "task", (task,)) for task in content.tasks]
    placebos = [_one_of(arms, first, "placebo", (task,)) for task in content.tasks]
    direct = [arm for arm in arms if arm.method == first.method and arm.intermediate == NONE and arm.k is None]
    return Pair(
        first=first,
        second=second,
        singles=tuple(arm for arm in singles if arm is not None),
        mixture=_one_of(arms, first, "mixture", content.tasks),
        merged=_one_of(arms, first, "merge", content.tasks),
        placebo=next((arm for arm in placebos if arm is not None), None),
        direct=next(iter(direct), None),
    )


def _one_of(arms: Sequence[Arm], like: Arm, how: str, tasks: Sequence[str]) -> Arm | None:
    """Return the arm that is made of some tasks in one way, with the method and composition of another."""
    assert like.curriculum is not None  # noqa: S101
    for arm in arms:
        content = arm.curriculum
        if content is None or arm.method != like.method or content.composition != like.curriculum.composition:
            continue
        if content.how == how and sorted(content.tasks) == sorted(tasks):
            return arm
    return None


def pooled(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the mean over encoders for every arm, task, language and seed."""
    groups: dict[tuple[Arm, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.arm, outcome.task), []).append(outcome)
    means = []
    for group in groups.values():
        means += contrasts.pooled(group)
    return means


def direction(pair: Pair | None, arm: Arm) -> int:
    """Return 1 for the first chain of a pair, -1 for the second one and 0 for any other arm."""
    if pair is None:
        return 0
    return {pair.first: 1, pair.second: -1}.get(arm, 0)


def kind_sign(pair: Pair, group: str) -> int:
    """Return 1 if the first chain ends with a task of the target's kind, -1 if the second one does.

    Args:
        pair: the chains.
        group: kind of the target.

    Returns:
        0 if neither is, or both are.
    """
    groups = pair.curriculum.groups
    return int(groups[-1] == group) - int(groups[0] == group) if groups else 0


def contrast_parts(pair: Pair, outcomes: Sequence[Outcome]) -> dict[str, Parts]:
    """Return the contrasts that some outcomes give: name -> weight and outcomes of every part, English among them.

    Args:
        pair: the arms.
        outcomes: of a group of targets.
    """
    first, second = of_arm(outcomes, pair.first), of_arm(outcomes, pair.second)
    chains: Parts = [(0.5, first), (0.5, second)]
    minus_chains: Parts = [(-0.5, first), (-0.5, second)]
    parts: dict[str, Parts] = {ORDER: [(1.0, first), (-1.0, second)]}
    own = own_kind(pair, outcomes)
    if own[0]:
        parts[KIND] = [(1.0, own[0]), (-1.0, own[1])]
    if len(pair.singles) > 1:
        parts[SINGLE] = [*chains, (-1.0, better([of_arm(outcomes, arm) for arm in pair.singles]))]
    for name, arm in ((MIX, pair.mixture), (MERGE, pair.merged)):
        if arm is not None:
            parts[name] = [(1.0, of_arm(outcomes, arm)), *minus_chains]
    if pair.placebo is not None and pair.direct is not None:
        parts[PLACEBO] = [(1.0, of_arm(outcomes, pair.placebo)), (-1.0, of_arm(outcomes, pair.direct))]
    return {name: each for name, each in parts.items() if all(group for _, group in each)}


def own_kind(pair: Pair, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return the outcomes of the chains that end, and of those that begin, with a task of the target's kind."""
    last: list[Outcome] = []
    begin: list[Outcome] = []
    for outcome in outcomes:
        sign = kind_sign(pair, outcome.group) * direction(pair, outcome.arm)
        if sign:
            (last if sign > 0 else begin).append(outcome)
    return last, begin


def better(arms: Sequence[list[Outcome]]) -> list[Outcome]:
    """Return for every seed the outcomes of the arm with the highest English score in the other seeds.

    The best of several measured scores is biased upwards, because chance helps to choose it. The scores of other seeds
    choose without that bias.

    Args:
        arms: outcomes of every arm.
    """
    seeds = set.intersection(*({outcome.seed for outcome in outcomes} for outcomes in arms))
    chosen: list[Outcome] = []
    for seed in sorted(seeds):
        scores = [_choosing_score(outcomes, seeds - {seed} or seeds) for outcomes in arms]
        best = arms[int(np.argmax(scores))]
        chosen += [outcome for outcome in best if outcome.seed == seed]
    return chosen


def _choosing_score(outcomes: Sequence[Outcome], seeds: set[int]) -> float:
    """Return the English score of some seeds; that of all languages if English is not tested."""
    of_seeds = [outcome for outcome in outcomes if outcome.seed in seeds]
    return mean_score([outcome for outcome in of_seeds if outcome.language == ENGLISH] or of_seeds)


def steps_of(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the optimizer steps that each intermediate task had, averaged over runs; empty if they are not known."""
    totals: dict[str, float] = {}
    for outcome in outcomes:
        for name, value in outcome.costs.items():
            if name.startswith(STEPS):
                task = name.removeprefix(STEPS)
                totals[task] = totals.get(task, 0.0) + value / len(outcomes)
    return totals


def why_uneven(pair: Pair, contrast: str, outcomes: Sequence[Outcome]) -> str:
    """Return why a contrast is left out: its intermediates had different numbers of steps; empty if it may stay.

    Args:
        pair: the arms.
        contrast: name of the contrast.
        outcomes: with the steps.
    """
    compared: Mapping[str, Sequence[Arm | None]] = {SINGLE: pair.singles, MIX: (pair.mixture,)}
    arms = [pair.first, pair.second, *(arm for arm in compared.get(contrast, ()) if arm is not None)]
    if contrast == PLACEBO:
        return ""
    counts = {arm.intermediate: sum(steps_of(of_arm(outcomes, arm)).values()) for arm in arms}
    known = {name: count for name, count in counts.items() if count}
    if not known or max(known.values()) - min(known.values()) <= _SAME_STEPS * max(known.values()):
        return ""
    listed = ", ".join(f"{name} {count:,.0f}" for name, count in known.items())
    return f"`{contrast}` is left out: steps are not equal ({pair.method}: {listed})"


def sign_flip(effects: Sequence[float]) -> float | None:
    """Return the two-sided p-value of effects whose signs would be random if there were none; exact.

    Args:
        effects: one for each target.

    Returns:
        The p-value; None for 5 effects or fewer, which are never significant, or more than 16, too many to enumerate.
    """
    count = len(effects)
    if not _FEWEST_FLIPS < count <= _MOST_FLIPS:
        return None
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    sums = np.abs((2 * bits - 1) @ np.array(effects))
    return float(np.mean(sums >= abs(sum(effects)) - 1e-9))


def targets_of(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return the outcomes of every target."""
    return {task: [outcome for outcome in outcomes if outcome.task == task] for task in tasks_of(outcomes)}
