"""Retention: how much of what an intermediate task taught is left after the target was trained on top?

The main number is the backward transfer: the score of the intermediate task after the target minus the one before it,
by the intermediate's own head, in points outside English (Lopez-Paz and Ranzato 2017, arXiv 1706.08840). Beside it: the
share of the gain that new heads still find (probes before, after and beyond), what is only hidden from the old head,
and whether the change depends on the size of the encoder or on the method.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from adaptstilts.metrics import trends
from adaptstilts.metrics.intervals import Difference, corrected, detectable
from adaptstilts.questions import contrasts, needs, simulation, stage_tables
from adaptstilts.questions.base import ENGLISH, NONE, Design, Findings, Moment, Noise, Outcome, Scenario
from adaptstilts.questions.contrasts import by_model
from adaptstilts.questions.stage_tables import ALL, Chain, ChainScores, StageScores
from adaptstilts.questions.wording import as_number, reason, with_interval
from adaptstilts.reports.page.model import Fact, Number
from adaptstilts.reports.page.parts.results import judge
from adaptstilts.study import Study, StudyError

_LEVEL = 60.0  # simulated score of the intermediate task, when it was learned
_GAIN = 30.0  # simulated gain of its training
_WIDE = 1.0  # a share with a wider interval says nothing


class Retention:
    """The question of retention."""

    name = "retention"
    text = "How much of what the intermediate phase taught is left after the target phase?"
    unit = "points"

    def check(self, study: Study) -> None:
        """Raise unless a study scores an intermediate task again."""
        if study.retention is None:
            message = "the question retention needs `retention:`, such as `retention: {probe: {epochs: 3}}`"
            raise StudyError(study.place.at("question"), message)
        if all(part.label == NONE for part in study.intermediates):
            message = "the question retention needs an intermediate task, found none"
            raise StudyError(study.place.at("question"), message)

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question; see :class:`adaptstilts.questions.base.Question`."""
        scored = [outcome for outcome in outcomes if outcome.moment is not None]
        refusals, usable = learned(scored)
        chains = _chains(usable)
        main_chain = next(iter(chains), None)
        main = chains[main_chain][ALL].change if main_chain else None
        family = _family(chains, usable)
        verdict = judge(main, margin) if main else "not resolved"
        return Findings(
            sentence=_sentence(main_chain, chains, family),
            main=main,
            margin=margin,
            verdict=verdict,
            reason=reason(main, verdict, margin, self.unit),
            numbers=_numbers(main_chain, chains),
            refusals=refusals,
            limits=_limits(usable, chains),
            facts=_facts(chains),
            tables=stage_tables.tables(chains, family, _scores(usable)),
            figures=stage_tables.figures(chains, _scores(usable)),
        )

    def detectable(self, design: Design, noise: Noise) -> float:
        """Return the change that a study is expected to find in 80 of 100 repetitions."""
        if design.seeds < 2 or not design.tasks:
            return math.inf
        models, targets = len(design.sizes), len(design.tasks)
        one_task = replace(design, tasks=design.tasks[:1])
        shared = (1 + 1 / targets) / models  # every target is compared with the same scores before it
        variance = shared * (noise.seed**2 / design.seeds + needs.item_variance(one_task) / 2)
        return detectable(math.sqrt(variance), design.seeds - 1)

    def scenarios(self, design: Design, noise: Noise) -> list[Scenario]:
        """Return chains that keep all, lose some in different ways, and an intermediate that nothing learns."""
        step = -1.2 * self.detectable(design, noise)
        return [
            Scenario("nothing is forgotten", 0.0),
            Scenario("some is forgotten", step, {"probe": step}),
            Scenario("English alone keeps it", step, {"probe": step, "english": 0.0}),
            Scenario("only the head is lost", step, {"probe": 0.0}),
            Scenario("nothing is learned", 0.0, {"chance": 33.0}, is_refused=True),
        ]

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        """Return one simulated study; see :class:`adaptstilts.questions.base.Question`."""
        generator = np.random.default_rng(seed)
        hardness = simulation.difficulty_of(design, generator)
        outcomes: list[Outcome] = []
        for arm in (arm for arm in design.arms if arm.intermediate != NONE and arm.k is None):
            odd = generator.normal(0, noise.model, len(design.sizes))
            for (model, size), shift in zip(design.sizes.items(), odd - odd.mean(), strict=True):
                base = Outcome(model, size, 2 * size, arm.intermediate, "", arm, 0, 0, np.empty(0), np.empty(0, int))
                for number in range(1, design.seeds + 1):
                    chain = _Simulated(replace(base, seed=number), design, noise, scenario, shift, hardness, generator)
                    outcomes += chain.outcomes()
        return outcomes


RETENTION = Retention()


class _Simulated:
    """One simulated chain of one encoder and seed.

    Args:
        base: an outcome of it, without scores.
        design: of the study.
        noise: of its results.
        scenario: what is true.
        shift: how much more this encoder forgets than others.
        hardness: language -> how hard every item is.
        generator: source of chance.
    """

    def __init__(
        self,
        base: Outcome,
        design: Design,
        noise: Noise,
        scenario: Scenario,
        shift: float,
        hardness: Mapping[str, np.ndarray],
        generator: np.random.Generator,
    ) -> None:
        self.base, self.design, self.noise, self.scenario = base, design, noise, scenario
        self.shift, self.hardness, self.generator = shift, hardness, generator

    def outcomes(self) -> list[Outcome]:
        """Return the outcomes of every stage, scorer and target; those before the targets are the same for all."""
        settings = self.scenario.settings
        gain = settings.get("gain", _GAIN)
        first = [
            ("base", "probe", -gain, -gain),
            ("intermediate", "head", 0.0, 0.0),
            ("intermediate", "probe", 0.0, 0.0),
        ]
        shared: list[Outcome] = []
        for stage, scorer, other, english in first:
            shared += self._scored(Moment(stage, scorer, ""), other, english)
        outcomes: list[Outcome] = []
        for target in self.design.tasks:
            outcomes += [replace(each, moment=replace(each.moment, target=target)) for each in shared if each.moment]
            for scorer in ("head", "probe"):
                change = self.scenario.effect if scorer == "head" else settings.get("probe", 0.0)
                moment = Moment("target", scorer, target)
                outcomes += self._scored(moment, change + self.shift, settings.get("english", change) + self.shift)
        return outcomes

    def _scored(self, moment: Moment, other: float, english: float) -> list[Outcome]:
        """Return the outcomes of one moment, in every language.

        Args:
            moment: when it is scored.
            other: how far the true score is from that when it was learned, outside English.
            english: the same in English.
        """
        chance = self.scenario.settings.get("chance", 0.0)
        noise = self.generator.normal(0, self.noise.seed)
        outcomes = []
        for language in self.design.languages:
            is_english = language == ENGLISH
            level = _LEVEL + (simulation.ENGLISH_LEAD + english if is_english else other)
            score = chance if chance else level
            values = simulation.answers(self.hardness[language], score + noise, self.generator)
            items = np.arange(self.design.items)
            one = replace(self.base, language=language, values=values, items=items, chance=chance, moment=moment)
            outcomes.append(one)
        return outcomes


def learned(outcomes: Sequence[Outcome]) -> tuple[list[str], list[Outcome]]:
    """Return what nothing is concluded from, and the outcomes without it.

    A method counts only if its encoders together have learned the task: one of many may be above chance by luck.
    """
    refusals, usable = [], []
    for arm in contrasts.arms_of(outcomes):
        of_arm = contrasts.of_arm(outcomes, arm)
        if contrasts.not_learned(contrasts.pooled(_at(of_arm, "intermediate", "head", english=True))):
            refusals.append(f"no encoder has learned {of_arm[0].task} with {arm.method}: English is not above chance")
            continue
        for model, of_model in by_model(of_arm).items():
            if contrasts.not_learned(_at(of_model, "intermediate", "head")):
                text = f"{model} has not learned {of_arm[0].task} with {arm.method}: English is not above chance"
                refusals.append(text)
            else:
                usable += of_model
    return refusals, usable


def _at(outcomes: Sequence[Outcome], stage: str, scorer: str, english: bool | None = None) -> list[Outcome]:
    """Return the outcomes of one stage and scorer; of English, of the other languages, or of all."""
    chosen = []
    for outcome in outcomes:
        is_wanted = english is None or english == (outcome.language == ENGLISH)
        if is_wanted and outcome.moment and (outcome.moment.stage, outcome.moment.scorer) == (stage, scorer):
            chosen.append(outcome)
    return chosen


def stages_of(outcomes: Sequence[Outcome], english: bool) -> StageScores:
    """Return the pooled outcomes of every stage, of English or of the other languages."""
    wanted = [("base", "probe"), ("intermediate", "head"), ("intermediate", "probe"), ("target", "head")]
    pooled = [contrasts.pooled(_at(outcomes, *one, english)) for one in (*wanted, ("target", "probe"))]
    return StageScores(*pooled)


def _chains(outcomes: Sequence[Outcome]) -> dict[Chain, dict[str, ChainScores]]:
    """Return what is left of every intermediate with every method: for all encoders together, and for each."""
    chains: dict[Chain, dict[str, ChainScores]] = {}
    for arm in contrasts.arms_of(outcomes):
        of_arm = contrasts.of_arm(outcomes, arm)
        groups = {ALL: of_arm, **by_model(of_arm)}
        scores = {}
        for name, group in groups.items():
            of_group = ChainScores.of(group[0].size, stages_of(group, english=False), stages_of(group, english=True))
            if of_group is not None:
                scores[name] = of_group
        if ALL in scores:
            chains[Chain(arm, of_arm[0].task, _targets(of_arm))] = scores
    return chains


def _targets(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.moment.target for each in outcomes if each.moment))


def _family(
    chains: Mapping[Chain, Mapping[str, ChainScores]], outcomes: Sequence[Outcome]
) -> dict[tuple[str, str], Difference]:
    """Return what else is tested, corrected as one family: (what, of which) -> difference."""
    family: dict[tuple[str, str], Difference] = {}
    for chain, scores in chains.items():
        models = [one for name, one in scores.items() if name != ALL]
        if len({one.size for one in models}) >= trends.FEWEST:
            places = [math.log2(one.size) for one in models]
            family["change a doubling", chain.name] = trends.slope(places, [one.change.value for one in models])
        hidden = scores[ALL].hidden
        if hidden is not None:
            family["hidden from the old head", chain.name] = hidden
    first = next(iter(chains), None)
    for chain in [*chains][1:]:
        if first is None or chain.task != first.task:
            continue
        parts: list[tuple[float, list[Outcome]]] = []
        for sign, one in ((1.0, chain), (-1.0, first)):
            stages = stages_of(contrasts.of_arm(outcomes, one.arm), english=False)
            parts += [(sign, stages.head_after), (-sign, stages.head_learned)]
        difference = contrasts.difference(parts)
        if difference is not None:
            family[f"more is kept than by {first.name}", chain.name] = difference
    return corrected(family)


def _scores(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes of each moment once, without those that several targets share."""
    seen: dict[tuple[object, ...], Outcome] = {}
    for each in outcomes:
        assert each.moment is not None  # noqa: S101
        target = each.moment.target if each.moment.stage == "target" else ""
        moment = (each.moment.stage, each.moment.scorer, target)
        seen.setdefault((each.model, each.arm, moment, each.language, each.seed), each)
    return [*seen.values()]


def _sentence(
    chain: Chain | None,
    chains: Mapping[Chain, Mapping[str, ChainScores]],
    family: Mapping[tuple[str, str], Difference],
) -> str:
    if chain is None:
        return "The results do not say what is left of an intermediate task."
    scores = chains[chain][ALL]
    english = f" and by {with_interval(scores.english)} in English" if scores.english else ""
    what = f"{chain.arm.intermediate} ({chain.arm.method})"
    text = (
        f"Training {chain.after} next changes {what} by {with_interval(scores.change)} points outside English{english}"
    )
    if scores.left is not None and scores.left.high - scores.left.low > _WIDE:
        text += "; the share that is left is not given, as its interval is wider than all that was learned"
    elif scores.left is not None:
        text += f"; new heads find {scores.left.text} of what was learned there"
    else:
        text += "; the share that is left is not given, as the gain is not above zero"
    slope = family.get(("change a doubling", chain.name))
    if slope is not None and slope.is_claimed:
        text += f"; it changes by {with_interval(slope)} points a doubling of the encoder"
    elif slope is not None:
        text += f"; no change with size is seen (this study sees {slope.detectable:.1f} points a doubling)"
    return f"{text}."


def _numbers(chain: Chain | None, chains: Mapping[Chain, Mapping[str, ChainScores]]) -> list[Number]:
    if chain is None:
        return []
    scores = chains[chain][ALL]
    numbers = [as_number(f"{chain.name}: change outside English", scores.change)]
    numbers.append(as_number("the same in English", scores.english))
    if scores.left is None:
        numbers.append(Number("what new heads find of the gain", "-", "refused: the gain is not above zero"))
    else:
        text, _, interval = scores.left.text.partition(" [")
        numbers.append(Number("what new heads find of the gain", text, f"95\u00a0% [{interval}"))
    return numbers


def _limits(outcomes: Sequence[Outcome], chains: Mapping[Chain, object]) -> list[str]:
    models = [*by_model(outcomes)]
    limits = [f"It is about these encoders ({', '.join(models)}) and these languages."] if models else []
    limits.append(
        "A method that learns less has less to forget: compare methods at an equal score of the intermediate."
    )
    if any(each.moment and each.moment.is_detachable for each in outcomes):
        limits.append(
            "Where the target has an adapter of its own, the numbers are with it in place. Taken off, all that the"
            " intermediate learned is there again, by construction."
        )
    return limits


def _facts(chains: Mapping[Chain, Mapping[str, ChainScores]]) -> list[Fact]:
    """Return how often the share that is left is refused."""
    refused = []
    for chain, scores in chains.items():
        refused += [f"{name}, {chain.name}" for name, one in scores.items() if one.left is None and name != ALL]
    if not refused:
        return []
    note = f"{'; '.join(refused)}. The probes show no gain that is above zero, so no share of it is given."
    return [Fact("Shares that are refused", str(len(refused)), note, is_warning=True)]
