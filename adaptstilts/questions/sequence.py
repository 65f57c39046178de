"""Sequence: train intermediate tasks one after the other, and in which order, or both at once, or just one?

The main number is the order effect: the first chain of the study minus the chain of the same tasks in the opposite
order, in points outside English, averaged over the targets and encoders. Beside it, as one family: what the chains add
to the better single task, what mixing or merging the tasks changes, what training on permuted labels changes, and
whether targets gain if the last task is of their kind. Arms whose intermediates had different numbers of steps are not
compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from adaptstilts.metrics.intervals import LEVEL, corrected, detectable
from adaptstilts.questions import contrasts, curricula, needs, sequence_tables, simulation
from adaptstilts.questions.base import ENGLISH, Arm, Design, Findings, Noise, Outcome, Scenario
from adaptstilts.questions.contrasts import arms_of, away_from_english, tasks_of
from adaptstilts.questions.curricula import KIND, MERGE, MIX, ORDER, PLACEBO, SINGLE, Pair
from adaptstilts.questions.outcomes import curriculum, group_of
from adaptstilts.questions.sequence_tables import ALL, RETRIEVAL, Family
from adaptstilts.questions.wording import as_number, reason, with_interval
from adaptstilts.reports.page.model import Fact, Number
from adaptstilts.reports.page.parts.results import judge
from adaptstilts.study import Study, StudyError

_LEVEL = 60.0  # simulated score of targets trained directly
_GAIN = 2.0  # simulated gain of an intermediate task
_OF_ENCODER = 0.5  # share of the variance between seeds that all targets of an intermediate encoder have in common


class SequenceQuestion:
    """The question of sequences."""

    name = "sequence"
    text = "Does the order of intermediate tasks matter, and is a sequence better than both at once or one alone?"
    unit = "points"

    def check(self, study: Study) -> None:
        """Raise unless a study has chains of the same tasks in opposite orders."""
        arms = [Arm("", part.label, curriculum=curriculum(part)) for part in study.intermediates]
        if not curricula.pairs(arms):
            message = (
                "the question sequence needs two chains of the same tasks in opposite orders, found none; add"
                " intermediates such as {task: a-b, chain: {tasks: [a, b]}} and {task: b-a, chain: {tasks: [b, a]}}"
            )
            raise StudyError(study.place.at("question"), message)

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question; see :class:`adaptstilts.questions.base.Question`."""
        outcomes = [outcome for outcome in outcomes if outcome.moment is None and outcome.arm.k is None]
        pairs, refusals, usable = learned(outcomes)
        family, uneven = _family(pairs, usable)
        pair = pairs[0] if pairs and pairs[0] in usable else None
        main = family.get((ALL, pair, ORDER)) if pair else None
        verdict = judge(main, margin) if main else "not resolved"
        return Findings(
            sentence=_sentence(pair, family, usable),
            main=main,
            margin=margin,
            verdict=verdict,
            reason=reason(main, verdict, margin, self.unit),
            numbers=_numbers(pair, family),
            refusals=[*refusals, *uneven],
            limits=_limits(pair, usable),
            facts=_facts(pair, family, usable),
            tables=sequence_tables.tables(pairs, family, usable),
            figures=sequence_tables.figures(pair, family, usable, margin),
        )

    def detectable(self, design: Design, noise: Noise) -> float:
        """Return the order effect that a study is expected to find in 80 of 100 repetitions."""
        models, targets = len(design.sizes), len(design.tasks)
        if design.seeds < 2 or not models or not targets:
            return math.inf
        of_runs = noise.seed**2 * (_OF_ENCODER + (1 - _OF_ENCODER) / targets) / design.seeds
        variance = (2 * of_runs + needs.item_variance(design)) / models
        return detectable(math.sqrt(variance), design.seeds - 1)

    def scenarios(self, design: Design, noise: Noise) -> list[Scenario]:
        """Return scenarios: order matters nowhere, everywhere or only for a kind of target, or nothing is learned."""
        step = 1.2 * self.detectable(design, noise)
        pair = next(iter(curricula.pairs(design.arms)), None)
        signs = [curricula.kind_sign(pair, group_of(task)) if pair else 0 for task in design.tasks]
        return [
            Scenario("order does not matter", 0.0),
            Scenario("the first order is better", step, {"order": step}),
            Scenario("the second order is better", -step, {"order": -step}),
            Scenario("the last task helps its own kind", step * float(np.mean(signs or [0])), {"kind": step}),
            Scenario("nothing is learned", 0.0, {"chance": 33.0}, is_refused=True),
        ]

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        """Return one simulated study; see :class:`adaptstilts.questions.base.Question`.

        What intermediates change is the same for all models, as the question is about these models.
        """
        chance = scenario.settings.get("chance", 0.0)
        pair = next(iter(curricula.pairs(design.arms)), None)
        groups = {task: group_of(task) for task in design.tasks}

        def truth(size: int, arm: Arm, task: str) -> float:
            if chance:
                return chance - simulation.ENGLISH_LEAD
            if arm.curriculum is None or arm.curriculum.how == "placebo":
                return _LEVEL
            shift = scenario.settings.get("order", 0.0)
            shift += scenario.settings.get("kind", 0.0) * (curricula.kind_sign(pair, groups[task]) if pair else 0)
            return _LEVEL + _GAIN + shift / 2 * curricula.direction(pair, arm)

        arms = [arm for arm in design.arms if arm.k is None]
        still = replace(noise, model=0.0)
        plain = replace(design, arms=arms, chance=chance)
        outcomes = simulation.simulate(plain, still, truth, np.random.default_rng(seed), _OF_ENCODER)
        return [replace(each, group=groups[each.task], costs={"cpu_seconds": 10.0}) for each in outcomes]


SEQUENCE = SequenceQuestion()


def learned(outcomes: Sequence[Outcome]) -> tuple[list[Pair], list[str], dict[Pair, list[Outcome]]]:
    """Return all pairs of chains, why targets are left out, and the remaining outcomes of every pair.

    A target counts if both chains together are above chance in English. Encoders are pooled.

    Args:
        outcomes: of targets, each trained on English rows.
    """
    refusals: list[str] = []
    usable: dict[Pair, list[Outcome]] = {}
    pairs = curricula.pairs(arms_of([each for each in outcomes if each.costs]))
    for pair in pairs:
        of_pair = curricula.pooled([each for each in outcomes if each.arm in pair.arms])
        chains = [replace(each, arm=pair.first) for each in of_pair if each.arm in (pair.first, pair.second)]
        weak = _not_learned(curricula.pooled(chains))
        refusals += [f"no chain has learned {task} with {pair.method}: English is not above chance" for task in weak]
        kept = [each for each in of_pair if each.task not in weak]
        if kept:
            usable[pair] = kept
    return pairs, refusals, usable


def _not_learned(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the targets whose English score is not above chance, corrected for the number of targets."""
    weak = contrasts.not_learned(outcomes)
    targets = curricula.targets_of(outcomes)
    for task, of_target in targets.items():
        english = [each for each in of_target if each.language == ENGLISH]
        if task in weak or not english or not english[0].chance:
            continue
        score = contrasts.difference([(1.0, english)])
        if score is not None and score.seeds > 1:
            above = replace(score, value=score.value - english[0].chance)
            if len(targets) * above.p > 1 - LEVEL:
                weak.append(task)
    return weak


def _family(pairs: Sequence[Pair], usable: Mapping[Pair, Sequence[Outcome]]) -> tuple[Family, list[str]]:
    """Return every contrast of all pairs, the main one first and the others corrected, and what is not compared."""
    family: Family = {}
    uneven: dict[str, None] = {}
    for pair in usable:
        for group, of_group in groups_of(usable[pair]).items():
            for name, parts in curricula.contrast_parts(pair, of_group).items():
                if name == KIND and group != ALL:
                    continue  # it is the order effect, or minus that
                text = curricula.why_uneven(pair, name, of_group)
                if text:
                    uneven[text] = None
                    continue
                value = contrasts.difference([(weight, away_from_english(part)) for weight, part in parts])
                if value is not None:
                    family[group, pair, name] = value
    main = (ALL, pairs[0], ORDER) if pairs else None
    others = {key: replace(value, holm=None) for key, value in family.items() if key != main}
    return {**family, **corrected(others)}, [*uneven]


def groups_of(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Return all trained targets together, each kind of them if there are several, and retrieval by itself.

    Retrieval is in no mean: nothing is trained for it, and its scores have another scale.
    """
    trained = [each for each in outcomes if each.costs]
    groups = {ALL: trained} if trained else {}
    names = sorted({each.group or each.task for each in trained})
    if len(names) > 1:
        for name in names:
            groups[name] = [each for each in trained if (each.group or each.task) == name]
    searched = [each for each in outcomes if not each.costs]
    return {**groups, RETRIEVAL: searched} if searched else groups


def _sentence(pair: Pair | None, family: Family, usable: Mapping[Pair, Sequence[Outcome]]) -> str:
    main = family.get((ALL, pair, ORDER)) if pair else None
    if pair is None or main is None:
        return "The results have no comparable chains in opposite orders, so nothing is said about order."
    count = len(tasks_of([each for each in usable[pair] if each.costs]))
    targets = "the score of the target" if count == 1 else f"the mean score of the {count} targets"
    text = f"{pair.name} instead of {pair.opposite} changes {targets} by {with_interval(main)} points"
    words = {
        KIND: "training a target's own kind last changes it by",
        MIX: "both at once differs from the chains by",
        SINGLE: "the chains differ from the better single task by",
    }
    for name, beginning in words.items():
        value = family.get((ALL, pair, name))
        if value is not None:
            text += f"; {beginning} {with_interval(value)}"
    return f"{text}."


def _numbers(pair: Pair | None, family: Family) -> list[Number]:
    if pair is None:
        return []
    labels = {
        ORDER: f"{pair.name}, not {pair.opposite}",
        SINGLE: "chains, not the better single task",
        MIX: "both at once, not in turn",
        PLACEBO: "permuted labels, not direct training",
    }
    numbers = []
    for name, label in labels.items():
        value = family.get((ALL, pair, name))
        if value is not None or name == ORDER:
            numbers.append(as_number(label, value))
    return numbers


def _limits(pair: Pair | None, usable: Mapping[Pair, Sequence[Outcome]]) -> list[str]:
    limits = ["It is about these tasks and these encoders; two other tasks may depend on their order."]
    if pair is None:
        return limits
    limits.append("Equal steps are not equal tokens: rows of one task may be longer than those of another.")
    if any(each.language == ENGLISH for each in usable[pair]):
        limits.append("The better single task is the one with the higher English score in the other seeds.")
    if MERGE in curricula.contrast_parts(pair, list(usable[pair])):
        limits.append("A merge uses the steps of all tasks that it merges, which are more than a chain has.")
    return limits


def _facts(pair: Pair | None, family: Family, usable: Mapping[Pair, Sequence[Outcome]]) -> list[Fact]:
    """Return how many numbers are tested, and whether the kind of the last task predicts the order effect."""
    if pair is None:
        return []
    tests = max((value.family for value in family.values() if value.holm is not None), default=0)
    facts = [Fact("Other tests", str(tests), "Corrected by Holm as one family; the main number is not among them.")]
    effects = sequence_tables.kind_effects(pair, usable[pair])
    p_value = curricula.sign_flip(effects)
    if p_value is not None:
        note = f"Two-sided sign-flip test over the {len(effects)} targets of the same kind as one of the tasks."
        facts.append(Fact("Kind of the last task", f"p = {p_value:.3f}", note))
    return facts
