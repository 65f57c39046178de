"""Differences between arms, and which arms have learned anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from adaptstilts.metrics.intervals import Difference, Numbers, corrected, paired_difference
from adaptstilts.questions.base import ENGLISH, Arm, Array, Outcome

Block = tuple[str, str]  # task and language
Run = tuple[int, int]  # seed and draw


def of_arm(outcomes: Iterable[Outcome], arm: Arm) -> list[Outcome]:
    """Return the outcomes of one arm."""
    return [outcome for outcome in outcomes if outcome.arm == arm]


def by_model(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Return the outcomes of every model, the smallest model first."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.size):
        groups.setdefault(outcome.model, []).append(outcome)
    return groups


def arms_of(outcomes: Iterable[Outcome]) -> list[Arm]:
    """Return every arm, in the order of the outcomes."""
    return list(dict.fromkeys(outcome.arm for outcome in outcomes))


def tasks_of(outcomes: Iterable[Outcome]) -> list[str]:
    """Return every task, in the order of the outcomes."""
    return list(dict.fromkeys(outcome.task for outcome in outcomes))


def away_from_english(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes in other languages than English."""
    return [outcome for outcome in outcomes if outcome.language != ENGLISH]


def mean_score(outcomes: Sequence[Outcome]) -> float:
    """Return the mean over seeds, languages and tasks; every task counts the same."""
    means = []
    for task in tasks_of(outcomes):
        means.append(np.mean([outcome.score for outcome in outcomes if outcome.task == task]))
    return float(np.mean(means))


def difference(parts: Sequence[tuple[float, Sequence[Outcome]]]) -> Difference | None:
    """Return a weighted sum of mean scores with its interval, over the seeds that all of them have.

    Every task counts the same, and every language of a task. Items are joined where languages share them. The p-value
    is that of one comparison; :func:`adaptstilts.metrics.intervals.corrected` corrects several.

    Args:
        parts: weight and outcomes of every part, for example +1 for one arm and -1 for another.

    Returns:
        None if the parts have no seed in common, or not the same tasks, languages and items.
    """
    sides = [(weight, by_run(outcomes)) for weight, outcomes in parts]
    runs = sorted(set.intersection(*(set(side) for _, side in sides))) if sides else []
    if not runs:
        return None
    blocks = list(sides[0][1][runs[0]])
    weights = block_weights(blocks)
    values: list[dict[str, Array]] = []
    for run in runs:
        total: dict[str, Array] = {}
        for weight, side in sides:
            if list(side[run]) != blocks:
                return None
            for block, outcome in side[run].items():
                before = total.get(block_name(block))
                if before is not None and len(before) != len(outcome.values):
                    return None
                part = weight * weights[block] * outcome.values
                total[block_name(block)] = part if before is None else before + part
        values.append(total)
    if len({seed for seed, _ in runs}) == 1:  # draws of rows do not show how seeds vary
        values = [_mean_blocks(values)]
    zeros = [_zeros(blocks) for blocks in values]
    result = paired_difference(values, zeros, item_numbers(sides[0][1][runs[0]]))
    return corrected({"": result})[""]


def _mean_blocks(runs: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.mean([of_run[name] for of_run in runs], axis=0) for name in runs[0]}


def _zeros(blocks: Mapping[str, Array]) -> dict[str, Array]:
    return {name: 0 * block for name, block in blocks.items()}


def seed_differences(parts: Sequence[tuple[float, Sequence[Outcome]]]) -> list[float]:
    """Return the same sum for every seed that all parts have."""
    seeds = set.intersection(*({outcome.seed for outcome in outcomes} for _, outcomes in parts))
    sums = []
    for seed in sorted(seeds):
        of_seed = [(weight, [each for each in outcomes if each.seed == seed]) for weight, outcomes in parts]
        sums.append(sum(weight * mean_score(outcomes) for weight, outcomes in of_seed))
    return sums


def pooled(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the mean outcome of every language, seed and draw, over models and over what else differs.

    Args:
        outcomes: of one task; for every language, as many of each seed and draw as of any other.

    Returns:
        Nothing where some are missing, or do not have the same test items.
    """
    groups: dict[tuple[str, int, int], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.language, outcome.seed, outcome.draw), []).append(outcome)
    most = max((len(group) for group in groups.values()), default=0)
    means = []
    for group in groups.values():
        first = group[0]
        if len(group) == most and all(np.array_equal(each.items, first.items) for each in group):
            means.append(replace(first, values=np.mean([each.values for each in group], axis=0)))
    return means


def not_learned(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the tasks that English is not above chance in, with 95 % confidence; of one arm of one model.

    A task whose chance is unknown counts as learned.
    """
    tasks = []
    for task in tasks_of(outcomes):
        english = [outcome for outcome in outcomes if outcome.task == task and outcome.language == ENGLISH]
        if english and english[0].chance:
            score = difference([(1.0, english)])
            if score is None or score.low <= english[0].chance:
                tasks.append(task)
    return tasks


def by_run(outcomes: Sequence[Outcome]) -> dict[Run, dict[Block, Outcome]]:
    """Return the outcomes of every seed and draw, in one order of tasks and languages."""
    runs: dict[Run, dict[Block, Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.task, outcome.language)):
        runs.setdefault((outcome.seed, outcome.draw), {})[outcome.task, outcome.language] = outcome
    return runs


def block_weights(blocks: Sequence[Block]) -> dict[Block, float]:
    """Return the weights with which the plain mean over blocks becomes the mean over tasks of means over languages."""
    counts: dict[str, int] = {}
    for task, _ in blocks:
        counts[task] = counts.get(task, 0) + 1
    return {block: len(blocks) / (len(counts) * counts[block[0]]) for block in blocks}


def item_numbers(blocks: Mapping[Block, Outcome]) -> dict[str, Numbers]:
    """Return the number of every item; items of different tasks are different ones."""
    first: dict[str, int] = {}
    numbers: dict[str, Numbers] = {}
    count = 0
    for (task, language), outcome in blocks.items():
        start = first.setdefault(task, count)
        numbers[block_name((task, language))] = outcome.items + start
        count = max(count, start + int(outcome.items.max()) + 1)
    return numbers


def block_name(block: Block) -> str:
    """Return what intervals call a task in a language."""
    return " ".join(block)
