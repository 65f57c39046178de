"""Cost: at accuracy near the best arm's, what does each arm cost to train, to keep and to run?

Arms train a target directly, after an intermediate task, or on a few rows of the test languages. The main number is
what the first intermediate task changes with the first method, in points outside English; within twice the margin it
does not matter. An arm is as good as the best if it is surely not further below any other than that (an intersection of
tests, so whichever arm is the best needs no choice), corrected by Holm for the number of arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from adaptstilts.metrics.intervals import Difference, detectable, holm
from adaptstilts.questions import contrasts, cost_tables, needs, simulation
from adaptstilts.questions.base import NONE, Arm, Array, Design, Findings, Noise, Outcome, Scenario
from adaptstilts.questions.bills import OPERATIONS, ROUND, bill, without_draws
from adaptstilts.questions.contrasts import away_from_english, mean_score, of_arm
from adaptstilts.questions.cost_tables import ArmResult
from adaptstilts.questions.wording import as_number, points, reason, with_interval
from adaptstilts.reports.page.model import Number
from adaptstilts.reports.page.parts.results import judge
from adaptstilts.study import Study, StudyError

_MARGIN = 2.0  # of the margin of a difference, within which accuracy is similar
_LEVEL = 65.0  # simulated score of direct training
_ROUNDS = 5  # simulated


class Cost:
    """The question of cost."""

    name = "cost"
    text = "At similar accuracy, what does each way of training cost to train and to run?"
    unit = "points"

    def check(self, study: Study) -> None:
        """Raise unless a study has one model, and targets with and without an intermediate task."""
        if len(study.models) > 1:
            message = f"the question cost compares arms of one encoder, found {len(study.models)} models"
            raise StudyError(study.place.at("question"), message)
        needs.intermediates(study, self.name)

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question; see :class:`adaptstilts.questions.base.Question`."""
        outcomes = [outcome for outcome in outcomes if outcome.moment is None]
        limit = _MARGIN * margin
        refused = _at_chance(outcomes)
        usable = [outcome for outcome in outcomes if outcome.task not in refused]
        results = _results(usable, limit)
        pair = _main_pair(results)
        main = contrasts.difference([(1.0, pair[1].outcomes), (-1.0, pair[0].outcomes)]) if pair else None
        verdict = judge(main, limit) if main else "not resolved"
        bills = results or _results(outcomes, limit)
        return Findings(
            sentence=_sentence(results, pair, main, limit),
            main=main,
            margin=limit,
            verdict=verdict,
            reason=reason(main, verdict, limit, self.unit),
            numbers=_numbers(results, pair, main, limit),
            refusals=[f"no arm has learned {task}: English is not above chance" for task in refused],
            limits=_limits(outcomes),
            tables=cost_tables.tables(bills, limit, is_scored=bool(results)),
            figures=cost_tables.figures(results, limit),
        )

    def detectable(self, design: Design, noise: Noise) -> float:
        """Return the change that a study is expected to find in 80 of 100 repetitions."""
        if design.seeds < 2:
            return math.inf
        runs = design.seeds * len(design.tasks)
        variance = 2 * noise.seed**2 / runs + needs.item_variance(design)
        return detectable(math.sqrt(variance), design.seeds - 1)

    def scenarios(self, design: Design, noise: Noise) -> list[Scenario]:
        """Return an intermediate task that changes nothing, helps or harms, and a target that nothing learns."""
        step = 1.2 * self.detectable(design, noise)
        return [
            Scenario("arms are alike", 0.0),
            Scenario("the intermediate task helps", step),
            Scenario("the intermediate task harms", -step),
            Scenario("nothing is learned", 0.0, {"chance": 50.0}, is_refused=True),
        ]

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        """Return one simulated study of the first model; see :class:`adaptstilts.questions.base.Question`."""
        chance = scenario.settings.get("chance", 0.0)

        def truth(size: int, arm: Arm, task: str) -> float:
            if chance:
                return chance - simulation.ENGLISH_LEAD
            return _LEVEL + (scenario.effect if arm.intermediate != NONE else 0.0)

        sizes = dict([*design.sizes.items()][:1])
        plain = replace(design, sizes=sizes, chance=chance)
        generator = np.random.default_rng(seed)
        outcomes = simulation.simulate(plain, replace(noise, model=0.0), truth, generator)
        bursts = np.exp(generator.exponential(0.5, _ROUNDS))  # other programs slow a whole round down
        return [replace(each, costs=_simulated_costs(each, bursts, generator)) for each in outcomes]


COST = Cost()


def _at_chance(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the tasks that direct training has not learned with any method, so that all arms may be alike."""
    direct = [arm for arm in contrasts.arms_of(outcomes) if arm.k is None and arm.intermediate == NONE and arm.method]
    weak = [set(contrasts.not_learned(of_arm(outcomes, arm))) for arm in direct]
    return sorted(set.intersection(*weak)) if weak else []


def _results(outcomes: Sequence[Outcome], limit: float) -> list[ArmResult]:
    """Return every arm that was trained and is computed in the languages of all, with its test against the others."""
    chosen = [each for each in away_from_english(outcomes) if each.arm.method and each.costs]
    rows = {each.language for each in chosen if each.arm.k is not None}
    chosen = [each for each in chosen if each.language in rows] if rows else chosen
    arms = {arm: of_arm(chosen, arm) for arm in contrasts.arms_of(chosen)}
    extents = {arm: {(each.task, each.language, each.seed) for each in group} for arm, group in arms.items()}
    widest = max(extents.values(), key=len, default=set())
    whole = {arm: without_draws(group) for arm, group in arms.items() if extents[arm] == widest}
    p_values = _inferior(whole, limit)
    results = []
    for (arm, group), p_value in zip(whole.items(), p_values, strict=True):
        results.append(ArmResult(arm, group, mean_score(group), bill(arm, arms[arm]), arms[arm], p_value))
    return results


def _inferior(arms: Mapping[Arm, Sequence[Outcome]], limit: float) -> list[float]:
    """Return for each arm the p-value of being further below another arm than a limit, corrected by Holm."""
    worst = dict.fromkeys(arms, 0.0)
    names = list(arms)
    for number, ours in enumerate(names):
        for theirs in names[number + 1 :]:
            difference = contrasts.difference([(1.0, arms[ours]), (-1.0, arms[theirs])])
            for arm, one in ((ours, difference), (theirs, difference and difference.negated())):
                worst[arm] = max(worst[arm], _below(one, limit))
    return holm([worst[arm] for arm in names])


def _below(difference: Difference | None, limit: float) -> float:
    """Return the one-sided p-value of a difference that is below minus a limit; 1 with one seed."""
    if difference is None or difference.seeds < 2:
        return 1.0
    if difference.error == 0:
        return float(difference.value <= -limit)
    from scipy.special import stdtr

    return float(stdtr(difference.df, -(difference.value + limit) / difference.error))


def _main_pair(results: Sequence[ArmResult]) -> tuple[ArmResult, ArmResult] | None:
    """Return direct training and the first intermediate task with the first method that has both."""
    by_arm = {result.arm: result for result in results}
    for result in results:
        if result.arm.k is None and result.arm.intermediate != NONE:
            before = by_arm.get(replace(result.arm, intermediate=NONE))
            if before is not None:
                return before, result
    return None


def _sentence(
    results: Sequence[ArmResult],
    pair: tuple[ArmResult, ArmResult] | None,
    main: Difference | None,
    limit: float,
) -> str:
    if pair is None or main is None:
        return "The results do not give an arm with and without an intermediate task; similar accuracy is not claimed."
    text = f"{pair[1].arm.intermediate} first changes accuracy by {with_interval(main)} points"
    if pair[0].bill and pair[1].bill and pair[0].bill.total:
        text += f" for {pair[1].bill.total / pair[0].bill.total:.1f} times the training of the target alone"
    near = [result for result in results if result.is_near and result.bill]
    if not near:
        return f"{text}; no arm is surely within {points(limit)} of the best."
    least = min(near, key=lambda result: result.bill.total if result.bill else math.inf)
    return f"{text}; the cheapest arm surely within {points(limit)} of the best is {_name(least)}."


def _name(result: ArmResult) -> str:
    return f"{result.name}, {result.arm.method}"


def _numbers(
    results: Sequence[ArmResult],
    pair: tuple[ArmResult, ArmResult] | None,
    main: Difference | None,
    limit: float,
) -> list[Number]:
    if pair is None:
        return []
    numbers = [as_number(f"{pair[1].arm.intermediate} first, {pair[1].arm.method}: change", main)]
    near = sum(result.is_near for result in results)
    numbers.append(Number(f"arms surely within {points(limit)} of the best", str(near), f"of {len(results)}"))
    control = cost_tables.control(*pair)
    if control is not None:
        numbers.append(Number("CPU time of a row, with and without it", control.text, "ratio, range of the rounds"))
    return numbers


def _limits(outcomes: Sequence[Outcome]) -> list[str]:
    limits = [
        "Costs are those of this machine and these settings; ratios carry over better than seconds.",
        "How targets are trained does not change what running them takes, unless adapters are added.",
    ]
    if any(outcome.arm.k is not None for outcome in outcomes):
        limits.append("Rows of test languages are these draws; other rows may give other scores.")
    if not any(name.startswith(ROUND) for outcome in outcomes for name in outcome.costs):
        limits.append("What running takes was not measured; `measure:` in the study does that.")
    return limits


def _simulated_costs(outcome: Outcome, bursts: Array, generator: np.random.Generator) -> dict[str, float]:
    """Return costs with a planted ratio of three for training, and of one for running."""
    has_first = outcome.arm.intermediate != NONE
    jitter = np.exp(generator.normal(0, 0.03, _ROUNDS))
    rounds = {
        f"{ROUND}{number}": float(5 * bursts[number - 1] * jitter[number - 1]) for number in range(1, _ROUNDS + 1)
    }
    return {
        "cpu_seconds": 10.0,
        "last_cpu_seconds": 10.0 if outcome.arm.k is None else 2.0,
        "intermediate_cpu_seconds": 20.0 if has_first else 0.0,
        "amortised_cpu_seconds": 5.0 if has_first else 0.0,
        OPERATIONS: 1e7,
        **rounds,
    }
