"""The answer card of an ordinary study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from adaptstilts import tasks
from adaptstilts.io.wording import counted, joined
from adaptstilts.metrics.intervals import Difference
from adaptstilts.reports import summary
from adaptstilts.reports.page.model import Answer, Number
from adaptstilts.reports.page.parts.averages import Pair, average
from adaptstilts.reports.page.parts.chance import not_above_chance
from adaptstilts.reports.page.parts.results import Results, judge
from adaptstilts.reports.records import NO_INTERMEDIATE, Record

SAMPLE = "adaptstilts/sample"


@dataclass(frozen=True)
class AverageChange:
    """An average difference of the study.

    Attributes:
        label: what it is the average of.
        count: number of comparisons.
        difference: None if it has no single interval.
    """

    label: str
    count: int
    difference: Difference | None


def contrasts(results: Results) -> list[AverageChange]:
    """Return the average differences of a study; the first one decides the verdict."""
    trained = [record for record in results.done if record.trainable is not None]
    searched = [record for record in results.done if record.trainable is None]
    averages = [
        _contrast(results, "an intermediate task, on trained targets", _on_none(results, trained)),
        _contrast(results, "an intermediate task, on retrieval", _on_none(results, searched)),
    ]
    for method in results.methods:
        pairs = _on_reference(results, [record for record in trained if record.method == method])
        averages.append(_contrast(results, f"{method} instead of {results.reference}", pairs))
    swaps = [(record, results.find(record.task, record.method, record.trained_on)) for record in results.swapped]
    averages.append(_contrast(results, "a swapped adapter, without training", _complete(swaps)))
    return [contrast for contrast in averages if contrast.count]


def answer(results: Results, averages: Sequence[AverageChange], config: str) -> Answer:
    """Return the card.

    Args:
        results: results of the study.
        averages: from :func:`contrasts`.
        config: the study file, for commands.
    """
    first = averages[0] if averages else None
    sentence = summary.sentence(results.records, config).removeprefix("What it shows: ").replace("`", "")
    return Answer(
        question=_question(results),
        sentence=_capitalised(sentence) or "Nothing is computed yet.",
        verdict=judge(first.difference, results.margin) if first and first.difference else "not resolved",
        reason=_reason(results, first),
        numbers=[_number(contrast) for contrast in averages[:4]],
        limits=_limits(results, averages),
    )


def _contrast(results: Results, label: str, pairs: Sequence[Pair]) -> AverageChange:
    return AverageChange(label, len(pairs), average(results, pairs))


def _on_none(results: Results, records: Sequence[Record]) -> list[Pair]:
    others = [(record, results.find(record.task, record.method, NO_INTERMEDIATE)) for record in records]
    return _complete([pair for pair in others if pair[0].trained_on != NO_INTERMEDIATE])


def _on_reference(results: Results, records: Sequence[Record]) -> list[Pair]:
    method = results.reference
    others = [(record, results.find(record.task, method, record.trained_on)) for record in records]
    return _complete([pair for pair in others if pair[0].method != method])


def _complete(pairs: Sequence[tuple[Record, Record | None]]) -> list[Pair]:
    return [(ours, theirs) for ours, theirs in pairs if theirs is not None and theirs.complete]


def _question(results: Results) -> str:
    """Return the question of the study, as its file puts it."""
    targets = joined(results.tasks)
    names = [name for name in results.intermediates if name != NO_INTERMEDIATE]
    if names and NO_INTERMEDIATE in results.intermediates:
        return f"Does training on {joined(names, 'or')} first change the scores of {targets}?"
    if len(results.methods) > 1:
        return f"How do {joined(results.methods)} compare on {targets}?"
    return f"What does {joined(results.methods)} score on {targets}?"


def _reason(results: Results, first: AverageChange | None) -> str:
    if first is None or first.difference is None:
        return "There is no comparison yet whose two sides are computed on the same examples."
    difference = first.difference
    if difference.seeds < 2:
        return "With one seed, training noise is unknown, so no difference can be claimed."
    numbers = f"{first.label} ({counted(first.count, 'comparison')}): {_text(difference)} points on average"
    verdict = judge(difference, results.margin)
    if verdict == "effect":
        return f"{_capitalised(numbers)}, and its 95 % interval leaves out zero."
    if verdict == "no effect":
        return f"{_capitalised(numbers)}, all of it within ±{results.margin:g}."
    seen = f"this study detects average differences of {difference.detectable:.1f} points or more"
    return f"{_capitalised(numbers)}, which rules out neither zero nor more than ±{results.margin:g}; {seen}."


def _number(contrast: AverageChange) -> Number:
    difference = contrast.difference
    label = f"{contrast.label} (average of {contrast.count})"
    if difference is None:
        return Number(label, "-", "no examples in common")
    if difference.seeds < 2:
        return Number(label, signed(difference.value), "points, one seed: no interval")
    interval = f"points, 95\u00a0% [{signed(difference.low)}, {signed(difference.high)}]"
    return Number(label, signed(difference.value), interval)


def _text(difference: Difference) -> str:
    return f"{signed(difference.value)} [{signed(difference.low)}, {signed(difference.high)}]"


def signed(value: float) -> str:
    """Return a difference with its sign and one decimal; never ``-0.0``."""
    return f"{round(value, 1) + 0.0:+.1f}"


def _limits(results: Results, averages: Sequence[AverageChange]) -> list[str]:
    """Return what a reader must not conclude from the results."""
    study = results.plan.study
    limits = [f"This is about one encoder, {study.model}; larger or other encoders may behave differently."]
    if any(contrast.count > 1 for contrast in averages):
        limits.append("An average can hide opposite effects: see the evidence for single targets.")
    chance = not_above_chance(results)
    if chance:
        limits.append(
            f"Nothing can be concluded from what was not learned: English is not above chance in {joined(chance)}."
        )
    if any(map(_is_sample, results.tasks)):
        limits.append("The sample suite is generated from a grammar and is not a benchmark.")
    if any(record.languages_as == "fixed" for record in results.done):
        limits.append("Intervals speak of these languages, not of languages in general.")
    missing = sum(not record.complete for record in results.records)
    if missing:
        limits.append(f"{missing} of {counted(len(results.records), 'result')} are not computed.")
    return limits


def _is_sample(task: str) -> bool:
    test = tasks.get(task).test
    return test is not None and test.repo == SAMPLE


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def smallest(averages: Sequence[AverageChange]) -> float:
    """Return the smallest average difference that the study finds in 80 of 100 repetitions; infinite if unknown."""
    if not averages or averages[0].difference is None:
        return math.inf
    return averages[0].difference.detectable
