"""Simulated outcomes: test items that are right or wrong, seeds that differ, models that are odd ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from adaptstilts.questions.base import ENGLISH, NONE, Arm, Array, Design, Noise, Outcome

ENGLISH_LEAD = 8.0  # points that English is above the other languages
_SHARED = 0.8  # of the items, on which two encoders err together

Truth = Callable[[int, Arm, str], float]  # size, arm and task -> true score outside English, in points


def simulate(
    design: Design, noise: Noise, truth: Truth, generator: np.random.Generator, of_encoder: float = 0.0
) -> list[Outcome]:
    """Return the outcomes of a study in which scores are what a function says, up to noise.

    Items are parallel over languages. Of every model each intermediate task changes the scores by a little more or less
    than of others, and every seed gives another score.

    Args:
        design: design of the study.
        noise: noise of its results.
        truth: the true scores.
        generator: source of chance.
        of_encoder: share of the variance between seeds that all targets of one intermediate encoder have in common.
    """
    intermediates = dict.fromkeys(arm.intermediate for arm in design.arms)
    difficulty = {task: difficulty_of(design, generator) for task in design.tasks}
    outcomes = []
    for model, size in design.sizes.items():
        odd = {name: generator.normal(0, noise.model) if name != NONE else 0.0 for name in intermediates}
        common = {}
        if of_encoder:
            common = {run: generator.normal(0, noise.seed * of_encoder**0.5) for run in _encoders(design)}
        own = noise.seed * (1 - of_encoder) ** 0.5
        for task in design.tasks:
            for arm, languages, seed, draw in _runs(design):
                level = truth(size, arm, task) + odd[arm.intermediate] + generator.normal(0, own)
                level += common.get((arm, seed), 0.0)
                for language in languages:
                    score = level + (ENGLISH_LEAD if language == ENGLISH else 0.0)
                    values = answers(difficulty[task][language], score, generator)
                    items = np.arange(design.items)
                    outcomes.append(
                        Outcome(model, size, 2 * size, task, language, arm, seed, draw, values, items, design.chance)
                    )
    return outcomes


def difficulty_of(design: Design, generator: np.random.Generator) -> dict[str, Array]:
    """Return language -> how hard every item is, which all encoders share."""
    return {language: generator.random(design.items) for language in design.languages}


def answers(difficulty: Array, score: float, generator: np.random.Generator) -> Array:
    """Return 100 for every item that is answered right, else 0; the expected mean is the score."""
    fresh = generator.random(len(difficulty))
    threshold = np.where(generator.random(len(difficulty)) < _SHARED, difficulty, fresh)
    right: Array = 100.0 * (threshold < np.clip(score, 0, 100) / 100)
    return right


def _encoders(design: Design) -> Iterator[tuple[Arm, int]]:
    """Yield every arm with every seed."""
    for arm in design.arms:
        for seed in range(1, design.seeds + 1):
            yield arm, seed


def _runs(design: Design) -> Iterator[tuple[Arm, Sequence[str], int, int]]:
    """Yield every training run: its arm, the languages that it is scored in, its seed and the draw of its rows."""
    for arm in design.arms:
        for seed in range(1, design.seeds + 1):
            if arm.k is None:
                yield arm, design.languages, seed, 0
                continue
            for language in design.row_languages:
                for draw in range(1, design.draws + 1):
                    yield arm, [language], seed, draw
