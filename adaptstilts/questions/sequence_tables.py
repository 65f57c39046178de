"""The tables and figures of sequences: contrasts, the order effect of every target, and cost and score of every arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adaptstilts.metrics.intervals import Difference
from adaptstilts.questions import contrasts, curricula
from adaptstilts.questions.base import ENGLISH, Arm, Outcome
from adaptstilts.questions.contrasts import away_from_english, mean_score, of_arm
from adaptstilts.questions.curricula import ORDER, Pair
from adaptstilts.questions.wording import sees, with_interval
from adaptstilts.reports.formats import Table
from adaptstilts.reports.page.charts.dots import Dot, Dots
from adaptstilts.reports.page.charts.forest import Contrast, Forest
from adaptstilts.reports.page.model import Figure
from adaptstilts.reports.tables.cells import p_value

ALL = "all targets"
RETRIEVAL = "retrieval"
_UNKNOWN = "-"
_NO_KIND = "other"

Family = dict[tuple[str, Pair, str], Difference]  # group of targets, chains and contrast
Usable = Mapping[Pair, Sequence[Outcome]]


def tables(pairs: Sequence[Pair], family: Family, usable: Usable) -> list[Table]:
    """Return every table.

    Args:
        pairs: chains in opposite orders, the main pair first, even if nothing is concluded from it.
        family: all contrasts, the main one first.
        usable: outcomes of every pair, pooled over encoders.
    """
    if not usable:
        return []
    return [*_contrast_tables(pairs[0], family), _target_table(pairs, usable), _arm_table(pairs, usable)]


def figures(pair: Pair | None, family: Family, usable: Usable, margin: float) -> list[Figure]:
    """Return the contrasts of the main pair by group of targets, and the scores of its arms by target.

    Args:
        pair: the main pair.
        family: all contrasts.
        usable: outcomes of every pair.
        margin: points that do not matter.
    """
    if pair is None:
        return []
    shown = []
    names = list(dict.fromkeys(name for _, one, name in family if one == pair))
    for (group, one, name), value in family.items():
        if one == pair:
            firm = value.seeds > 1
            shown.append(Contrast(group, name, name, value.value, value.low, value.high, (), firm))
    result = []
    if shown:
        chart = Forest(shown, "difference (points)", names, margin)
        text = f"{pair.method}, outside English; lines are 95 % intervals. Order: {pair.name} minus {pair.opposite}."
        result.append(Figure("contrasts", "Effects of order, mixing and single tasks", text, chart))
    return [*result, _score_figure(pair, usable[pair])]


def kind_effects(pair: Pair, outcomes: Sequence[Outcome]) -> list[float]:
    """Return what training a task last changes, for every target of the same kind as that task."""
    effects = []
    for of_target in curricula.targets_of([each for each in away_from_english(outcomes) if each.costs]).values():
        last, begin = curricula.own_kind(pair, of_target)
        if last and begin:
            effects.append(mean_score(last) - mean_score(begin))
    return effects


def _contrast_tables(main: Pair, family: Family) -> list[Table]:
    rows = []
    for (group, pair, name), value in family.items():
        is_main = (group, pair, name) == (ALL, main, ORDER)
        p = _UNKNOWN if is_main else p_value(value)
        role = "main" if is_main else "other"
        rows.append((group, pair.method, pair.name, name, role, with_interval(value), p, sees(value)))
    header = ("targets", "method", "tasks", "contrast", "role", "difference", "p (Holm)", "sees")
    notes = (
        "Points outside English. Order: the chain in the third column minus the opposite one. The main contrast was"
        " chosen beforehand; the others are one family.",
        "Sees: the difference found in 80 of 100 such studies.",
    )
    return [Table("sequences, mixtures and single tasks", header, tuple(rows), notes)] if rows else []


def _target_table(pairs: Sequence[Pair], usable: Usable) -> Table:
    rows = []
    for pair in (each for each in pairs if each in usable):
        for task, outcomes in curricula.targets_of(away_from_english(usable[pair])).items():
            first, second = of_arm(outcomes, pair.first), of_arm(outcomes, pair.second)
            value = contrasts.difference([(1.0, first), (-1.0, second)]) if first and second else None
            if value is None:
                continue
            sign = curricula.kind_sign(pair, outcomes[0].group)
            last = {1: pair.curriculum.tasks[-1], -1: pair.curriculum.tasks[0]}.get(sign, _NO_KIND)
            scores = (f"{mean_score(first):.1f}", f"{mean_score(second):.1f}", with_interval(value))
            rows.append((task, pair.method, pair.name, *scores, last))
    header = ("target", "method", "order", "this order", "opposite", "difference", "same kind as")
    notes = (
        "Outside English, means over encoders. Single targets are not tested, and their intervals are not corrected.",
    )
    return Table("order by target", header, tuple(rows), notes)


def _arm_table(pairs: Sequence[Pair], usable: Usable) -> Table:
    rows = {}
    for pair in (each for each in pairs if each in usable):
        trained = [each for each in usable[pair] if each.costs]
        for arm in pair.arms:
            outcomes = of_arm(trained, arm)
            if outcomes:
                rows[arm] = (arm.intermediate, pair.method, *_spent(outcomes), *_scores(outcomes))
    header = ("intermediate", "method", "steps", "of each task", "training FLOPs", "CPU s", "English", "others")
    notes = (
        "Optimizer steps, estimated operations and CPU seconds are those before the target, for the first encoder;"
        " operations depend on the length of rows. Scores are means over trained targets.",
    )
    return Table("cost and score of every arm", header, tuple(rows.values()), notes)


def _spent(outcomes: Sequence[Outcome]) -> tuple[str, str, str, str]:
    steps = curricula.steps_of(outcomes)
    listed = ", ".join(f"{task} {count:,.0f}" for task, count in steps.items()) or _UNKNOWN
    total = f"{sum(steps.values()):,.0f}" if steps else _UNKNOWN
    flops = [each.costs["intermediate_flops"] for each in outcomes if "intermediate_flops" in each.costs]
    seconds = [each.costs["intermediate_cpu_seconds"] for each in outcomes if "intermediate_cpu_seconds" in each.costs]
    operations = f"{sum(flops) / len(flops):.2e}" if flops else _UNKNOWN
    return total, listed, operations, f"{sum(seconds) / len(seconds):.1f}" if seconds else _UNKNOWN


def _scores(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    others = away_from_english(outcomes)
    english = [each for each in outcomes if each.language == ENGLISH]
    return tuple(f"{mean_score(each):.1f}" if each else _UNKNOWN for each in (english, others))  # type: ignore[return-value]


def _score_figure(pair: Pair, outcomes: Sequence[Outcome]) -> Figure:
    """Return the scores of every arm, one line for each target."""
    names = {arm: _arm_name(pair, arm) for arm in pair.arms}
    dots = []
    for task, of_target in curricula.targets_of(away_from_english(outcomes)).items():
        for arm, name in names.items():
            of_target_arm = of_arm(of_target, arm)
            if of_target_arm:
                dots.append(Dot(of_target[0].group or task, task, name, mean_score(of_target_arm)))
    dots.sort(key=lambda dot: dot.group)
    text = f"Means over seeds, encoders and languages other than English; {pair.method}."
    return Figure("scores", "Scores of every target, by arm", text, Dots(dots, "score", [*names.values()]))


def _arm_name(pair: Pair, arm: Arm) -> str:
    chains = {pair.first: pair.name, pair.second: pair.opposite}
    return chains.get(arm, arm.intermediate)
