"""Scaling: as the encoder grows, does the gain of an intermediate task grow, stay or vanish?

The main number is the slope of that gain over the base-2 logarithm of the encoder's parameters without embeddings, in
points a doubling. Gains are paired differences outside English, so that what makes a model a good or bad one is not in
them. Beside it: how many rows of a test language are worth as much as the English ones, and the law that errors follow
where sizes are enough and far enough apart for one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstilts.io.wording import counted, short_count
from adaptstilts.metrics import trends
from adaptstilts.metrics.intervals import Difference, corrected, detectable
from adaptstilts.questions import contrasts, needs, simulation
from adaptstilts.questions.base import NONE, Arm, Design, Findings, Noise, Outcome, Scenario
from adaptstilts.questions.contrasts import away_from_english, by_model, mean_score, of_arm, tasks_of
from adaptstilts.questions.rows_worth import RowsWorth, rows_worth
from adaptstilts.questions.wording import as_number, reason, sees, with_interval
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.charts.trends import TrendPoint, Trends
from adaptstilts.reports.page.model import Figure, Number
from adaptstilts.reports.page.parts.results import judge
from adaptstilts.reports.tables.cells import p_value
from adaptstilts.study import Study

_MARGIN = 0.25  # of the margin of a difference, for a slope
_SIZE = "parameters without embeddings"
_LEVEL = 60.0  # simulated score of the smallest model
_RISE = 2.0  # simulated rise of all scores a doubling


@dataclass(frozen=True)
class _Gain:
    """What an intermediate task changes for one model.

    Attributes:
        model: name of the model.
        size: its parameters without embeddings.
        difference: the gain outside English.
        seeds: the value of every seed.
        before: score of the target alone.
        after: score with the intermediate task first.
    """

    model: str
    size: int
    difference: Difference
    seeds: Sequence[float]
    before: float
    after: float


class Scaling:
    """The question of scaling."""

    name = "scaling"
    text = "As the encoder grows, does the gain of intermediate training grow, stay or vanish?"

    unit = "points a doubling"

    def check(self, study: Study) -> None:
        """Raise unless a study has several sizes, and targets with and without an intermediate task."""
        needs.models(study, self.name, trends.FEWEST)
        needs.intermediates(study, self.name)

    def analyse(self, outcomes: Sequence[Outcome], margin: float) -> Findings:
        """Answer the question; see :class:`adaptstilts.questions.base.Question`."""
        refusals, usable = _learned(outcomes)
        gains = {arm: _gains(usable, arm) for arm in _intermediate_arms(usable)}
        slopes = {arm: _slope(of_arm_gains) for arm, of_arm_gains in gains.items()}
        main_arm = next(iter(slopes), None)
        main = slopes[main_arm] if main_arm else None
        worth = _worth(usable, main_arm)
        limit = margin * _MARGIN
        verdict = judge(main, limit) if main else "not resolved"
        return Findings(
            sentence=_sentence(main_arm, main, gains, worth),
            main=main,
            margin=limit,
            verdict=verdict,
            reason=reason(main, verdict, limit, self.unit, 2),
            numbers=_numbers(main_arm, main, gains),
            refusals=refusals,
            limits=_limits(outcomes),
            tables=[*_gain_tables(gains, slopes), *_worth_tables(worth), *_law_tables(usable)],
            figures=[*_gain_figures(gains), *_error_figures(usable), *_curve_figures(worth)],
        )

    def detectable(self, design: Design, noise: Noise) -> float:
        """Return the slope that a study is expected to find in 80 of 100 repetitions."""
        places = np.log2(np.array([*design.sizes.values()], float))
        square = float(((places - places.mean()) ** 2).sum())
        if len(places) < trends.FEWEST or not square:
            return math.inf
        runs = design.seeds * len(design.tasks)
        variance = noise.model**2 + 2 * noise.seed**2 / runs + needs.item_variance(design)
        return detectable(math.sqrt(variance / square), len(places) - 2)

    def scenarios(self, design: Design, noise: Noise) -> list[Scenario]:
        """Return gains that stay, grow, shrink, and a target that no model learns."""
        step = 1.2 * self.detectable(design, noise)
        return [
            Scenario("the gain stays", 0.0),
            Scenario("the gain grows", step),
            Scenario("the gain shrinks", -step),
            Scenario("nothing is learned", 0.0, {"chance": 33.0}, is_refused=True),
        ]

    def simulate(self, design: Design, noise: Noise, scenario: Scenario, seed: int) -> list[Outcome]:
        """Return one simulated study; see :class:`adaptstilts.questions.base.Question`."""
        chance = scenario.settings.get("chance", 0.0)
        smallest = min(design.sizes.values())
        spread = math.log2(max(design.sizes.values()) / smallest)

        def truth(size: int, arm: Arm, task: str) -> float:
            doublings = math.log2(size / smallest)
            if chance:
                return chance - simulation.ENGLISH_LEAD
            if arm.k is not None and arm.after == "none":
                return 25 + 10 * math.log10(arm.k) + _RISE * doublings
            gain = 0.0 if arm.intermediate == NONE else scenario.effect * (doublings - spread / 2)
            few = 2.0 * math.log10(arm.k) if arm.k is not None else 0.0
            return _LEVEL + _RISE * doublings + gain + few

        return simulation.simulate(replace(design, chance=chance), noise, truth, np.random.default_rng(seed))


SCALING = Scaling()


def _learned(outcomes: Sequence[Outcome]) -> tuple[list[str], list[Outcome]]:
    """Return what nothing is concluded from, and the outcomes without it."""
    refusals, usable = [], []
    for model, of_model in by_model(outcomes).items():
        weak: dict[str, None] = {}
        for arm in contrasts.arms_of(of_model):
            if arm.k is None and arm.intermediate == NONE:
                weak |= dict.fromkeys(contrasts.not_learned(of_arm(of_model, arm)))
        refusals += [f"{model} has not learned {task}: English is not above chance" for task in weak]
        usable += [outcome for outcome in of_model if outcome.task not in weak]
    return refusals, usable


def _intermediate_arms(outcomes: Sequence[Outcome]) -> list[Arm]:
    arms = contrasts.arms_of(outcomes)
    return [arm for arm in arms if arm.k is None and arm.intermediate != NONE and arm.method]


def _gains(outcomes: Sequence[Outcome], arm: Arm) -> list[_Gain]:
    """Return the gain of an arm for every model that has it on all tasks, the smallest model first."""
    gains = []
    every = set(tasks_of(of_arm(outcomes, arm)))
    for model, of_model in by_model(away_from_english(outcomes)).items():
        ours, theirs = of_arm(of_model, arm), of_arm(of_model, replace(arm, intermediate=NONE))
        if {*tasks_of(ours)} != every or {*tasks_of(theirs)} != every:
            continue
        parts = [(1.0, ours), (-1.0, theirs)]
        difference = contrasts.difference(parts)
        if difference is not None:
            seeds = contrasts.seed_differences(parts)
            gains.append(_Gain(model, ours[0].size, difference, seeds, mean_score(theirs), mean_score(ours)))
    return gains


def _slope(gains: Sequence[_Gain]) -> Difference | None:
    sizes = [gain.size for gain in gains]
    if len(set(sizes)) < trends.FEWEST:
        return None
    slope = trends.slope([math.log2(size) for size in sizes], [gain.difference.value for gain in gains])
    return corrected({"": slope})[""]


def _worth(outcomes: Sequence[Outcome], arm: Arm | None) -> dict[tuple[str, str, str, str], RowsWorth]:
    """Return (task, language, model, arm) -> the rows that an arm is worth, without and with the intermediate task."""
    worth = {}
    if arm is None:
        return {}
    for task in tasks_of(outcomes):
        for language in dict.fromkeys(each.language for each in outcomes if each.task == task and each.arm.k):
            for model, of_model in by_model(outcomes).items():
                chosen = [each for each in of_model if (each.task, each.language) == (task, language)]
                for one in (replace(arm, intermediate=NONE), arm):
                    value = rows_worth(chosen, one)
                    if value is not None:
                        worth[task, language, model, one.intermediate] = value
    return worth


def _sentence(
    arm: Arm | None,
    main: Difference | None,
    gains: Mapping[Arm, Sequence[_Gain]],
    worth: Mapping[tuple[str, str, str, str], RowsWorth],
) -> str:
    if arm is None or main is None:
        return f"The results do not give the gain of {counted(trends.FEWEST, 'size')}, which a slope needs."
    small, large = gains[arm][0], gains[arm][-1]
    sizes = f"From {short_count(small.size)} to {short_count(large.size)} {_SIZE}"
    text = f"{sizes}, the gain of {arm.intermediate} first changes by {with_interval(main, 2)} points a doubling"
    for (_, language, model, first), value in worth.items():
        if model == small.model and first == NONE:
            other = worth.get((_, language, large.model, NONE))
            ending = f" and {other.text} at the largest" if other else ""
            text += f"; English rows are worth {value.text} rows of {language} at the smallest size{ending}"
            break
    return f"{text}."


def _numbers(arm: Arm | None, main: Difference | None, gains: Mapping[Arm, Sequence[_Gain]]) -> list[Number]:
    if arm is None:
        return []
    numbers = [as_number(f"{arm.intermediate} first, {arm.method}: change of the gain", main, Scaling.unit, 2)]
    ends = [gains[arm][0], gains[arm][-1]] if len(gains[arm]) > 1 else gains[arm]
    for gain in ends:
        numbers.append(as_number(f"gain of {gain.model} ({short_count(gain.size)})", gain.difference))
    return numbers


def _limits(outcomes: Sequence[Outcome]) -> list[str]:
    models = [*by_model(outcomes)]
    return [
        f"It is about {counted(len(models), 'encoder')} ({', '.join(models)}), and is no claim about larger ones.",
        "Every size is one pretrained encoder, so what sets it apart may be its pretraining and not its size.",
        "All sizes are trained with the same settings, which may suit some of them better.",
    ]


def _gain_tables(gains: Mapping[Arm, Sequence[_Gain]], slopes: Mapping[Arm, Difference | None]) -> list[Table]:
    rows = []
    for arm, of_arm_gains in gains.items():
        for gain in of_arm_gains:
            names = (arm.method, arm.intermediate, gain.model, short_count(gain.size))
            scores = (f"{gain.before:.1f}", f"{gain.after:.1f}", with_interval(gain.difference))
            rows.append((*names, *scores, sees(gain.difference)))
    if not rows:
        return []
    header = ("method", "intermediate", "model", "size", "alone", "with", "gain", "sees")
    notes = ("Means outside English. Size: parameters without embeddings. Sees: the gain found in 80 of 100 studies.",)
    return [Table("gain of an intermediate task by size", header, tuple(rows), notes), *_slope_tables(slopes)]


def _slope_tables(slopes: Mapping[Arm, Difference | None]) -> list[Table]:
    """Return the slopes; the first is the main one, the others are a family of comparisons."""
    known = {arm: slope for arm, slope in slopes.items() if slope is not None}
    family = corrected(dict([*known.items()][1:]))
    rows = []
    for number, (arm, slope) in enumerate({**known, **family}.items()):
        role = "other" if number else "main"
        rows.append((arm.method, arm.intermediate, role, with_interval(slope, 2), p_value(slope), sees(slope, 2)))
    header = ("method", "intermediate", "role", "slope", "p (Holm)", "sees")
    notes = ("Slopes in points a doubling of the size. The main one was fixed before; the others are one family.",)
    return [Table("change of the gain with size", header, tuple(rows), notes)] if rows else []


def _worth_tables(worth: Mapping[tuple[str, str, str, str], RowsWorth]) -> list[Table]:
    rows = []
    for (task, language, model, first), value in worth.items():
        rows.append((task, language, model, first, f"{value.level:.1f}", value.text))
    header = ("task", "language", "model", "intermediate", "score", "rows worth")
    notes = ("Rows of the language that, alone, train the target to the score that English rows give.",)
    return [Table("rows of a test language that English rows are worth", header, tuple(rows), notes)] if rows else []


def _law_tables(outcomes: Sequence[Outcome]) -> list[Table]:
    """Return the laws that errors follow, where there are enough sizes."""
    laws, misses = [], []
    for arm in [arm for arm in contrasts.arms_of(outcomes) if arm.k is None and arm.method]:
        models = by_model(of_arm(away_from_english(outcomes), arm)).values()
        sizes = [of_model[0].size for of_model in models]
        if len(sizes) < trends.LAW_MODELS or not trends.has_range_for_law(sizes):
            continue
        errors = [100 - mean_score(of_model) for of_model in models]
        scores = [contrasts.difference([(1.0, of_model)]) for of_model in models]
        deviations = [score.error for score in scores if score is not None and score.error > 0]
        if len(deviations) == len(errors):
            law = trends.power_law(sizes, errors, deviations)
            exponent = f"{law.exponent:.2f} [{law.low:.2f}, {law.high:.2f}]" if law.is_bounded else "no exponent"
            laws.append((arm.method, arm.intermediate, exponent, f"{law.floor:.1f}"))
            named = trends.extrapolation_errors(sizes, errors)
            misses.append((arm.method, arm.intermediate, *(f"{miss:.1f}" for miss in named.values())))
    if not laws:
        return []
    header = ("method", "intermediate", "exponent", "floor")
    notes = ("error = floor + scale / size^exponent, outside English; an interval over a factor of five is none.",)
    return [
        Table("law of the error", header, tuple(laws), notes),
        Table(
            "how well each law foretells a size from the others (points)",
            ("method", "intermediate", *trends.LAWS),
            tuple(misses),
        ),
    ]


def _gain_figures(gains: Mapping[Arm, Sequence[_Gain]]) -> list[Figure]:
    points = []
    for arm, of_arm_gains in gains.items():
        for gain in of_arm_gains:
            difference, seeds = gain.difference, gain.seeds
            low, high = (difference.low, difference.high) if difference.seeds > 1 else (None, None)
            name = f"{gain.model}: {with_interval(difference)}"
            size, value = float(gain.size), difference.value
            points.append(TrendPoint(arm.method, arm.intermediate, size, value, low, high, name, seeds))
    if not points:
        return []
    series = list(dict.fromkeys(arm.intermediate for arm in gains))
    chart = Trends(points, _SIZE, "gain outside English (points)", series, zero=True)
    text = "What an intermediate task changes, for every encoder; lines are 95 % intervals, dots are seeds."
    return [Figure("gain-by-size", "Gain of intermediate training by size", text, chart)]


def _error_figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    points = []
    arms = [arm for arm in contrasts.arms_of(outcomes) if arm.k is None and arm.method]
    for arm in arms:
        for model, of_model in by_model(of_arm(away_from_english(outcomes), arm)).items():
            error = 100 - mean_score(of_model)
            name = f"{model}, {arm.intermediate}: {error:.1f}"
            points.append(TrendPoint(arm.method, arm.intermediate, float(of_model[0].size), error, name=name))
    if not points:
        return []
    chart = Trends(points, _SIZE, "error outside English", list(dict.fromkeys(arm.intermediate for arm in arms)))
    text = "100 minus the mean score over seeds, languages and tasks; every mark is one encoder."
    return [Figure("error-by-size", "Error by size", text, chart)]


def _curve_figures(worth: Mapping[tuple[str, str, str, str], RowsWorth]) -> list[Figure]:
    points, levels, models = [], [], []
    for (task, language, model, first), value in worth.items():
        if first == NONE:
            panel = f"{task}, {language}"
            models.append(model)
            levels.append((panel, model, value.level))
            for rows, score in value.curve.items():
                points.append(TrendPoint(panel, model, float(rows), score, name=f"{model}, {rows} rows: {score:.1f}"))
    if not points:
        return []
    chart = Trends(points, "training rows of the language", "score", list(dict.fromkeys(models)), levels=levels)
    text = "Training on rows of the test language alone; dashed: training on English rows, without one of the language."
    return [Figure("rows-of-the-language", "Rows of the test language against English rows", text, chart)]
